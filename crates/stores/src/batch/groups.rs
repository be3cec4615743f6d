//! Groups the items of a batch by key, and encodes them; the last update of a bar wins.
//!
//! The items are first grouped by what tells their keys apart, then the text of each key is made as a whole. A stream
//! alone takes every closed update, since it is a log. Deliberately knows no command: `commands` sends groups as
//! commands, `guard` as one script.

use super::notification::Notice;
use crate::key_store::command::Entry;
use crate::key_store::stream::{StreamEntry, StreamId};
use crate::layout::key_time::{KeyTime, KeyTimes};
use crate::layout::settings::ViewKind;
use crate::layout::template::{Placeholder, Template, push_display};
use crate::layout::value::{push_manifest, push_value};
use crate::layout::version::push_version;
use crate::layout::view::View;
use barmill_core::model::{BarSpec, BarState, BarUpdate, Manifest, Symbol, Timestamp};
use barmill_core::port::WriteItem;
use bytes::Bytes;
use foldhash::fast::FixedState;
use jiff::civil::Date;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// Bytes of text that most bars need with every field of their value; a text that grows is copied.
const TEXT_LEN: usize = 384;

/// How the values of a group lie under its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum GroupKind {
    /// Fields of a hash.
    Hash,
    /// The key is the string; one entry.
    Text,
    /// Entries of a stream.
    Stream,
    /// Fields of a hash of manifests.
    Manifest,
}

/// What goes to one key; key and versions are ranges of the batch's text.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) kind: GroupKind,
    pub(crate) key: Range<usize>,
    /// Key of the hash of versions, for hashes and strings of a guarded batch; else empty.
    pub(crate) versions: Range<usize>,
    /// Where its entries are among those of the batch.
    pub(crate) entries: Range<usize>,
}

/// Where an item is in the groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct GroupsOfItem {
    /// Group of the bar's hash or string, or of the manifest.
    pub(crate) base: Option<usize>,
    /// Group of the stream.
    pub(crate) stream: Option<usize>,
    /// The notice.
    pub(crate) notice: Option<usize>,
}

/// A batch by key, in the order in which keys first occur.
#[derive(Debug)]
pub(crate) struct Batch {
    /// All texts of the groups.
    pub(crate) text: Bytes,
    pub(crate) groups: Vec<Group>,
    /// By group. The field is that of a hash, the start of the bar in a stream, or the field among the versions of a
    /// guarded string.
    pub(crate) entries: Arc<Vec<Entry>>,
    /// Channel and message, after all groups.
    pub(crate) notices: Vec<(Bytes, Bytes)>,
    /// For each item.
    pub(crate) groups_of_items: Vec<GroupsOfItem>,
}

impl Batch {
    /// A part of the text.
    pub(crate) fn slice(&self, range: &Range<usize>) -> Bytes {
        self.text.slice(range.clone())
    }

    /// The entries of a group.
    pub(crate) fn entries(&self, group: &Group) -> &[Entry] {
        &self.entries[group.entries.clone()]
    }

    /// The entries of a stream.
    pub(crate) fn stream_entries(&self, group: &Group) -> Vec<StreamEntry> {
        let entry = |entry: &Entry| StreamEntry {
            id: entry.id,
            start: self.slice(&entry.field()),
            version: self.slice(&entry.version()),
            bar: self.slice(&entry.value()),
        };
        self.entries(group).iter().map(entry).collect()
    }
}

/// What shares a key, or a channel without a kind, told without making it: symbol, spec, and civil date or instant,
/// as far as it names them.
type GroupId = (Option<GroupKind>, Option<Symbol>, Option<BarSpec>, i64);

/// A number for a civil date.
fn number_of(date: Date) -> i64 {
    let months = i64::from(date.year()) * 12 + i64::from(date.month());
    months * 31 + i64::from(date.day())
}

