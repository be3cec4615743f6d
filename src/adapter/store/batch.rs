//! From items to commands: items of one key become one command, and the last update of a bar wins.
//!
//! Owns the grouping and what each item's fate depends on. Deliberately sends nothing.

use super::command::Command;
use super::value::{push_manifest, push_value};
use super::view::{View, ViewKind};
use crate::model::{BarKey, BarSpec, Symbol, Timestamp};
use crate::port::WriteItem;
use bytes::Bytes;
use foldhash::fast::FixedState;
use jiff::civil::Date;
use std::collections::HashMap;
use std::ops::Range;

/// Commands for a batch of items, in the order in which their keys first occur.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) commands: Vec<Command>,
    /// For each item, the commands that must all succeed.
    pub(super) carriers: Vec<Range<usize>>,
}

/// What can be written once per batch.
#[derive(PartialEq, Eq, Hash)]
enum Place {
    Bar(BarKey),
    Manifest(Symbol, BarSpec, Date),
}

impl Place {
    fn of(item: &WriteItem) -> Place {
        match item {
            WriteItem::Bar(update) => Place::Bar(update.bar.key()),
            WriteItem::Manifest(one) => Place::Manifest(one.symbol, one.spec, one.date),
        }
    }
}

type Map<K> = HashMap<K, usize, FixedState>;

fn map<K>(capacity: usize) -> Map<K> {
    HashMap::with_capacity_and_hasher(capacity, FixedState::with_seed(0))
}

/// The items of a batch by key.
struct Groups {
    keys: Vec<Bytes>,
    /// For each item, the index of its key.
    of_item: Vec<usize>,
}

fn group(view: &View, items: &[WriteItem]) -> Groups {
    let mut keys: Vec<Bytes> = Vec::new();
    let mut known: Map<Bytes> = map(0);
    let mut of_item = Vec::with_capacity(items.len());
    let mut key = Vec::new();
    let mut last = 0;
    for item in items {
        key.clear();
        push_key(&mut key, view, item);
        if keys.get(last).is_none_or(|before| before != key.as_slice()) {
            last = known.get(key.as_slice()).copied().unwrap_or(keys.len());
            if last == keys.len() {
                let new = Bytes::copy_from_slice(&key);
                keys.push(new.clone());
                known.insert(new, last);
            }
        }
        of_item.push(last);
    }
    Groups { keys, of_item }
}

fn push_key(out: &mut Vec<u8>, view: &View, item: &WriteItem) {
    match item {
        WriteItem::Bar(update) => {
            let bar = update.bar.key();
            view.push_key(out, &bar, &view.stamp(&bar));
        }
        WriteItem::Manifest(manifest) => view.push_manifest_key(out, manifest.spec, manifest.date),
    }
}

/// Commands that the items would need.
pub(super) fn count_commands(view: &View, items: &[WriteItem]) -> usize {
    let groups = group(view, items);
    let has_expire = view.settings().ttl_s.is_some();
    let mut is_string = vec![false; groups.keys.len()];
    for (item, &index) in items.iter().zip(&groups.of_item) {
        is_string[index] = is_plain(view, item);
    }
    is_string.iter().map(|is_string| if *is_string || !has_expire { 1 } else { 2 }).sum()
}

/// Whether the item is a string of its own, with its expiry in the same command.
fn is_plain(view: &View, item: &WriteItem) -> bool {
    matches!(item, WriteItem::Bar(_)) && view.settings().kind == ViewKind::KeyPerBar
}

/// Encodes the items; `now` stamps the manifests.
pub(super) fn encode(view: &View, items: &[WriteItem], now: Timestamp) -> Batch {
    let groups = group(view, items);
    let mut newest: Map<Place> = map(items.len());
    for (index, item) in items.iter().enumerate() {
        newest.insert(Place::of(item), index);
    }
    let mut text = Vec::with_capacity(items.len() * 128);
    let mut entries: Vec<Vec<Entry>> = groups.keys.iter().map(|_| Vec::new()).collect();
    for (index, item) in items.iter().enumerate() {
        if newest.get(&Place::of(item)) == Some(&index) {
            entries[groups.of_item[index]].push(Entry::push(&mut text, view, item, now));
        }
    }
    let text = Bytes::from(text);
    let mut commands = Vec::with_capacity(groups.keys.len() * 2);
    let mut carriers = Vec::with_capacity(groups.keys.len());
    for (key, entries) in groups.keys.into_iter().zip(entries) {
        let first = commands.len();
        push_commands(&mut commands, &key, &entries, &text, view.settings().ttl_s);
        carriers.push(first..commands.len());
    }
    let carriers = groups.of_item.into_iter().map(|index| carriers[index].clone()).collect();
    Batch { commands, carriers }
}

