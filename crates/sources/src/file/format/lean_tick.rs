//! LEAN equity ticks.
//!
//! Wire format (LEAN `Data/equity/usa/tick`): `ms since midnight New York, price * 10000, quantity,
//! exchange, hexadecimal condition flags, suspicious`; symbol and date are in the names of the entry and
//! the zip. The rows carry neither identity nor sequence, so the sequence is the place in the input.
//!
//! Each bit of the flag word is the condition of that number; a suspicious row is kept with condition 127.
//! The venue is the exchange letter's byte, two letters give two bytes, and zero stands for longer codes.

use super::descriptor::{Descriptor, Open, OpenedLines, column};
use super::detect::Sample;
use crate::file::chunk::LineDecoder;
use crate::file::csv::Fields;
use crate::file::error::{FileError, RecordError, ValueError};
use crate::file::text::TextInput;
use crate::file::values;
use barmill_core::model::{Conditions, Price, Side, Size, Symbol, Timestamp, Trade, TradeId};
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "lean-tick",
    summary: "LEAN equity ticks",
    columns: &[
        column(
            "1",
            "event time, ms since midnight in New York with up to 6 places",
        ),
        column("2", "price, in ten thousandths"),
        column("3", "quantity, exact decimal"),
        column("4", "letters of the exchange"),
        column("5", "hexadecimal condition flags"),
        column("6", "1 for a suspicious row"),
    ],
    vendor: Some("lean"),
    is_us_equity: true,
    needs_symbol: true,
    is_like,
    open: Open::Lines(open),
};

fn is_like(sample: &Sample<'_>) -> bool {
    let row = sample.row();
    let is_whole = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    // Milliseconds of a day, and a price in ten thousandths, which has no point.
    let is_of_day = |text: &[u8]| {
        let whole = text.split(|byte| *byte == b'.').next().unwrap_or_default();
        whole.len() <= 8 && is_whole(whole)
    };
    row.len() == FIELDS
        && matches!(row[FIELDS - 1], b"0" | b"1")
        && is_of_day(row[0])
        && is_whole(row[1])
}

fn open(text: &mut TextInput) -> OpenedLines {
    if text.first_line()?.is_none() {
        return Ok(None);
    }
    if let Some(what) = other_in(&text.names) {
        return Err(FileError::Foreign {
            file: text.file(),
            what,
            advice: "of LEAN's files those of trades of US equities are read, since prices, zones and names of the others \
                     follow other rules",
        });
    }
    let symbol = text.symbol(symbol_in(&text.names))?;
    let made = date_in(&text.names).and_then(|date| LeanTick::new(symbol, date));
    let made = made.ok_or_else(|| FileError::NoDate { file: text.file() })?;
    Ok(Some(Box::new(made)))
}

/// The condition number of a row the vendor marks as suspicious.
const SUSPICIOUS: u32 = 127;
const FIELDS: usize = 6;
const DAY_NS: u64 = 86_400_000_000_000;

/// Decodes the lines of one file.
#[derive(Debug, Clone)]
struct LeanTick {
    fields: Fields,
    symbol: Symbol,
    midnight: DateTime,
    zone: TimeZone,
    /// Epoch nanoseconds of the day's midnight, on days without a clock change.
    even_midnight: Option<i64>,
}