/// The entries of a key or channel, before they are encoded.
struct OpenGroup {
    kind: Option<GroupKind>,
    /// First and last of its links.
    first: usize,
    last: usize,
    len: usize,
}

/// An item of a group.
struct Link {
    item: usize,
    next: Option<usize>,
}

/// The items of a batch by key, before any text is made.
struct Grouped<'a> {
    view: &'a View,
    items: &'a [WriteItem],
    /// Of each item: the start of a bar, or the date of a manifest.
    key_times: Vec<KeyTime>,
    groups_of_items: Vec<GroupsOfItem>,
    links: Vec<Link>,
    groups: Vec<OpenGroup>,
    notices: Vec<OpenGroup>,
    known: HashMap<GroupId, usize, FixedState>,
}

impl<'a> Grouped<'a> {
    fn of(view: &'a View, items: &'a [WriteItem]) -> Grouped<'a> {
        let mut times = KeyTimes::new(&view.settings().zone);
        let mut grouped = Grouped {
            view,
            items,
            key_times: Vec::with_capacity(items.len()),
            groups_of_items: Vec::with_capacity(items.len()),
            links: Vec::with_capacity(items.len()),
            groups: Vec::new(),
            notices: Vec::new(),
            known: HashMap::with_capacity_and_hasher(items.len(), FixedState::default()),
        };
        for (index, item) in items.iter().enumerate() {
            let (key_time, groups_of_item) = match item {
                WriteItem::Bar(update) => {
                    let key_time = times.of(update.bar.start, update.bar.spec);
                    (key_time, grouped.assign(index, update, key_time.date()))
                }
                WriteItem::Manifest(Manifest { spec, date, .. }) => {
                    let id = (
                        Some(GroupKind::Manifest),
                        None,
                        Some(*spec),
                        number_of(*date),
                    );
                    let base = Some(grouped.add_to_group(id, index));
                    let groups_of_item = GroupsOfItem {
                        base,
                        ..GroupsOfItem::default()
                    };
                    (KeyTime::of_date(*date), groups_of_item)
                }
            };
            grouped.key_times.push(key_time);
            grouped.groups_of_items.push(groups_of_item);
        }
        grouped
    }

    fn assign(&mut self, item: usize, update: &BarUpdate, date: Date) -> GroupsOfItem {
        let (view, bar, date) = (self.view, update.bar.key(), number_of(date));
        let (symbol, spec, start) = (Some(bar.symbol), Some(bar.spec), bar.start.as_nanos());
        let base = match view.settings().kind {
            ViewKind::SymbolDay => Some((Some(GroupKind::Hash), symbol, spec, date)),
            ViewKind::Minute => Some((Some(GroupKind::Hash), None, spec, start)),
            ViewKind::KeyPerBar => Some((Some(GroupKind::Text), symbol, spec, start)),
            ViewKind::Stream | ViewKind::Publish => None,
        };
        let named = |template: &Template| spec.filter(|_| template.has(Placeholder::Spec));
        let is_closed = update.state != BarState::Forming;
        let stream = view.stream().filter(|_| is_closed).map(|template| {
            let date = if template.has(Placeholder::Date) {
                date
            } else {
                0
            };
            (Some(GroupKind::Stream), symbol, named(template), date)
        });
        let notice = view
            .channel()
            .map(|channel| (None, None, named(channel), 0));
        GroupsOfItem {
            base: base.map(|id| self.add_to_group(id, item)),
            stream: stream.map(|id| self.add_to_group(id, item)),
            notice: notice.map(|id| self.add_to_group(id, item)),
        }
    }

    /// Adds an item behind the others of its group or notice, and tells its index.
    fn add_to_group(&mut self, id: GroupId, item: usize) -> usize {
        let kind = id.0;
        let groups = match kind {
            Some(_) => &mut self.groups,
            None => &mut self.notices,
        };
        let (link, next) = (self.links.len(), groups.len());
        self.links.push(Link { item, next: None });
        let index = *self.known.entry(id).or_insert(next);
        if index == next {
            groups.push(OpenGroup {
                kind,
                first: link,
                last: link,
                len: 1,
            });
        } else {
            let group = &mut groups[index];
            self.links[group.last].next = Some(link);
            (group.last, group.len) = (link, group.len + 1);
        }
        index
    }

    fn items_of(&self, group: &OpenGroup) -> impl Iterator<Item = usize> {
        let links = std::iter::successors(Some(group.first), |&link| self.links[link].next);
        links.map(|link| self.links[link].item)
    }

    /// Puts the items whose entries are written in place of those in `out`: the last one of each bar, or of each symbol
    /// with a manifest; all of a stream.
    fn newest(&self, group: &OpenGroup, out: &mut Vec<usize>) {
        out.clear();
        out.extend(self.items_of(group));
        let cell = |item: usize| match &self.items[item] {
            WriteItem::Bar(update) => (update.bar.start, update.bar.symbol),
            WriteItem::Manifest(manifest) => (Timestamp::EPOCH, manifest.symbol),
        };
        // Where each bar starts after the one before, no two are the same.
        let is_rising = out.is_sorted_by(|&one, &next| cell(one).0 < cell(next).0);
        if group.kind == Some(GroupKind::Stream) || is_rising {
            return;
        }
        let mut seen: HashSet<_, FixedState> =
            HashSet::with_capacity_and_hasher(out.len(), FixedState::default());
        out.reverse();
        out.retain(|&item| seen.insert(cell(item)));
        out.reverse();
    }

    /// The first item and its start or date.
    fn head(&self, group: &OpenGroup) -> (&WriteItem, &KeyTime) {
        let item = self.links[group.first].item;
        (&self.items[item], &self.key_times[item])
    }

    /// Channel and message of each notice.
    fn messages(&self) -> Vec<(Bytes, Bytes)> {
        let Some(template) = self.view.channel() else {
            return Vec::new();
        };
        let message = |group: &OpenGroup| {
            let (mut channel, mut notice) = (Vec::new(), Notice::default());
            for item in self.items_of(group) {
                if let WriteItem::Bar(update) = &self.items[item] {
                    let key_time = &self.key_times[item];
                    if channel.is_empty() {
                        let bar = update.bar.key();
                        self.view
                            .push_template(&mut channel, template, &bar, key_time);
                    }
                    notice.add(update, key_time);
                }
            }
            (Bytes::from(channel), Bytes::from(notice.text()))
        };
        self.notices.iter().map(message).collect()
    }
}

