//! Wire formats of Coinbase: trades of Exchange, by REST and by WebSocket, and of Advanced Trade, which name them alike.

use crate::json::{DecodeError, Field, List, numbered};
use barmill_core::model::{Side, Symbol, Trade};
use serde::Deserialize;

/// A trade (docs.cdp.coinbase.com, Exchange `/products/{id}/trades` and Advanced Trade `market_trades`, 2026).
///
/// ```json
/// {"trade_id":74,"side":"sell","size":"0.01","price":"67000.1","time":"2014-11-07T22:19:28.578544Z"}
/// {"trade_id":"12","product_id":"ETH-USD","price":"1260.01","size":"0.3","side":"BUY","time":"2019-08-14T20:42:27.265Z"}
/// ```
///
/// `side` is the maker's, so that the taker is on the other. Identities are contiguous per product and serve as the
/// sequence.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(crate) struct Row<'a> {
    trade_id: Field<'a>,
    product_id: Field<'a>,
    price: Field<'a>,
    size: Field<'a>,
    side: Field<'a>,
    time: Field<'a>,
}

impl Row<'_> {
    /// The trade of a row that names its product.
    pub(crate) fn trade(&self) -> Result<Trade, DecodeError> {
        self.row(self.product_id.symbol("product_id")?)
    }

    /// The trade of REST, whose symbol is that of the request.
    pub(crate) fn row(&self, symbol: Symbol) -> Result<Trade, DecodeError> {
        Ok(Trade {
            time: self.time.rfc3339("time")?,
            price: self.price.price("price")?,
            size: self.size.size("size")?,
            side: match self.side.bytes() {
                b"buy" | b"BUY" => Side::Sell,
                b"sell" | b"SELL" => Side::Buy,
                _ => return Err(self.side.unknown("side", &["buy", "sell"])),
            },
            ..numbered(symbol, self.trade_id.whole("trade_id")?)
        })
    }
}

/// A frame of either interface: `channel` is Advanced Trade's, `type` is Exchange's.
///
/// ```json
/// {"channel":"market_trades","client_id":"","timestamp":"2023-02-09T20:19:35.39625135Z","sequence_num":0,
///  "events":[{"type":"snapshot","trades":[]}]}
/// {"type":"match","trade_id":10,"sequence":50,"maker_order_id":"ac92","taker_order_id":"132f",
///  "time":"2014-11-07T08:19:27.028459Z","product_id":"BTC-USD","size":"5.23512","price":"400.23","side":"sell"}
/// {"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD","time":"2014-11-07T08:19:28.464459Z"}
/// {"type":"error","message":"Failed to subscribe","reason":"X-Y is not a valid product"}
/// ```
///
/// Advanced counts the messages of a connection in `sequence_num` and lists trades newest first. Exchange tells the newest
/// identity of a product in its `heartbeat`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(crate) struct Frame<'a> {
    pub(super) channel: Field<'a>,
    #[serde(rename = "type")]
    pub(super) kind: Field<'a>,
    pub(super) sequence_num: Field<'a>,
    pub(super) message: Field<'a>,
    pub(super) reason: Field<'a>,
    pub(super) last_trade_id: Field<'a>,
    pub(super) events: List<Batch<'a>>,
    trade_id: Field<'a>,
    pub(super) product_id: Field<'a>,
    price: Field<'a>,
    size: Field<'a>,
    side: Field<'a>,
    time: Field<'a>,
}

impl Frame<'_> {
    /// The trade of a `match`.
    pub(crate) fn trade(&self) -> Result<Trade, DecodeError> {
        let row = Row {
            trade_id: self.trade_id,
            product_id: self.product_id,
            price: self.price,
            size: self.size,
            side: self.side,
            time: self.time,
        };
        row.trade()
    }
}

/// An event of `market_trades`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(crate) struct Batch<'a> {
    #[serde(rename = "type")]
    pub(super) kind: Field<'a>,
    pub(super) trades: List<Row<'a>>,
}
