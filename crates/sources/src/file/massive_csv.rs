//! Massive trades as CSV: the flat files of US stocks and of crypto, and the REST answer as CSV.
//!
//! Wire format: `us_stocks_sip/trades_v1` has the columns `ticker, conditions, correction, exchange, id,
//! participant_timestamp, price, sequence_number, sip_timestamp, size, tape, trf_id, trf_timestamp`,
//! `global_crypto/trades_v1` has `ticker, conditions, exchange, id, participant_timestamp, price, size`, and
//! `/v3/trades` with `Accept: text/csv` lacks the ticker and has `decimal_size` (vendor's flat-file pages and
//! `OpenAPI` description, July 2026). Columns are found by name, in any order; others are skipped.
//!
//! The event time is the SIP timestamp, and the participant's where there is none. Trade identities are
//! unique per exchange and reporting facility, so the venue is `exchange | trf_id << 8`.

#![expect(
    clippy::inline_always,
    reason = "only what is inside `on_best` is compiled for the newer processor"
)]

use super::decoder::{RecordDecoder, SymbolCache};
use super::error::{Fault, FileError, ValueError};
use super::fields::{Fields, integer, nanos, price, size, small, whole};
use super::index::{Index, PIECE_LEN};
use super::lanes::{Lanes, Work, on_best};
use super::lines::Yield;
use super::massive_fields::{Row, WINDOW_LEN};
use super::massive_rows::{MassiveRows, RowFields};
use barmill_core::model::{Conditions, Side, Symbol, Trade, TradeId};
use std::ops::Range;

/// Where each column of interest stands; `usize::MAX` reads as an empty field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Columns {
    count: usize,
    ticker: Option<usize>,
    sequence: Option<usize>,
    time: usize,
    time_name: &'static str,
    price: usize,
    size: usize,
    size_name: &'static str,
    conditions: usize,
    correction: usize,
    exchange: usize,
    id: usize,
    trf_id: usize,
}

/// Those of the flat files of US stocks: known when this is compiled, their places cost nothing.
const FLAT_FILE: Columns = Columns {
    count: 13,
    ticker: Some(0),
    sequence: Some(7),
    time: 8,
    time_name: "sip_timestamp",
    price: 6,
    size: 9,
    size_name: "size",
    conditions: 1,
    correction: 2,
    exchange: 3,
    id: 4,
    trf_id: 11,
};

/// Decodes the lines of one file.
#[derive(Debug, Clone)]
pub(super) struct MassiveCsv {
    columns: Columns,
    fields: Fields,
    symbols: SymbolCache,
    symbol: Option<Symbol>,
    rows: MassiveRows,
    index: Index,
}

impl MassiveCsv {
    /// Reads the header line; the error is the name of a missing column.
    ///
    /// `symbol` names the trades of a file without tickers.
    pub(super) fn new(header: &[u8], symbol: Option<Symbol>) -> Result<MassiveCsv, &'static str> {
        let mut fields = Fields::default();
        fields.split(header).map_err(|_| "price")?;
        let find = |name: &str| {
            (0..fields.count())
                .find(|&index| fields.get(header, index).trim_ascii() == name.as_bytes())
        };
        let either = |first: &'static str, second: &'static str| {
            find(first)
                .map(|at| (at, first))
                .or_else(|| find(second).map(|at| (at, second)))
                .ok_or(second)
        };
        let optional = |name| find(name).unwrap_or(usize::MAX);
        let ticker = find("ticker");
        if ticker.is_none() && symbol.is_none() {
            return Err("ticker");
        }
        let (time, time_name) = either("sip_timestamp", "participant_timestamp")?;
        let (size, size_name) = either("decimal_size", "size")?;
        let columns = Columns {
            count: fields.count(),
            ticker,
            sequence: find("sequence_number"),
            time,
            time_name,
            price: find("price").ok_or("price")?,
            size,
            size_name,
            conditions: optional("conditions"),
            correction: optional("correction"),
            exchange: optional("exchange"),
            id: optional("id"),
            trf_id: optional("trf_id"),
        };
        let (symbols, rows) = (SymbolCache::default(), MassiveRows::new());
        Ok(MassiveCsv {
            columns,
            fields,
            symbols,
            symbol,
            rows,
            index: Index::default(),
        })
    }
}

