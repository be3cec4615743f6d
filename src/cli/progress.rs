//! Progress on stderr, on a terminal only.

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// What was done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProgressCounts {
    /// Trades read.
    pub trades: u64,
    /// Bars made.
    pub bars: u64,
    /// Bytes of input consumed, as they lie on disk; zero when nobody counts them.
    pub bytes: u64,
}

/// A progress bar that is not there in a pipe. Clones draw the same bar.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Draws on stderr when that is a terminal, else nowhere.
    pub fn on_stderr() -> Progress {
        if std::io::stderr().is_terminal() {
            Progress {
                bar: ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()),
            }
        } else {
            Progress::hidden()
        }
    }

    /// Draws nowhere.
    pub fn hidden() -> Progress {
        Progress {
            bar: ProgressBar::hidden(),
        }
    }

    /// Starts the clock of the rate. `bytes_total` is the size of the input, when it is known.
    pub fn start(&self, bytes_total: Option<u64>) {
        let template = match bytes_total {
            Some(total) => {
                self.bar.set_length(total);
                "{bar:24} {percent:>3}%  {msg}  {eta} left"
            }
            None => "{spinner} {msg}  {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.reset();
    }

    /// Shows what was done so far; cheap enough for every batch.
    pub fn update(&self, counts: ProgressCounts) {
        if !self.bar.is_hidden() {
            self.bar.set_message(message(counts, self.bar.elapsed()));
            self.bar.set_position(counts.bytes);
        }
    }

    /// Shows these lines instead of the bar's own message.
    pub fn show(&self, lines: &[String]) {
        if !self.bar.is_hidden() {
            self.bar.set_message(lines.join("\n"));
            self.bar.tick();
        }
    }

    /// Time since [`Progress::start`].
    pub fn elapsed(&self) -> Duration {
        self.bar.elapsed()
    }

    /// Takes the bar off the screen.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Runs `print` while the bar is off the screen, so that their lines do not mix.
    pub fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }
}

fn message(counts: ProgressCounts, elapsed: Duration) -> String {
    let rate = u128::from(counts.trades) * 1_000 / elapsed.as_millis().max(1);
    let rate = HumanCount(u64::try_from(rate).unwrap_or(u64::MAX));
    format!(
        "{} trades, {rate}/s, {} bars",
        HumanCount(counts.trades),
        HumanCount(counts.bars)
    )
}

#[cfg(test)]
mod tests {
    use super::{Progress, ProgressCounts, message};
    use std::time::Duration;

    #[test]
    fn the_message_tells_trades_rate_and_bars() {
        let counts = ProgressCounts {
            trades: 1_500_000,
            bars: 490,
            bytes: 0,
        };
        assert_eq!(
            message(counts, Duration::from_secs(2)),
            "1,500,000 trades, 750,000/s, 490 bars"
        );
        assert_eq!(
            message(ProgressCounts::default(), Duration::ZERO),
            "0 trades, 0/s, 0 bars"
        );
    }

    #[test]
    fn a_hidden_bar_takes_every_call() {
        let progress = Progress::hidden();
        progress.start(Some(10));
        progress.update(ProgressCounts {
            trades: 1,
            bars: 1,
            bytes: 5,
        });
        assert_eq!(progress.suspend(|| 7), 7);
        progress.finish();
    }
}
