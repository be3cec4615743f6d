//! Forecast of what a day of bars sends to the store.
//!
//! Makes up a day in which every symbol trades all the time, so that no window stays empty, and lets the real delivery
//! batch it in made-up time against a store that takes everything. So requests and commands are those of a run of that
//! day, and those of a quieter day are fewer. Knows no price.

mod day;
mod drive;

pub use day::ForecastDay;

use crate::engine::delivery::DeliverySettings;
use crate::model::BarState;
use crate::pipeline::UPDATES_LEN_MAX;
use barmill_stores::CostEstimator;
use day::Arriving;
use drive::Drive;
use std::time::Duration;

/// Updates that are made up at most; a longer day is reckoned from its first part.
const UPDATES_MAX: u64 = 200_000;

/// In which order and at which times the bars of the day come to the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// From a live market: those of a window within `spread` of its end, and the open ones every `forming_every`.
    Live {
        /// From the first bar of a window to its last one.
        spread: Duration,
        /// Between two updates of an open bar.
        forming_every: Option<Duration>,
    },
    /// As fast as they are taken, by symbol and then by time.
    BySymbol,
    /// As fast as they are taken, by time and then by symbol.
    ByTime,
}

/// What a day would send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "cli", derive(serde::Serialize))]
pub struct Forecast {
    /// Closed bars.
    pub bars: u64,
    /// Updates of open bars, those replaced by newer ones before they were sent included.
    pub forming: u64,
    /// Requests, signs of life of an idle store included.
    pub requests: u64,
    /// Commands as the store bills them, signs of life included.
    pub commands: u64,
    /// Commands of the signs of life.
    #[cfg_attr(feature = "cli", serde(skip))]
    pub beats: u64,
    /// Bytes of the requests' bodies.
    pub bytes: u64,
    /// Whether the day was reckoned from its first part.
    #[cfg_attr(feature = "cli", serde(skip))]
    pub is_scaled: bool,
}

/// Tells what the day would send; `round_trip` is the time from a request to its answer.
pub fn forecast(
    day: &ForecastDay,
    arrival: Arrival,
    delivery: DeliverySettings,
    round_trip: Duration,
    meter: &CostEstimator,
) -> Forecast {
    first_part(day, arrival, (delivery, round_trip), meter, UPDATES_MAX)
}

/// Reckons from the first steps of the day that have so many updates.
fn first_part(
    day: &ForecastDay,
    arrival: Arrival,
    (delivery, round_trip): (DeliverySettings, Duration),
    meter: &CostEstimator,
    updates_max: u64,
) -> Forecast {
    let mut drive = Drive::new(delivery, round_trip, meter, day.open());
    let is_live = matches!(arrival, Arrival::Live { .. });
    if is_live {
        drive.open(day.opening());
    }
    // What a shard has made of a batch of trades comes to the writer in one message.
    let message_len = if is_live { 1 } else { UPDATES_LEN_MAX };
    let (mut bars, mut forming) = (0, 0);
    let mut arrivals = day.arrivals(arrival).peekable();
    'day: while arrivals.peek().is_some() {
        let message: Vec<Arriving> = arrivals.by_ref().take(message_len).collect();
        for one in &message {
            meter.note(&one.update);
        }
        for one in message {
            // Only whole steps are counted, so that what is reckoned from them has all symbols in it.
            if one.starts_step && updates_max <= bars + forming {
                break 'day;
            }
            match one.update.state {
                BarState::Forming => forming += 1,
                BarState::Final | BarState::Revised => bars += 1,
            }
            drive.push(one.update, one.at);
        }
    }
    let part = drive.finish();
    let (bars_total, forming_total) = day.counts(arrival);
    let (seen, total) = (bars + forming, bars_total + forming_total);
    let scale = |count: u64| scaled(count, total, seen);
    let beats = if is_live {
        scale(part.beats) + idle_beats(day, meter)
    } else {
        0
    };
    let beat_commands = meter
        .keepalive()
        .map_or(0, |(_, commands)| u64::from(commands));
    Forecast {
        bars: bars_total,
        forming: forming_total,
        requests: scale(part.requests) + beats,
        commands: scale(part.commands) + beats * beat_commands,
        beats: beats * beat_commands,
        bytes: scale(part.bytes),
        is_scaled: seen < total,
    }
}

/// Signs of life in the hours of the day without a market.
fn idle_beats(day: &ForecastDay, meter: &CostEstimator) -> u64 {
    let Some((interval, _)) = meter.keepalive() else {
        return 0;
    };
    let idle = Duration::from_hours(24).saturating_sub(day.length());
    u64::try_from(idle.as_nanos() / interval.as_nanos().max(1)).unwrap_or(u64::MAX)
}

