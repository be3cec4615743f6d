//! Wire formats of Binance spot: aggregate and single trades, by REST and by WebSocket.

use crate::json::{self, DecodeError, Field, JsonError, numbered};
use barmill_core::model::{Side, Symbol, Trade};
use serde::Deserialize;

/// An event of a stream, or a row of `/api/v3/aggTrades` (binance-spot-api-docs, web-socket-streams.md and rest-api.md, 2026-07).
///
/// ```json
/// {"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,
///  "m":true,"M":true}
/// {"e":"aggTrade","E":1,"s":"OMGBUSD","a":425085,"p":"13.8048","q":"2.1","f":439577,"l":439578,"T":1633998288467123,
///  "m":false,"M":true}
/// {"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,"m":true,"M":true}
/// {"e":"serverShutdown","E":1770123456789} {"code":3,"msg":"Invalid JSON"}
/// ```
///
/// Times are milliseconds, or microseconds where they are asked for. `m` says that the buyer was the maker, so that the
/// taker sold. Identities are contiguous per symbol and kind of trade, and serve as the sequence.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(crate) struct Event<'a> {
    pub(crate) e: Field<'a>,
    s: Field<'a>,
    t: Field<'a>,
    a: Field<'a>,
    p: Field<'a>,
    q: Field<'a>,
    #[serde(rename = "T")]
    time: Field<'a>,
    m: Field<'a>,
    pub(super) code: Field<'a>,
    pub(super) msg: Field<'a>,
}

impl Event<'_> {
    /// The trade of an event; `None` for an event of another kind.
    pub(crate) fn trade(&self) -> Option<Result<Trade, DecodeError>> {
        let (id, name) = match self.e.bytes() {
            b"trade" => (self.t, "t"),
            b"aggTrade" => (self.a, "a"),
            _ => return None,
        };
        Some(
            self.s
                .symbol("s")
                .and_then(|symbol| self.with(symbol, id, name)),
        )
    }

    /// The aggregate trade of a row, whose symbol is that of the request.
    pub(crate) fn row(&self, symbol: Symbol) -> Result<Trade, DecodeError> {
        self.with(symbol, self.a, "a")
    }

    fn with(
        &self,
        symbol: Symbol,
        id: Field<'_>,
        name: &'static str,
    ) -> Result<Trade, DecodeError> {
        Ok(Trade {
            time: self.time.epoch("T")?,
            price: self.p.price("p")?,
            size: self.q.size("q")?,
            side: side("m", self.m)?,
            ..numbered(symbol, id.whole(name)?)
        })
    }
}

/// A frame, which may wrap an event or an error, or be one; or the answer to the message of this number.
///
/// ```json
/// {"stream":"btcusdt@trade","data":{"e":"trade"}} {"error":{"code":3,"msg":"Invalid JSON"},"id":1} {"result":null,"id":3}
/// ```
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(crate) struct Frame<'a> {
    data: Event<'a>,
    pub(super) error: Problem<'a>,
    pub(super) id: Field<'a>,
}

/// Why a message was refused.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(crate) struct Problem<'a> {
    pub(super) code: Field<'a>,
    pub(super) msg: Field<'a>,
}

impl<'a> Frame<'a> {
    /// The event that the frame wraps, or else is.
    pub(crate) fn event(self, text: &'a [u8]) -> Result<Event<'a>, JsonError> {
        if self.data.e.is_missing() {
            json::from_slice(text)
        } else {
            Ok(self.data)
        }
    }
}

/// A row of `/api/v3/historicalTrades`: a single trade.
///
/// ```json
/// {"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,"isBuyerMaker":true,
///  "isBestMatch":true}
/// ```
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(crate) struct Single<'a> {
    id: Field<'a>,
    price: Field<'a>,
    qty: Field<'a>,
    time: Field<'a>,
    is_buyer_maker: Field<'a>,
}

impl Single<'_> {
    /// The trade of a row, whose symbol is that of the request.
    pub(crate) fn row(&self, symbol: Symbol) -> Result<Trade, DecodeError> {
        Ok(Trade {
            time: self.time.epoch("time")?,
            price: self.price.price("price")?,
            size: self.qty.size("qty")?,
            side: side("isBuyerMaker", self.is_buyer_maker)?,
            ..numbered(symbol, self.id.whole("id")?)
        })
    }
}

fn side(name: &'static str, is_buyer_maker: Field<'_>) -> Result<Side, DecodeError> {
    match is_buyer_maker.bytes() {
        b"true" => Ok(Side::Sell),
        b"false" => Ok(Side::Buy),
        _ => Err(is_buyer_maker.unknown(name, &["true", "false"])),
    }
}
