//! Massive trades as CSV: the flat files of US stocks and of crypto, and the REST answer as CSV.
//!
//! Wire format: `us_stocks_sip/trades_v1` has the columns `ticker, conditions, correction, exchange, id,
//! participant_timestamp, price, sequence_number, sip_timestamp, size, tape, trf_id, trf_timestamp`,
//! `global_crypto/trades_v1` has `ticker, conditions, exchange, id, participant_timestamp, price, size`, and
//! `/v3/trades` with `Accept: text/csv` lacks the ticker and has `decimal_size` (vendor's flat-file pages and
//! `OpenAPI` description, July 2026). Columns are found by name, in any order; others are skipped.
//!
//! The event time is the SIP timestamp, and the participant's where there is none. Trade identities are
//! unique per exchange and reporting facility, so the venue is `exchange | trf_id << 8`; exchanges of options are above
//! 255 and have no facility.

use super::fast::{Columns, FastRows};
use crate::file::chunk::{Chunk, LineDecoder};
use crate::file::csv::Fields;
use crate::file::error::{FileError, RecordError};
use crate::file::format::{Descriptor, Open, OpenedLines, Sample, column};
use crate::file::text::TextInput;
use crate::file::values::{
    SymbolCache, above, conditions, integer, medium, nanos, price, size, small, trade_id,
};
use barmill_core::model::{Conditions, Side, Symbol, Trade};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "massive-csv",
    summary: "Massive trades flat file, stocks or crypto, or its REST answer as CSV",
    columns: &[
        column(
            "ticker",
            "symbol; where there is none, the settings name it",
        ),
        column(
            "sip_timestamp",
            "event time, ns since the Unix epoch; else `participant_timestamp`",
        ),
        column("price", "exact decimal"),
        column("decimal_size", "exact decimal; else `size`"),
        column(
            "sequence_number",
            "order within the symbol; else the place in the input",
        ),
        column("id", "identity, with `exchange` and `trf_id`"),
        column(
            "conditions",
            "list of sale conditions, 0 to 127; those of options are left out",
        ),
        column("correction", "correction code, 0 to 255"),
    ],
    vendor: Some("massive"),
    is_us_equity: true,
    needs_symbol: false,
    is_like,
    open: Open::Lines(open),
};

fn is_like(sample: &Sample<'_>) -> bool {
    sample.has_column(&["sip_timestamp", "participant_timestamp"])
}

fn open(text: &mut TextInput) -> OpenedLines {
    let Some(header) = text.first_line()? else {
        return Ok(None);
    };
    let mut made = match MassiveCsv::new(&header, text.only_symbol) {
        Ok(made) => made,
        Err("ticker") => {
            text.symbol(None)?;
            return Ok(None);
        }
        Err(column) => return Err(text.missing(column, &header)),
    };
    text.take_line();
    // Tickers of crypto and forex say so, and have no exchange in New York.
    let row = text.first_line()?.unwrap_or_default();
    let ticker = made.ticker_of(&row);
    text.is_always_open = ticker.starts_with(b"X:") || ticker.starts_with(b"C:");
    Ok(Some(Box::new(made)))
}

/// Decodes the lines of one file.
#[derive(Debug, Clone)]
struct MassiveCsv {
    columns: Columns,
    /// The names of the columns that are taken for the time and the size.
    names: (&'static str, &'static str),
    fields: Fields,
    symbols: SymbolCache,
    /// The symbol of a file without tickers.
    symbol: Option<Symbol>,
    /// None while it works, and where it does not.
    fast: Option<Box<FastRows>>,
}

