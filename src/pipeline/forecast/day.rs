//! A generated day: every symbol trades all the time, and numbers have typical lengths.

use super::Arrival;
use crate::model::{
    Bar, BarFlags, BarSpec, BarState, BarUpdate, Notional, Ohlc, Price, Size, Symbol, Timestamp,
    Volume,
};
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

/// Updates of a day.
pub(super) struct Counts {
    pub(super) bars: u64,
    pub(super) forming: u64,
}

#[derive(Clone, Copy)]
struct Window {
    spec: BarSpec,
    start: i64,
    end: i64,
}

/// What comes together: the windows that close at a time, or those that are open at it.
struct Step {
    at: i64,
    state: BarState,
    windows: Vec<Window>,
}

impl ForecastDay {
    /// A day from `midnight` on whose market is open from minute to minute, the last one excluded; `None` when no spec
    /// is cut by the clock or there are no symbols.
    pub fn new(
        specs: &[BarSpec],
        symbols: Vec<Symbol>,
        midnight: Timestamp,
        open_minutes: std::ops::Range<u16>,
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
    fn closings(&self) -> Vec<Step> {
        let mut windows = Vec::new();
        for spec in &self.specs {
            let mut at = self.open;
            while at < self.close {
                let window = self.window_at(*spec, at);
                at = window.end.min(self.close);
                windows.push((at, window));
            }
        }
        windows.sort_by_key(|(at, _)| *at);
        let same = windows.chunk_by(|(one, _), (other, _)| one == other);
        same.map(|windows| Step {
            at: windows[0].0,
            state: BarState::Final,
            windows: windows.iter().map(|(_, window)| *window).collect(),
        })
        .collect()
    }

    /// The times between two closings at which open bars are published.
    fn ticks(&self, after: i64, before: i64, every: Duration) -> impl Iterator<Item = i64> + use<> {
        let every = i64::try_from(every.as_nanos()).unwrap_or(i64::MAX).max(1);
        let (open, first) = (self.open, (after - self.open) / every + 1);
        let last = (before - 1 - open) / every;
        (first..=last).map(move |index| open + index * every)
    }

    fn forming_every(arrival: Arrival) -> Option<Duration> {
        match arrival {
            Arrival::Live { forming_every, .. } => forming_every,
            Arrival::BySymbol | Arrival::ByTime => None,
        }
    }

    /// The updates that a whole day has.
    pub(super) fn counts(&self, arrival: Arrival) -> Counts {
        let (mut windows, mut ticks, mut after) = (0, 0, self.open);
        for step in self.closings() {
            windows += step.windows.len() as u64;
            if let Some(every) = ForecastDay::forming_every(arrival) {
                ticks += self.ticks(after, step.at, every).size_hint().0 as u64;
            }
            after = step.at;
        }
        let symbols = self.symbols.len() as u64;
        Counts {
            bars: windows * symbols,
            forming: ticks * self.specs.len() as u64 * symbols,
        }
    }

    /// The updates in the order in which they come.
    pub(super) fn arrivals(&self, arrival: Arrival) -> Box<dyn Iterator<Item = Arriving> + '_> {
        let mut closings = self.closings();
        match arrival {
            Arrival::BySymbol => {
                // A bar closes with a later trade of its symbol, so the last ones stay open until the end.
                let last = closings.pop();
                let windows: Vec<Window> =
                    closings.into_iter().flat_map(|step| step.windows).collect();
                let at = self.open();
                let of_symbol = move |symbol| self.bars(symbol, windows.clone(), at);
                let last = last
                    .into_iter()
                    .flat_map(move |step| self.step(&step, Some(at), Duration::ZERO));
                Box::new((0..self.symbols.len()).flat_map(of_symbol).chain(last))
            }
            Arrival::ByTime => Box::new(
                closings
                    .into_iter()
                    .flat_map(|step| self.step(&step, Some(self.open()), Duration::ZERO)),
            ),
            Arrival::Live {
                spread,
                forming_every,
            } => {
                let mut after = self.open;
                Box::new(closings.into_iter().flat_map(move |closing| {
                    let between = forming_every.map(|every| self.ticks(after, closing.at, every));
                    after = closing.at;
                    let forming = between.into_iter().flatten().flat_map(|at| {
                        let windows = self
                            .specs
                            .iter()
                            .map(|spec| self.window_at(*spec, at))
                            .collect();
                        self.step(
                            &Step {
                                at,
                                state: BarState::Forming,
                                windows,
                            },
                            None,
                            Duration::ZERO,
                        )
                    });
                    forming.chain(self.step(&closing, None, spread))
                }))
            }
        }
    }

    /// The closed bars of a symbol.
    fn bars(
        &self,
        symbol: usize,
        windows: Vec<Window>,
        at: Duration,
    ) -> impl Iterator<Item = Arriving> + '_ {
        windows
            .into_iter()
            .enumerate()
            .map(move |(index, window)| Arriving {
                update: self.update(symbol, window, BarState::Final),
                at,
                starts_step: index == 0,
            })
    }

    /// The updates of a step, symbol by symbol, from its time or `at` on.
    fn step(&self, step: &Step, at: Option<Duration>, spread: Duration) -> Vec<Arriving> {
        let start = at.unwrap_or_else(|| self.since_midnight(step.at));
        let symbols = u32::try_from(self.symbols.len()).unwrap_or(u32::MAX);
        let mut arrivals = Vec::with_capacity(self.symbols.len() * step.windows.len());
        for (index, symbol) in (0..symbols).zip(0..self.symbols.len()) {
            for window in &step.windows {
                arrivals.push(Arriving {
                    update: self.update(symbol, *window, step.state),
                    at: start + spread * index / symbols,
                    starts_step: arrivals.is_empty(),
                });
            }
        }
        arrivals
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
