//! Binance public data: trades and aggregated trades, spot and futures.
//!
//! Wire format (binance-public-data README): spot files have no header, trades `id, price, qty, quoteQty,
//! time, isBuyerMaker, isBestMatch` and aggregated trades `a, p, q, f, l, T, m, M`; futures files have a
//! header that names the columns. Times are milliseconds, in spot files from 2025 on microseconds. The
//! buyer being the maker means that the taker sold.

use super::decoder::RecordDecoder;
use super::error::{Fault, ValueError};
use super::fields::{Fields, by_magnitude, integer, price, size};
use barmill_core::model::{Conditions, Side, Symbol, Trade, TradeId};

#[derive(Debug, Clone, Copy)]
struct Columns {
    count: usize,
    id: usize,
    price: usize,
    size: usize,
    time: usize,
    buyer_is_maker: usize,
}

/// Decodes the lines of one file.
#[derive(Debug, Clone)]
pub(super) struct BinanceCsv {
    columns: Columns,
    fields: Fields,
    symbol: Symbol,
}

impl BinanceCsv {
    /// Looks at the first line, which is a header unless it starts with a digit; the error names a
    /// missing column.
    pub(super) fn new(
        first: &[u8],
        aggregated: bool,
        symbol: Symbol,
    ) -> Result<BinanceCsv, &'static str> {
        let mut fields = Fields::default();
        fields.split(first).map_err(|_| "price")?;
        let count = fields.count();
        let columns = if has_header(first) {
            let find = |names: &[&'static str]| {
                (0..count)
                    .find(|&index| {
                        names
                            .iter()
                            .any(|name| fields.get(first, index).trim_ascii() == name.as_bytes())
                    })
                    .ok_or(names[0])
            };
            Columns {
                count,
                id: find(if aggregated {
                    &["agg_trade_id", "a"]
                } else {
                    &["id", "trade_id"]
                })?,
                price: find(&["price", "p"])?,
                size: find(&["qty", "quantity", "q"])?,
                time: find(&["time", "transact_time", "timestamp", "T"])?,
                buyer_is_maker: find(&["is_buyer_maker", "isBuyerMaker", "m"])?,
            }
        } else if aggregated {
            Columns {
                count,
                id: 0,
                price: 1,
                size: 2,
                time: 5,
                buyer_is_maker: 6,
            }
        } else {
            Columns {
                count,
                id: 0,
                price: 1,
                size: 2,
                time: 4,
                buyer_is_maker: 5,
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
pub(super) fn has_header(first: &[u8]) -> bool {
    first.first().is_some_and(|byte| !byte.is_ascii_digit())
}

impl RecordDecoder for BinanceCsv {
    fn decode(&mut self, line: &[u8], _ordinal: u64) -> Result<Option<Trade>, Fault> {
        self.fields.split(line)?;
        let columns = self.columns;
        if self.fields.count() != columns.count {
            let reason = ValueError::FieldCount {
                count: self.fields.count(),
                expected: columns.count,
            };
            return Err(Fault::new("row", line, reason));
        }
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

fn side(buyer_is_maker: &[u8]) -> Result<Side, Fault> {
    match buyer_is_maker {
        b"true" | b"True" | b"TRUE" | b"1" => Ok(Side::Sell),
        b"false" | b"False" | b"FALSE" | b"0" => Ok(Side::Buy),
        other => Err(Fault::new(
            "is_buyer_maker",
            other,
            ValueError::Neither {
                first: "true",
                second: "false",
            },
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::BinanceCsv;
    use crate::file::decoder::RecordDecoder;
    use barmill_core::model::{Side, Trade};

    fn decode(header: Option<&str>, row: &str, aggregated: bool) -> Result<Trade, String> {
        let symbol = "BTCUSDT".parse().unwrap();
        let first = header.unwrap_or(row);
        let mut decoder =
            BinanceCsv::new(first.as_bytes(), aggregated, symbol).map_err(str::to_owned)?;
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
}