impl MassiveCsv {
    /// Reads the header line; the error is the name of a missing column.
    ///
    /// `symbol` names the trades of a file without tickers.
    fn new(header: &[u8], symbol: Option<Symbol>) -> Result<MassiveCsv, &'static str> {
        let mut fields = Fields::default();
        fields.split(header).map_err(|_| "price")?;
        let find = |name: &str| fields.position(header, &[name]);
        let either = |first: &'static str, second: &'static str| match find(first) {
            Some(index) => Ok((index, first)),
            None => find(second).map(|index| (index, second)).ok_or(second),
        };
        let optional = |name| find(name).unwrap_or(usize::MAX);
        let (ticker, sequence) = (find("ticker"), find("sequence_number"));
        let symbol = symbol.filter(|_| ticker.is_none());
        if ticker.is_none() && symbol.is_none() {
            return Err("ticker");
        }
        let (time, time_name) = either("sip_timestamp", "participant_timestamp")?;
        let (size, size_name) = either("decimal_size", "size")?;
        let columns = Columns {
            count: fields.count(),
            ticker: ticker.unwrap_or(usize::MAX),
            sequence: sequence.unwrap_or(usize::MAX),
            time,
            price: find("price").ok_or("price")?,
            size,
            conditions: optional("conditions"),
            correction: optional("correction"),
            exchange: optional("exchange"),
            id: optional("id"),
            facility: optional("trf_id"),
        };
        let is_usual = ticker.is_some() && sequence.is_some();
        Ok(MassiveCsv {
            columns,
            names: (time_name, size_name),
            fields,
            symbols: SymbolCache::default(),
            symbol,
            fast: is_usual.then(|| Box::new(FastRows::new(columns))),
        })
    }

    /// The ticker of a line; empty where it has none.
    fn ticker_of<'a>(&mut self, line: &'a [u8]) -> &'a [u8] {
        match self.fields.split(line) {
            Ok(()) => self.fields.get(line, self.columns.ticker),
            Err(_) => b"",
        }
    }
}

impl LineDecoder for MassiveCsv {
    fn boxed(&self) -> Box<dyn LineDecoder> {
        Box::new(self.clone())
    }

    /// Lines of the common shape are decoded at once, the others one by one.
    fn decode_lines(&mut self, lines: &[u8], chunk: &mut Chunk) -> Result<(), FileError> {
        let Some(mut fast) = self.fast.take() else {
            return chunk.take_lines(self, lines);
        };
        let outcome = fast.decode(self, lines, chunk);
        self.fast = Some(fast);
        outcome
    }

    #[inline]
    fn decode(&mut self, line: &[u8], ordinal: u64) -> Result<Option<Trade>, RecordError> {
        let columns = &self.columns;
        self.fields.split_row(line, columns.count)?;
        let field = |index| self.fields.get(line, index);
        let symbol = match self.symbol {
            Some(symbol) => symbol,
            None => self.symbols.get("ticker", field(columns.ticker))?,
        };
        let (sequence, sequenced) = match columns.sequence {
            usize::MAX => (ordinal, false),
            index => (integer("sequence_number", field(index))?, true),
        };
        let exchange = medium("exchange", field(columns.exchange))?;
        let trf_id = small("trf_id", field(columns.facility))?;
        if exchange > 255 && trf_id > 0 {
            return Err(above("exchange", field(columns.exchange), 255));
        }
        Ok(Some(Trade {
            symbol,
            time: nanos(self.names.0, field(columns.time))?,
            sequence,
            id: trade_id(field(columns.id)),
            price: price("price", field(columns.price))?,
            size: size(self.names.1, field(columns.size))?,
            conditions: match conditions(field(columns.conditions)) {
                // Those of options are numbers of another list, of which the tape rules know nothing.
                Err(_) if symbol.as_str().starts_with("O:") => Conditions::NONE,
                found => found?,
            },
            venue: exchange | u16::from(trf_id) << 8,
            correction: small("correction", field(columns.correction))?,
            side: Side::Unknown,
            sequenced,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::MassiveCsv;
    use crate::file::chunk::LineDecoder;
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
                "sequence_number \"x\" is not a whole number of 1 to 19 digits",
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
                "sip_timestamp \"1712306654\" time is outside 1990-01-01 to 2262-04-09, or in an unknown unit",
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
    }
}