impl RecordDecoder for MassiveCsv {
    #[inline]
    fn decode(&mut self, line: &[u8], ordinal: u64) -> Result<Option<Trade>, Fault> {
        self.fields.split(line)?;
        let columns = &self.columns;
        if self.fields.count() != columns.count {
            let reason = ValueError::FieldCount {
                count: self.fields.count(),
                expected: columns.count,
            };
            return Err(Fault::new("row", line, reason));
        }
        let field = |index| self.fields.get(line, index);
        let symbol = match (columns.ticker, self.symbol) {
            (Some(index), _) => self.symbols.get("ticker", self.fields.get(line, index))?,
            (None, Some(symbol)) => symbol,
            (None, None) => {
                return Err(Fault::new(
                    "ticker",
                    b"",
                    ValueError::Shape { expected: "there" },
                ));
            }
        };
        let (sequence, sequenced) = match columns.sequence {
            Some(index) => (integer("sequence_number", field(index))?, true),
            None => (ordinal, false),
        };
        let exchange = small("exchange", field(columns.exchange))?;
        let trf_id = small("trf_id", field(columns.trf_id))?;
        Ok(Some(Trade {
            symbol,
            time: nanos(columns.time_name, field(columns.time))?,
            sequence,
            id: trade_id(field(columns.id)),
            price: price("price", field(columns.price))?,
            size: size(columns.size_name, field(columns.size))?,
            conditions: conditions(field(columns.conditions))?,
            venue: u16::from(exchange) | u16::from(trf_id) << 8,
            correction: small("correction", field(columns.correction))?,
            side: Side::Unknown,
            sequenced,
        }))
    }
}

impl MassiveCsv {
    /// Decodes many lines: those of the common shape at once, the others one by one.
    pub(super) fn decode_lines(
        &mut self,
        lines: &[u8],
        yielded: &mut Yield,
    ) -> Result<(), FileError> {
        let mut index = std::mem::take(&mut self.index);
        let columns = self.columns;
        let decoded = if columns == FLAT_FILE {
            on_best(Decoding::<true> {
                columns,
                decoder: self,
                lines,
                index: &mut index,
                yielded,
            })
        } else {
            on_best(Decoding::<false> {
                columns,
                decoder: self,
                lines,
                index: &mut index,
                yielded,
            })
        };
        self.index = index;
        decoded
    }

    /// Decodes the whole lines of one piece of `lines`.
    #[inline(always)]
    fn decode_piece<L: Lanes>(
        &mut self,
        best: L,
        (columns, fields): (&Columns, &RowFields),
        (lines, piece): (&[u8], Range<usize>),
        index: &mut Index,
        yielded: &mut Yield,
    ) -> Result<(), FileError> {
        // A longer piece is a single line, and perhaps too long.
        if piece.len() > PIECE_LEN || !index.scan(best, lines, piece.clone()) {
            return yielded.take_lines(self, &lines[piece]);
        }
        let mut spare = [0; WINDOW_LEN];
        // No closures: the compiler does not take them into what it compiles for newer processors.
        for found in index.rows() {
            let row = match found.ends {
                Some(ends) if found.count == columns.count => {
                    Row::new(lines, ends, found.count, &mut spare)
                }
                Some(_) | None => None,
            };
            let Some(row) = row else {
                yielded.take_lines(self, found.line(lines))?;
                continue;
            };
            match self.rows.trade(best, &row, fields, &mut self.symbols) {
                Some(trade) => yielded.give(trade),
                None => self.on_uncommon(&row, fields, found.line(lines), yielded)?,
            }
        }
        Ok(())
    }

    #[cold]
    fn on_uncommon(
        &mut self,
        row: &Row<'_>,
        fields: &RowFields,
        line: &[u8],
        yielded: &mut Yield,
    ) -> Result<(), FileError> {
        match self.rows.uncommon(row, fields, &mut self.symbols) {
            Some(trade) => {
                yielded.give(trade);
                Ok(())
            }
            None => yielded.take_lines(self, line),
        }
    }
}

