//! `[live]`: the sources of the daemon and their connections.

use super::section::{list, section};
use super::source::SourceName;
use super::value::{Setting, Value, not_allowed, quoted};
use super::{ValueError, live_symbols::LiveNames};
use crate::daemon::CatchUp;
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// What the daemon listens to, and how.
    Live, "live" {
        /// The sources, none twice.
        sources: LiveSources = LiveSources::default();
        /// Symbols as their source spells them; with several sources `source:symbol`.
        symbols: LiveNames = LiveNames::default();
        /// A file of further symbols, one a line, `#` before a comment.
        symbols_file: Option<PathBuf> = None;
        /// Where a start begins.
        catch_up: CatchUp = CatchUp::Day;
        /// Milliseconds between two updates of an open bar, 0 (none) to one hour.
        forming_every_ms: u64 = 0, 0..=3_600_000;
        /// Milliseconds between two saves of the place to go on from after a restart, 100 to one hour.
        checkpoint_every_ms: u64 = 30_000, 100..=3_600_000;
        /// Hours that a restart may go back to the saved place, 1 to 720.
        resume_max_h: u64 = 72, 1..=720;
        /// Seconds for which a connection that is one too many is tried again, 0 to one hour.
        connection_limit_wait_s: u64 = 300, 0..=3_600;
        /// Milliseconds between two pings, 100 to one hour.
        keep_alive_ms: u64 = 15_000, 100..=3_600_000;
        /// Milliseconds without any frame until a connection counts as dead, 100 to one hour.
        silence_max_ms: u64 = 45_000, 100..=3_600_000;
        /// Milliseconds without a trade until a connection is replaced, 100 to one day.
        stall_ms: u64 = 30_000, 100..=86_400_000;
        /// Bound of the stall time, which doubles while there is no trade, 100 to one day.
        stall_max_ms: u64 = 1_800_000, 100..=86_400_000;
        /// Milliseconds to connect, TLS and upgrade included, 1 to 10 minutes.
        connect_timeout_ms: u64 = 10_000, 1..=600_000;
        /// Milliseconds from the connection to the last confirmed subscription, 1 to one hour.
        handshake_timeout_ms: u64 = 30_000, 1..=3_600_000;
        /// Bound of the first wait before a new connection, half of it random, milliseconds, 1 to one hour.
        backoff_ms: u64 = 500, 1..=3_600_000;
        /// Largest bound of such a wait, milliseconds, 1 to one hour.
        backoff_max_ms: u64 = 60_000, 1..=3_600_000;
        /// Trades of one source that wait for a slow store, 2 to 16,777,216.
        backlog_len_max: usize = 262_144, 2..=16_777_216;
        /// Live trades of one symbol that wait behind a hole, 1 to 16,777,216.
        held_len_max: usize = 65_536, 1..=16_777_216;
        /// Milliseconds before a hole is asked of history, 0 to one hour.
        gap_wait_ms: u64 = 500, 0..=3_600_000;
        /// Milliseconds after a new connection before a symbol without a trade is asked of history, 0 to one hour.
        gap_settle_ms: u64 = 5_000, 0..=3_600_000;
        /// Attempts per hole, 1 to 1,000.
        gap_attempts_max: u32 = 8, 1..=1_000;
        /// Milliseconds before the second attempt, doubled for each later one, 1 to one hour.
        gap_backoff_ms: u64 = 1_000, 1..=3_600_000;
        /// Trades of one answer of history, 2 to 1,000,000.
        gap_len_max: usize = 50_000, 2..=1_000_000;
        /// Holes of one source that history is asked for at the same time, 1 to 256.
        gaps_in_flight_max: usize = 4, 1..=256;
        /// Milliseconds read again before a hole where identities are not contiguous, 0 to one hour.
        overlap_ms: u64 = 5_000, 0..=3_600_000;
    }
}

list! {
    /// Sources, none twice; may be empty.
    LiveSources of SourceName, 0..
}

/// Seconds of each unit, the longest first.
const UNITS: [(u64, char); 4] = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
const CATCH_UP_S_MAX: u64 = 30 * 86_400;

impl Setting for CatchUp {
    fn read(value: &Value) -> Result<CatchUp, ValueError> {
        let text = value.text()?;
        let seconds = || {
            let count_of = |(length, unit)| Some((length, text.strip_suffix(unit)?));
            let (length, digits) = UNITS.into_iter().find_map(count_of)?;
            let seconds = digits.parse::<u64>().ok()?.checked_mul(length)?;
            (1..=CATCH_UP_S_MAX).contains(&seconds).then_some(seconds)
        };
        match (text, seconds()) {
            ("day", _) => Ok(CatchUp::Day),
            ("none", _) => Ok(CatchUp::None),
            (_, Some(seconds)) => Ok(CatchUp::For(Duration::from_secs(seconds))),
            (_, None) => Err(not_allowed(
                text,
                "day, none, or a time up to 30 days such as 90m, 6h or 2d",
            )),
        }
    }

    fn show(&self) -> String {
        match self {
            CatchUp::Day => quoted("day"),
            CatchUp::None => quoted("none"),
            CatchUp::For(time) => {
                let seconds = time.as_secs();
                let mut units = UNITS.into_iter();
                let whole = units.find(|(length, _)| seconds.is_multiple_of(*length));
                let (length, unit) = whole.unwrap_or((1, 's'));
                quoted(&format!("{}{unit}", seconds / length))
            }
        }
    }
}

#[cfg(test)]
mod tests;
