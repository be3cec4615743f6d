//! Progress lines of a fetch: one per active symbol, and a total.

use super::fetched::seconds;
use barmill_sources::history::Coverage;
use indicatif::{HumanCount, HumanDuration};
use std::time::Duration;

/// Symbols on the screen at most.
const LINES_MAX: usize = 12;

/// The progress of one fetch; remembers when each range began, for its rate and the time that is left of it.
#[derive(Debug, Default)]
pub struct FetchLines {
    /// Time since the start of the fetch, by range; `None` of those that wait.
    begun: Vec<Option<Duration>>,
}

impl FetchLines {
    /// The lines for the screen: one per range under way, then the sum of all. `elapsed` is the time since the start.
    pub fn lines(&mut self, coverage: &[Coverage], elapsed: Duration) -> Vec<String> {
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
        lines
    }
}

fn line(one: &Coverage, elapsed: Duration) -> String {
    let all = i128::from(one.range.to.since(one.range.from));
    let done = covered_ns(one);
    format!(
        "{:<10} {:>3}%  to {}  trades {}, pages {}, {}",
        one.range.symbol.as_str(),
        done * 100 / all.max(1),
        seconds(one.covered_to),
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
    let millis = elapsed.as_millis().max(1);
    let rate = HumanCount(u64::try_from(u128::from(trades) * 1_000 / millis).unwrap_or(u64::MAX));
    let millis = i128::try_from(millis).unwrap_or(i128::MAX);
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

#[cfg(test)]
mod tests {
    use super::FetchLines;
    use barmill_sources::history::{Coverage, SymbolRange};
    use std::time::Duration;

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
            shown.lines(all, Duration::from_secs(seconds)).join("\n")
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
