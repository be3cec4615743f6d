//! Upper bound on an item's encoded size.
//!
//! Owns sums of longest lengths, in which each number has its digits and a point, and each placeholder its longest
//! text. Encoding an item to weigh it would cost as much as writing it.

use super::groups::encode;
use crate::layout::settings::{ValueForm, ViewKind};
use crate::layout::template::{Lengths, Template};
use crate::layout::view::View;
use barmill_core::model::{BarSpec, BarUpdate, Price, Timestamp};
use barmill_core::port::WriteItem;
use std::sync::Arc;

/// Names, ids, lengths and separators of an HSET, SET or XADD with its EXPIRE, in RESP or JSON.
const FRAMING_LEN: usize = 192;
/// Names and punctuation of the value of six, each quote escaped.
const SIX_LEN: usize = 72;
/// Those of the full value, words of state and flags included.
const FULL_LEN: usize = 208;
/// A notice of one bar without its spec and symbol, each quote escaped.
const NOTICE_LEN: usize = 144;
/// `2262-04-11T23:47:16.854775807Z`.
const INSTANT_LEN: usize = 30;
/// `01:30:00.000000001-05:30:00`.
const TIME_LEN: usize = 27;
/// `2025-10-15`.
const DATE_LEN: usize = 10;
/// Revision, state, trades and sequence, each number after its two digits of length.
const VERSION_LEN: usize = 57;

/// What an item adds to a request at most: its keys, fields and values with JSON escapes, and the framing of their
/// commands.
#[derive(Debug, Clone)]
pub(crate) struct SizeEstimator {
    view: Arc<View>,
    /// Bytes around the values, without symbols and specs.
    frame: usize,
    /// How often the symbol, the spec and the value occur.
    symbols: usize,
    specs: usize,
    values: usize,
}

impl SizeEstimator {
    /// Takes the measure of a view.
    pub(crate) fn new(view: Arc<View>) -> SizeEstimator {
        let frame = frame_len(&view, 0, 0);
        SizeEstimator {
            symbols: frame_len(&view, 0, 1) - frame,
            specs: frame_len(&view, 1, 0) - frame,
            values: usize::from(has_base(&view)) + usize::from(view.stream().is_some()),
            frame,
            view,
        }
    }

    /// Bytes that the item adds at most.
    pub(crate) fn weigh(&self, item: &WriteItem) -> usize {
        match item {
            WriteItem::Bar(update) => {
                let bar = &update.bar;
                let names =
                    self.symbols * bar.symbol.as_str().len() + self.specs * spec_len(bar.spec);
                self.frame + names + self.values * value_len(update, self.view.settings().value)
            }
            WriteItem::Manifest(_) => weigh_encoded(&self.view, item),
        }
    }
}

fn has_base(view: &View) -> bool {
    match view.settings().kind {
        ViewKind::SymbolDay | ViewKind::Minute | ViewKind::KeyPerBar => true,
        ViewKind::Stream | ViewKind::Publish => false,
    }
}

/// Bytes of everything but the values, for names of these lengths.
fn frame_len(view: &View, spec: usize, symbol: usize) -> usize {
    let (settings, namespace) = (view.settings(), view.settings().namespace.len());
    let lengths = Lengths {
        namespace,
        spec,
        date: DATE_LEN,
        symbol,
        time: TIME_LEN,
        start: 13,
    };
    let len = |template: &Template| template.len_max(&lengths);
    let mut sum = match settings.kind {
        ViewKind::SymbolDay | ViewKind::Minute => {
            let (key, field) = (len(&settings.key), settings.field.as_ref().map_or(0, len));
            // The key once more for its versions.
            3 * key + ":version".len() + field + VERSION_LEN + FRAMING_LEN
        }
        ViewKind::KeyPerBar => {
            let versions = "version::::".len() + namespace + spec + DATE_LEN + symbol;
            2 * len(&settings.key) + versions + TIME_LEN + VERSION_LEN + FRAMING_LEN
        }
        ViewKind::Stream | ViewKind::Publish => 0,
    };
    if let Some(stream) = view.stream() {
        sum += 2 * len(stream) + INSTANT_LEN + VERSION_LEN + FRAMING_LEN;
    }
    if let Some(channel) = view.channel() {
        sum += len(channel) + NOTICE_LEN + spec + symbol + FRAMING_LEN;
    }
    sum
}