/// One field and value, or one string value, as places in the text of the batch.
struct Entry {
    field: Option<Range<usize>>,
    value: Range<usize>,
}

impl Entry {
    fn push(text: &mut Vec<u8>, view: &View, item: &WriteItem, now: Timestamp) -> Entry {
        let start = text.len();
        let plain = is_plain(view, item);
        match item {
            WriteItem::Bar(update) => {
                let bar = update.bar.key();
                view.push_field(text, &bar, &view.stamp(&bar));
            }
            WriteItem::Manifest(manifest) => text.extend_from_slice(manifest.symbol.as_str().as_bytes()),
        }
        let middle = text.len();
        match item {
            WriteItem::Bar(update) => push_value(text, update, view.settings().value),
            WriteItem::Manifest(manifest) => push_manifest(text, manifest, now),
        }
        Entry { field: (!plain).then_some(start..middle), value: middle..text.len() }
    }
}

fn push_commands(
    commands: &mut Vec<Command>,
    key: &Bytes,
    entries: &[Entry],
    text: &Bytes,
    ttl_s: Option<u64>,
) {
    let mut fields = Vec::with_capacity(entries.len());
    for entry in entries {
        let value = text.slice(entry.value.clone());
        match &entry.field {
            Some(field) => fields.push((text.slice(field.clone()), value)),
            None => commands.push(Command::Set { key: key.clone(), value, seconds: ttl_s }),
        }
    }
    if fields.is_empty() {
        return;
    }
    commands.push(Command::HashSet { key: key.clone(), fields });
    if let Some(seconds) = ttl_s {
        commands.push(Command::Expire { key: key.clone(), seconds });
    }
}

/// Bytes the item adds to a request at most: its key, field and value with JSON escapes, and the framing of two commands.
pub(super) fn weigh(view: &View, item: &WriteItem) -> usize {
    let mut text = Vec::with_capacity(512);
    push_key(&mut text, view, item);
    let key_len = text.len();
    Entry::push(&mut text, view, item, Timestamp::MAX);
    let escapes = text.iter().filter(|&&byte| byte == b'"' || byte == b'\\').count();
    text.len() + key_len + escapes + FRAMING_LEN
}

/// Names, lengths and separators of an HSET or SET with its EXPIRE, in RESP or JSON.
const FRAMING_LEN: usize = 128;

#[cfg(test)]
mod tests {
    use super::{Batch, count_commands, encode, weigh};
    use crate::adapter::store::command::Command;
    use crate::adapter::store::testing::{manifest, update};
    use crate::adapter::store::view::{ValueForm, View, ViewKind, ViewSettings};
    use crate::model::{BarState, Timestamp};
    use crate::port::WriteItem;
    use jiff::tz::TimeZone;

    fn view(kind: ViewKind) -> View {
        let mut settings = ViewSettings::new(kind, TimeZone::get("America/New_York").unwrap()).unwrap();
        settings.namespace = "model_7".to_owned();
        settings.value = ValueForm::Csv;
        View::new(settings, &[]).unwrap()
    }

    fn item(symbol: &str, start: &str) -> WriteItem {
        WriteItem::Bar(update(symbol, "1m", start))
    }

    fn lines(batch: &Batch) -> Vec<String> {
        let line = |command: &Command| {
            let mut words = vec![command.name().to_owned()];
            command.each_argument(|argument| words.push(String::from_utf8(argument.to_vec()).unwrap()));
            words.join(" ")
        };
        batch.commands.iter().map(line).collect()
    }

    const CSV: &str = "255.1,256.25,254.000000001,255,1200.5";

