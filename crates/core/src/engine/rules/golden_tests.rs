//! Golden cases by hand, each named with the vendor's rule, and the tables against the recorded facts.

use super::{Eligible, OpenClose, Rules, Tape, letter_condition, tables};
use crate::model::{Conditions, Price, Side, Size, Symbol, Timestamp, Trade, TradeId};
use serde_json::Value;

const FREE: Eligible = Eligible::ALL;
const NOTHING: Eligible = Eligible::NONE;
const VOLUME: Eligible = Eligible::new(false, OpenClose::No, true, true);
const HIGH_LOW: Eligible = Eligible::new(true, OpenClose::No, true, true);
const PRICE_ONLY: Eligible = Eligible::new(true, OpenClose::Yes, false, false);
const HIGH_LOW_ONLY: Eligible = Eligible::new(true, OpenClose::No, false, false);

fn trade(conditions: Conditions, correction: u8) -> Trade {
    Trade {
        symbol: "AAPL".parse::<Symbol>().unwrap(),
        time: Timestamp::EPOCH,
        sequence: 1,
        id: TradeId::NONE,
        price: "1".parse::<Price>().unwrap(),
        size: "1".parse::<Size>().unwrap(),
        conditions,
        venue: 0,
        correction,
        side: Side::Unknown,
        sequenced: true,
    }
}

pub(super) fn with_ids(ids: &[u32]) -> Trade {
    let conditions = ids
        .iter()
        .fold(Conditions::NONE, |set, id| set.with(*id).unwrap());
    trade(conditions, 0)
}

pub(super) fn with_letters(tape: Option<Tape>, letters: &str) -> Trade {
    let ids: Vec<u32> = letters
        .bytes()
        .map(|letter| letter_condition(letter).unwrap())
        .collect();
    with_ids(
        &ids.into_iter()
            .chain(tape.map(Tape::condition))
            .collect::<Vec<u32>>(),
    )
}

#[test]
fn massive_minute_and_daily_treat_each_condition_as_the_vendor_does() {
    let minute = Rules::by_name("massive-minute").unwrap();
    let daily = Rules::by_name("massive-daily").unwrap();
    for (rule, ids, in_minute, in_day) in [
        ("no condition updates everything", &[][..], FREE, FREE),
        ("regular sale", &[0], FREE, FREE),
        ("average price trade: volume only", &[2], VOLUME, VOLUME),
        ("bunched sold: not open or close", &[5], HIGH_LOW, HIGH_LOW),
        ("cash sale: volume only", &[7], VOLUME, VOLUME),
        ("closing print: in no minute bar", &[8], NOTHING, FREE),
        (
            "derivatively priced: not open or close",
            &[10],
            HIGH_LOW,
            HIGH_LOW,
        ),
        (
            "form T: prices in minute bars, not in day bars",
            &[12],
            FREE,
            VOLUME,
        ),
        (
            "extended hours out of sequence: volume only",
            &[13],
            VOLUME,
            VOLUME,
        ),
        ("intermarket sweep", &[14], FREE, FREE),
        ("official close: repeats a print", &[15], NOTHING, NOTHING),
        ("official open: repeats a print", &[16], NOTHING, NOTHING),
        ("opening trade", &[17], FREE, FREE),
        ("closing trade of CTA", &[19], FREE, FREE),
        ("next day: volume only", &[20], VOLUME, VOLUME),
        ("price variation: volume only", &[21], VOLUME, VOLUME),
        (
            "prior reference price: not open or close",
            &[22],
            HIGH_LOW,
            HIGH_LOW,
        ),
        ("opening print", &[25], FREE, FREE),
        ("seller: volume only", &[29], VOLUME, VOLUME),
        ("sold last", &[30], FREE, FREE),
        (
            "sold out of sequence: not open or close",
            &[32],
            HIGH_LOW,
            HIGH_LOW,
        ),
        ("odd lot: volume only", &[37], VOLUME, VOLUME),
        (
            "corrected consolidated close: prices, no volume",
            &[38],
            PRICE_ONLY,
            PRICE_ONLY,
        ),
        ("trade through exempt", &[41], FREE, FREE),
        ("contingent: volume only", &[52], VOLUME, VOLUME),
        ("qualified contingent: volume only", &[53], VOLUME, VOLUME),
        (
            "short sale restriction has no update rules",
            &[60],
            FREE,
            FREE,
        ),
        (
            "an id the table does not know changes nothing",
            &[95],
            FREE,
            FREE,
        ),
    ] {
        assert_eq!(
            minute.eligibility(&with_ids(ids)),
            in_minute,
            "minute, {rule}"
        );
        assert_eq!(daily.eligibility(&with_ids(ids)), in_day, "day, {rule}");
    }
}

