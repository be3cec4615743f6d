//! The venues' side of the wire formats.

use crate::live::published_trades::Kind;
use barmill::{Side, Symbol, Trade};
use serde_json::{Value, json};

/// A trade as the venue sends it; `message` counts the messages of the connection.
pub(crate) fn trade(kind: Kind, trade: &Trade, message: u64) -> String {
    let (name, id, price, size) = (
        trade.symbol.as_str(),
        trade.id.raw(),
        trade.price,
        trade.size,
    );
    let (millis, time) = (trade.time.as_millis(), trade.time);
    let (taker, maker) = if trade.side == Side::Buy {
        ("buy", "sell")
    } else {
        ("sell", "buy")
    };
    match kind {
        Kind::Massive => format!(
            r#"[{{"ev":"T","sym":"{name}","x":4,"i":"{id}","z":3,"p":{price},"s":{size},"ds":"{size}","c":[37],"t":{millis},"q":{id},"trfi":201,"trft":{millis}}}]"#
        ),
        Kind::Alpaca => format!(
            r#"[{{"T":"t","S":"{name}","i":{id},"x":"V","p":{price},"s":{size},"c":["@"],"z":"C","t":"{time}"}}]"#
        ),
        Kind::Binance => format!(
            r#"{{"stream":"x@trade","data":{{"e":"trade","E":{millis},"s":"{name}","t":{id},"p":"{price}","q":"{size}","T":{millis},"m":{},"M":true}}}}"#,
            trade.side == Side::Sell
        ),
        Kind::BinanceAggregate => format!(
            r#"{{"stream":"x@aggTrade","data":{{"e":"aggTrade","E":{millis},"s":"{name}","a":{id},"p":"{price}","q":"{size}","f":1,"l":2,"T":{millis}000,"m":{},"M":true}}}}"#,
            trade.side == Side::Sell
        ),
        Kind::CoinbaseAdvanced => format!(
            r#"{{"channel":"market_trades","timestamp":"{time}","sequence_num":{message},"events":[{{"type":"update","trades":[{{"trade_id":"{id}","product_id":"{name}","price":"{price}","size":"{size}","side":"{}","time":"{time}"}}]}}]}}"#,
            maker.to_ascii_uppercase()
        ),
        Kind::CoinbaseExchange => format!(
            r#"{{"type":"match","trade_id":{id},"maker_order_id":"m","taker_order_id":"t","side":"{maker}","size":"{size}","price":"{price}","product_id":"{name}","sequence":1,"time":"{time}"}}"#
        ),
        Kind::Kraken => format!(
            r#"{{"channel":"trade","type":"update","data":[{{"symbol":"{name}","side":"{taker}","price":{price},"qty":{size},"ord_type":"limit","trade_id":{id},"timestamp":"{time}"}}]}}"#
        ),
    }
}

/// A sign of life without content.
pub(crate) fn heartbeat(kind: Kind, message: u64) -> String {
    match kind {
        Kind::Massive | Kind::Alpaca => "[]".into(),
        Kind::Binance | Kind::BinanceAggregate => {
            r#"{"stream":"x@depth","data":{"e":"depthUpdate"}}"#.into()
        }
        Kind::CoinbaseAdvanced => {
            format!(r#"{{"channel":"heartbeats","sequence_num":{message},"events":[]}}"#)
        }
        Kind::CoinbaseExchange => {
            r#"{"type":"heartbeat","sequence":1,"last_trade_id":0,"product_id":"AAA-USD"}"#.into()
        }
        Kind::Kraken => r#"{"channel":"heartbeat"}"#.into(),
    }
}

/// What the venue says first.
pub(crate) fn greeting(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Massive => {
            Some(r#"[{"ev":"status","status":"connected","message":"Connected Successfully"}]"#)
        }
        Kind::Alpaca => Some(r#"[{"T":"success","msg":"connected"}]"#),
        Kind::Kraken => {
            Some(r#"{"channel":"status","type":"update","data":[{"system":"online"}]}"#)
        }
        Kind::Binance
        | Kind::BinanceAggregate
        | Kind::CoinbaseAdvanced
        | Kind::CoinbaseExchange => None,
    }
}

/// What a client's message means to the venue.
#[derive(Debug)]
pub(crate) enum Request {
    Auth,
    /// Symbols, and the confirmations they get.
    Subscribe(Vec<Symbol>, Vec<String>),
    Other,
}

/// Reads a client's message; `subscribed` are the symbols before it.
pub(crate) fn request(kind: Kind, text: &str, subscribed: &[Symbol], message: u64) -> Request {
    let value: Value = serde_json::from_str(text).unwrap();
    if value["action"] == "auth" {
        let is_right = value["params"] == "live-key"
            || (value["key"] == "live-id" && value["secret"] == "live-key");
        assert!(is_right, "{text}");
        return Request::Auth;
    }
    let names: Vec<String> = match kind {
        Kind::Massive => value["params"]
            .as_str()
            .unwrap()
            .split(',')
            .map(|topic| topic[2..].to_owned())
            .collect(),
        Kind::Alpaca => strings(&value["trades"]),
        Kind::Binance | Kind::BinanceAggregate => strings(&value["params"])
            .iter()
            .map(|stream| stream.split_once('@').unwrap().0.to_ascii_uppercase())
            .collect(),
        Kind::CoinbaseAdvanced | Kind::CoinbaseExchange => strings(&value["product_ids"]),
        Kind::Kraken => strings(&value["params"]["symbol"]),
    };
    if value["method"] == "ping" {
        return Request::Other;
    }
    let symbols: Vec<Symbol> = names.iter().map(|name| name.parse().unwrap()).collect();
    let acks = match kind {
        Kind::Massive => names
            .iter()
            .map(|name| json!([{"ev": "status", "status": "success", "message": format!("subscribed to: T.{name}")}]))
            .collect(),
        Kind::Alpaca => {
            let all: Vec<&str> = subscribed.iter().chain(&symbols).map(|symbol| symbol.as_str()).collect();
            vec![json!([{"T": "subscription", "trades": all, "corrections": all}])]
        }
        Kind::Binance | Kind::BinanceAggregate => vec![json!({"result": null, "id": value["id"]})],
        Kind::CoinbaseAdvanced => vec![json!({"channel": "subscriptions", "sequence_num": message, "events": []})],
        Kind::CoinbaseExchange => vec![json!({"type": "subscriptions", "channels": []})],
        Kind::Kraken => names
            .iter()
            .map(|name| json!({"method": "subscribe", "success": true, "result": {"symbol": name}}))
            .collect(),
    };
    Request::Subscribe(symbols, acks.iter().map(Value::to_string).collect())
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}
