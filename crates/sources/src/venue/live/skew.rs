//! How far the venue's clock and ours are apart, as far as trades show it.

use std::time::Duration;

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
