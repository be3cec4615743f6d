//! Progress on stderr, on a terminal only: of a run in a line, of a fetch in a line for each symbol under way.

use crate::model::Timestamp;
use barmill_sources::history::Coverage;
use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use std::time::Duration;

/// A progress bar that is not there in a pipe. Clones draw the same bar.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Draws on stderr when that is a terminal, else nowhere.
    pub(super) fn on_stderr() -> Progress {
        Progress {
            bar: ProgressBar::no_length(),
        }
    }

    /// Starts the clock of the rate.
    pub(super) fn start(&self) {
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  {elapsed}") {
            self.bar.set_style(style);
        }
        self.bar.reset();
    }

    /// Shows the trades read and the bars made so far.
    pub(super) fn update(&self, trades: u64, bars: u64) {
        self.show(&message(trades, bars, self.bar.elapsed()));
    }

    /// Shows this text.
    pub(super) fn show(&self, text: &str) {
        if !self.bar.is_hidden() {
            self.bar.set_message(text.to_owned());
            self.bar.tick();
        }
    }

    /// Time since [`Progress::start`].
    pub(super) fn elapsed(&self) -> Duration {
        self.bar.elapsed()
    }

    /// Takes the bar off the screen.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Runs `print` while the bar is off the screen, so that their lines do not mix.
    pub(super) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }
}

fn message(trades: u64, bars: u64, elapsed: Duration) -> String {
    let rate = rate(trades, elapsed);
    format!(
        "{} trades, {rate}/s, {} bars",
        HumanCount(trades),
        HumanCount(bars)
    )
}

/// Trades a second.
fn rate(trades: u64, elapsed: Duration) -> HumanCount {
    let rate = u128::from(trades) * 1_000 / elapsed.as_millis().max(1);
    HumanCount(u64::try_from(rate).unwrap_or(u64::MAX))
}

/// Symbols on the screen at most.
const LINES_MAX: usize = 12;

/// The progress of one fetch; remembers when each range began, for its rate and the time that is left of it.
#[derive(Debug, Default)]
pub(super) struct FetchLines {
    /// Time since the start of the fetch, by range; `None` of those that wait.
    begun: Vec<Option<Duration>>,
}

impl FetchLines {
    /// The lines for the screen: one per range under way, then the sum of all. `elapsed` is the time since the start.
    pub(super) fn text(&mut self, coverage: &[Coverage], elapsed: Duration) -> String {
        self.begun.resize(coverage.len(), None);
        let mut lines = Vec::new();
        for (one, begun) in coverage.iter().zip(&mut self.begun) {
            if one.pages == 0 || one.is_complete {
                continue;
            }
            let begun = *begun.get_or_insert(if one.trades == 0 {
                elapsed
            } else {
                Duration::ZERO
            });
            if lines.len() < LINES_MAX {
                lines.push(line(one, elapsed.saturating_sub(begun)));
            }
        }
        lines.push(sum(coverage, elapsed));
        lines.join("\n")
    }
}

fn line(one: &Coverage, elapsed: Duration) -> String {
    let all = i128::from(one.range.to.since(one.range.from));
    let done = covered_ns(one);
    format!(
        "{:<10} {:>3}%  to {}  trades {}, pages {}, {}",
        one.range.symbol.as_str(),
        done * 100 / all.max(1),
        whole_seconds(one.covered_to),
        HumanCount(one.trades),
        HumanCount(one.pages),
        pace(one.trades, elapsed, done, all)
    )
}

fn sum(coverage: &[Coverage], elapsed: Duration) -> String {
    let whole = coverage.iter().filter(|one| one.is_complete).count();
    let trades: u64 = coverage.iter().map(|one| one.trades).sum();
    let pages: u64 = coverage.iter().map(|one| one.pages).sum();
    let done: i128 = coverage.iter().map(covered_ns).sum();
    let all: i128 = coverage
        .iter()
        .map(|one| i128::from(one.range.to.since(one.range.from)))
        .sum();
    format!(
        "{whole} of {} whole, trades {}, pages {}, {}",
        coverage.len(),
        HumanCount(trades),
        HumanCount(pages),
        pace(trades, elapsed, done, all)
    )
}

/// Trades a second, and the time left if the rest goes as what is done went.
fn pace(trades: u64, elapsed: Duration, done: i128, all: i128) -> String {
    let rate = rate(trades, elapsed);
    let millis = i128::try_from(elapsed.as_millis().max(1)).unwrap_or(i128::MAX);
    match millis.checked_mul(all - done) {
        Some(product) if done > 0 => {
            let rest = Duration::from_millis(u64::try_from(product / done).unwrap_or(0));
            format!("{rate}/s, about {} left", HumanDuration(rest))
        }
        Some(_) | None => format!("{rate}/s"),
    }
}

fn covered_ns(one: &Coverage) -> i128 {
    i128::from(one.covered_to.since(one.range.from))
}

/// An instant without its fraction.
pub(super) fn whole_seconds(time: Timestamp) -> Timestamp {
    time.saturating_sub(time.as_nanos() % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::{FetchLines, Progress, message};
    use barmill_sources::history::{Coverage, SymbolRange};
    use std::time::Duration;

    #[test]
    fn the_message_tells_trades_rate_and_bars() {
        assert_eq!(
            message(1_500_000, 490, Duration::from_secs(2)),
            "1,500,000 trades, 750,000/s, 490 bars"
        );
        assert_eq!(message(0, 0, Duration::ZERO), "0 trades, 0/s, 0 bars");
    }

    #[test]
    fn a_bar_of_a_pipe_takes_every_call() {
        let progress = Progress::on_stderr();
        progress.start();
        progress.update(1, 1);
        assert_eq!(progress.suspend(|| 7), 7);
        progress.finish();
    }

    fn coverage(symbol: &str, to: &str, pages: u64, trades: u64) -> Coverage {
        Coverage {
            range: SymbolRange {
                symbol: symbol.parse().unwrap(),
                from: "2025-10-21T13:00:00Z".parse().unwrap(),
                to: "2025-10-21T20:00:00Z".parse().unwrap(),
            },
            covered_to: format!("2025-10-21T{to}Z").parse().unwrap(),
            is_complete: to == "20:00:00",
            pages,
            trades,
            duplicates: 0,
        }
    }

    #[test]
    fn each_range_under_way_has_its_rate_and_the_time_that_is_left_of_it() {
        let mut shown = FetchLines::default();
        let early = [
            coverage("AAPL", "13:00:00", 1, 0),
            coverage("MSFT", "13:00:00", 0, 0),
        ];
        let lines = |shown: &mut FetchLines, all: &[Coverage], seconds| {
            shown.text(all, Duration::from_secs(seconds))
        };
        insta::assert_snapshot!(lines(&mut shown, &early, 1), @r"
        AAPL         0%  to 2025-10-21T13:00:00Z  trades 0, pages 1, 0/s
        0 of 2 whole, trades 0, pages 1, 0/s
        ");
        let later = [
            coverage("AAPL", "20:00:00", 9, 450_000),
            coverage("MSFT", "13:00:00", 1, 0),
        ];
        lines(&mut shown, &later, 6);
        let last = [
            coverage("AAPL", "20:00:00", 9, 450_000),
            coverage("MSFT", "13:42:00", 1, 50_000),
        ];
        insta::assert_snapshot!(lines(&mut shown, &last, 10), @r"
        MSFT        10%  to 2025-10-21T13:42:00Z  trades 50,000, pages 1, 12,500/s, about 36 seconds left
        1 of 2 whole, trades 500,000, pages 10, 50,000/s, about 8 seconds left
        ");
    }
}
