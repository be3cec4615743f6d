//! The tape rules seen in the bars: each vendor rule by hand, in a minute and in a day bar.
//!
//! Three trades: one with the conditions, of 2 at 20; a regular one, of 1 at 10; one with the conditions, of
//! 4 at 30. So each right of the conditions shows in a field of its own.

use super::testing::{price, trade};
use super::{Aggregator, AggregatorSettings};
use crate::engine::rules::golden_each_tests::{ALPACA_EACH, MASSIVE_EACH};
use crate::engine::rules::{Rules, Tape, letter_condition};
use crate::model::{Bar, BarSpec, Conditions, Trade};

const EVERYTHING: &str = "20 30 10 30 of 7, vwap of 7, 3 trades";
const IF_FIRST: &str = "20 30 10 10 of 7, vwap of 7, 3 trades";
const NOT_ENDS: &str = "10 30 10 10 of 7, vwap of 7, 3 trades";
const SUMS: &str = "10 10 10 10 of 7, vwap of 7, 3 trades";
const VOLUME: &str = "10 10 10 10 of 7, vwap of 1, 3 trades";
const PRICES: &str = "20 30 10 30 of 1, vwap of 1, 1 trades";
const RANGE: &str = "10 30 10 10 of 1, vwap of 1, 1 trades";
const NOTHING: &str = "10 10 10 10 of 1, vwap of 1, 1 trades";

fn brief(bar: &Bar) -> String {
    let ohlc = bar.prices.unwrap();
    let ends = format!("{} {} {} {}", ohlc.open, ohlc.high, ohlc.low, ohlc.close);
    format!(
        "{ends} of {}, vwap of {}, {} trades",
        bar.volume, bar.notional_volume, bar.trades
    )
}

/// The minute and the day bar of the three trades, and how many of these are in neither.
fn bars(profile: &str, conditions: Conditions, correction: u8) -> (String, String, u64) {
    let mut aggregator = Aggregator::new(AggregatorSettings {
        rules: Rules::by_name(profile).unwrap(),
        ..AggregatorSettings::new(vec![BarSpec::MINUTE, BarSpec::Day])
    });
    let with = |one: Trade| Trade {
        conditions,
        correction,
        ..one
    };
    // The profile `lean` prices a regular trade by its flag.
    let bits = u128::from(profile == "lean");
    let regular = Trade {
        conditions: Conditions::from_bits(bits),
        ..trade("TR.A", 2, "10", "1")
    };
    let tape = [
        with(trade("TR.A", 1, "20", "2")),
        regular,
        with(trade("TR.A", 3, "30", "4")),
    ];
    let mut out = Vec::new();
    aggregator.push(&tape, &mut out);
    aggregator.finish(&mut out);
    assert_eq!(out.len(), 2);
    (
        brief(&out[0].bar),
        brief(&out[1].bar),
        aggregator.counts().ineligible,
    )
}

fn check(profile: &str, rule: &str, conditions: Conditions, minute: &str, day: &str) {
    let (in_minute, in_day, ineligible) = bars(profile, conditions, 0);
    assert_eq!(
        (in_minute.as_str(), in_day.as_str()),
        (minute, day),
        "{profile}: {rule}"
    );
    let is_nowhere = (minute, day) == (NOTHING, NOTHING);
    assert_eq!(
        ineligible,
        if is_nowhere { 2 } else { 0 },
        "{profile}: {rule}"
    );
}

#[test]
fn massive_rules_shape_the_bars() {
    for (rule, ids, minute, day) in [
        ("no condition", &[][..], EVERYTHING, EVERYTHING),
        ("average price: volume only", &[2], SUMS, SUMS),
        ("closing print: in day bars only", &[8], NOTHING, EVERYTHING),
        (
            "derivatively priced: not open or close",
            &[10],
            NOT_ENDS,
            NOT_ENDS,
        ),
        (
            "form T: prices in minute bars only",
            &[12],
            EVERYTHING,
            SUMS,
        ),
        (
            "extended hours out of sequence: volume only",
            &[13],
            SUMS,
            SUMS,
        ),
        ("official close: repeats a print", &[15], NOTHING, NOTHING),
        ("official open: repeats a print", &[16], NOTHING, NOTHING),
        (
            "prior reference price: not open or close",
            &[22],
            NOT_ENDS,
            NOT_ENDS,
        ),
        (
            "sold out of sequence: not open or close",
            &[32],
            NOT_ENDS,
            NOT_ENDS,
        ),
        ("odd lot: volume only", &[37], SUMS, SUMS),
        ("corrected close: prices, no volume", &[38], PRICES, PRICES),
        ("odd lot after hours", &[12, 37], SUMS, SUMS),
        (
            "corrected close, derivatively priced",
            &[10, 38],
            RANGE,
            RANGE,
        ),
        ("closing cross", &[8, 9, 41], NOTHING, EVERYTHING),
    ] {
        let set = ids
            .iter()
            .fold(Conditions::NONE, |set, id| set.with(*id).unwrap());
        check("massive-minute", rule, set, minute, day);
        check("massive-daily", rule, set, day, day);
        check("all", rule, set, EVERYTHING, EVERYTHING);
    }
}

