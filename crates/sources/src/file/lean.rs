//! LEAN equity ticks.
//!
//! Wire format (LEAN `Data/equity/usa/tick`): `ms since midnight New York, price * 10000, quantity,
//! exchange, hexadecimal condition flags, suspicious`; symbol and date are in the names of the entry and
//! the zip. The rows carry neither identity nor sequence, so the sequence is the place in the input.
//!
//! Each bit of the flag word is the condition of that number; a suspicious row is kept with condition 127.
//! The venue is the exchange letter's byte, two letters give two bytes, and zero stands for longer codes.

use super::decoder::RecordDecoder;
use super::error::{Fault, ValueError};
use super::fields::Fields;
use barmill_core::model::{Conditions, Price, Side, Size, Symbol, Timestamp, Trade, TradeId};
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// The condition number of a row the vendor marks as suspicious.
pub(super) const SUSPICIOUS: u32 = 127;
const FIELDS: usize = 6;
const DAY_NS: u64 = 86_400_000_000_000;

/// Decodes the lines of one file.
#[derive(Debug, Clone)]
pub(super) struct LeanTick {
    fields: Fields,
    symbol: Symbol,
    midnight: DateTime,
    zone: TimeZone,
    /// Epoch nanoseconds of the day's midnight, on days without a clock change.
    even_midnight: Option<i64>,
}

impl LeanTick {
    /// `None` when the time zone is unknown.
    pub(super) fn new(symbol: Symbol, date: Date) -> Option<LeanTick> {
        let zone = TimeZone::get("America/New_York").ok()?;
        let midnight = date.at(0, 0, 0, 0);
        let start = instant(&zone, midnight)?;
        let noon = instant(&zone, date.at(12, 0, 0, 0))?;
        let even = noon - start == i64::try_from(DAY_NS / 2).ok()?;
        let even_midnight = even.then_some(start);
        Some(LeanTick {
            fields: Fields::default(),
            symbol,
            midnight,
            zone,
            even_midnight,
        })
    }

    fn time(&self, text: &[u8]) -> Result<Timestamp, Fault> {
        let fault = |reason| Fault::new("time", text, reason);
        // Milliseconds with up to six decimal places, which a price's nine hold.
        let scaled = Price::parse(text)
            .map_err(|error| fault(error.into()))?
            .raw();
        let nanos = scaled / 1_000;
        if scaled % 1_000 != 0 || nanos >= DAY_NS {
            return Err(fault(ValueError::Shape {
                expected: "milliseconds since midnight",
            }));
        }
        let nanos = i64::try_from(nanos).unwrap_or(i64::MAX);
        let epoch = match self.even_midnight {
            Some(midnight) => midnight.checked_add(nanos),
            None => self
                .midnight
                .checked_add(SignedDuration::from_nanos(nanos))
                .ok()
                .and_then(|civil| instant(&self.zone, civil)),
        };
        let epoch = epoch
            .and_then(|epoch| u64::try_from(epoch).ok())
            .unwrap_or(0);
        super::fields::instant("time", text, epoch)
    }
}

