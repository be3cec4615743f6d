//! LEAN's recorded minute bars against ours, from its recorded ticks by the rules `lean`.
//!
//! The rules were fitted to this data, so the agreement is a figure to hold and not the truth. Of a minute,
//! a field agrees when it is equal to the last digit; a minute that only one side has agrees in nothing.

use barmill::{Bar, BarSpec, BarUpdate, Ohlc, Price, Timestamp, Trade};
use barmill_core::engine::aggregate::{Aggregator, AggregatorSettings};
use barmill_core::engine::rules::Rules;
use barmill_sources::file::{FileFeedSettings, TradeReader};
use barmill_test_kit::Tape;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;

const HOUR: i64 = 3_600_000_000_000;
const FIELDS: [&str; 5] = ["open", "high", "low", "close", "volume"];
/// Minutes in a thousand that must agree, over both days together. They are the figures of the fit over five
/// days of four symbols; IBM's volume alone is below, at 420 of 424.
const LEAST_PER_MILLE: [usize; 5] = [995, 995, 995, 995, 994];
/// Seconds in a thousand that must agree. The rule was fitted to minutes; in LEAN's seconds volume lies elsewhere.
const LEAST_PER_MILLE_OF_SECONDS: [usize; 5] = [999, 999, 999, 999, 907];
const DAYS: [(&str, &str); 2] = [("spy", "20131007"), ("ibm", "20131008")];

fn recorded(kind: &str, symbol: &str, date: &str) -> Option<PathBuf> {
    barmill_test_kit::recorded(&format!("lean_us_equity/{kind}_{symbol}_{date}_trade.zip"))
}

fn ticks(path: PathBuf) -> Vec<Trade> {
    let settings = FileFeedSettings {
        format: Some("lean-tick".parse().unwrap()),
        ..FileFeedSettings::new(vec![path])
    };
    let mut reader = TradeReader::new(settings);
    let (mut trades, mut batch, mut more) = (Vec::new(), Vec::new(), true);
    while more {
        more = reader.fill(&mut batch).unwrap();
        trades.append(&mut batch);
    }
    trades
}

/// The five fields of a recorded bar: prices in ten thousandths, volume in shares.
fn published(path: PathBuf, date: &str) -> BTreeMap<Timestamp, [u64; 5]> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut text = String::new();
    archive
        .by_index(0)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    let date = Date::strptime("%Y%m%d", date).unwrap();
    let midnight = date
        .to_zoned(TimeZone::get("America/New_York").unwrap())
        .unwrap()
        .timestamp();
    let row = |line: &str| {
        let fields: Vec<u64> = line
            .trim()
            .split(',')
            .map(|field| field.parse().unwrap())
            .collect();
        let start = Timestamp::from_jiff(midnight)
            .unwrap()
            .saturating_add(i64::try_from(fields[0]).unwrap() * 1_000_000);
        (start, fields[1..].try_into().unwrap())
    };
    text.lines().map(row).collect()
}

fn bars(trades: &[Trade], specs: &[&str], rules: &str) -> Vec<Bar> {
    let mut aggregator = Aggregator::new(AggregatorSettings {
        rules: Rules::by_name(rules).unwrap(),
        zone: TimeZone::get("America/New_York").unwrap(),
        ..AggregatorSettings::new(specs.iter().map(|spec| spec.parse().unwrap()).collect())
    });
    let mut out: Vec<BarUpdate> = Vec::new();
    for batch in trades.chunks(1_024) {
        aggregator.push(batch, &mut out);
    }
    aggregator.finish(&mut out);
    out.iter().map(|update| update.bar).collect()
}

fn fields(bar: &Bar) -> Option<[u64; 5]> {
    let prices = bar.prices?;
    let price = |price: Price| price.raw() / 100_000;
    let volume = u64::try_from(bar.volume.raw() / 10_000_000_000).unwrap();
    Some([
        price(prices.open),
        price(prices.high),
        price(prices.low),
        price(prices.close),
        volume,
    ])
}

type Fields = BTreeMap<Timestamp, [u64; 5]>;

/// How many bars of a day agree in one field, and how many there are.
fn agreement(ours: &Fields, theirs: &Fields, field: usize) -> (usize, usize) {
    let starts: BTreeSet<&Timestamp> = ours.keys().chain(theirs.keys()).collect();
    let value = |bars: &Fields, start| bars.get(start).map(|bar| bar[field]);
    let agreeing = starts
        .iter()
        .filter(|start| value(ours, start) == value(theirs, start))
        .count();
    (agreeing, starts.len())
}