    #[test]
    fn a_symbol_day_is_one_hset_and_one_expire() {
        let view = view(ViewKind::SymbolDay);
        let items = [
            item("A", "2025-10-15T13:30:00Z"),
            item("B", "2025-10-15T13:30:00Z"),
            item("A", "2025-10-15T13:31:00Z"),
        ];
        let batch = encode(&view, &items, Timestamp::EPOCH);
        assert_eq!(
            lines(&batch),
            [
                format!("HSET bars:1m:2025-10-15:A 09:30 {CSV} 09:31 {CSV}"),
                "EXPIRE bars:1m:2025-10-15:A 7200".to_owned(),
                format!("HSET bars:1m:2025-10-15:B 09:30 {CSV}"),
                "EXPIRE bars:1m:2025-10-15:B 7200".to_owned(),
            ]
        );
        assert_eq!(batch.carriers, [0..2, 2..4, 0..2]);
        assert_eq!(count_commands(&view, &items), 4);
    }

    #[test]
    fn a_minute_of_many_symbols_is_one_hset() {
        let items = [item("A", "2025-10-15T13:30:00Z"), item("B", "2025-10-15T13:30:00Z")];
        let batch = encode(&view(ViewKind::Minute), &items, Timestamp::EPOCH);
        assert_eq!(lines(&batch)[0], format!("HSET bars:1m:2025-10-15:09:30 A {CSV} B {CSV}"));
        assert_eq!(batch.commands.len(), 2);
    }

    #[test]
    fn key_per_bar_has_the_keys_of_the_original() {
        let view = view(ViewKind::KeyPerBar);
        let items = [item("AAPL", "2025-10-15T13:30:00Z"), item("AAPL", "2025-01-15T14:30:00Z")];
        let batch = encode(&view, &items, Timestamp::EPOCH);
        assert_eq!(lines(&batch)[0], format!("SET intraday:model_7:2025-10-15:AAPL:09:30 {CSV} EX 7200"));
        assert_eq!(lines(&batch)[1], format!("SET intraday:model_7:2025-01-15:AAPL:09:30 {CSV} EX 7200"));
        assert_eq!(count_commands(&view, &items), 2);
    }

    #[test]
    fn the_last_update_of_a_bar_wins_and_carries_the_earlier_ones() {
        let mut later = update("A", "1m", "2025-10-15T13:30:00Z");
        later.state = BarState::Revised;
        later.bar.volume = "7".parse().unwrap();
        for kind in [ViewKind::SymbolDay, ViewKind::KeyPerBar] {
            let items = [item("A", "2025-10-15T13:30:00Z"), WriteItem::Bar(later)];
            let batch = encode(&view(kind), &items, Timestamp::EPOCH);
            assert!(lines(&batch)[0].contains(",255,7"), "{:?}", lines(&batch));
            assert!(!lines(&batch)[0].contains("1200.5"));
            assert_eq!(batch.carriers[0], batch.carriers[1]);
        }
    }

    #[test]
    fn manifests_of_a_day_share_one_hash() {
        let items = ["A", "B"].map(|symbol| WriteItem::Manifest(manifest(symbol, "1m")));
        let view = view(ViewKind::KeyPerBar);
        let batch = encode(&view, &items, Timestamp::EPOCH);
        assert!(
            lines(&batch)[0]
                .starts_with("HSET manifest:model_7:1m:2025-10-15 A {\"zone\":\"America/New_York\",")
        );
        assert_eq!(batch.commands.len(), 2);
        assert_eq!(count_commands(&view, &items), 2);
    }

    #[test]
    fn weight_is_never_below_the_bytes_sent() {
        for kind in [ViewKind::SymbolDay, ViewKind::Minute, ViewKind::KeyPerBar] {
            let mut settings = view(kind).settings().clone();
            settings.value = ValueForm::JsonFull;
            let view = View::new(settings, &[]).unwrap();
            let items = [item("A", "2025-10-15T13:30:00Z"), WriteItem::Manifest(manifest("A", "1m"))];
            for item in items {
                let batch = encode(&view, std::slice::from_ref(&item), Timestamp::MAX);
                let resp: usize = batch.commands.iter().map(Command::resp_len).sum();
                let mut json = Vec::new();
                for command in &batch.commands {
                    command.push_json(&mut json).unwrap();
                }
                assert!(weigh(&view, &item) >= resp.max(json.len()), "{kind}");
            }
        }
    }
}
