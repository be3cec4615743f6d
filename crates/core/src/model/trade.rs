//! One trade as every feed delivers it.

use super::{Conditions, Price, Size, Symbol, Timestamp};

/// The side of the taker: who crossed the spread.
///
/// See the example of [`TradeFeed`](crate::port::TradeFeed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Side {
    /// The venue does not tell.
    #[default]
    Unknown = 0,
    /// The taker bought.
    Buy = 1,
    /// The taker sold.
    Sell = 2,
}

/// A venue's identity of a trade, unique per symbol, venue code and day; [`TradeId::NONE`] where it gives none.
///
/// Numbers are kept as they are up to 2^63 - 1; any other text is kept as its 63-bit FNV-1a hash with
/// the top bit set, so the two kinds never meet.
///
/// See the example of [`TradeFeed`](crate::port::TradeFeed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TradeId(u64);

impl TradeId {
    /// The venue gives no identity.
    pub const NONE: TradeId = TradeId(u64::MAX);

    /// Takes a numeric identity below 2^63; larger ones are hashed as text is.
    pub fn from_number(number: u64) -> TradeId {
        if number < 1 << 63 {
            TradeId(number)
        } else {
            TradeId::hash(&number.to_be_bytes())
        }
    }

    /// Takes an identity as the venue writes it.
    pub fn from_text(text: &[u8]) -> TradeId {
        let canonical = text.len() == 1 || text.first() != Some(&b'0');
        if text.is_empty() || text.len() > 18 || !canonical || !text.iter().all(u8::is_ascii_digit)
        {
            return TradeId::hash(text);
        }
        TradeId(
            text.iter()
                .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')),
        )
    }

    /// Takes back what [`TradeId::raw`] gave.
    pub const fn from_raw(raw: u64) -> TradeId {
        TradeId(raw)
    }

    /// The identity as one number, for storage.
    pub const fn raw(self) -> u64 {
        self.0
    }

    fn hash(text: &[u8]) -> TradeId {
        let hash = text.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        // All ones is the mark of no identity.
        TradeId((hash | 1 << 63).min(u64::MAX - 1))
    }
}

/// One trade: the unit every feed delivers and every bar is made of.
///
/// See the example of [`TradeFeed`](crate::port::TradeFeed).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trade {
    /// The instrument.
    pub symbol: Symbol,
    /// The instant that decides the bar; for US equities the SIP timestamp.
    pub time: Timestamp,
    /// The venue's order among trades of one symbol, not necessarily consecutive; where the venue has
    /// none, the position in the input.
    pub sequence: u64,
    /// The venue's identity of the trade.
    pub id: TradeId,
    /// Price per unit, above zero.
    pub price: Price,
    /// Units traded; zero where the venue reports less than it can express.
    pub size: Size,
    /// Sale conditions.
    pub conditions: Conditions,
    /// The venue's own code of the exchange or reporting facility that published the trade; identities
    /// are unique only within it. Zero where the feed has one venue.
    pub venue: u16,
    /// NYSE correction code: 0 regular, 1 late-corrected original, 7 later erroneous, 8 later cancelled,
    /// 10 cancel, 11 error, 12 correction record.
    pub correction: u8,
    /// The taker's side.
    pub side: Side,
    /// Whether [`Trade::sequence`] comes from the venue, so that it identifies the trade.
    pub sequenced: bool,
}

/// The total order of trades within a symbol: time, then sequence, then identity, then price and venue.
///
/// See the example of [`TradeFeed`](crate::port::TradeFeed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TradeKey {
    /// Event time.
    pub time: Timestamp,
    /// The venue's order.
    pub sequence: u64,
    /// The venue's identity.
    pub id: TradeId,
    /// The price, so that trades a venue does not tell apart still have one order.
    pub price: Price,
}

impl TradeKey {
    /// An instant without a trade: before all trades of that time.
    pub const fn instant(time: Timestamp) -> TradeKey {
        TradeKey {
            time,
            sequence: 0,
            id: TradeId::NONE,
            price: Price::ZERO,
        }
    }
}

impl Trade {
    /// A trade of which no more is known; the other fields are set with struct update syntax.
    pub const fn new(symbol: Symbol, time: Timestamp, price: Price, size: Size) -> Trade {
        Trade {
            symbol,
            time,
            sequence: 0,
            id: TradeId::NONE,
            price,
            size,
            conditions: Conditions::NONE,
            venue: 0,
            correction: 0,
            side: Side::Unknown,
            sequenced: false,
        }
    }

    /// Whether the venue says that this trade does not stand: it was corrected, was an error or was cancelled, or is
    /// the record of that (NYSE trade correction indicators 1, 7, 8, 10 and 11).
    pub const fn is_void(&self) -> bool {
        matches!(self.correction, 1 | 7 | 8 | 10 | 11)
    }

    /// The place of this trade in the order of its symbol.
    pub fn key(&self) -> TradeKey {
        TradeKey {
            time: self.time,
            sequence: self.sequence,
            id: self.id,
            price: self.price,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TradeId;

    #[test]
    fn numeric_identities_are_kept_and_others_never_meet_them() {
        assert_eq!(TradeId::from_text(b"183276").raw(), 183_276);
        assert_eq!(TradeId::from_text(b"0").raw(), 0);
        for text in ["", "0183276", "18f", "99999999999999999999", "a-b-c"] {
            assert!(
                TradeId::from_text(text.as_bytes()).raw() >= 1 << 63,
                "{text}"
            );
            assert_ne!(TradeId::from_text(text.as_bytes()), TradeId::NONE);
        }
    }
}