#[test]
fn any_no_among_several_conditions_wins() {
    let minute = Rules::by_name("massive-minute").unwrap();
    let daily = Rules::by_name("massive-daily").unwrap();
    for (rule, ids, in_minute, in_day) in [
        ("odd lot after hours", &[12, 37][..], VOLUME, VOLUME),
        (
            "odd lot that is derivatively priced",
            &[10, 37],
            VOLUME,
            VOLUME,
        ),
        ("sweep through the market", &[14, 41], FREE, FREE),
        (
            "odd lot sweep through the market",
            &[14, 37, 41],
            VOLUME,
            VOLUME,
        ),
        ("exempt qualified contingent", &[41, 53], VOLUME, VOLUME),
        ("closing cross", &[8, 9, 41], NOTHING, FREE),
        (
            "prior reference price after hours",
            &[12, 22],
            HIGH_LOW,
            VOLUME,
        ),
        (
            "official close with an indicator",
            &[15, 60],
            NOTHING,
            NOTHING,
        ),
        (
            "corrected close that is derivatively priced",
            &[10, 38],
            HIGH_LOW_ONLY,
            HIGH_LOW_ONLY,
        ),
        ("regular and odd lot", &[0, 37], VOLUME, VOLUME),
        ("an unknown id beside an odd lot", &[37, 95], VOLUME, VOLUME),
    ] {
        assert_eq!(
            minute.eligibility(&with_ids(ids)),
            in_minute,
            "minute, {rule}"
        );
        assert_eq!(daily.eligibility(&with_ids(ids)), in_day, "day, {rule}");
    }
}

#[test]
fn alpaca_minute_and_daily_treat_each_letter_as_the_vendor_does() {
    let minute = Rules::by_name("alpaca-minute").unwrap();
    let daily = Rules::by_name("alpaca-daily").unwrap();
    let volume = Eligible::new(false, OpenClose::No, true, false);
    let if_first = Eligible::new(true, OpenClose::OnlyIfFirst, true, true);
    let (a, c, o) = (Some(Tape::A), Some(Tape::C), Some(Tape::O));
    for (rule, tape, letters, in_minute, in_day) in [
        ("no condition", c, "", FREE, FREE),
        ("regular sale, blank", a, " ", FREE, FREE),
        ("regular sale, @", c, "@", FREE, FREE),
        ("B of tape A is average price", a, "B", volume, volume),
        ("B of tape C is bunched", c, "B", FREE, FREE),
        (
            "B of an unknown tape is the stricter",
            None,
            "B",
            volume,
            volume,
        ),
        (
            "bunched sold: day open and close if first",
            c,
            "G",
            volume,
            if_first,
        ),
        ("prior reference price", o, "P", volume, if_first),
        ("sold out of sequence", a, "Z", volume, if_first),
        ("derivatively priced", a, "4", volume, if_first),
        ("extended hours: minute bars only", c, "T", FREE, volume),
        ("extended hours out of sequence", c, "U", volume, volume),
        ("odd lot", c, "I", volume, volume),
        ("official close", a, "M", NOTHING, NOTHING),
        ("corrected consolidated close", a, "9", NOTHING, PRICE_ONLY),
        ("closing trade", c, "6", FREE, FREE),
        (
            "stopped stock has no row and changes nothing",
            a,
            "1",
            FREE,
            FREE,
        ),
        ("odd lot after hours", c, "@TI", volume, volume),
        ("sweep through the market", c, "@FX", FREE, FREE),
        ("no beats only-if-first", c, "4I", volume, volume),
        ("only-if-first beats yes", a, " 4", volume, if_first),
    ] {
        let trade = with_letters(tape, letters);
        assert_eq!(minute.eligibility(&trade), in_minute, "minute, {rule}");
        assert_eq!(daily.eligibility(&trade), in_day, "day, {rule}");
    }
}

#[test]
fn replaced_and_cancelled_trades_and_their_records_count_in_no_profile() {
    for name in Rules::names() {
        let rules = Rules::by_name(name).unwrap();
        assert_eq!(rules.name(), name);
        for (correction, counts) in [
            (0, true),
            (1, false),
            (7, false),
            (8, false),
            (10, false),
            (11, false),
            (12, true),
            (9, name == "all"),
        ] {
            let eligible = rules.eligibility(&trade(Conditions::NONE, correction));
            assert_eq!(
                eligible != NOTHING,
                counts,
                "{name}, correction {correction}"
            );
        }
    }
}