fn instant(zone: &TimeZone, civil: DateTime) -> Option<i64> {
    let time = zone.to_ambiguous_timestamp(civil).compatible().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

impl RecordDecoder for LeanTick {
    fn decode(&mut self, line: &[u8], ordinal: u64) -> Result<Option<Trade>, Fault> {
        self.fields.split(line)?;
        if self.fields.count() != FIELDS {
            let reason = ValueError::FieldCount {
                count: self.fields.count(),
                expected: FIELDS,
            };
            return Err(Fault::new("row", line, reason));
        }
        let field = |index| self.fields.get(line, index);
        let size =
            Size::parse(field(2)).map_err(|error| Fault::new("quantity", field(2), error))?;
        Ok(Some(Trade {
            symbol: self.symbol,
            time: self.time(field(0))?,
            sequence: ordinal,
            id: TradeId::NONE,
            price: price(field(1))?,
            size,
            conditions: conditions(field(4), field(5))?,
            venue: match *field(3) {
                [letter] => u16::from(letter),
                [first, second] => u16::from_be_bytes([first, second]),
                _ => 0,
            },
            correction: 0,
            side: Side::Unknown,
            sequenced: false,
        }))
    }
}

fn price(text: &[u8]) -> Result<Price, Fault> {
    let scaled = super::fields::price("price", text)?.raw();
    if scaled % 10_000 != 0 {
        return Err(Fault::new(
            "price",
            text,
            ValueError::Shape {
                expected: "ten thousandths of the price",
            },
        ));
    }
    Ok(Price::from_raw(scaled / 10_000))
}

fn conditions(flags: &[u8], suspicious: &[u8]) -> Result<Conditions, Fault> {
    let bits = match std::str::from_utf8(flags) {
        Ok("") => 0,
        Ok(text) if flags.iter().all(u8::is_ascii_hexdigit) => {
            u64::from_str_radix(text, 16).map_err(|_| too_many(flags))?
        }
        Ok(_) | Err(_) => return Err(too_many(flags)),
    };
    let mark = match suspicious {
        b"0" => 0,
        b"1" => 1 << SUSPICIOUS,
        other => {
            return Err(Fault::new(
                "suspicious",
                other,
                ValueError::Neither {
                    first: "0",
                    second: "1",
                },
            ));
        }
    };
    Ok(Conditions::from_bits(u128::from(bits) | mark))
}

fn too_many(flags: &[u8]) -> Fault {
    Fault::new(
        "flags",
        flags,
        ValueError::Shape {
            expected: "a hexadecimal word of 1 to 16 digits",
        },
    )
}

#[cfg(test)]
mod tests {
    use super::LeanTick;
    use crate::file::decoder::RecordDecoder;
    use barmill_core::model::{Conditions, Trade, TradeId};
    use jiff::civil::{Date, date};

    fn decode(date: Date, row: &str) -> Result<Trade, String> {
        let mut decoder = LeanTick::new("SPY".parse().unwrap(), date).unwrap();
        match decoder.decode(row.as_bytes(), 9) {
            Ok(trade) => Ok(trade.unwrap()),
            Err(fault) => Err(fault.to_string()),
        }
    }

    #[test]
    fn every_field_arrives() {
        let trade = decode(date(2013, 10, 7), "14400464,1674100,100,P,20002000,0").unwrap();
        assert_eq!(trade.time.to_string(), "2013-10-07T08:00:00.464Z");
        assert_eq!(
            (trade.price.to_string(), trade.size.to_string()),
            ("167.41".into(), "100".into())
        );
        assert_eq!(trade.conditions, Conditions::from_bits(0x2000_2000));
        assert_eq!(
            (trade.venue, trade.sequence, trade.sequenced),
            (u16::from(b'P'), 9, false)
        );
        assert_eq!(trade.id, TradeId::NONE);
    }

    #[test]
    fn suspicious_row_is_kept_and_marked() {
        let trade = decode(date(2013, 10, 7), "14400464,1674100,100,P,1,1").unwrap();
        assert_eq!(trade.conditions.bits(), 1 | 1 << 127);
    }

    #[test]
    fn day_of_a_clock_change_follows_the_wall_clock() {
        for (day, want) in [
            (date(2025, 3, 9), "2025-03-09T13:30:00Z"),
            (date(2025, 11, 2), "2025-11-02T14:30:00Z"),
            (date(2025, 11, 3), "2025-11-03T14:30:00Z"),
        ] {
            assert_eq!(
                decode(day, "34200000,1,1,P,0,0").unwrap().time.to_string(),
                want
            );
        }
    }

    #[test]
    fn refused_values_name_their_field() {
        for (row, want) in [
            (
                "86400000,1,1,P,0,0",
                "time \"86400000\" is not milliseconds since midnight",
            ),
            ("0,0,1,P,0,0", "price \"0\" price is zero"),
            (
                "0,1,1,P,xyz,0",
                "flags \"xyz\" is not a hexadecimal word of 1 to 16 digits",
            ),
            ("0,1,1,P,0,2", "suspicious \"2\" is neither 0 nor 1"),
            ("0,1,1", "row \"0,1,1\" has 3 fields instead of 6"),
        ] {
            assert_eq!(decode(date(2013, 10, 7), row), Err(want.into()));
        }
    }
}
