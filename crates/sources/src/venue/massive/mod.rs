//! Massive, formerly Polygon: US equities, also behind a proxy.

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

/// Massive, formerly Polygon: US equities.
pub static VENUE: Venue = Venue {
    name: "massive",
    title: "Massive, formerly Polygon: US equities",
    market: Market::UsEquities,
    rules: "massive-minute",
    origin: &[],
    history: HistoryDefaults {
        base_url: "https://api.massive.com",
        requests_per_minute: 1_200,
        requests_per_minute_min: 1,
        page_len_max: 50_000,
        page_len_min: 2,
        settle_s: 1_200,
    },
    live: LiveDefaults {
        url: "wss://socket.massive.com/stocks",
        symbols_per_connection: 0,
        message_every: Duration::from_millis(200),
        lifetime: None,
        is_contiguous: false,
        has_corrections: false,
        resolution_ns: |_| 1_000_000,
    },
    secrets: &[Secret {
        setting: "key_env",
        variable: "MASSIVE_API_KEY",
        older: Some("POLYGON_API_KEY"),
        is_needed: true,
    }],
    settings: &[
        Setting {
            name: "key_header",
            kind: SettingKind::Word,
            default: "authorization",
        },
        Setting {
            name: "path",
            kind: SettingKind::TickerPath,
            default: "/v3/trades/{ticker}",
        },
        Setting {
            name: "wrap",
            kind: SettingKind::Word,
            default: "results",
        },
        Setting {
            name: "paging",
            kind: SettingKind::Choice(&["cursor", "restart"]),
            default: "cursor",
        },
    ],
    pages: &history::PAGES,
    write_script: live::script,
    decode: live::decode,
    simulation: simulate::SIMULATION,
};
