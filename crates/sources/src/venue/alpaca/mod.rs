//! Alpaca: US equities.

pub(crate) mod history;
pub(crate) mod live;
mod simulate;
pub(crate) mod wire;

use super::descriptor::{
    HistoryDefaults, LiveDefaults, Market, Secret, Setting, SettingKind, Venue,
};
use std::time::Duration;

/// Alpaca: US equities.
pub static VENUE: Venue = Venue {
    name: "alpaca",
    title: "Alpaca: US equities",
    market: Market::UsEquities,
    rules: "alpaca-minute",
    origin: &["feed"],
    history: HistoryDefaults {
        base_url: "https://data.alpaca.markets",
        requests_per_minute: 200,
        requests_per_minute_min: 1,
        page_len_max: 10_000,
        page_len_min: 2,
        settle_s: 1_200,
    },
    live: LiveDefaults {
        url: "wss://stream.data.alpaca.markets/v2/{feed}",
        symbols_per_connection: 0,
        message_every: Duration::from_millis(200),
        lifetime: None,
        is_contiguous: false,
        has_corrections: true,
        resolution_ns: |_| 1,
    },
    secrets: &[
        Secret {
            setting: "key_id_env",
            variable: "APCA_API_KEY_ID",
            older: None,
            is_needed: true,
        },
        Secret {
            setting: "secret_key_env",
            variable: "APCA_API_SECRET_KEY",
            older: None,
            is_needed: true,
        },
    ],
    settings: &[Setting {
        name: "feed",
        kind: SettingKind::Word,
        default: "sip",
    }],
    pages: &history::PAGES,
    write_script: live::script,
    decode: live::decode,
    simulation: simulate::SIMULATION,
};
