//! The settings of a history source, with the defaults of each venue.
//!
//! Rates are those of the venues' public documents of 2026 with room to spare; a plan that allows more
//! or less is a setting. `HistorySource::new` checks them.

use super::link::BaseUrlError;
use crate::venue::{SettingKind, VenueSettings};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use std::time::Duration;

/// How one venue's history is asked for.
#[derive(Debug, Clone)]
pub struct HistorySettings {
    /// Scheme, host, port and path prefix of the venue or of a proxy before it; `https`, or `http` on loopback.
    pub base_url: String,
    /// Requests per minute that the plan allows, at least 1; where requests have weights, weight per
    /// minute.
    pub rate_per_min: u32,
    /// Symbols fetched at the same time, at least 1; memory is this many pages.
    pub symbols_in_flight: usize,
    /// Trades of the largest batch, at least 1.
    pub batch_len_max: usize,
    /// Bytes of the largest page after decompression.
    pub page_bytes_max: usize,
    /// Longest wait for a connection, TLS included.
    pub connect_timeout: Duration,
    /// Longest silence of the venue.
    pub read_timeout: Duration,
    /// Longest time of one attempt, from the first byte sent to the last received.
    pub total_timeout: Duration,
    /// Attempts per page, the first included; at least 1.
    pub attempts_max: u32,
    /// Wait before the second attempt; doubled before each later one, the half of it random.
    pub backoff_base: Duration,
    /// Longest wait between attempts that the venue did not ask for.
    pub backoff_max: Duration,
    /// Longest wait granted to a venue that asks for one.
    pub retry_after_max: Duration,
    /// Seed of the random half of the waits.
    pub seed: u64,
    /// Whether a row that cannot be read is counted and left out, instead of ending its symbol.
    pub skip_malformed: bool,
    /// What only this venue has.
    pub venue: VenueSettings,
}

impl HistorySettings {
    /// The defaults of a venue, with its own settings and secrets.
    pub fn new(venue: VenueSettings) -> HistorySettings {
        let defaults = venue.venue().history;
        HistorySettings {
            base_url: defaults.base_url.into(),
            rate_per_min: defaults.requests_per_minute,
            symbols_in_flight: 4,
            batch_len_max: 4_096,
            page_bytes_max: 64 << 20,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(15),
            total_timeout: Duration::from_mins(1),
            attempts_max: 8,
            backoff_base: Duration::from_millis(500),
            backoff_max: Duration::from_mins(1),
            retry_after_max: Duration::from_mins(5),
            seed: 0,
            skip_malformed: false,
            venue,
        }
    }
}

/// Why settings are refused.
#[derive(Debug, thiserror::Error)]
pub enum HistorySettingsError {
    /// The base URL; its text is left out, as it may hold a key.
    #[error("base_url is refused")]
    BaseUrl(#[source] BaseUrlError),
    /// A number outside its range.
    #[error("{key} is {value}, allowed are {min} to {max}")]
    Range {
        /// The setting.
        key: String,
        /// Its value.
        value: u64,
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
    /// A key or header name that no header can carry; the value is left out.
    #[error("{key} cannot be sent as a header")]
    Header {
        /// The setting.
        key: String,
    },
    /// A path that does not tell the symbols apart.
    #[error("{key} {path:?} has no {{ticker}} in it")]
    Path {
        /// The setting.
        key: String,
        /// The path.
        path: String,
    },
    /// The client cannot be built.
    #[error("HTTP client cannot be built")]
    Client(#[source] reqwest::Error),
}

/// Refuses the first setting that cannot work, those of the one venue's history left out.
pub(crate) fn check(settings: &HistorySettings) -> Result<(), HistorySettingsError> {
    in_range("symbols_in_flight", settings.symbols_in_flight, 1, 1_000)?;
    in_range("batch_len_max", settings.batch_len_max, 1, 1_000_000)?;
    in_range("page_bytes_max", settings.page_bytes_max, 1 << 10, 1 << 30)?;
    in_range("attempts_max", settings.attempts_max, 1, 1_000)?;
    let settings = &settings.venue;
    let venue = settings.venue();
    let (min, max) = (venue.history.page_len_min, venue.history.page_len_max);
    in_range(key(settings, "page_len"), settings.page_len, min, max)?;
    for setting in venue.settings {
        let path = settings.get(setting.name);
        if setting.kind == SettingKind::TickerPath && !path.contains("{ticker}") {
            return Err(HistorySettingsError::Path {
                key: key(settings, setting.name),
                path: path.to_owned(),
            });
        }
    }
    Ok(())
}

/// Refuses a setting outside `min..=max`.
pub(crate) fn in_range<T: TryInto<u64>>(
    key: impl Into<String>,
    value: T,
    min: T,
    max: T,
) -> Result<(), HistorySettingsError> {
    let [value, min, max] = [value, min, max].map(|number| number.try_into().unwrap_or(u64::MAX));
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(HistorySettingsError::Range {
        key: key.into(),
        value,
        min,
        max,
    })
}

/// The full name of a setting that only this venue has.
fn key(settings: &VenueSettings, name: &str) -> String {
    format!("{}.{name}", settings.venue().name)
}

/// The headers of every request; no log shows the secret ones.
pub(crate) fn headers(settings: &VenueSettings) -> Result<HeaderMap, HistorySettingsError> {
    let refused = |name: &str| HistorySettingsError::Header {
        key: key(settings, name),
    };
    let pages = settings.venue().pages;
    let mut headers = HeaderMap::new();
    for (name, value) in pages.headers {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    for (setting, header) in pages.secrets {
        let Some(secret) = settings.secret(setting) else {
            continue;
        };
        let name = HeaderName::from_bytes(settings.filled_in(header).as_bytes());
        let name = name.map_err(|_| refused("key_header"))?;
        let scheme = if name == AUTHORIZATION { "Bearer " } else { "" };
        let value = format!("{scheme}{}", secret.expose_secret());
        let mut value =
            HeaderValue::from_str(&value).map_err(|_| refused(setting.trim_end_matches("_env")))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}