#[expect(clippy::print_stderr, reason = "the figures are the point")]
fn bars_of_the_fitted_rules_agree(kind: &str, spec: &str, least_per_mille: [usize; 5]) {
    let mut sums = [(0, 0); FIELDS.len()];
    for (symbol, date) in DAYS {
        let (Some(tick), Some(recorded)) =
            (recorded("tick", symbol, date), recorded(kind, symbol, date))
        else {
            return;
        };
        let bars = bars(&ticks(tick), &[spec], "lean");
        let ours: Fields = bars
            .iter()
            .filter_map(|bar| Some((bar.start, fields(bar)?)))
            .collect();
        let theirs = published(recorded, date);
        for (field, name) in FIELDS.iter().enumerate() {
            let (agreeing, all) = agreement(&ours, &theirs, field);
            eprintln!("{symbol} {date} {spec} {name}: {agreeing} of {all} bars agree");
            sums[field] = (sums[field].0 + agreeing, sums[field].1 + all);
        }
    }
    for ((agreeing, all), (name, least)) in sums.iter().zip(FIELDS.iter().zip(least_per_mille)) {
        eprintln!(
            "{spec} {name}: {agreeing} of {all}, {} per mille",
            1_000 * agreeing / all
        );
        assert!(
            least * all <= 1_000 * agreeing,
            "{spec} {name}: {agreeing} of {all} bars agree"
        );
    }
}

#[test]
fn minute_bars_of_the_fitted_rules_agree_with_the_recorded_ones() {
    bars_of_the_fitted_rules_agree("minute", "1m", LEAST_PER_MILLE);
}

#[test]
fn second_bars_of_the_fitted_rules_agree_with_the_recorded_ones() {
    bars_of_the_fitted_rules_agree("second", "1s", LEAST_PER_MILLE_OF_SECONDS);
}

#[test]
fn longer_bars_of_a_recorded_day_are_the_merge_of_its_minutes() {
    if let Some(tick) = recorded("tick", "spy", "20131007") {
        longer_bars_are_the_merge_of_minutes(&ticks(tick));
    }
}

#[test]
fn longer_bars_of_a_made_day_are_the_merge_of_its_minutes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("20251015_spy_Trade_Tick.csv");
    std::fs::write(&path, Tape::new(11, 5_000).lean_csv()).unwrap();
    longer_bars_are_the_merge_of_minutes(&ticks(path));
}

fn longer_bars_are_the_merge_of_minutes(ticks: &[Trade]) {
    let bars = bars(ticks, &["1m", "5m", "1h", "1d", "session"], "all");
    let (minutes, longer): (Vec<&Bar>, Vec<&Bar>) =
        bars.iter().partition(|bar| bar.spec == BarSpec::MINUTE);
    assert_eq!(
        longer
            .iter()
            .filter(|bar| bar.end.since(bar.start) > 12 * HOUR)
            .count(),
        2,
        "day and session"
    );
    for long in longer {
        let is_inside = |bar: &&&Bar| long.start <= bar.start && bar.end <= long.end;
        let parts: Vec<Bar> = minutes.iter().filter(is_inside).map(|bar| **bar).collect();
        assert_eq!(merged(&parts, long), *long);
    }
}

/// The merge of consecutive bars, under the name of `long`.
fn merged(parts: &[Bar], long: &Bar) -> Bar {
    let prices: Vec<Ohlc> = parts.iter().filter_map(|bar| bar.prices).collect();
    let mut bar = Bar {
        spec: long.spec,
        start: long.start,
        end: long.end,
        ..parts[0]
    };
    bar.prices = Some(Ohlc {
        open: prices[0].open,
        high: prices.iter().map(|prices| prices.high).max().unwrap(),
        low: prices.iter().map(|prices| prices.low).min().unwrap(),
        close: prices[prices.len() - 1].close,
    });
    for part in &parts[1..] {
        bar.volume += part.volume;
        bar.notional.add(part.notional);
        bar.notional_volume += part.notional_volume;
        bar.trades += part.trades;
        bar.buy_volume += part.buy_volume;
        bar.sell_volume += part.sell_volume;
        bar.last_sequence = part.last_sequence;
    }
    bar
}
