//! Binance spot.

#[cfg(feature = "files")]
pub(super) mod file;
pub(crate) mod history;
pub(crate) mod live;
mod simulate;
pub(crate) mod wire;

use super::descriptor::{
    HistoryDefaults, LiveDefaults, Market, Secret, Setting, SettingKind, Venue,
};
use std::time::Duration;

/// Binance spot.
pub static VENUE: Venue = Venue {
    name: "binance",
    title: "Binance spot",
    market: Market::AlwaysOpen,
    rules: "all",
    origin: &["trades"],
    history: HistoryDefaults {
        base_url: "https://api.binance.com",
        requests_per_minute: 4_800,
        requests_per_minute_min: 25,
        page_len_max: 1_000,
        page_len_min: 2,
        settle_s: 60,
    },
    live: LiveDefaults {
        url: "wss://stream.binance.com:9443/stream?timeUnit=MICROSECOND",
        symbols_per_connection: 1_000,
        message_every: Duration::from_millis(400),
        lifetime: Some(Duration::from_mins(23 * 60 + 50)),
        is_contiguous: true,
        has_corrections: false,
        resolution_ns: |url| {
            if url.contains("timeUnit=MICROSECOND") {
                1_000
            } else {
                1_000_000
            }
        },
    },
    secrets: &[Secret {
        setting: "key_env",
        variable: "BINANCE_API_KEY",
        older: None,
        is_needed: false,
    }],
    settings: &[Setting {
        name: "trades",
        kind: SettingKind::Choice(&["aggregate", "single"]),
        default: "aggregate",
    }],
    pages: &history::PAGES,
    write_script: live::script,
    decode: live::decode,
    simulation: simulate::SIMULATION,
};
