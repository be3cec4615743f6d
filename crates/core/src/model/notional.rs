//! Notional: the exact sum of price times size, and the vwap from it.

use super::{Price, Size, Volume};

/// An exact sum of price x size, in units of 10^-19, held in 192 bits.
///
/// The largest product is below 2^154, so 2^38 of the largest trades fit.
///
/// See the example of [`Price`](crate::model::Price).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Notional {
    // Three words and not a `u128`, whose alignment would cost eight bytes in every fold.
    high: u64,
    middle: u64,
    low: u64,
}

impl Notional {
    /// The notional of no trade.
    pub const ZERO: Notional = Notional {
        high: 0,
        middle: 0,
        low: 0,
    };

    /// The notional of one trade.
    pub fn of(price: Price, size: Size) -> Notional {
        let price = u128::from(price.raw());
        if let Ok(size) = u64::try_from(size.raw()) {
            return Notional::from_raw(0, price * u128::from(size));
        }
        let mask = u128::from(u64::MAX);
        let low = price * (size.raw() & mask);
        let upper = price * (size.raw() >> 64);
        let (sum, carry) = low.overflowing_add((upper & mask) << 64);
        Notional::from_raw(narrow(upper >> 64) + u64::from(carry), sum)
    }

    /// Takes the two parts of the 192-bit raw value, most significant first.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "takes a number apart into its halves"
    )]
    pub const fn from_raw(high: u64, low: u128) -> Notional {
        Notional {
            high,
            middle: (low >> 64) as u64,
            low: low as u64,
        }
    }

    /// The two parts of the 192-bit raw value, most significant first.
    pub const fn raw(self) -> (u64, u128) {
        (self.high, (self.middle as u128) << 64 | self.low as u128)
    }

    /// Adds another sum.
    pub fn add(&mut self, other: Notional) {
        let (low, carry) = self.raw().1.overflowing_add(other.raw().1);
        *self = Notional::from_raw(self.high + other.high + u64::from(carry), low);
    }

    /// Divides by a volume, rounded half to even at 9 places; `None` for a volume of zero.
    ///
    /// The quotient of a sum and its own volume is at most the largest price in it, so it fits.
    pub fn per(self, volume: Volume) -> Option<Price> {
        let divisor = volume.raw();
        if divisor == 0 {
            return None;
        }
        let (high, low) = self.raw();
        let (quotient, rest) = if high == 0 {
            divide(low, divisor)
        } else {
            self.long_division(divisor)
        };
        let half = rest.cmp(&(divisor - rest));
        let up = half.is_gt() || (half.is_eq() && quotient % 2 == 1);
        Some(Price::from_raw(
            u64::try_from(quotient + u128::from(up)).unwrap_or(u64::MAX),
        ))
    }

    /// Schoolbook binary division; only sums above 2^128 come here.
    fn long_division(self, divisor: u128) -> (u128, u128) {
        let (high, low) = self.raw();
        let (mut rest, mut quotient) = (0u128, 0u128);
        for bit in (0..192).rev() {
            let next = if bit >= 128 {
                u128::from(high >> (bit - 128))
            } else {
                low >> bit
            } & 1;
            let overflow = rest >> 127 == 1;
            rest = rest << 1 | next;
            quotient <<= 1;
            if overflow || rest >= divisor {
                rest = rest.wrapping_sub(divisor);
                quotient |= 1;
            }
        }
        (quotient, rest)
    }
}

/// Quotient and rest by one division, which costs far more than a product.
fn divide(value: u128, divisor: u128) -> (u128, u128) {
    let quotient = value / divisor;
    (quotient, value - quotient * divisor)
}

/// The upper part of a 64 x 128 bit product is below 2^64 by construction.
fn narrow(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Notional;
    use crate::model::{Price, Size, Volume};
    use proptest::prelude::*;

    fn vwap(trades: &[(&str, &str)]) -> String {
        let mut notional = Notional::ZERO;
        let mut volume = Volume::ZERO;
        for (price, size) in trades {
            let size: Size = size.parse().unwrap();
            notional.add(Notional::of(price.parse().unwrap(), size));
            volume += size;
        }
        notional.per(volume).unwrap().to_string()
    }

    #[test]
    fn vwap_rounds_half_to_even_at_nine_places() {
        assert_eq!(vwap(&[("10", "1"), ("20", "3")]), "17.5");
        assert_eq!(vwap(&[("1", "1"), ("1.000000001", "1")]), "1");
        assert_eq!(
            vwap(&[("1.000000001", "1"), ("1.000000002", "1")]),
            "1.000000002"
        );
        assert_eq!(vwap(&[("1", "1"), ("1", "1"), ("2", "1")]), "1.333333333");
        assert_eq!(Notional::ZERO.per(Volume::ZERO), None);
    }

    #[test]
    fn vwap_of_the_largest_trades_is_their_price() {
        let mut notional = Notional::ZERO;
        let mut volume = Volume::ZERO;
        for _ in 0..1000 {
            notional.add(Notional::of(Price::MAX, Size::MAX));
            volume += Size::MAX;
        }
        assert_eq!(notional.per(volume), Some(Price::MAX));
    }

    proptest! {
        #[test]
        fn vwap_of_one_price_is_that_price(price in 1u64.., size in 1u128..=Size::MAX.raw()) {
            let size = Size::from_raw(size).unwrap();
            let mut volume = Volume::ZERO;
            volume += size;
            let notional = Notional::of(Price::from_raw(price), size);
            prop_assert_eq!(notional.per(volume), Some(Price::from_raw(price)));
        }

        #[test]
        fn order_follows_size(price in 1u64.., a in 0u128..=Size::MAX.raw(), b in 0u128..=Size::MAX.raw()) {
            let of = |raw| Notional::of(Price::from_raw(price), Size::from_raw(raw).unwrap());
            prop_assert_eq!(of(a).cmp(&of(b)), a.cmp(&b));
        }
    }
}