#[test]
fn alpaca_rules_shape_the_bars() {
    for (rule, tape, letters, minute, day) in [
        ("regular sale", Tape::C, "@", EVERYTHING, EVERYTHING),
        ("B of tape A is average price", Tape::A, "B", VOLUME, VOLUME),
        (
            "B of tape C is bunched",
            Tape::C,
            "B",
            EVERYTHING,
            EVERYTHING,
        ),
        (
            "bunched sold: day ends only if first",
            Tape::C,
            "G",
            VOLUME,
            IF_FIRST,
        ),
        ("sold out of sequence", Tape::A, "Z", VOLUME, IF_FIRST),
        ("derivatively priced", Tape::A, "4", VOLUME, IF_FIRST),
        (
            "extended hours: minute bars only",
            Tape::C,
            "T",
            EVERYTHING,
            VOLUME,
        ),
        ("odd lot", Tape::C, "I", VOLUME, VOLUME),
        ("official close", Tape::A, "M", NOTHING, NOTHING),
        (
            "corrected close: day prices only",
            Tape::A,
            "9",
            NOTHING,
            PRICES,
        ),
        ("no beats only-if-first", Tape::C, "4I", VOLUME, VOLUME),
    ] {
        let ids = letters
            .bytes()
            .map(|letter| letter_condition(letter).unwrap());
        let set = ids
            .chain([tape.condition()])
            .fold(Conditions::NONE, |set, id| set.with(id).unwrap());
        check("alpaca-minute", rule, set, minute, day);
        check("alpaca-daily", rule, set, day, day);
    }
}

/// What the three trades make of a bar by rights as `golden_each_tests` writes them.
fn shape(rights: &str, is_alpaca: bool) -> &'static str {
    match rights {
        "hov" => EVERYTHING,
        "hfv" => IF_FIRST,
        "h-v" => NOT_ENDS,
        "--v" if is_alpaca => VOLUME,
        "--v" => SUMS,
        "ho-" => PRICES,
        "---" => NOTHING,
        other => panic!("no bar is known for {other}"),
    }
}

#[test]
fn each_condition_shapes_the_bars_as_its_vendor_says() {
    for (id, name, minute, day) in MASSIVE_EACH {
        let set = Conditions::NONE.with(id).unwrap();
        check(
            "massive-minute",
            name,
            set,
            shape(minute, false),
            shape(day, false),
        );
        check(
            "massive-daily",
            name,
            set,
            shape(day, false),
            shape(day, false),
        );
    }
    for (letter, tapes, name, minute, day) in ALPACA_EACH {
        for tape in tapes.bytes().map(|tape| Tape::from_letter(tape).unwrap()) {
            let set = Conditions::NONE
                .with(letter_condition(letter.as_bytes()[0]).unwrap())
                .unwrap();
            let set = set.with(tape.condition()).unwrap();
            check(
                "alpaca-minute",
                name,
                set,
                shape(minute, true),
                shape(day, true),
            );
            check(
                "alpaca-daily",
                name,
                set,
                shape(day, true),
                shape(day, true),
            );
        }
    }
}

#[test]
fn lean_rules_shape_the_bars() {
    for (rule, flags, expected) in [
        ("extended hours", 0x2000, EVERYTHING),
        ("a priced flag word", 0x4800, EVERYTHING),
        ("any other flag word", 0x800, SUMS),
        ("no flag", 0, SUMS),
    ] {
        check(
            "lean",
            rule,
            Conditions::from_bits(flags),
            expected,
            expected,
        );
    }
}

#[test]
fn corrections_keep_undone_trades_out_of_every_profile() {
    for profile in Rules::names().filter(|name| *name != "lean") {
        for code in [1, 7, 8, 10, 11] {
            let (minute, day, ineligible) = bars(profile, Conditions::NONE, code);
            assert_eq!(
                (minute.as_str(), day.as_str(), ineligible),
                (NOTHING, NOTHING, 2),
                "{profile} {code}"
            );
        }
        let (minute, ..) = bars(profile, Conditions::NONE, 12);
        assert_eq!(minute, EVERYTHING, "{profile}, correction record");
        let (minute, ..) = bars(profile, Conditions::NONE, 9);
        assert_eq!(
            minute,
            if profile == "all" {
                EVERYTHING
            } else {
                NOTHING
            },
            "{profile}, unknown code"
        );
    }
}

#[test]
fn vwap_is_over_the_trades_that_count_for_it() {
    let odd = Conditions::NONE
        .with(letter_condition(b'I').unwrap())
        .unwrap();
    for (profile, expected) in [("alpaca-minute", "10"), ("all", "24.285714286")] {
        let settings = AggregatorSettings::new(vec![BarSpec::MINUTE]);
        let rules = Rules::by_name(profile).unwrap();
        let mut aggregator = Aggregator::new(AggregatorSettings { rules, ..settings });
        let odd_lot = |nanos, price, size| Trade {
            conditions: odd,
            ..trade("TR.A", nanos, price, size)
        };
        let mut out = Vec::new();
        let tape = [
            odd_lot(1, "20", "2"),
            trade("TR.A", 2, "10", "1"),
            odd_lot(3, "30", "4"),
        ];
        aggregator.push(&tape, &mut out);
        aggregator.finish(&mut out);
        assert_eq!(out[0].bar.vwap(), Some(price(expected)), "{profile}");
    }
}
