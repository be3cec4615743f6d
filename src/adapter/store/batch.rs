//! From items to groups: items of one key stand together, and the last update of a bar wins.
//!
//! Owns the grouping and the texts. A stream alone takes every closed update, since it is a log. Deliberately knows
//! no command: `plain` sends groups as commands, `guard` as one script.

use super::notice::Notice;
use super::stamp::Stamp;
use super::stream::StreamId;
use super::template::push_display;
use super::value::{push_manifest, push_value};
use super::version::push_version;
use super::view::View;
use super::view_settings::ViewKind;
use crate::model::{BarKey, BarSpec, BarState, BarUpdate, Manifest, Symbol, Timestamp};
use crate::port::WriteItem;
use bytes::Bytes;
use foldhash::fast::FixedState;
use jiff::civil::Date;
use std::collections::HashMap;
use std::ops::Range;

/// How the values of a group lie under its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Layout {
    /// Fields of a hash.
    Hash,
    /// The key is the string; one entry.
    Text,
    /// Entries of a stream.
    Stream,
    /// Fields of a hash of manifests.
    Manifest,
}

/// What goes to one key.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) layout: Layout,
    pub(super) key: Bytes,
    /// Key of the hash of versions, for hashes and strings of a guarded batch; else empty.
    pub(super) versions: Bytes,
    pub(super) entries: Vec<Entry>,
}

/// One value and its place; parts that its layout does not need are empty.
#[derive(Debug)]
pub(super) struct Entry {
    /// Field of a hash; start of the bar in a stream; field among the versions of a guarded string.
    pub(super) field: Bytes,
    pub(super) version: Bytes,
    pub(super) value: Bytes,
    /// The own id in a stream.
    pub(super) id: StreamId,
}

/// Where an item is in the groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Home {
    /// Group of the bar's hash or string, or of the manifest.
    pub(super) base: Option<usize>,
    /// Group of the stream.
    pub(super) stream: Option<usize>,
    /// The notice.
    pub(super) notice: Option<usize>,
}

/// A batch by key, in the order in which keys first occur.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) groups: Vec<Group>,
    /// Channel and message, after all groups.
    pub(super) notices: Vec<(Bytes, Bytes)>,
    /// For each item.
    pub(super) homes: Vec<Home>,
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

/// Encodes the items; `now` stamps the manifests.
pub(super) fn encode(view: &View, items: &[WriteItem], now: Timestamp, is_guarded: bool) -> Batch {
    let mut newest: Map<Place> = map(items.len());
    for (index, item) in items.iter().enumerate() {
        newest.insert(Place::of(item), index);
    }
    let mut builder = Builder::new(view, items.len(), is_guarded);
    for (index, item) in items.iter().enumerate() {
        let is_newest = newest.get(&Place::of(item)) == Some(&index);
        builder.push(item, is_newest, now);
    }
    builder.finish()
}

/// The places of an entry's parts in the text of the batch.
struct Draft {
    field: Range<usize>,
    version: Range<usize>,
    value: Range<usize>,
    id: StreamId,
}

struct DraftGroup {
    layout: Layout,
    key: Bytes,
    versions: Bytes,
    entries: Vec<Draft>,
    /// Entries, also where only keys are wanted.
    len: usize,
}

/// Keys of one kind that a batch has met.
#[derive(Default)]
struct Known {
    by_key: Map<Bytes>,
    /// The last one, since items of one key come together.
    last: Option<(Bytes, usize)>,
}

struct Builder<'a> {
    view: &'a View,
    text: Vec<u8>,
    key: Vec<u8>,
    groups: Vec<DraftGroup>,
    /// Of hashes, strings and manifests; then of streams; then of channels.
    known: [Known; 3],
    notices: Vec<(Bytes, Notice)>,
    homes: Vec<Home>,
    is_guarded: bool,
    /// Whether only keys are wanted, to count commands.
    has_keys_only: bool,
}

impl Known {
    /// The index of a key, or the `next` one for a key not met before.
    fn index(&mut self, key: &[u8], next: usize) -> Result<usize, Bytes> {
        if let Some((last, index)) = &self.last
            && last == key
        {
            return Ok(*index);
        }
        if let Some((key, &index)) = self.by_key.get_key_value(key) {
            self.last = Some((key.clone(), index));
            return Ok(index);
        }
        let new = Bytes::copy_from_slice(key);
        self.by_key.insert(new.clone(), next);
        self.last = Some((new.clone(), next));
        Err(new)
    }
}

