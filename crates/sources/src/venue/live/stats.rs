//! What a live feed counted, how it stands, and how far the venue's clock and ours are apart.

use super::error::LiveError;
use super::symbol_gaps::GapStats;
use std::time::Duration;

/// What a live feed counted, and how it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveStats {
    /// Connections opened.
    pub connections: u64,
    /// Connections lost, or not had, for any reason.
    pub disconnects: u64,
    /// Of these, for want of trades or of any frame.
    pub stalls: u64,
    /// Times the connections were closed because the consumer was too slow.
    pub overloads: u64,
    /// Records that should be trades and are none.
    pub malformed: u64,
    /// Trades of symbols that were not asked for.
    pub filtered: u64,
    /// Messages a venue says it sent and that did not come.
    pub lost_messages: u64,
    /// Questions to the archive.
    pub requests: u64,
    /// Gaps and what came of them.
    pub gaps: GapStats,
    /// Trades that wait for the consumer.
    pub backlog_len: usize,
    /// Whether no symbol misses anything, as far as is known.
    pub is_whole: bool,
    /// The least time from a trade to its receipt in the last one to two minutes, nanoseconds: below zero when our clock is
    /// behind the venue's.
    pub delay_ns: Option<i64>,
}

impl LiveStats {
    pub(crate) fn count_down(&mut self, error: &LiveError) {
        self.disconnects += 1;
        let is_stall = matches!(error, LiveError::Stalled { .. } | LiveError::Silent { .. });
        self.stalls += u64::from(is_stall);
    }
}

/// How long the least delay counts.
const WINDOW: Duration = Duration::from_mins(1);

/// The least time from a trade to its receipt of the last one to two minutes.
#[derive(Debug, Default)]
pub(crate) struct Skew {
    least: Option<i64>,
    before: Option<i64>,
    since: Duration,
}

impl Skew {
    /// Notes the delay of a trade, nanoseconds; below zero when our clock is behind the venue's.
    pub(crate) fn note(&mut self, delay_ns: i64, now: Duration) {
        if self.since + WINDOW <= now {
            (self.before, self.least, self.since) = (self.least, None, now);
        }
        self.least = Some(self.least.map_or(delay_ns, |least| least.min(delay_ns)));
    }

    /// The least delay, nanoseconds; `None` before the first trade.
    pub(crate) fn delay_ns(&self) -> Option<i64> {
        [self.least, self.before].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::Skew;
    use std::time::Duration;

    #[test]
    fn least_delay_of_the_last_minutes_counts() {
        let mut skew = Skew::default();
        assert_eq!(skew.delay_ns(), None);
        skew.note(-5, Duration::ZERO);
        skew.note(9, Duration::from_secs(61));
        assert_eq!(skew.delay_ns(), Some(-5));
        skew.note(7, Duration::from_secs(122));
        assert_eq!(skew.delay_ns(), Some(7));
    }
}
