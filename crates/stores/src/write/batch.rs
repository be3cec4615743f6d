//! From items to groups: items of one key stand together, and the last update of a bar wins.
//!
//! Owns the grouping and the texts. A stream alone takes every closed update, since it is a log. Deliberately knows
//! no command: `commands` sends groups as commands, `guard` as one script.

use crate::layout::key_time::{KeyTime, Stamps};
use crate::layout::notification::Notice;
use crate::layout::settings::ViewKind;
use crate::layout::stream::StreamId;
use crate::layout::template::{Placeholder, push_display};
use crate::layout::value::{push_manifest, push_value};
use crate::layout::version::push_version;
use crate::layout::view::View;
use barmill_core::model::{BarKey, BarSpec, BarState, BarUpdate, Manifest, Symbol, Timestamp};
use barmill_core::port::WriteItem;
use bytes::Bytes;
use foldhash::fast::FixedState;
use jiff::civil::Date;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Bytes of text that most bars need.
const TEXT_LEN: usize = 384;

/// How the values of a group lie under its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Layout {
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
pub(crate) struct Group {
    pub(crate) layout: Layout,
    pub(crate) key: Bytes,
    /// Key of the hash of versions, for hashes and strings of a guarded batch; else empty.
    pub(crate) versions: Bytes,
    pub(crate) entries: Vec<Entry>,
}

/// One value and its place; parts that its layout does not need are empty.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Field of a hash; start of the bar in a stream; field among the versions of a guarded string.
    pub(crate) field: Bytes,
    pub(crate) version: Bytes,
    pub(crate) value: Bytes,
    /// The own id in a stream.
    pub(crate) id: StreamId,
}

/// Where an item is in the groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Home {
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
    pub(crate) groups: Vec<Group>,
    /// Channel and message, after all groups.
    pub(crate) notices: Vec<(Bytes, Bytes)>,
    /// For each item.
    pub(crate) homes: Vec<Home>,
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

/// What shares a key, told without making the key: no two of one view have the same key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Share {
    /// A symbol on a civil date.
    Day(Symbol, BarSpec, Date),
    /// All symbols of a window.
    Window(BarSpec, Timestamp),
    Bar(BarKey),
    /// All dates of a symbol, where the key names none.
    Symbol(Symbol, Option<BarSpec>),
    Channel(Option<BarSpec>),
    Manifest(BarSpec, Date),
}

/// Encodes the items; `now` stamps the manifests.
pub(crate) fn encode(view: &View, items: &[WriteItem], now: Timestamp, is_guarded: bool) -> Batch {
    let mut builder = Builder::new(view, items.len(), is_guarded);
    for (item, is_newest) in items.iter().zip(newest(items)) {
        builder.push(item, is_newest, now);
    }
    builder.finish()
}

/// Whether each item is the last one of its place.
fn newest(items: &[WriteItem]) -> Vec<bool> {
    let mut seen: HashSet<Place, FixedState> =
        HashSet::with_capacity_and_hasher(items.len(), FixedState::with_seed(0));
    let mut newest: Vec<bool> = items
        .iter()
        .rev()
        .map(|item| seen.insert(Place::of(item)))
        .collect();
    newest.reverse();
    newest
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
    key: Vec<u8>,
    versions: Vec<u8>,
    entries: Vec<Draft>,
    /// Entries, also where only their count is wanted.
    len: usize,
}

/// What of one kind a batch has met, and its index.
#[derive(Default)]
struct Known {
    by_share: HashMap<Share, usize, FixedState>,
    /// The last one, since items of one key may come together.
    last: Option<(Share, usize)>,
}

struct Builder<'a> {
    view: &'a View,
    stamps: Stamps<'a>,
    text: Vec<u8>,
    groups: Vec<DraftGroup>,
    /// Of hashes, strings and manifests; then of streams; then of channels.
    known: [Known; 3],
    notices: Vec<(Bytes, Notice)>,
    homes: Vec<Home>,
    is_guarded: bool,
    /// Whether entries are counted and not made, to count commands.
    has_counts_only: bool,
}

impl Known {
    /// The index of a share; `None` for a new one, which gets the `next` one.
    fn index(&mut self, share: Share, next: usize) -> Option<usize> {
        if let Some((last, index)) = &self.last
            && *last == share
        {
            return Some(*index);
        }
        let index = *self.by_share.entry(share).or_insert(next);
        self.last = Some((share, index));
        (index != next).then_some(index)
    }
}