impl Columns {
    /// Those that every row read at once has.
    #[inline(always)]
    fn row_fields(&self) -> Option<RowFields> {
        Some(RowFields {
            ticker: self.ticker?,
            time: self.time,
            sequence: self.sequence?,
            id: self.id,
            price: self.price,
            size: self.size,
            conditions: self.conditions,
            exchange: self.exchange,
            facility: self.trf_id,
            correction: self.correction,
        })
    }
}

/// Many lines and where their trades go; `FLAT` says that the columns are those of [`FLAT_FILE`].
struct Decoding<'a, const FLAT: bool> {
    columns: Columns,
    decoder: &'a mut MassiveCsv,
    lines: &'a [u8],
    index: &'a mut Index,
    yielded: &'a mut Yield,
}

impl<const FLAT: bool> Work for Decoding<'_, FLAT> {
    type Given = Result<(), FileError>;

    #[inline(always)]
    fn work<L: Lanes>(self, best: L) -> Result<(), FileError> {
        let Decoding {
            columns,
            decoder,
            lines,
            index,
            yielded,
        } = self;
        let columns = if FLAT { &FLAT_FILE } else { &columns };
        let Some(fields) = columns.row_fields() else {
            return yielded.take_lines(decoder, lines);
        };
        let mut start = 0;
        loop {
            let rest = &lines[start..];
            let near = &rest[..rest.len().min(PIECE_LEN)];
            let Some(last) = memchr::memrchr(b'\n', near).or_else(|| memchr::memchr(b'\n', rest))
            else {
                return yielded.take_lines(decoder, rest);
            };
            let end = start + last + 1;
            decoder.decode_piece(
                best,
                (columns, &fields),
                (lines, start..end),
                index,
                yielded,
            )?;
            start = end;
        }
    }
}

/// [`TradeId::from_text`] with the common case first: digits without a leading zero.
#[inline]
pub(super) fn trade_id(text: &[u8]) -> TradeId {
    match text {
        [] => TradeId::NONE,
        [b'1'..=b'9', ..] if text.len() <= 18 => {
            whole(text).map_or_else(|| TradeId::from_text(text), TradeId::from_number)
        }
        _ => TradeId::from_text(text),
    }
}