impl LeanTick {
    /// `None` when the time zone is unknown.
    fn new(symbol: Symbol, date: Date) -> Option<LeanTick> {
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

    fn time(&self, text: &[u8]) -> Result<Timestamp, RecordError> {
        // Milliseconds with up to six decimal places, which a price's nine hold.
        let scaled = Price::parse(text)
            .map_err(|error| RecordError::new("time", text, error))?
            .raw();
        let nanos = scaled / 1_000;
        if scaled % 1_000 != 0 || nanos >= DAY_NS {
            return Err(RecordError::shape(
                "time",
                text,
                "milliseconds since midnight",
            ));
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
        values::instant("time", text, epoch)
    }
}

fn instant(zone: &TimeZone, civil: DateTime) -> Option<i64> {
    let time = zone.to_ambiguous_timestamp(civil).compatible().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

impl LineDecoder for LeanTick {
    fn boxed(&self) -> Box<dyn LineDecoder> {
        Box::new(self.clone())
    }

    fn decode(&mut self, line: &[u8], ordinal: u64) -> Result<Option<Trade>, RecordError> {
        self.fields.split_row(line, FIELDS)?;
        let field = |index| self.fields.get(line, index);
        let size =
            Size::parse(field(2)).map_err(|error| RecordError::new("quantity", field(2), error))?;
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

fn price(text: &[u8]) -> Result<Price, RecordError> {
    let scaled = values::price("price", text)?.raw();
    if scaled % 10_000 != 0 {
        return Err(RecordError::shape(
            "price",
            text,
            "ten thousandths of the price",
        ));
    }
    Ok(Price::from_raw(scaled / 10_000))
}

fn conditions(flags: &[u8], suspicious: &[u8]) -> Result<Conditions, RecordError> {
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
            let (first, second) = ("0", "1");
            let reason = ValueError::Neither { first, second };
            return Err(RecordError::new("suspicious", other, reason));
        }
    };
    Ok(Conditions::from_bits(u128::from(bits) | mark))
}

fn too_many(flags: &[u8]) -> RecordError {
    RecordError::shape("flags", flags, "a hexadecimal word of 1 to 16 digits")
}

/// The symbol of a LEAN entry, or of the folder its zip lies in; in capitals.
fn symbol_in(names: &[PathBuf]) -> Option<Symbol> {
    let symbol = names
        .iter()
        .find_map(|path| entry_symbol(path))
        .or_else(|| {
            let folder = names.last()?.parent()?;
            let resolution = folder.parent()?.file_name()?;
            if resolution == "tick" {
                Some(folder.file_name()?.to_str()?.to_owned())
            } else {
                None
            }
        })?;
    Symbol::intern(symbol.to_ascii_uppercase().as_bytes()).ok()
}

/// What a LEAN file holds other than trades of US equities, as its path and the name of its entry tell.
fn other_in(names: &[PathBuf]) -> Option<&'static str> {
    for path in names {
        let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
        for (index, part) in parts.iter().enumerate() {
            let market = parts.get(index + 1).copied().unwrap_or_default();
            let is_lean = parts.get(index + 2) == Some(&"tick");
            match *part {
                "future" if is_lean => return Some("a LEAN file of futures"),
                "option" | "futureoption" | "indexoption" if is_lean => {
                    return Some("a LEAN file of options");
                }
                "index" if is_lean => return Some("a LEAN file of an index"),
                "crypto" | "cryptofuture" if is_lean => return Some("a LEAN file of crypto"),
                "forex" | "cfd" if is_lean => return Some("a LEAN file of forex"),
                "equity" if is_lean && market != "usa" => {
                    return Some("a LEAN file of equities outside the US");
                }
                _ => {}
            }
        }
        let name = path.file_stem().and_then(|name| name.to_str());
        let name = name.unwrap_or_default().to_ascii_lowercase();
        let mut words = name.split('_');
        if words.next().and_then(parse_date).is_none() {
            continue;
        }
        // Behind the date and the symbol an equity's entry has `trade` and `tick` only; contracts have more words.
        for word in words.skip(1) {
            match word {
                "trade" | "tick" => {}
                "quote" => return Some("a LEAN file of quotes"),
                "openinterest" => return Some("a LEAN file of open interest"),
                "call" | "put" | "american" | "european" => return Some("a LEAN file of options"),
                word if word.len() >= 6 && word.bytes().all(|byte| byte.is_ascii_digit()) => {
                    return Some("a LEAN file of futures");
                }
                _ => {}
            }
        }
    }
    None
}

fn entry_symbol(path: &Path) -> Option<String> {
    let mut words = path.file_name()?.to_str()?.split('_');
    let _date = parse_date(words.next()?)?;
    let symbol = words.next()?;
    // The outer name `20131007_trade.zip` has no third word.
    words.next().map(|_| symbol.to_owned())
}

/// The first word of eight digits that is a date.
fn date_in(names: &[PathBuf]) -> Option<Date> {
    names.iter().find_map(|path| {
        let name = path.file_name()?.to_str()?;
        name.split(|byte: char| !byte.is_ascii_alphanumeric())
            .find_map(parse_date)
    })
}

fn parse_date(word: &str) -> Option<Date> {
    if word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_digit()) {
        word.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{LeanTick, date_in, symbol_in};
    use crate::file::chunk::LineDecoder;
    use barmill_core::model::{Conditions, Symbol, Trade, TradeId};
    use jiff::civil::{Date, date};
    use proptest::prelude::*;
    use std::path::PathBuf;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

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

    #[test]
    fn lean_names_hold_symbol_and_date() {
        let names = paths(&[
            "20131007_spy_Trade_Tick.csv",
            "equity/usa/tick/spy/20131007_trade.zip",
        ]);
        assert_eq!(symbol_in(&names).map(Symbol::as_str), Some("SPY"));
        assert_eq!(
            date_in(&names).map(|date| date.to_string()),
            Some("2013-10-07".into())
        );
        let outer = paths(&["ticks.csv", "equity/usa/tick/brk.b/20131007_trade.zip"]);
        assert_eq!(symbol_in(&outer).map(Symbol::as_str), Some("BRK.B"));
        assert_eq!(
            date_in(&outer).map(|date| date.to_string()),
            Some("2013-10-07".into())
        );
        assert_eq!(symbol_in(&paths(&["20131007_trade.csv"])), None);
        assert_eq!(date_in(&paths(&["20131399_spy_Trade_Tick.csv"])), None);
    }

    proptest! {
        #[test]
        fn arbitrary_lean_rows_are_answered(row in "[0-9.]{0,12},[0-9.]{0,9},[0-9.]{0,9},[A-Z]{0,3},[0-9a-f]{0,18},[01]?|[ -~]{0,60}") {
            for day in [date(2013, 10, 7), date(2025, 3, 9), date(2025, 11, 2), date(1950, 1, 1), date(9999, 12, 31)] {
                if let Some(mut decoder) = LeanTick::new("SPY".parse().unwrap(), day) {
                    let _outcome = decoder.decode(row.as_bytes(), 0);
                }
            }
        }
    }
}