/// Bytes of the longest text of a spec of this kind.
fn spec_len(spec: BarSpec) -> usize {
    match spec {
        BarSpec::Time(_) => 6,
        BarSpec::Day | BarSpec::Session => 7,
        BarSpec::Tick(_) | BarSpec::Value(_) => 27,
        BarSpec::Volume(_) => 47,
    }
}

fn value_len(update: &BarUpdate, form: ValueForm) -> usize {
    let bar = &update.bar;
    let prices = bar.prices.map_or([0; 4], |ohlc| {
        [ohlc.open, ohlc.high, ohlc.low, ohlc.close].map(Price::raw)
    });
    let six = prices.into_iter().map(price_len).sum::<usize>() + volume_len(bar.volume.raw());
    match form {
        ValueForm::Csv => six + 4,
        // The timestamp has 13 digits at most.
        ValueForm::JsonSix => six + 13 + SIX_LEN,
        ValueForm::JsonFull => {
            let volumes = volume_len(bar.buy_volume.raw()) + volume_len(bar.sell_volume.raw());
            let counts = [
                bar.trades,
                bar.first_sequence,
                bar.last_sequence,
                u64::from(update.revision),
            ];
            let counts: usize = counts.into_iter().map(digits).sum();
            // The vwap is at most the largest price, and it has all its places.
            let vwap = price_len(u64::MAX);
            six + 13 + SIX_LEN + vwap + volumes + counts + 2 * INSTANT_LEN + FULL_LEN
        }
    }
}

/// A point, and the ten digits of a number below ten at least.
fn price_len(raw: u64) -> usize {
    digits(raw).max(10) + 1
}

fn volume_len(raw: u128) -> usize {
    let digits = raw.checked_ilog10().map_or(1, |power| power as usize + 1);
    digits.max(11) + 1
}

fn digits(number: u64) -> usize {
    number
        .checked_ilog10()
        .map_or(1, |power| power as usize + 1)
}

/// The weight of an item as it is encoded.
fn weigh_encoded(view: &View, item: &WriteItem) -> usize {
    let batch = encode(view, std::slice::from_ref(item), Timestamp::MAX, true);
    let escaped =
        |text: &[u8]| text.len() + text.iter().filter(|byte| b"\"\\".contains(byte)).count();
    let mut len = 0;
    for group in &batch.groups {
        len += 2 * escaped(&batch.text[group.key.clone()]) + group.versions.len() + FRAMING_LEN;
    }
    for entry in batch.entries.iter() {
        len += escaped(&batch.text[entry.field().start..entry.value().end]);
    }
    for (channel, message) in &batch.notices {
        len += channel.len() + escaped(message) + FRAMING_LEN;
    }
    len
}

#[cfg(test)]
mod tests {
    use super::{SizeEstimator, weigh_encoded};
    use crate::batch::commands::plan;
    use crate::batch::groups::encode;
    use crate::key_store::command::Command;
    use crate::layout::settings::{ValueForm, ViewKind, ViewSettings};
    use crate::layout::view::View;
    use crate::testing::{manifest, update};
    use barmill_core::model::{BarFlags, BarState, BarUpdate, Ohlc, Price, Timestamp, Volume};
    use barmill_core::port::WriteItem;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;
    use std::sync::Arc;

    const KINDS: [ViewKind; 5] = [
        ViewKind::SymbolDay,
        ViewKind::Minute,
        ViewKind::KeyPerBar,
        ViewKind::Stream,
        ViewKind::Publish,
    ];
    const FORMS: [ValueForm; 3] = [ValueForm::Csv, ValueForm::JsonSix, ValueForm::JsonFull];