#[inline]
pub(super) fn conditions(text: &[u8]) -> Result<Conditions, Fault> {
    let mut conditions = Conditions::NONE;
    if text.is_empty() {
        return Ok(conditions);
    }
    let fault = |reason| Fault::new("conditions", text, reason);
    let mut number = 0;
    let mut digits = 0;
    for &byte in text.iter().chain(b",") {
        match byte {
            b'0'..=b'9' if digits < 3 => {
                number = number * 10 + u32::from(byte - b'0');
                digits += 1;
            }
            b',' if digits > 0 => {
                conditions = conditions
                    .with(number)
                    .ok_or_else(|| fault(ValueError::Above { max: 127 }))?;
                (number, digits) = (0, 0);
            }
            // Some writers put a blank behind the comma.
            b' ' if digits == 0 => {}
            _ => {
                return Err(fault(ValueError::Shape {
                    expected: "a list of condition numbers",
                }));
            }
        }
    }
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use super::{MassiveCsv, conditions, trade_id};
    use crate::file::decoder::RecordDecoder;
    use barmill_core::model::{Side, Trade, TradeId};
    use proptest::prelude::*;

    const HEADER: &str = "ticker,conditions,correction,exchange,id,participant_timestamp,price,\
                          sequence_number,sip_timestamp,size,tape,trf_id,trf_timestamp";
    const ROW: &str = r#"A,"12,37",1,4,52983525035312,1712306654208705342,142.99,3807,1712306654208740096,5.5,1,201,0"#;

    fn decode(header: &str, row: &str) -> Result<Trade, String> {
        let mut decoder = MassiveCsv::new(header.as_bytes(), None).map_err(str::to_owned)?;
        match decoder.decode(row.as_bytes(), 7) {
            Ok(trade) => Ok(trade.unwrap()),
            Err(fault) => Err(fault.to_string()),
        }
    }

    #[test]
    fn every_field_of_a_stock_row_arrives() {
        let trade = decode(HEADER, ROW).unwrap();
        assert_eq!(trade.symbol.as_str(), "A");
        assert_eq!(trade.time.as_nanos(), 1_712_306_654_208_740_096);
        assert_eq!((trade.sequence, trade.sequenced), (3807, true));
        assert_eq!(trade.id, TradeId::from_number(52_983_525_035_312));
        assert_eq!(
            (trade.price.to_string(), trade.size.to_string()),
            ("142.99".into(), "5.5".into())
        );
        assert_eq!(trade.conditions.bits(), 1 << 12 | 1 << 37);
        assert_eq!(
            (trade.venue, trade.correction, trade.side),
            (4 | 201 << 8, 1, Side::Unknown)
        );
    }

    #[test]
    fn crypto_rows_take_the_participant_time_and_their_place() {
        let header = "ticker,conditions,exchange,id,participant_timestamp,price,size";
        let trade = decode(
            header,
            "X:BTC-USD,2,1,abc,1712306654208705342,67000.1,0.00000001",
        )
        .unwrap();
        assert_eq!((trade.sequence, trade.sequenced), (7, false));
        assert_eq!(trade.time.as_nanos(), 1_712_306_654_208_705_342);
    }

    #[test]
    fn missing_columns_are_named() {
        assert_eq!(
            decode("ticker,price,size", ""),
            Err("participant_timestamp".into())
        );
        assert_eq!(decode("price,sip_timestamp,size", ""), Err("ticker".into()));
    }

    #[test]
    fn refused_values_name_their_field() {
        for (from, to, want) in [
            ("142.99", "0", "price \"0\" price is zero"),
            ("142.99", "-1", "price \"-1\" number is negative"),
            (
                "3807",
                "x",
                "sequence_number \"x\" is no whole number of 1 to 19 digits",
            ),
            ("\"12,37\"", "128", "conditions \"128\" is above 127"),
            (
                "\"12,37\"",
                "12;37",
                "conditions \"12;37\" is not a list of condition numbers",
            ),
            ("201", "256", "trf_id \"256\" is above 255"),
            (
                "A,",
                "A B,",
                "ticker \"A B\" byte 1 of the symbol is not a letter, a digit or one of .:/_-+=^$#",
            ),
            (
                "1712306654208740096",
                "1712306654",
                "sip_timestamp \"1712306654\" time is outside 1990-01-01 to 2262-04-11, or in an unknown unit",
            ),
        ] {
            assert_eq!(decode(HEADER, &ROW.replacen(from, to, 1)), Err(want.into()));
        }
        assert!(
            decode(HEADER, "A,1")
                .unwrap_err()
                .ends_with("has 2 fields instead of 13")
        );
    }

    proptest! {
        #[test]
        fn columns_may_stand_in_any_order(order in Just((0..13).collect::<Vec<usize>>()).prop_shuffle()) {
            let row = ROW.replace("12,37", "12;37");
            let pick = |line: &str| {
                let fields: Vec<&str> = line.split(',').collect();
                order.iter().map(|&index| fields[index]).collect::<Vec<_>>().join(",")
            };
            let shuffled = pick(&row).replace("12;37", "12,37");
            prop_assert_eq!(decode(&pick(HEADER), &shuffled), decode(HEADER, ROW));
        }

        #[test]
        fn identity_equals_the_plain_form(text in "[0-9]{1,20}|[a-z0-9]{1,20}") {
            prop_assert_eq!(trade_id(text.as_bytes()), TradeId::from_text(text.as_bytes()));
        }

        #[test]
        fn conditions_are_the_set_of_their_numbers(numbers in proptest::collection::vec(0u32..128, 1..5)) {
            let text: Vec<String> = numbers.iter().map(u32::to_string).collect();
            let bits = numbers.iter().fold(0u128, |bits, number| bits | 1 << number);
            prop_assert_eq!(conditions(text.join(",").as_bytes()).unwrap().bits(), bits);
        }
    }
}
