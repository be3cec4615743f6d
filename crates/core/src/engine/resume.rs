//! Where a run resumes after an earlier one, according to the earlier manifests.
//!
//! Pure. A bar is written whole or not at all: the place to go on is the start of a window of every spec. Bars that
//! no clock cuts, and days and sessions, are made anew from the first trade.

use crate::model::{BarSpec, Manifest, Timestamp};

/// What an earlier run leaves to do for one symbol and day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// Nothing: the bars of every spec are in the store.
    Nothing,
    /// The trades from this instant on.
    From(Timestamp),
}

/// What to fetch, and the earlier manifests whose counts stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// What is left.
    pub rest: Rest,
    /// The manifests that this run adds to, at most one per spec.
    pub earlier: Vec<Manifest>,
}

/// Decides what of `[from, to)` is still to be fetched for bars of these specs.
///
/// `earlier` are the manifests of one symbol and day whose bars are known to be in the store.
pub fn resume(specs: &[BarSpec], earlier: &[Manifest], from: Timestamp, to: Timestamp) -> Resumed {
    let (mut kept, mut start) = (Vec::new(), to);
    for spec in specs {
        let manifest = earlier.iter().find(|manifest| manifest.spec == *spec);
        let end = manifest.and_then(|manifest| saved(manifest, from, to));
        if end.is_some() {
            kept.extend(manifest.cloned());
        }
        start = start.min(end.unwrap_or(from));
    }
    let is_timed = specs.iter().all(|spec| spec.interval_ns().is_some());
    let rest = if to <= start {
        Rest::Nothing
    } else if is_timed {
        Rest::From(aligned(specs, start).max(from))
    } else {
        Rest::From(from)
    };
    Resumed {
        rest,
        earlier: kept,
    }
}

/// The place to go on from where flat bars are made: each spec needs a bar with trades, whose close they take, before
/// `start`. It is not before `from`; `traded` are the starts of the bars with trades in the store.
pub fn with_close(
    specs: &[BarSpec],
    (from, start): (Timestamp, Timestamp),
    traded: &[(BarSpec, Timestamp)],
) -> Timestamp {
    let last = |spec: &BarSpec| {
        let own = traded
            .iter()
            .filter(|(other, at)| other == spec && *at < start);
        own.map(|(_, at)| *at).max().unwrap_or(from)
    };
    specs
        .iter()
        .map(last)
        .min()
        .map_or(start, |place| aligned(specs, place).max(from))
}

/// Up to which instant of `[from, to)` a manifest saves the trades; `None` when it saves none.
fn saved(manifest: &Manifest, from: Timestamp, to: Timestamp) -> Option<Timestamp> {
    let Some(interval) = manifest.spec.interval_ns() else {
        let is_same =
            manifest.complete && manifest.gapless && (manifest.from, manifest.to) == (from, to);
        return is_same.then_some(to);
    };
    let end = manifest.to.min(to);
    let is_joined = manifest.gapless && manifest.from <= from && from <= manifest.to;
    (is_joined && (end == to || floor(end, interval) == end)).then_some(end)
}

/// The latest instant up to `time` at which a window of every time spec starts.
fn aligned(specs: &[BarSpec], time: Timestamp) -> Timestamp {
    let mut start = time;
    loop {
        let floors = specs
            .iter()
            .filter_map(|spec| Some(floor(start, spec.interval_ns()?)));
        let lowest = floors.min().unwrap_or(start);
        if lowest == start {
            return start;
        }
        start = lowest;
    }
}

/// The start of the window that holds `time`; windows are aligned to midnight UTC.
pub fn floor(time: Timestamp, interval_ns: u64) -> Timestamp {
    let interval = i64::try_from(interval_ns).unwrap_or(i64::MAX).max(1);
    time.saturating_sub(time.as_nanos() % interval)
}

#[cfg(test)]
mod tests {
    use super::{Rest, Resumed, resume, with_close};
    use crate::model::{BarSpec, Manifest, Timestamp};

    fn at(text: &str) -> Timestamp {
        format!("2025-10-15T{text}Z").parse().unwrap()
    }

    fn specs(text: &str) -> Vec<BarSpec> {
        text.split(',').map(|spec| spec.parse().unwrap()).collect()
    }

    fn manifest(spec: &str, from: &str, to: &str, complete: bool) -> Manifest {
        Manifest {
            spec: spec.parse().unwrap(),
            date: "2025-10-15".parse().unwrap(),
            symbol: "AAPL".parse().unwrap(),
            zone: "America/New_York".to_owned(),
            from: at(from),
            to: at(to),
            complete,
            gapless: true,
            bars: 1,
            trades: 1,
            revision: 0,
            origin: None,
        }
    }