impl<'a> Builder<'a> {
    fn new(view: &'a View, len: usize, is_guarded: bool) -> Builder<'a> {
        Builder {
            view,
            stamps: Stamps::new(&view.settings().zone),
            text: Vec::with_capacity(len * TEXT_LEN),
            groups: Vec::new(),
            known: Default::default(),
            notices: Vec::new(),
            homes: Vec::with_capacity(len),
            is_guarded,
            has_counts_only: false,
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
        let bar = update.bar.key();
        let stamp = self.stamps.of(bar.start, bar.spec);
        let base = self.push_base(update, &stamp, is_newest);
        Home {
            base,
            stream: self.push_stream(update, &stamp),
            notice: self.push_notice(update, &stamp),
        }
    }

    fn push_base(&mut self, update: &BarUpdate, stamp: &KeyTime, is_newest: bool) -> Option<usize> {
        let (view, bar) = (self.view, update.bar.key());
        let (layout, share) = match view.settings().kind {
            ViewKind::SymbolDay => (Layout::Hash, Share::Day(bar.symbol, bar.spec, stamp.date())),
            ViewKind::Minute => (Layout::Hash, Share::Window(bar.spec, bar.start)),
            ViewKind::KeyPerBar => (Layout::Text, Share::Bar(bar)),
            ViewKind::Stream | ViewKind::Publish => return None,
        };
        let is_guarded = self.is_guarded;
        let index = self.group(0, share, layout, |group| {
            view.push_key(&mut group.key, &bar, stamp);
            if is_guarded {
                group.versions = versions(view, &group.key, layout, &bar, stamp);
            }
        });
        if is_newest && !self.has_counts_only {
            let start = self.text.len();
            match layout {
                Layout::Text if is_guarded => stamp.push_time(&mut self.text),
                Layout::Text | Layout::Hash | Layout::Stream | Layout::Manifest => {
                    view.push_field(&mut self.text, &bar, stamp);
                }
            }
            self.push_draft(
                index,
                update,
                start,
                StreamId::of(bar.start, update.revision),
            );
        }
        Some(index)
    }

    fn push_stream(&mut self, update: &BarUpdate, stamp: &KeyTime) -> Option<usize> {
        let template = self.view.stream()?;
        if update.state == BarState::Forming {
            return None;
        }
        let (view, bar) = (self.view, update.bar.key());
        let share = if template.has(Placeholder::Date) {
            Share::Day(bar.symbol, bar.spec, stamp.date())
        } else {
            Share::Symbol(
                bar.symbol,
                template.has(Placeholder::Spec).then_some(bar.spec),
            )
        };
        let index = self.group(1, share, Layout::Stream, |group| {
            view.push_template(&mut group.key, template, &bar, stamp);
        });
        if self.has_counts_only {
            self.groups[index].len += 1;
            return Some(index);
        }
        let start = self.text.len();
        bar.start.push_text(&mut self.text);
        self.push_draft(
            index,
            update,
            start,
            StreamId::of(bar.start, update.revision),
        );
        Some(index)
    }

    fn push_notice(&mut self, update: &BarUpdate, stamp: &KeyTime) -> Option<usize> {
        let template = self.view.channel()?;
        let bar = update.bar.key();
        let share = Share::Channel(template.has(Placeholder::Spec).then_some(bar.spec));
        let index = self.known[2]
            .index(share, self.notices.len())
            .unwrap_or_else(|| {
                let mut channel = Vec::new();
                self.view.push_template(&mut channel, template, &bar, stamp);
                self.notices.push((Bytes::from(channel), Notice::default()));
                self.notices.len() - 1
            });
        self.notices[index].1.add(update, stamp);
        Some(index)
    }

    fn push_manifest(&mut self, manifest: &Manifest, is_newest: bool, now: Timestamp) -> Home {
        let (view, spec, date) = (self.view, manifest.spec, manifest.date);
        let index = self.group(0, Share::Manifest(spec, date), Layout::Manifest, |group| {
            view.push_manifest_key(&mut group.key, spec, date);
        });
        if is_newest {
            let start = self.text.len();
            self.text
                .extend_from_slice(manifest.symbol.as_str().as_bytes());
            let middle = self.text.len();
            push_manifest(&mut self.text, manifest, now);
            let (field, version, value) = (start..middle, middle..middle, middle..self.text.len());
            let id = StreamId::of(Timestamp::EPOCH, 0);
            self.add(
                index,
                Draft {
                    field,
                    version,
                    value,
                    id,
                },
            );
        }
        Home {
            base: Some(index),
            ..Home::default()
        }
    }

    /// The group of a share; `name` gives a new one its keys, where those are needed.
    fn group(
        &mut self,
        kind: usize,
        share: Share,
        layout: Layout,
        name: impl FnOnce(&mut DraftGroup),
    ) -> usize {
        let next = self.groups.len();
        if let Some(index) = self.known[kind].index(share, next) {
            return index;
        }
        let mut group = DraftGroup {
            layout,
            key: Vec::new(),
            versions: Vec::new(),
            entries: Vec::new(),
            len: 0,
        };
        if !self.has_counts_only || self.is_guarded {
            name(&mut group);
        }
        self.groups.push(group);
        next
    }

    fn add(&mut self, group: usize, draft: Draft) {
        self.groups[group].len += 1;
        self.groups[group].entries.push(draft);
    }

    /// Adds the update to a group; its field begins at `start` in the text.
    fn push_draft(&mut self, group: usize, update: &BarUpdate, start: usize, id: StreamId) {
        let field = start..self.text.len();
        push_version(&mut self.text, update);
        let version = field.end..self.text.len();
        push_value(&mut self.text, update, self.view.settings().value);
        let value = version.end..self.text.len();
        self.add(
            group,
            Draft {
                field,
                version,
                value,
                id,
            },
        );
    }

    fn finish(self) -> Batch {
        let text = Bytes::from(self.text);
        let entry = |draft: Draft| Entry {
            field: text.slice(draft.field),
            version: text.slice(draft.version),
            value: text.slice(draft.value),
            id: draft.id,
        };
        let group = |DraftGroup {
                         layout,
                         key,
                         versions,
                         entries,
                         ..
                     }: DraftGroup| Group {
            layout,
            key: Bytes::from(key),
            versions: Bytes::from(versions),
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
pub(crate) fn count_commands(view: &View, items: &[WriteItem], is_guarded: bool) -> usize {
    let mut builder = Builder::new(view, 0, is_guarded);
    builder.has_counts_only = true;
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

/// Key of the versions of what lies under `key`.
fn versions(view: &View, key: &[u8], layout: Layout, bar: &BarKey, stamp: &KeyTime) -> Vec<u8> {
    if layout == Layout::Hash {
        return [key, b":version"].concat();
    }
    let mut key = Vec::with_capacity(64);
    push_display(
        &mut key,
        format_args!("version:{}:{}:", view.settings().namespace, bar.spec),
    );
    stamp.push_date(&mut key);
    push_display(&mut key, format_args!(":{}", bar.symbol.as_str()));
    key
}