impl<'a> Builder<'a> {
    fn new(view: &'a View, len: usize, is_guarded: bool) -> Builder<'a> {
        Builder {
            view,
            text: Vec::with_capacity(len * 128),
            key: Vec::new(),
            groups: Vec::new(),
            known: Default::default(),
            notices: Vec::new(),
            homes: Vec::with_capacity(len),
            is_guarded,
            has_keys_only: false,
        }
    }

    fn push(&mut self, item: &WriteItem, is_newest: bool, now: Timestamp) {
        let home = match item {
            WriteItem::Bar(update) => self.push_bar(update, is_newest),
            WriteItem::Manifest(manifest) => self.push_manifest(manifest, is_newest, now),
        };
        self.homes.push(home);
    }

    fn push_bar(&mut self, update: &BarUpdate, is_newest: bool) -> Home {
        let (view, bar) = (self.view, update.bar.key());
        let stamp = view.stamp(&bar);
        let base = match view.settings().kind {
            ViewKind::SymbolDay | ViewKind::Minute => Some(Layout::Hash),
            ViewKind::KeyPerBar => Some(Layout::Text),
            ViewKind::Stream | ViewKind::Publish => None,
        };
        let base = base.map(|layout| {
            self.key.clear();
            view.push_key(&mut self.key, &bar, &stamp);
            let index = self.group(0, layout);
            if self.is_guarded && self.groups[index].versions.is_empty() {
                self.groups[index].versions = self.versions(layout, &bar, &stamp);
            }
            if is_newest {
                let start = self.text.len();
                match layout {
                    Layout::Text if self.is_guarded => stamp.push_time(&mut self.text),
                    Layout::Text | Layout::Hash | Layout::Stream | Layout::Manifest => {
                        view.push_field(&mut self.text, &bar, &stamp);
                    }
                }
                self.push_draft(index, update, start, StreamId::of(bar.start, update.revision));
            }
            index
        });
        Home { base, stream: self.push_stream(update, &stamp), notice: self.push_notice(update, &stamp) }
    }

    fn push_stream(&mut self, update: &BarUpdate, stamp: &Stamp) -> Option<usize> {
        let template = self.view.stream()?;
        if update.state == BarState::Forming {
            return None;
        }
        let bar = update.bar.key();
        self.key.clear();
        self.view.push_template(&mut self.key, template, &bar, stamp);
        let index = self.group(1, Layout::Stream);
        let start = self.text.len();
        push_display(&mut self.text, bar.start);
        self.push_draft(index, update, start, StreamId::of(bar.start, update.revision));
        Some(index)
    }

    fn push_notice(&mut self, update: &BarUpdate, stamp: &Stamp) -> Option<usize> {
        let template = self.view.channel()?;
        self.key.clear();
        self.view.push_template(&mut self.key, template, &update.bar.key(), stamp);
        let index = match self.known[2].index(&self.key, self.notices.len()) {
            Ok(index) => index,
            Err(channel) => {
                self.notices.push((channel, Notice::default()));
                self.notices.len() - 1
            }
        };
        self.notices[index].1.add(update, stamp);
        Some(index)
    }

    fn push_manifest(&mut self, manifest: &Manifest, is_newest: bool, now: Timestamp) -> Home {
        self.key.clear();
        self.view.push_manifest_key(&mut self.key, manifest.spec, manifest.date);
        let index = self.group(0, Layout::Manifest);
        if is_newest {
            let start = self.text.len();
            self.text.extend_from_slice(manifest.symbol.as_str().as_bytes());
            let middle = self.text.len();
            push_manifest(&mut self.text, manifest, now);
            let (field, version, value) = (start..middle, middle..middle, middle..self.text.len());
            let id = StreamId::of(Timestamp::EPOCH, 0);
            self.add(index, Draft { field, version, value, id });
        }
        Home { base: Some(index), ..Home::default() }
    }

    /// Key of the versions of what lies under the key at hand.
    fn versions(&self, layout: Layout, bar: &BarKey, stamp: &Stamp) -> Bytes {
        if layout == Layout::Hash {
            return Bytes::from([self.key.as_slice(), b":version"].concat());
        }
        let mut key = Vec::with_capacity(64);
        push_display(&mut key, format_args!("version:{}:{}:", self.view.settings().namespace, bar.spec));
        stamp.push_date(&mut key);
        push_display(&mut key, format_args!(":{}", bar.symbol.as_str()));
        Bytes::from(key)
    }

    /// The group of the key at hand.
    fn group(&mut self, kind: usize, layout: Layout) -> usize {
        match self.known[kind].index(&self.key, self.groups.len()) {
            Ok(index) => index,
            Err(key) => {
                self.groups.push(DraftGroup {
                    layout,
                    key,
                    versions: Bytes::new(),
                    entries: Vec::new(),
                    len: 0,
                });
                self.groups.len() - 1
            }
        }
    }

    fn add(&mut self, group: usize, draft: Draft) {
        self.groups[group].len += 1;
        self.groups[group].entries.push(draft);
    }

    /// Adds the update to a group; its field begins at `start` in the text.
    fn push_draft(&mut self, group: usize, update: &BarUpdate, start: usize, id: StreamId) {
        if self.has_keys_only {
            self.groups[group].len += 1;
            return;
        }
        let field = start..self.text.len();
        push_version(&mut self.text, update);
        let version = field.end..self.text.len();
        push_value(&mut self.text, update, self.view.settings().value);
        let value = version.end..self.text.len();
        self.add(group, Draft { field, version, value, id });
    }

    fn finish(self) -> Batch {
        let text = Bytes::from(self.text);
        let entry = |draft: Draft| Entry {
            field: text.slice(draft.field),
            version: text.slice(draft.version),
            value: text.slice(draft.value),
            id: draft.id,
        };
        let group = |DraftGroup { layout, key, versions, entries, .. }: DraftGroup| Group {
            layout,
            key,
            versions,
            entries: entries.into_iter().map(entry).collect(),
        };
        let notice = |(channel, notice): (Bytes, Notice)| (channel, Bytes::from(notice.text()));
        Batch {
            groups: self.groups.into_iter().map(group).collect(),
            notices: self.notices.into_iter().map(notice).collect(),
            homes: self.homes,
        }
    }
}

/// Commands that the items would need, as the store bills them: Upstash counts what runs inside a script too.
pub(super) fn count_commands(view: &View, items: &[WriteItem], is_guarded: bool) -> usize {
    let mut builder = Builder::new(view, 0, is_guarded);
    builder.has_keys_only = true;
    for item in items {
        builder.push(item, true, Timestamp::EPOCH);
    }
    let expire = usize::from(view.settings().ttl_s.is_some());
    // Guarded, each group has its type looked at, its versions read and written, and those of a gone key removed.
    let guard = usize::from(is_guarded);
    let mut versions = None;
    let commands = builder.groups.iter().map(|group| match group.layout {
        Layout::Text => {
            let is_new = versions.replace(&group.versions) != Some(&group.versions);
            1 + guard * usize::from(is_new) * (2 + expire)
        }
        Layout::Hash => 1 + expire + guard * (4 + expire),
        Layout::Manifest => 1 + expire + guard,
        // Unguarded, a script of its own; guarded, a look at its type.
        Layout::Stream => 1 + group.len + expire,
    });
    commands.sum::<usize>() + builder.notices.len() + 2 * guard
}

/// Bytes the item adds to a request at most: its keys, fields and values with JSON escapes, and the framing of their
/// commands.
pub(super) fn weigh(view: &View, item: &WriteItem) -> usize {
    let batch = encode(view, std::slice::from_ref(item), Timestamp::MAX, true);
    let escapes = |text: &Bytes| text.iter().filter(|byte| b"\"\\".contains(byte)).count();
    let mut len = 0;
    for group in &batch.groups {
        len += 2 * (group.key.len() + escapes(&group.key)) + group.versions.len() + FRAMING_LEN;
        for Entry { field, version, value, .. } in &group.entries {
            len += [field, version, value].into_iter().map(|text| text.len() + escapes(text)).sum::<usize>();
        }
    }
    for (channel, message) in &batch.notices {
        len += channel.len() + message.len() + escapes(message) + FRAMING_LEN;
    }
    len
}

/// Names, ids, lengths and separators of an HSET, SET or XADD with its EXPIRE, in RESP or JSON.
const FRAMING_LEN: usize = 192;