#[test]
fn the_profile_all_lets_every_condition_count() {
    let rules = Rules::by_name("all").unwrap();
    assert_eq!(
        rules.eligibility(&trade(Conditions::from_bits(u128::MAX), 0)),
        FREE
    );
}

#[test]
fn lean_takes_prices_from_extended_hours_and_exact_flag_words() {
    let rules = Rules::by_name("lean").unwrap();
    for (flags, is_priced) in [
        (0x1, true),
        (0x2000, true),
        (0x2000_2020, true),
        (0x4800, true),
        (0x2000_0002, true),
        (0x200_0000, true),
        (0x0, false),
        (0x20, false),
        (0x2000_0001, false),
        (0x2000_0020, false),
        (0x800, false),
    ] {
        let expected = if is_priced { FREE } else { VOLUME };
        let eligible = rules.eligibility(&trade(Conditions::from_bits(flags), 0));
        assert_eq!(eligible, expected, "{flags:x}");
    }
}

#[test]
fn an_unknown_profile_is_refused_with_the_names_of_all() {
    let error = Rules::by_name("massive").unwrap_err().to_string();
    assert!(Rules::names().all(|name| error.contains(name)), "{error}");
}

#[test]
fn only_minute_profiles_have_another_one_for_days() {
    let daily = |name| Rules::by_name(name).unwrap().daily().name();
    let expected = [
        "massive-daily",
        "massive-daily",
        "alpaca-daily",
        "alpaca-daily",
        "all",
        "lean",
    ];
    assert_eq!(Rules::names().map(daily).collect::<Vec<_>>(), expected);
}

fn facts(name: &str) -> Option<Value> {
    let text = std::fs::read(barmill_test_kit::recorded(name)?).unwrap();
    Some(serde_json::from_slice(&text).unwrap())
}

fn rows(profile: &str) -> usize {
    let table = tables().find(|table| table.minute == profile).unwrap();
    table
        .lines
        .lines()
        .filter(|line| {
            line.starts_with("both,") || line.starts_with("minute,") || line.starts_with("daily,")
        })
        .count()
}

fn open_close(fact: &Value) -> OpenClose {
    match fact.as_str().unwrap() {
        "yes" => OpenClose::Yes,
        "only_if_first" => OpenClose::OnlyIfFirst,
        _ => OpenClose::No,
    }
}

#[test]
fn the_massive_table_equals_the_recorded_consolidated_rules() {
    let Some(facts) = facts("trade_conditions.json") else {
        return;
    };
    let daily = Rules::by_name("massive-daily").unwrap();
    let minute = Rules::by_name("massive-minute").unwrap();
    let conditions = facts["conditions"].as_array().unwrap();
    assert_eq!(
        rows("massive-minute"),
        conditions.len() + 2,
        "two rows are for minute bars only"
    );
    for fact in conditions {
        let id = u32::try_from(fact["id"].as_u64().unwrap()).unwrap();
        // An entry without update rules changes nothing.
        let flag = |name: &str| fact[name].as_bool().unwrap_or(true);
        let (volume, prices) = (flag("updates_volume"), flag("updates_open_close"));
        let open_close = if prices {
            OpenClose::Yes
        } else {
            OpenClose::No
        };
        let expected = Eligible::new(flag("updates_high_low"), open_close, volume, volume);
        assert_eq!(daily.eligibility(&with_ids(&[id])), expected, "{id}");
        if ![8, 12].contains(&id) {
            assert_eq!(minute.eligibility(&with_ids(&[id])), expected, "{id}");
        }
    }
}

#[test]
fn the_alpaca_table_equals_the_recorded_vendor_table() {
    let Some(facts) = facts("alpaca_bar_rules.json") else {
        return;
    };
    assert_eq!(
        rows("alpaca-minute"),
        facts["rows"].as_array().unwrap().len()
    );
    for fact in facts["rows"].as_array().unwrap() {
        for bars in fact["bars"].as_array().unwrap() {
            let rules = Rules::by_name(&format!("alpaca-{}", bars.as_str().unwrap())).unwrap();
            for tape in fact["tapes"].as_array().unwrap() {
                let tape = Tape::from_letter(tape.as_str().unwrap().as_bytes()[0]);
                let (high_low, volume) = (fact["high_low"] == "yes", fact["volume"] == "yes");
                let open_close = open_close(&fact["open_close"]);
                let expected = Eligible::new(high_low, open_close, volume, high_low && volume);
                let trade = with_letters(tape, fact["code"].as_str().unwrap());
                assert_eq!(rules.eligibility(&trade), expected, "{fact}");
            }
        }
    }
}
