//! Fixtures of the store tests: bars, a clock that is set, a real redis-server.

use barmill_core::model::{
    Bar, BarFlags, BarSpec, BarState, BarUpdate, Manifest, Notional, Ohlc, Origin, Price, Size,
    Timestamp, Volume,
};
use barmill_core::port::Clock;
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock that stands still until it is set.
#[derive(Debug)]
pub(crate) struct FakeClock(AtomicI64);

impl FakeClock {
    pub(crate) fn at(text: &str) -> FakeClock {
        FakeClock(AtomicI64::new(
            text.parse::<Timestamp>().unwrap().as_nanos(),
        ))
    }

    pub(crate) fn advance_s(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000_000, Ordering::Relaxed);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

/// A bar with every part set; an interval of one minute where the spec has none.
pub(crate) fn bar(symbol: &str, spec: &str, start: &str) -> Bar {
    let spec: BarSpec = spec.parse().unwrap();
    let start: Timestamp = start.parse().unwrap();
    let length = i64::try_from(spec.interval_ns().unwrap_or(60_000_000_000)).unwrap();
    let price = |text: &str| text.parse::<Price>().unwrap();
    let volume = |text: &str| text.parse::<Volume>().unwrap();
    Bar {
        symbol: symbol.parse().unwrap(),
        spec,
        start,
        end: start.saturating_add(length),
        prices: Some(Ohlc {
            open: price("255.1"),
            high: price("256.25"),
            low: price("254.000000001"),
            close: price("255"),
        }),
        volume: volume("1200.5"),
        notional: Notional::of(price("255.5"), "1200.5".parse::<Size>().unwrap()),
        notional_volume: volume("1200.5"),
        trades: 3,
        buy_volume: volume("1000"),
        sell_volume: volume("200.5"),
        first_sequence: 1,
        last_sequence: 9,
        flags: BarFlags::default(),
    }
}

pub(crate) fn update(symbol: &str, spec: &str, start: &str) -> BarUpdate {
    BarUpdate {
        bar: bar(symbol, spec, start),
        state: BarState::Final,
        revision: 0,
        trades_added: 3,
    }
}

pub(crate) fn manifest(symbol: &str, spec: &str) -> Manifest {
    Manifest {
        spec: spec.parse().unwrap(),
        date: "2025-10-15".parse().unwrap(),
        symbol: symbol.parse().unwrap(),
        zone: "America/New_York".to_owned(),
        from: "2025-10-15T13:30:00Z".parse().unwrap(),
        to: "2025-10-15T20:00:00Z".parse().unwrap(),
        complete: true,
        gapless: true,
        bars: 390,
        trades: 500_000,
        revision: 0,
        origin: Some(Origin {
            source: "venue".to_owned(),
            rules: "all".to_owned(),
        }),
    }
}