/// Encodes the items; `now` stamps the manifests.
pub(crate) fn encode(view: &View, items: &[WriteItem], now: Timestamp, is_guarded: bool) -> Batch {
    let grouped = Grouped::of(view, items);
    let mut encoder = Encoder {
        view,
        now,
        is_guarded,
        text: Vec::with_capacity(items.len() * TEXT_LEN),
        entries: Vec::with_capacity(grouped.links.len()),
    };
    let mut groups = Vec::with_capacity(grouped.groups.len());
    let mut newest = Vec::new();
    for group in &grouped.groups {
        let Some(kind) = group.kind else { continue };
        let (key, versions) = encoder.push_keys(kind, grouped.head(group));
        grouped.newest(group, &mut newest);
        let first = encoder.entries.len();
        for &item in &newest {
            encoder.push_entry(kind, &items[item], &grouped.key_times[item]);
        }
        groups.push(Group {
            kind,
            key,
            versions,
            entries: first..encoder.entries.len(),
        });
    }
    Batch {
        text: Bytes::from(encoder.text),
        groups,
        entries: Arc::new(encoder.entries),
        notices: grouped.messages(),
        groups_of_items: grouped.groups_of_items,
    }
}

/// Writes the texts of groups, one behind the other.
struct Encoder<'a> {
    view: &'a View,
    now: Timestamp,
    is_guarded: bool,
    text: Vec<u8>,
    entries: Vec<Entry>,
}