/// A count of a part, for the whole.
fn scaled(count: u64, whole: u64, part: u64) -> u64 {
    let scaled = (u128::from(count) * u128::from(whole)).div_ceil(u128::from(part.max(1)));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Arrival, Forecast, ForecastDay, first_part};
    use crate::engine::batch::BatchLimits;
    use crate::engine::circuit::ProbePolicy;
    use crate::engine::delivery::DeliverySettings;
    use crate::engine::retry::RetryPolicy;
    use crate::model::{BarSpec, Symbol, Timestamp};
    use barmill_stores::{
        CostEstimator, FenceSettings, Guard, View, ViewKind, ViewSettings, WireForm,
    };
    use jiff::tz::TimeZone;
    use std::sync::Arc;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);
    const LIVE: Arrival = Arrival::Live {
        spread: SECOND,
        forming_every: None,
    };

    fn day(symbols: usize, specs: &str) -> ForecastDay {
        let specs: Vec<BarSpec> = specs.split(',').map(|spec| spec.parse().unwrap()).collect();
        let symbol = |index: usize| Symbol::intern(format!("F{index}").as_bytes()).unwrap();
        let midnight: Timestamp = "2025-10-15T00:00:00Z".parse().unwrap();
        ForecastDay::new(
            &specs,
            (0..symbols).map(symbol).collect(),
            midnight,
            570..960,
        )
        .unwrap()
    }

    fn meter(kind: ViewKind, guard: Guard) -> CostEstimator {
        let view = View::new(ViewSettings::new(kind, TimeZone::UTC).unwrap(), &[]).unwrap();
        CostEstimator::new(Arc::new(view), guard, WireForm::Rest, None)
    }

    fn delivery(eager: bool) -> DeliverySettings {
        DeliverySettings {
            batch: BatchLimits {
                len_max: 1_000,
                bytes_max: 1 << 20,
                linger: 5 * SECOND,
                eager,
            },
            in_flight_max: 4,
            queue_len_max: 5_000,
            retry: RetryPolicy {
                attempts_max: 3,
                backoff: SECOND,
                backoff_max: SECOND,
            },
            keeps_recent: false,
            probes: ProbePolicy {
                outage: SECOND,
                outage_max: SECOND,
                quota: SECOND,
                quota_max: SECOND,
            },
            zone: TimeZone::UTC,
            origin: None,
            seed: 0,
        }
    }

    fn reckon(
        day: &ForecastDay,
        arrival: Arrival,
        meter: &CostEstimator,
        updates_max: u64,
    ) -> Forecast {
        let eager = matches!(arrival, Arrival::Live { .. });
        first_part(
            day,
            arrival,
            (delivery(eager), SECOND / 20),
            meter,
            updates_max,
        )
    }

    #[test]
    fn a_symbol_day_of_history_is_one_request_with_its_manifest() {
        let meter = meter(ViewKind::SymbolDay, Guard::Off);
        let told = reckon(&day(1, "1m"), Arrival::BySymbol, &meter, u64::MAX);
        let want = Forecast {
            bars: 390,
            requests: 1,
            commands: 5,
            bytes: told.bytes,
            ..Forecast::default()
        };
        assert_eq!(told, want);
        assert!((100_000..200_000).contains(&told.bytes), "{told:?}");
    }

    #[test]
    fn bars_of_every_spec_and_open_ones_are_counted() {
        let arrival = Arrival::Live {
            spread: SECOND,
            forming_every: Some(20 * SECOND),
        };
        let told = reckon(
            &day(2, "1m,1h,session"),
            arrival,
            &meter(ViewKind::KeyPerBar, Guard::Off),
            u64::MAX,
        );
        // Seven hours are touched; two ticks of three are between two closings.
        assert_eq!(
            (told.bars, told.forming),
            (2 * (390 + 7 + 1), 2 * 3 * 2 * 390)
        );
        assert_eq!(
            told.commands,
            told.bars + told.forming + 7,
            "and three manifests by a script"
        );
    }

    #[test]
    fn an_idle_fence_costs_what_the_manual_says() {
        let fence = FenceSettings {
            holder: "me".to_owned(),
            ttl: 30 * SECOND,
            take_over: false,
        };
        let told = reckon(
            &day(1, "session"),
            LIVE,
            &meter(ViewKind::SymbolDay, Guard::Fence(fence)),
            u64::MAX,
        );
        assert!(46_080 - told.beats <= 8, "{told:?}");
    }

    #[test]
    fn a_part_of_the_day_tells_the_whole() {
        let (day, meter) = (day(40, "1m"), meter(ViewKind::Minute, Guard::Off));
        for arrival in [LIVE, Arrival::ByTime, Arrival::BySymbol] {
            let (whole, part) = (
                reckon(&day, arrival, &meter, u64::MAX),
                reckon(&day, arrival, &meter, 4_000),
            );
            assert!(part.is_scaled && !whole.is_scaled);
            assert_eq!(part.bars, whole.bars);
            for (part, whole) in [(part.commands, whole.commands), (part.bytes, whole.bytes)] {
                assert!(
                    part.abs_diff(whole) * 10 <= whole,
                    "{arrival:?}: {part} of {whole}"
                );
            }
        }
    }
}
