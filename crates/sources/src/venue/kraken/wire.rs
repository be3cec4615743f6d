//! Wire formats of Kraken: a row of `/0/public/Trades`, which recorded answers hold too, and a frame of WebSocket v2.

use crate::json::{DecodeError, Field, List, numbered};
use barmill_core::model::{Side, Symbol, Trade};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A row of `/0/public/Trades` (docs.kraken.com, REST, 2026): price, volume, time, side, order type, note, number.
///
/// ```json
/// ["105433.60000","0.00027625",1762820035.982277754,"s","l","",10218208]
/// ```
///
/// The time is a number of seconds with up to nine places. The symbol is that of the request, or the name of the array.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(crate) struct Row<'a>(
    Field<'a>,
    Field<'a>,
    Field<'a>,
    Field<'a>,
    IgnoredAny,
    IgnoredAny,
    Field<'a>,
);

impl Row<'_> {
    /// The trade.
    pub(crate) fn row(&self, symbol: Symbol) -> Result<Trade, DecodeError> {
        let Row(price, volume, time, side, _, _, number) = self;
        let number = number.or(Field::EMPTY);
        Ok(Trade {
            time: time.seconds("time")?,
            price: price.price("price")?,
            size: volume.size("volume")?,
            side: match side.bytes() {
                b"b" => Side::Buy,
                b"s" => Side::Sell,
                _ => return Err(side.unknown("side", &["b", "s"])),
            },
            ..numbered(symbol, number.whole("trade_id")?)
        })
    }
}

/// A frame of v2 (docs.kraken.com, spot WebSocket v2 `trade`, 2026).
///
/// ```json
/// {"channel":"trade","type":"update","data":[{"symbol":"MATIC/USD","side":"sell","price":0.51170000,"qty":1e-7,
///  "ord_type":"market","trade_id":4665906,"timestamp":"2023-09-25T07:49:37.708706Z"}]}
/// {"method":"subscribe","result":{"channel":"trade","snapshot":false,"symbol":"BTC/USD"},"success":true}
/// {"error":"Currency pair not supported XBT/USD","method":"subscribe","success":false,"symbol":"XBT/USD"}
/// {"channel":"heartbeat"} {"method":"pong","req_id":1,"success":true}
/// ```
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(crate) struct Frame<'a> {
    pub(super) channel: Field<'a>,
    #[serde(rename = "type")]
    pub(super) kind: Field<'a>,
    pub(super) method: Field<'a>,
    pub(super) success: Field<'a>,
    pub(super) error: Field<'a>,
    pub(super) symbol: Field<'a>,
    pub(super) data: List<Live<'a>>,
}

/// A trade of a frame. `side` is the taker's. Identities are contiguous per symbol and serve as the sequence.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(crate) struct Live<'a> {
    symbol: Field<'a>,
    side: Field<'a>,
    price: Field<'a>,
    qty: Field<'a>,
    trade_id: Field<'a>,
    timestamp: Field<'a>,
}

impl Live<'_> {
    /// The trade.
    pub(crate) fn trade(&self) -> Result<Trade, DecodeError> {
        Ok(Trade {
            time: self.timestamp.rfc3339("timestamp")?,
            price: self.price.price("price")?,
            size: self.qty.size("qty")?,
            side: match self.side.bytes() {
                b"buy" => Side::Buy,
                b"sell" => Side::Sell,
                _ => return Err(self.side.unknown("side", &["buy", "sell"])),
            },
            ..numbered(
                self.symbol.symbol("symbol")?,
                self.trade_id.whole("trade_id")?,
            )
        })
    }
}
