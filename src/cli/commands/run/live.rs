//! Builds live feeds from the config.

use super::super::source;
use super::market::Market;
use crate::Symbol;
use crate::cli::exit::CommandError;
use crate::config::{Config, Environment, SourceKeys, SourceName};
use crate::daemon::{idle_closing, live_feed};
use barmill_sources::live::{
    GapSettings, IdleSettings, LiveFeed, LiveSettings, LiveSymbol, LiveSymbols, LiveTimes,
};
use std::time::Duration;

/// Opens the live feed of a source, every symbol from its start on; connects to nothing.
pub(super) fn open(
    market: &Market,
    name: SourceName,
    symbols: &LiveSymbols,
    environment: &Environment,
) -> Result<LiveFeed, CommandError> {
    let bars = &market.config.bars;
    let lateness = Duration::from_millis(bars.lateness_ms);
    let quiet = idle_closing(bars.specs.as_slice(), &market.zone, lateness);
    feed(&market.config, name, symbols, environment, quiet)
}

/// Opens the live feed of a source from what comes first; connects to nothing.
pub(in super::super) fn listen(
    config: &Config,
    (name, symbols): (SourceName, &[Symbol]),
    environment: &Environment,
) -> Result<LiveFeed, CommandError> {
    let first = |&symbol: &Symbol| LiveSymbol {
        symbol,
        after: None,
    };
    let symbols = LiveSymbols::Named(symbols.iter().map(first).collect());
    feed(config, name, &symbols, environment, IdleSettings::default())
}

fn feed(
    config: &Config,
    name: SourceName,
    symbols: &LiveSymbols,
    environment: &Environment,
    idle_closing: IdleSettings,
) -> Result<LiveFeed, CommandError> {
    let keys = SourceKeys::resolve(&config.source, name, environment)?;
    let archive = source::open(config, name, environment)?;
    let settings = LiveSettings {
        idle_closing,
        ..settings(config, name, keys)
    };
    live_feed(settings, archive, symbols)
}

/// The settings of a source's connections.
pub(super) fn settings(config: &Config, name: SourceName, keys: SourceKeys) -> LiveSettings {
    let source = config.source.of(name);
    let venue = keys.give(source.venue_settings());
    let url = venue.filled_in(&source.common.ws_url);
    let mut settings = LiveSettings::new(venue);
    settings.url = url;
    settings.symbols_per_connection_max = match source.common.symbols_per_connection {
        0 => usize::MAX,
        count => count,
    };
    settings.batch_len_max = config.replay.batch_len_max;
    settings.backlog_len_max = config.live.backlog_len_max;
    settings.seed = u64::from(std::process::id());
    settings.times = times(config, &settings.times);
    settings.gaps = gaps(config);
    settings
}

fn times(config: &Config, of_venue: &LiveTimes) -> LiveTimes {
    let live = &config.live;
    LiveTimes {
        connect_timeout: Duration::from_millis(live.connect_timeout_ms),
        handshake_timeout: Duration::from_millis(live.handshake_timeout_ms),
        ping_every: Duration::from_millis(live.keep_alive_ms),
        silence_max: Duration::from_millis(live.silence_max_ms),
        stall_after: Duration::from_millis(live.stall_ms),
        stall_after_max: Duration::from_millis(live.stall_max_ms),
        backoff_base: Duration::from_millis(live.backoff_ms),
        backoff_max: Duration::from_millis(live.backoff_max_ms),
        limit_wait: Duration::from_secs(live.connection_limit_wait_s),
        ..of_venue.clone()
    }
}

fn gaps(config: &Config) -> GapSettings {
    let live = &config.live;
    GapSettings {
        wait: Duration::from_millis(live.gap_wait_ms),
        settle: Duration::from_millis(live.gap_settle_ms),
        attempts_max: live.gap_attempts_max,
        backoff: Duration::from_millis(live.gap_backoff_ms),
        in_flight_max: live.gaps_in_flight_max,
        len_max: live.gap_len_max,
        held_len_max: live.held_len_max,
        held_sum_max: live.backlog_len_max,
        overlap: Duration::from_millis(live.overlap_ms),
    }
}
