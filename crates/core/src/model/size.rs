//! Sizes of trades and their sums: exact decimals in integers of 10^-10.

use super::decimal::{DecimalError, decimal_text, parse_scaled};
use std::ops::AddAssign;

/// The exact size of one trade: 10 decimal places, from 0 to about 1.2e17 shares, contracts or coins.
///
/// The bound of 2^90 raw units leaves room for 2^38 trades of the largest size in one [`Volume`].
///
/// ```
/// # mod barmill { pub use barmill_core::model::*; }
/// use barmill::Size;
/// let size: Size = "0.00027625".parse()?;
/// assert_eq!(size.to_string(), "0.00027625");
/// assert!("1000000000001".parse::<Size>().is_ok(), "beyond 1e12");
/// # Ok::<(), barmill_core::model::DecimalError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(u128);

/// The exact sum of sizes, in units of 10^-10; cannot overflow below 2^38 trades of the largest size.
///
/// See the example of [`Size`](crate::model::Size).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Volume(u128);

impl Size {
    /// Decimal places of every size.
    pub const PLACES: usize = 10;
    /// A size of nothing.
    pub const ZERO: Size = Size(0);
    /// The largest size, 2^90 - 1 raw units.
    pub const MAX: Size = Size((1 << 90) - 1);

    /// Takes a count of 10^-10 units; `None` above [`Size::MAX`].
    pub const fn from_raw(raw: u128) -> Option<Size> {
        if raw <= Self::MAX.0 {
            Some(Size(raw))
        } else {
            None
        }
    }

    /// The size as a count of 10^-10 units.
    pub const fn raw(self) -> u128 {
        self.0
    }

    /// Parses decimal text, exactly.
    ///
    /// # Errors
    /// [`DecimalError`] when the text is no decimal, has an eleventh significant place, or is too large.
    pub fn parse(text: &[u8]) -> Result<Size, DecimalError> {
        Size::from_raw(parse_scaled(text, 10)?).ok_or(DecimalError::TooLarge)
    }
}

impl Volume {
    /// The volume of no trade.
    pub const ZERO: Volume = Volume(0);

    /// Takes a count of 10^-10 units.
    pub const fn from_raw(raw: u128) -> Volume {
        Volume(raw)
    }

    /// The volume as a count of 10^-10 units.
    pub const fn raw(self) -> u128 {
        self.0
    }

    /// Parses decimal text, exactly.
    ///
    /// # Errors
    /// [`DecimalError`] as for [`Size::parse`], with the larger bound.
    pub fn parse(text: &[u8]) -> Result<Volume, DecimalError> {
        parse_scaled(text, 10).map(Volume)
    }
}

impl AddAssign<Size> for Volume {
    fn add_assign(&mut self, size: Size) {
        self.0 += size.0;
    }
}

impl AddAssign<Volume> for Volume {
    fn add_assign(&mut self, other: Volume) {
        self.0 += other.0;
    }
}

decimal_text!(Size, Size::PLACES);
decimal_text!(Volume, Size::PLACES);

#[cfg(test)]
mod tests {
    use super::{Size, Volume};
    use proptest::prelude::*;

    #[test]
    fn largest_size_is_beyond_a_trillion() {
        assert!(Size::MAX > "1000000000000".parse().unwrap());
        assert!("123794003928538028".parse::<Size>().is_err());
    }

    proptest! {
        #[test]
        fn sum_of_sizes_does_not_depend_on_order(mut raws in proptest::collection::vec(0u128..=Size::MAX.raw(), 0..40)) {
            let sum = |raws: &[u128]| {
                let mut volume = Volume::ZERO;
                for &raw in raws {
                    volume += Size::from_raw(raw).unwrap();
                }
                volume
            };
            let forward = sum(&raws);
            raws.reverse();
            prop_assert_eq!(forward, sum(&raws));
        }

        #[test]
        fn text_round_trips(raw in 0u128..=Size::MAX.raw()) {
            let size = Size::from_raw(raw).unwrap();
            prop_assert_eq!(size.to_string().parse::<Size>(), Ok(size));
        }
    }
}