    fn view(kind: ViewKind, value: ValueForm, has_also: bool) -> View {
        let mut settings =
            ViewSettings::new(kind, TimeZone::get("America/New_York").unwrap()).unwrap();
        settings.value = value;
        let is_kept = matches!(
            kind,
            ViewKind::SymbolDay | ViewKind::Minute | ViewKind::KeyPerBar
        );
        let also = |text: &str| (has_also && is_kept).then(|| text.parse().unwrap());
        settings.also_stream = also("s\"\u{1}:{spec}:{symbol}:{date}");
        settings.also_publish = also("news:{namespace}");
        View::new(settings, &[]).unwrap()
    }

    fn weigh(view: &View, item: &WriteItem) -> usize {
        SizeEstimator::new(Arc::new(view.clone())).weigh(item)
    }

    fn sent(view: &View, item: &WriteItem) -> usize {
        let plan = plan(
            view,
            encode(view, std::slice::from_ref(item), Timestamp::MAX, false),
        );
        let mut json = Vec::new();
        for command in &plan.commands {
            command.push_json(&mut json).unwrap();
        }
        json.len()
            .max(plan.commands.iter().map(Command::resp_len).sum())
    }

    fn any_update() -> impl Strategy<Value = BarUpdate> {
        let specs = prop::sample::select(vec![
            "1s",
            "1m",
            "4h",
            "tick:18446744073709551615",
            "volume:0.0000000001",
        ]);
        let start = prop_oneof![
            Just(i64::MAX),
            0i64..i64::MAX,
            Just(1_762_065_000_000_000_000)
        ];
        let prices = prop_oneof![Just(u64::MAX), any::<u64>(), 1u64..1_000_000_000_000];
        let volumes = prop_oneof![any::<u128>(), 0u128..10_000_000_000_000];
        let states =
            prop::sample::select(vec![BarState::Forming, BarState::Final, BarState::Revised]);
        (
            specs,
            start,
            prices,
            volumes,
            any::<[u64; 2]>(),
            any::<u32>(),
            states,
            0u8..8,
        )
            .prop_map(
                |(spec, start, price, volume, [count, sequence], revision, state, flags)| {
                    let mut update = update("BRK.B", spec, "2025-10-15T13:30:00Z");
                    let (price, volume) = (Price::from_raw(price), Volume::from_raw(volume));
                    update.bar.start = Timestamp::EPOCH.saturating_add(start);
                    update.bar.end = update.bar.start.saturating_add(60_000_000_000);
                    update.bar.prices = Some(Ohlc {
                        open: price,
                        high: price,
                        low: price,
                        close: price,
                    });
                    (
                        update.bar.volume,
                        update.bar.buy_volume,
                        update.bar.sell_volume,
                    ) = (volume, volume, volume);
                    (update.bar.trades, update.bar.last_sequence) = (count, sequence);
                    update.bar.flags = BarFlags::from_bits(flags);
                    (update.revision, update.state) = (revision, state);
                    update
                },
            )
    }

    proptest! {
        #[test]
        fn weight_is_never_below_the_bytes_sent(update in any_update()) {
            let item = WriteItem::Bar(update);
            for kind in KINDS {
                for (form, has_also) in FORMS.into_iter().zip([true, false, true]) {
                    let view = view(kind, form, has_also);
                    let weight = weigh(&view, &item);
                    let least = sent(&view, &item).max(weigh_encoded(&view, &item));
                    prop_assert!(least <= weight, "{} {:?}: {} above {}", kind, form, least, weight);
                }
            }
        }
    }

    #[test]
    fn a_usual_bar_weighs_little_more_than_it_takes() {
        let item = WriteItem::Bar(update("AAPL", "1m", "2025-10-15T13:30:00Z"));
        for form in FORMS {
            let view = view(ViewKind::SymbolDay, form, false);
            let (weight, exact) = (weigh(&view, &item), weigh_encoded(&view, &item));
            assert!(weight < exact + 256, "{form:?}: {weight} for {exact}");
        }
    }

    #[test]
    fn a_manifest_weighs_what_it_takes_at_least() {
        let item = WriteItem::Manifest(manifest("A", "1m"));
        for kind in KINDS {
            let view = view(kind, ValueForm::JsonFull, false);
            assert!(sent(&view, &item) <= weigh(&view, &item), "{kind}");
        }
    }
}
