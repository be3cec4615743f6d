//! Binance public data, trades, spot or futures; and the decoder that aggregated trades share.
//!
//! Wire format (binance-public-data README): spot files have no header, trades `id, price, qty, quoteQty,
//! time, isBuyerMaker, isBestMatch`; futures files have a header that names the columns. Times are milliseconds, in
//! spot files from 2025 on microseconds. The buyer being the maker means that the taker sold.

use crate::file::chunk::LineDecoder;
use crate::file::csv::Fields;
use crate::file::error::{RecordError, ValueError};
use crate::file::format::{Descriptor, Open, OpenedLines, Sample, column};
use crate::file::text::TextInput;
use crate::file::values::{by_magnitude, integer, price, size};
use barmill_core::model::{Conditions, Side, Symbol, Trade, TradeId};
use std::path::PathBuf;

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "binance-trades",
    summary: "Binance public data, trades, spot or futures",
    columns: &[
        column("id", "identity and order"),
        column("price", "exact decimal"),
        column("qty", "exact decimal"),
        column(
            "time",
            "event time, ms, us or ns since the Unix epoch by its magnitude",
        ),
        column("is_buyer_maker", "`true` or `false`"),
    ],
    vendor: Some("binance"),
    is_us_equity: false,
    needs_symbol: true,
    is_like,
    open: Open::Lines(|text| TRADES.open(text)),
};

/// The columns of trades.
static TRADES: Layout = Layout {
    ids: &["id", "trade_id"],
    spot: Columns {
        count: 0,
        id: 0,
        price: 1,
        size: 2,
        time: 4,
        buyer_is_maker: 5,
    },
};

fn is_like(sample: &Sample<'_>) -> bool {
    let is_aggregated = sample.has_column(&["agg_trade_id", "first_trade_id"]);
    let has_maker = sample.has_column(&["is_buyer_maker", "isBuyerMaker"]);
    has_maker && !is_aggregated || sample.has_word_in(TRADES.spot.buyer_is_maker)
}

/// What the files of trades and of aggregated trades differ in.
#[derive(Debug)]
pub(super) struct Layout {
    /// The names of the identity in a header.
    pub(super) ids: &'static [&'static str],
    /// The columns of files without a header; their count is that of the first row.
    pub(super) spot: Columns,
}

impl Layout {
    /// Looks at the first line and makes the decoder.
    pub(super) fn open(&self, text: &mut TextInput) -> OpenedLines {
        let Some(first) = text.first_line()? else {
            return Ok(None);
        };
        let symbol = text.symbol(symbol_in(&text.names))?;
        let made =
            BinanceCsv::new(&first, self, symbol).map_err(|column| text.missing(column, &first))?;
        if has_header(&first) {
            text.take_line();
        }
        Ok(Some(Box::new(made)))
    }
}

/// The symbol in front of `-trades-` or `-aggTrades-`.
fn symbol_in(names: &[PathBuf]) -> Option<Symbol> {
    names.iter().find_map(|path| {
        let name = path.file_name()?.to_str()?;
        let end = name.find("-trades").or_else(|| name.find("-aggTrades"))?;
        Symbol::intern(&name.as_bytes()[..end]).ok()
    })
}

/// Where each column of interest stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    pub(super) count: usize,
    pub(super) id: usize,
    pub(super) price: usize,
    pub(super) size: usize,
    pub(super) time: usize,
    pub(super) buyer_is_maker: usize,
}

/// Decodes the lines of one file.
#[derive(Debug, Clone)]
struct BinanceCsv {
    columns: Columns,
    fields: Fields,
    symbol: Symbol,
}

impl BinanceCsv {
    /// Looks at the first line, which is a header unless it starts with a digit; the error names a
    /// missing column.
    fn new(first: &[u8], layout: &Layout, symbol: Symbol) -> Result<BinanceCsv, &'static str> {
        let mut fields = Fields::default();
        fields.split(first).map_err(|_| "price")?;
        let count = fields.count();
        let columns = if has_header(first) {
            let find = |names: &[&'static str]| fields.position(first, names).ok_or(names[0]);
            Columns {
                count,
                id: find(layout.ids)?,
                price: find(&["price", "p"])?,
                size: find(&["qty", "quantity", "q"])?,
                time: find(&["time", "transact_time", "timestamp", "T"])?,
                buyer_is_maker: find(&["is_buyer_maker", "isBuyerMaker", "m"])?,
            }
        } else {
            Columns {
                count,
                ..layout.spot
            }
        };
        Ok(BinanceCsv {
            columns,
            fields,
            symbol,
        })
    }
}

/// Whether the first line of a file is no row.
fn has_header(first: &[u8]) -> bool {
    first.first().is_some_and(|byte| !byte.is_ascii_digit())
}