    fn regular(specs_text: &str, earlier: &[Manifest]) -> Resumed {
        resume(&specs(specs_text), earlier, at("13:30:00"), at("20:00:00"))
    }

    #[test]
    fn nothing_is_left_of_a_day_that_is_covered() {
        for (from, to) in [("13:30:00", "20:00:00"), ("08:00:00", "21:00:00")] {
            let covered = manifest("1m", from, to, true);
            let resumed = regular("1m", std::slice::from_ref(&covered));
            assert_eq!(
                resumed,
                Resumed {
                    rest: Rest::Nothing,
                    earlier: vec![covered]
                }
            );
        }
    }

    #[test]
    fn part_of_a_day_goes_on_where_it_ended() {
        let part = manifest("1m", "13:30:00", "15:07:00", false);
        let resumed = regular("1m", std::slice::from_ref(&part));
        assert_eq!(
            resumed,
            Resumed {
                rest: Rest::From(at("15:07:00")),
                earlier: vec![part]
            }
        );
    }

    #[test]
    fn place_to_go_on_cuts_no_window_of_any_spec() {
        let parts = [
            manifest("1m", "13:30:00", "15:07:00", false),
            manifest("15m", "13:30:00", "15:00:00", false),
        ];
        assert_eq!(regular("1m,15m", &parts).rest, Rest::From(at("15:00:00")));
        let mixed = [
            manifest("1m", "13:30:00", "15:07:00", false),
            manifest("1h", "13:30:00", "20:00:00", true),
        ];
        let resumed = regular("1m,1h", &mixed);
        assert_eq!(
            (resumed.rest, resumed.earlier.len()),
            (Rest::From(at("15:00:00")), 2)
        );
        let first = [
            manifest("1m", "13:30:00", "13:45:00", false),
            manifest("1h", "13:30:00", "20:00:00", true),
        ];
        assert_eq!(
            regular("1m,1h", &first).rest,
            Rest::From(at("13:30:00")),
            "not before the session"
        );
    }

    #[test]
    fn flat_bars_need_a_bar_with_trades_before_them() {
        let all = specs("1m,15m");
        let traded = [
            ("1m", "14:58:00"),
            ("1m", "15:00:00"),
            ("15m", "14:45:00"),
            ("15m", "15:00:00"),
        ];
        let traded = traded.map(|(spec, time)| (spec.parse().unwrap(), at(time)));
        let place = |start: &str| with_close(&all, (at("13:30:00"), at(start)), &traded);
        assert_eq!(place("15:00:00"), at("14:45:00"));
        assert_eq!(place("15:15:00"), at("15:00:00"));
        assert_eq!(
            place("14:45:00"),
            at("13:30:00"),
            "there is none: from the first trade"
        );
    }

    #[test]
    fn session_that_follows_a_whole_one_adds_to_it() {
        let pre = manifest("1m", "08:00:00", "13:30:00", true);
        let resumed = regular("1m", std::slice::from_ref(&pre));
        assert_eq!(
            resumed,
            Resumed {
                rest: Rest::From(at("13:30:00")),
                earlier: vec![pre]
            }
        );
        let hour = regular("1h", &[manifest("1h", "08:00:00", "13:30:00", true)]);
        assert_eq!(
            hour,
            Resumed {
                rest: Rest::From(at("13:30:00")),
                earlier: vec![]
            },
            "half an hour is no bar"
        );
    }

    #[test]
    fn what_nobody_vouches_for_or_what_lies_elsewhere_is_fetched_anew() {
        let anew = Resumed {
            rest: Rest::From(at("13:30:00")),
            earlier: vec![],
        };
        let counted = Manifest {
            gapless: false,
            ..manifest("1m", "13:30:00", "20:00:00", true)
        };
        for earlier in [
            counted,
            manifest("1m", "14:00:00", "20:00:00", true),
            manifest("1m", "08:00:00", "13:00:00", true),
            manifest("1m", "13:30:00", "15:07:30", false),
            manifest("5m", "13:30:00", "20:00:00", true),
        ] {
            assert_eq!(regular("1m", &[earlier]), anew);
        }
    }

    #[test]
    fn day_and_tick_bars_are_made_from_the_first_trade_or_not_at_all() {
        for spec in ["1d", "session", "tick:100"] {
            let specs_text = format!("1m,{spec}");
            let whole = [
                manifest("1m", "13:30:00", "20:00:00", true),
                manifest(spec, "13:30:00", "20:00:00", true),
            ];
            assert_eq!(regular(&specs_text, &whole).rest, Rest::Nothing, "{spec}");
            let part = [
                manifest("1m", "13:30:00", "15:00:00", false),
                manifest(spec, "13:30:00", "13:30:00", false),
            ];
            assert_eq!(
                regular(&specs_text, &part).rest,
                Rest::From(at("13:30:00")),
                "{spec}"
            );
        }
    }
}