impl Encoder<'_> {
    /// Appends the key of a group and that of its versions, which its first item tells.
    fn push_keys(
        &mut self,
        kind: GroupKind,
        (item, key_time): (&WriteItem, &KeyTime),
    ) -> (Range<usize>, Range<usize>) {
        let (view, text) = (self.view, &mut self.text);
        let start = text.len();
        let update = match item {
            WriteItem::Manifest(manifest) => {
                view.push_manifest_key(text, manifest.spec, manifest.date);
                return (start..text.len(), 0..0);
            }
            WriteItem::Bar(update) => update,
        };
        let bar = update.bar.key();
        match view.stream().filter(|_| kind == GroupKind::Stream) {
            Some(template) => view.push_template(text, template, &bar, key_time),
            None => view.push_key(text, &bar, key_time),
        }
        let end = text.len();
        if self.is_guarded && kind == GroupKind::Hash {
            text.extend_from_within(start..end);
            text.extend_from_slice(b":version");
        } else if self.is_guarded && kind == GroupKind::Text {
            let namespace = &view.settings().namespace;
            push_display(text, format_args!("version:{namespace}:{}:", bar.spec));
            key_time.push_date(text);
            push_display(text, format_args!(":{}", bar.symbol.as_str()));
        }
        (start..end, end..text.len())
    }

    fn push_entry(&mut self, kind: GroupKind, item: &WriteItem, key_time: &KeyTime) {
        let (view, text) = (self.view, &mut self.text);
        let (start, mut id) = (text.len(), StreamId::default());
        let [field_end, version_end] = match item {
            WriteItem::Manifest(manifest) => {
                text.extend_from_slice(manifest.symbol.as_str().as_bytes());
                let end = text.len();
                push_manifest(text, manifest, self.now);
                [end, end]
            }
            WriteItem::Bar(update) => {
                let bar = update.bar.key();
                if kind == GroupKind::Stream {
                    id = StreamId::of(bar.start, update.revision);
                    bar.start.push_text(text);
                } else if kind == GroupKind::Text && self.is_guarded {
                    key_time.push_time(text);
                } else {
                    view.push_field(text, &bar, key_time);
                }
                let field_end = text.len();
                if self.is_guarded || kind == GroupKind::Stream {
                    push_version(text, update);
                }
                let version_end = text.len();
                push_value(text, update, view.settings().value);
                [field_end, version_end]
            }
        };
        let bounds = [start, field_end, version_end, text.len()];
        self.entries.push(Entry { id, bounds });
    }
}

/// Commands that the items would need, as the store bills them: Upstash counts what runs inside a script too.
pub(crate) fn count_commands(view: &View, items: &[WriteItem], is_guarded: bool) -> usize {
    let grouped = Grouped::of(view, items);
    let expire = usize::from(view.settings().ttl_s.is_some());
    // Guarded, each group has its type looked at, its versions read and written, and those of a gone key removed.
    let guard = usize::from(is_guarded);
    let mut versions = None;
    let commands = grouped.groups.iter().map(|group| match group.kind {
        Some(GroupKind::Text) => {
            let (item, key_time) = grouped.head(group);
            let own = match item {
                WriteItem::Bar(update) => {
                    Some((update.bar.spec, key_time.date(), update.bar.symbol))
                }
                WriteItem::Manifest(_) => None,
            };
            let is_new = std::mem::replace(&mut versions, own) != own;
            1 + guard * usize::from(is_new) * (2 + expire)
        }
        Some(GroupKind::Hash) => 1 + expire + guard * (4 + expire),
        Some(GroupKind::Manifest) => 1 + expire + guard,
        // Unguarded, a script of its own; guarded, a look at its type.
        Some(GroupKind::Stream) => 1 + group.len + expire,
        None => 0,
    });
    commands.sum::<usize>() + grouped.notices.len() + 2 * guard
}