impl LineDecoder for BinanceCsv {
    fn boxed(&self) -> Box<dyn LineDecoder> {
        Box::new(self.clone())
    }

    fn decode(&mut self, line: &[u8], _ordinal: u64) -> Result<Option<Trade>, RecordError> {
        let columns = self.columns;
        self.fields.split_row(line, columns.count)?;
        let field = |index| self.fields.get(line, index);
        let id = integer("id", field(columns.id))?;
        let time = field(columns.time);
        Ok(Some(Trade {
            symbol: self.symbol,
            time: by_magnitude("time", time, integer("time", time)?)?,
            sequence: id,
            id: TradeId::from_number(id),
            price: price("price", field(columns.price))?,
            size: size("quantity", field(columns.size))?,
            conditions: Conditions::NONE,
            venue: 0,
            correction: 0,
            side: side(field(columns.buyer_is_maker))?,
            sequenced: true,
        }))
    }
}

fn side(buyer_is_maker: &[u8]) -> Result<Side, RecordError> {
    match buyer_is_maker {
        b"true" | b"True" | b"TRUE" | b"1" => Ok(Side::Sell),
        b"false" | b"False" | b"FALSE" | b"0" => Ok(Side::Buy),
        other => {
            let (first, second) = ("true", "false");
            let reason = ValueError::Neither { first, second };
            Err(RecordError::new("is_buyer_maker", other, reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::aggtrades::AGG_TRADES;
    use super::{BinanceCsv, TRADES, symbol_in};
    use crate::file::chunk::LineDecoder;
    use barmill_core::model::{Side, Symbol, Trade};
    use std::path::PathBuf;

    fn decode(header: Option<&str>, row: &str, aggregated: bool) -> Result<Trade, String> {
        let symbol = "BTCUSDT".parse().unwrap();
        let layout = if aggregated { &AGG_TRADES } else { &TRADES };
        let first = header.unwrap_or(row);
        let mut decoder =
            BinanceCsv::new(first.as_bytes(), layout, symbol).map_err(str::to_owned)?;
        match decoder.decode(row.as_bytes(), 0) {
            Ok(trade) => Ok(trade.unwrap()),
            Err(fault) => Err(fault.to_string()),
        }
    }

    #[test]
    fn spot_trade_in_microseconds() {
        let row = "4359185,93576.00000000,0.00012000,11.22912000,1735689600012345,True,True";
        let trade = decode(None, row, false).unwrap();
        assert_eq!(trade.time.to_string(), "2025-01-01T00:00:00.012345Z");
        assert_eq!(
            (trade.sequence, trade.id.raw(), trade.side),
            (4_359_185, 4_359_185, Side::Sell)
        );
        assert_eq!(
            (trade.price.to_string(), trade.size.to_string()),
            ("93576".into(), "0.00012".into())
        );
    }

    #[test]
    fn futures_header_places_the_columns() {
        let header = "id,price,qty,quote_qty,time,is_buyer_maker";
        let trade = decode(Some(header), "7,100.5,2,201,1735689600012,false", false).unwrap();
        assert_eq!(
            (trade.time.as_millis(), trade.side),
            (1_735_689_600_012, Side::Buy)
        );
        let header = "is_buyer_maker,transact_time,quantity,price,agg_trade_id";
        let trade = decode(Some(header), "true,1735689600012,2,100.5,9", true).unwrap();
        assert_eq!((trade.id.raw(), trade.size.to_string()), (9, "2".into()));
    }

    #[test]
    fn aggregated_trade_is_identified_by_its_own_id() {
        let trade = decode(
            None,
            "26129,0.01633102,4.70443515,27781,27783,1498793709153,true,true",
            true,
        )
        .unwrap();
        assert_eq!(
            (trade.id.raw(), trade.time.as_millis()),
            (26_129, 1_498_793_709_153)
        );
    }

    #[test]
    fn refused_values_name_their_field() {
        let row = "7,100.5,2,201,1735689600012,maybe,true";
        assert_eq!(
            decode(None, row, false),
            Err("is_buyer_maker \"maybe\" is neither true nor false".into())
        );
        assert_eq!(decode(Some("id,qty,time"), row, false), Err("price".into()));
    }

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn binance_names_start_with_the_symbol() {
        let symbol = |name| symbol_in(&paths(&[name])).map(Symbol::as_str);
        assert_eq!(
            symbol("data/BTCUSDT-trades-2025-01-01.csv"),
            Some("BTCUSDT")
        );
        assert_eq!(
            symbol("BTCUSD_PERP-aggTrades-2025-01.zip"),
            Some("BTCUSD_PERP")
        );
        assert_eq!(symbol("trades.csv"), None);
    }
}
