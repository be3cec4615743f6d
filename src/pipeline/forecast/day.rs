//! A generated day: every symbol trades all the time, and numbers have typical lengths.

use super::Arrival;
use crate::model::{
    Bar, BarFlags, BarSpec, BarState, BarUpdate, Notional, Ohlc, Price, Size, Symbol, Timestamp,
    Volume,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

const MINUTE_NS: i64 = 60_000_000_000;

/// A day's bars, of the specs that the clock cuts.
#[derive(Debug, Clone)]
pub struct ForecastDay {
    specs: Vec<BarSpec>,
    symbols: Vec<Symbol>,
    midnight: Timestamp,
    /// Opening and close of the market, nanoseconds since the Unix epoch.
    open: i64,
    close: i64,
}

/// An update on its way to the writer.
pub(super) struct Arriving {
    pub(super) update: BarUpdate,
    /// Since midnight.
    pub(super) at: Duration,
    /// Whether all symbols had their turn before it.
    pub(super) starts_step: bool,
}

#[derive(Clone, Copy)]
struct Window {
    spec: BarSpec,
    start: i64,
    end: i64,
}

/// Updates that come together: these windows of each of these symbols.
struct Step {
    /// Since midnight.
    at: Duration,
    /// From the first symbol's updates to those of the last one.
    spread: Duration,
    state: BarState,
    windows: Rc<[Window]>,
    symbols: Range<usize>,
}

impl ForecastDay {
    /// A day from `midnight` on whose market is open from minute to minute, the last one excluded; `None` when no spec
    /// is cut by the clock or there are no symbols.
    pub fn new(
        specs: &[BarSpec],
        symbols: Vec<Symbol>,
        midnight: Timestamp,
        open_minutes: Range<u16>,
    ) -> Option<ForecastDay> {
        let specs: Vec<BarSpec> = specs
            .iter()
            .copied()
            .filter(|spec| spec.is_time())
            .collect();
        let minute = |minute: u16| midnight.as_nanos() + i64::from(minute) * MINUTE_NS;
        let (open, close) = (minute(open_minutes.start), minute(open_minutes.end));
        let is_some = !specs.is_empty() && !symbols.is_empty() && open < close;
        is_some.then_some(ForecastDay {
            specs,
            symbols,
            midnight,
            open,
            close,
        })
    }

    /// The opening, since midnight.
    pub(super) fn open(&self) -> Duration {
        self.since_midnight(self.open)
    }

    /// The instant of the opening.
    pub(super) fn opening(&self) -> Timestamp {
        Timestamp::from_nanos(self.open).unwrap_or(self.midnight)
    }

    /// The symbols that trade.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// How long the market is open.
    pub(super) fn length(&self) -> Duration {
        Duration::from_nanos((self.close - self.open).unsigned_abs())
    }

    fn since_midnight(&self, at: i64) -> Duration {
        Duration::from_nanos((at - self.midnight.as_nanos()).unsigned_abs())
    }

    fn window_at(&self, spec: BarSpec, at: i64) -> Window {
        let Some(length) = spec
            .interval_ns()
            .and_then(|length| i64::try_from(length).ok())
        else {
            return Window {
                spec,
                start: self.open,
                end: self.close,
            };
        };
        let start = at - at.rem_euclid(length);
        Window {
            spec,
            start,
            end: start + length,
        }
    }

    /// The windows of the day by the time at which they close, at the latest with the market.
    fn closings(&self) -> Vec<(i64, Vec<Window>)> {
        let mut closings: BTreeMap<i64, Vec<Window>> = BTreeMap::new();
        for spec in &self.specs {
            let mut at = self.open;
            while at < self.close {
                let window = self.window_at(*spec, at);
                at = window.end.min(self.close);
                closings.entry(at).or_default().push(window);
            }
        }
        closings.into_iter().collect()
    }

    /// The steps of the day, in the order in which they come.
    fn steps(&self, arrival: Arrival) -> Vec<Step> {
        let all = 0..self.symbols.len();
        let step = |at, windows: Vec<Window>| Step {
            at,
            spread: Duration::ZERO,
            state: BarState::Final,
            windows: windows.into(),
            symbols: all.clone(),
        };
        let mut closings = self.closings();
        match arrival {
            Arrival::ByTime => {
                let windows = closings.into_iter().map(|(_, windows)| windows);
                windows.map(|windows| step(self.open(), windows)).collect()
            }
            Arrival::BySymbol => {
                // A bar closes with a later trade of its symbol, so the last ones stay open until the end.
                let last = closings.pop();
                let windows: Rc<[Window]> = closings.into_iter().flat_map(|one| one.1).collect();
                let of_symbol = |symbol| Step {
                    windows: Rc::clone(&windows),
                    symbols: symbol..symbol + 1,
                    ..step(self.open(), Vec::new())
                };
                let last = last.map(|(_, windows)| step(self.open(), windows));
                all.clone().map(of_symbol).chain(last).collect()
            }
            Arrival::Live {
                spread,
                forming_every,
            } => {
                let (mut steps, mut after) = (Vec::new(), self.open);
                for (at, windows) in closings {
                    let every = forming_every.into_iter();
                    for tick in every.flat_map(|every| self.ticks(after, at, every)) {
                        let open = self.specs.iter().map(|spec| self.window_at(*spec, tick));
                        steps.push(Step {
                            state: BarState::Forming,
                            ..step(self.since_midnight(tick), open.collect())
                        });
                    }
                    steps.push(Step {
                        spread,
                        ..step(self.since_midnight(at), windows)
                    });
                    after = at;
                }
                steps
            }
        }
    }

    /// The times between two closings at which open bars are published.
    fn ticks(&self, after: i64, before: i64, every: Duration) -> impl Iterator<Item = i64> + use<> {
        let every = i64::try_from(every.as_nanos()).unwrap_or(i64::MAX).max(1);
        let (open, first) = (self.open, (after - self.open) / every + 1);
        let last = (before - 1 - open) / every;
        (first..=last).map(move |index| open + index * every)
    }

    /// The closed bars of a whole day, and its updates of open ones.
    pub(super) fn counts(&self, arrival: Arrival) -> (u64, u64) {
        let (mut bars, mut forming) = (0, 0);
        for step in self.steps(arrival) {
            let count = (step.windows.len() * step.symbols.len()) as u64;
            match step.state {
                BarState::Forming => forming += count,
                BarState::Final | BarState::Revised => bars += count,
            }
        }
        (bars, forming)
    }

    /// The updates in the order in which they come.
    pub(super) fn arrivals(&self, arrival: Arrival) -> impl Iterator<Item = Arriving> {
        self.steps(arrival).into_iter().flat_map(move |step| {
            let count = u32::try_from(self.symbols.len()).unwrap_or(u32::MAX);
            let (symbols, windows) = (step.symbols.clone(), step.windows.clone());
            let each = symbols.flat_map(move |symbol| {
                let windows = Rc::clone(&windows);
                (0..windows.len()).map(move |index| (symbol, windows[index]))
            });
            each.enumerate()
                .map(move |(index, (symbol, window))| Arriving {
                    update: self.update(symbol, window, step.state),
                    at: step.at + step.spread * u32::try_from(symbol).unwrap_or(u32::MAX) / count,
                    starts_step: index == 0,
                })
        })
    }

    /// A bar with numbers of usual lengths.
    fn update(&self, symbol: usize, window: Window, state: BarState) -> BarUpdate {
        let instant = |nanos| Timestamp::from_nanos(nanos).unwrap_or(Timestamp::EPOCH);
        let seed = symbol as u64 * 7_919 + (window.start / MINUTE_NS).unsigned_abs();
        let cents = |more: u64| Price::from_raw((10_000 + seed % 30_000 + more) * 10_000_000);
        let unit = Size::PLACES;
        let shares = |count: u64| u128::from(count) * 10u128.pow(u32::try_from(unit).unwrap_or(0));
        let (size, sold) = (shares(100 + seed % 9_000), shares(seed % 90));
        let volume = Volume::from_raw(size);
        let value = Size::from_raw(size).map_or(Notional::default(), |size| {
            Notional::of(Price::from_raw(cents(5).raw() + seed % 10_000_000), size)
        });
        let bar = Bar {
            symbol: self.symbols[symbol],
            spec: window.spec,
            start: instant(window.start),
            end: instant(window.end),
            prices: Some(Ohlc {
                open: cents(1),
                high: cents(15),
                low: cents(0),
                close: cents(7),
            }),
            volume,
            notional: value,
            notional_volume: volume,
            trades: 20 + seed % 200,
            buy_volume: Volume::from_raw(size - sold),
            sell_volume: Volume::from_raw(sold),
            first_sequence: 1_000_000 + seed,
            last_sequence: 2_000_000 + seed,
            flags: BarFlags::default(),
        };
        BarUpdate {
            bar,
            state,
            revision: 0,
            trades_added: bar.trades,
        }
    }
}
