//! What each venue is told, and what it must answer.
//!
//! Sources: the vendors' WebSocket documents named in the files of `decode`.

use super::super::decoder::Decoder;
use super::super::settings::{BinanceStream, CoinbaseApi, LiveSettings, LiveVenue};
use barmill_core::model::Symbol;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

/// The number of confirmations that make a subscription whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// One per symbol.
    Symbols(usize),
    /// One per message.
    Messages(usize),
}

/// One venue's part, for one connection's symbols.
#[derive(Debug)]
pub(in super::super) struct Script {
    /// Whether the venue speaks first.
    pub(super) is_greeted: bool,
    /// What proves who we are.
    pub(super) auth: Option<SecretString>,
    /// What asks for the trades.
    pub(super) subscribe: Vec<String>,
    /// What the venue must answer to that.
    pub(super) expected: Expected,
    /// A ping of the venue's own; otherwise the protocol's is sent.
    pub(super) ping: Option<String>,
    /// How its frames are read.
    pub(super) decoder: Decoder,
}

impl Script {
    /// The part for some symbols, or for everything.
    pub(in super::super) fn new(settings: &LiveSettings, symbols: Option<&[Symbol]>) -> Script {
        let names: Vec<&str> = symbols.map_or_else(
            || vec!["*"],
            |all| all.iter().map(|one| one.as_str()).collect(),
        );
        let chunks: Vec<&[&str]> = names.chunks(settings.symbols_per_message_max).collect();
        let of = |message: &dyn Fn(&[&str]) -> Value| -> Vec<String> {
            chunks
                .iter()
                .map(|chunk| message(chunk).to_string())
                .collect()
        };
        match &settings.venue {
            LiveVenue::Massive { key } => {
                let auth = json!({"action": "auth", "params": key.expose_secret()});
                let topics = |names: &[&str]| {
                    names
                        .iter()
                        .map(|name| format!("T.{name}"))
                        .collect::<Vec<_>>()
                };
                let subscribe =
                    of(&|names| json!({"action": "subscribe", "params": topics(names).join(",")}));
                let expected = Expected::Symbols(names.len());
                Script::secret(&auth, subscribe, expected, Decoder::massive())
            }
            LiveVenue::Alpaca { key_id, secret_key } => {
                let (key, secret) = (key_id.expose_secret(), secret_key.expose_secret());
                let auth = json!({"action": "auth", "key": key, "secret": secret});
                let subscribe = of(&|names| json!({"action": "subscribe", "trades": names}));
                Script::secret(
                    &auth,
                    subscribe,
                    Expected::Symbols(names.len()),
                    Decoder::alpaca(),
                )
            }
            LiveVenue::Binance { stream } => {
                Script::open(binance(*stream, &chunks), None, Decoder::binance())
            }
            LiveVenue::Coinbase { api } => {
                Script::open(coinbase(*api, &chunks), None, Decoder::coinbase())
            }
            LiveVenue::Kraken => {
                let subscribe = of(
                    &|names| json!({"method": "subscribe", "params": {"channel": "trade", "symbol": names, "snapshot": false}}),
                );
                let ping = Some(json!({"method": "ping"}).to_string());
                Script {
                    expected: Expected::Symbols(names.len()),
                    ..Script::open(subscribe, ping, Decoder::kraken())
                }
            }
        }
    }

    fn secret(
        auth: &Value,
        subscribe: Vec<String>,
        expected: Expected,
        decoder: Decoder,
    ) -> Script {
        let auth = Some(SecretString::from(auth.to_string()));
        Script {
            is_greeted: true,
            auth,
            subscribe,
            expected,
            ping: None,
            decoder,
        }
    }

    fn open(subscribe: Vec<String>, ping: Option<String>, decoder: Decoder) -> Script {
        let expected = Expected::Messages(subscribe.len());
        Script {
            is_greeted: false,
            auth: None,
            subscribe,
            expected,
            ping,
            decoder,
        }
    }
}

fn binance(stream: BinanceStream, chunks: &[&[&str]]) -> Vec<String> {
    let kind = match stream {
        BinanceStream::Single => "trade",
        BinanceStream::Aggregate => "aggTrade",
    };
    let message = |(number, names): (usize, &&[&str])| {
        let params: Vec<String> = names
            .iter()
            .map(|name| format!("{}@{kind}", name.to_ascii_lowercase()))
            .collect();
        json!({"method": "SUBSCRIBE", "params": params, "id": number + 1}).to_string()
    };
    chunks.iter().enumerate().map(message).collect()
}

fn coinbase(api: CoinbaseApi, chunks: &[&[&str]]) -> Vec<String> {
    let advanced = |names: &&[&str]| {
        json!({"type": "subscribe", "product_ids": names, "channel": "market_trades"}).to_string()
    };
    match api {
        CoinbaseApi::Advanced => {
            // Quiet channels are closed after a minute without heartbeats.
            let heartbeats = json!({"type": "subscribe", "channel": "heartbeats"}).to_string();
            chunks.iter().map(advanced).chain([heartbeats]).collect()
        }
        CoinbaseApi::Exchange => chunks
            .iter()
            .map(|names| {
                json!({"type": "subscribe", "product_ids": names, "channels": ["matches", "heartbeat"]})
                    .to_string()
            })
            .collect(),
    }
}
