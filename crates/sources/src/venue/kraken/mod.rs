//! Kraken spot.

#[cfg(feature = "files")]
pub(super) mod file;
pub(crate) mod history;
pub(crate) mod live;
mod simulate;
pub(crate) mod wire;

use super::descriptor::{HistoryDefaults, LiveDefaults, Market, Venue};
use std::time::Duration;

/// Kraken spot.
pub static VENUE: Venue = Venue {
    name: "kraken",
    title: "Kraken spot",
    market: Market::AlwaysOpen,
    rules: "all",
    origin: &[],
    history: HistoryDefaults {
        base_url: "https://api.kraken.com",
        requests_per_minute: 60,
        requests_per_minute_min: 1,
        page_len_max: 1_000,
        page_len_min: 2,
        settle_s: 60,
    },
    live: LiveDefaults {
        url: "wss://ws.kraken.com/v2",
        symbols_per_connection: 200,
        message_every: Duration::from_millis(200),
        lifetime: None,
        is_contiguous: true,
        has_corrections: false,
        resolution_ns: |_| 1_000,
    },
    secrets: &[],
    settings: &[],
    pages: &history::PAGES,
    write_script: live::script,
    decode: live::decode,
    simulation: simulate::SIMULATION,
};
