//! Prices: exact decimals in integers of 10^-9.

use super::decimal::{DecimalError, decimal_text, parse_scaled};

/// An exact price: 9 decimal places, from 0 to 18,446,744,073.709551615 units of the quote currency.
///
/// ```
/// # mod barmill { pub use barmill_core::model::*; }
/// use barmill::Price;
/// let price: Price = "255.1200".parse()?;
/// assert_eq!(price.to_string(), "255.12");
/// assert!("0.0000000001".parse::<Price>().is_err(), "a tenth place would need rounding");
/// # Ok::<(), barmill_core::model::DecimalError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Price(u64);

impl Price {
    /// Decimal places of every price.
    pub const PLACES: usize = 9;
    /// The price of nothing.
    pub const ZERO: Price = Price(0);
    /// The largest price.
    pub const MAX: Price = Price(u64::MAX);

    /// Takes a count of 10^-9 units.
    pub const fn from_raw(raw: u64) -> Price {
        Price(raw)
    }

    /// The price as a count of 10^-9 units.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Parses decimal text, exactly.
    ///
    /// # Errors
    /// [`DecimalError`] when the text is no decimal, has a tenth significant place, or is too large.
    pub fn parse(text: &[u8]) -> Result<Price, DecimalError> {
        let value = parse_scaled(text, 9)?;
        u64::try_from(value)
            .map(Price)
            .map_err(|_| DecimalError::TooLarge)
    }
}

decimal_text!(Price, Price::PLACES);
