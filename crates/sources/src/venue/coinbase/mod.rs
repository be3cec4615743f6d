//! Coinbase: Exchange for history, Exchange or Advanced Trade for live trades.

pub(crate) mod history;
pub(crate) mod live;
mod simulate;
pub(crate) mod wire;

use super::descriptor::{HistoryDefaults, LiveDefaults, Market, Setting, SettingKind, Venue};
use std::time::Duration;

/// Coinbase Exchange.
pub static VENUE: Venue = Venue {
    name: "coinbase",
    title: "Coinbase Exchange",
    market: Market::AlwaysOpen,
    rules: "all",
    origin: &[],
    history: HistoryDefaults {
        base_url: "https://api.exchange.coinbase.com",
        requests_per_minute: 480,
        requests_per_minute_min: 1,
        page_len_max: 1_000,
        page_len_min: 3,
        settle_s: 60,
    },
    live: LiveDefaults {
        url: "wss://ws-feed.exchange.coinbase.com",
        symbols_per_connection: 200,
        message_every: Duration::from_millis(200),
        lifetime: None,
        is_contiguous: true,
        has_corrections: false,
        resolution_ns: |_| 1_000,
    },
    secrets: &[],
    settings: &[Setting {
        name: "interface",
        kind: SettingKind::Choice(&["exchange", "advanced"]),
        default: "exchange",
    }],
    pages: &history::PAGES,
    write_script: live::script,
    decode: live::decode,
    simulation: simulate::SIMULATION,
};
