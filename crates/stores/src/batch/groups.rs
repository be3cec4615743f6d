//! Groups the items of a batch by key; the last update of a bar wins.
//!
//! Owns the grouping and the texts. A stream alone takes every closed update, since it is a log. Deliberately knows
//! no command: `commands` sends groups as commands, `guard` as one script.

use super::notification::Notice;
use crate::key_store::stream::{StreamEntry, StreamId};
use crate::layout::key_time::{KeyTime, KeyTimes};
use crate::layout::settings::ViewKind;
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

/// Bytes of text that most bars need with every field of their value; a text that grows is copied.
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

/// What goes to one key; its parts are ranges of the batch's text.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) layout: Layout,
    pub(crate) key: Range<usize>,
    /// Key of the hash of versions, for hashes and strings of a guarded batch; else empty.
    pub(crate) versions: Range<usize>,
    pub(crate) entries: Vec<Entry>,
    /// Entries, also where only their count is wanted.
    len: usize,
    /// Whether each entry starts after the one before, so that no two are of one cell.
    is_rising: bool,
}

/// What of a key the last item of a batch decides: the bar, or the symbol of a manifest.
type Cell = (Symbol, Timestamp);

/// One value and its field, as ranges of the batch's text; parts that its layout does not need are empty.
#[derive(Debug)]
pub(crate) struct Entry {
    cell: Cell,
    revision: u32,
    /// Field of a hash; start of the bar in a stream; field among the versions of a guarded string.
    pub(crate) field: Range<usize>,
    pub(crate) version: Range<usize>,
    pub(crate) value: Range<usize>,
}

impl Group {
    fn add(&mut self, entry: Entry) {
        let last = self.entries.last();
        self.is_rising &= last.is_none_or(|last| last.cell.1 < entry.cell.1);
        self.len += 1;
        self.entries.push(entry);
    }

    /// Leaves the last entry of each cell; a stream keeps them all, since it is a log.
    fn keep_newest(&mut self) {
        if self.is_rising || self.layout == Layout::Stream {
            return;
        }
        let mut seen: HashSet<Cell, FixedState> =
            HashSet::with_capacity_and_hasher(self.entries.len(), FixedState::default());
        self.entries.reverse();
        self.entries.retain(|entry| seen.insert(entry.cell));
        self.entries.reverse();
    }
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
    /// All texts of the groups.
    pub(crate) text: Bytes,
    pub(crate) groups: Vec<Group>,
    /// Channel and message, after all groups.
    pub(crate) notices: Vec<(Bytes, Bytes)>,
    /// For each item.
    pub(crate) homes: Vec<Home>,
}

impl Batch {
    /// A part of the text.
    pub(crate) fn slice(&self, range: &Range<usize>) -> Bytes {
        self.text.slice(range.clone())
    }

    /// The entries of a stream.
    pub(crate) fn stream_entries(&self, group: &Group) -> Vec<StreamEntry> {
        let entry = |entry: &Entry| StreamEntry {
            id: StreamId::of(entry.cell.1, entry.revision),
            start: self.slice(&entry.field),
            version: self.slice(&entry.version),
            bar: self.slice(&entry.value),
        };
        group.entries.iter().map(entry).collect()
    }
}

/// What shares a key, told without making the key: parts that the key does not name are left out.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Share {
    symbol: Option<Symbol>,
    /// The number of the spec in the batch.
    spec: Option<usize>,
    /// A civil date or an instant.
    at: i64,
}

/// A number for a civil date.
fn number_of(date: Date) -> i64 {
    let months = i64::from(date.year()) * 12 + i64::from(date.month());
    months * 31 + i64::from(date.day())
}

/// Encodes the items; `now` stamps the manifests.
pub(crate) fn encode(view: &View, items: &[WriteItem], now: Timestamp, is_guarded: bool) -> Batch {
    let mut builder = Builder::new(view, is_guarded);
    builder.text.reserve(items.len() * TEXT_LEN);
    let homes = items.iter().map(|item| builder.push(item, now)).collect();
    for group in &mut builder.groups {
        group.keep_newest();
    }
    let notice = |(channel, notice): (Bytes, Notice)| (channel, Bytes::from(notice.text()));
    Batch {
        text: Bytes::from(builder.text),
        groups: builder.groups,
        notices: builder.notices.into_iter().map(notice).collect(),
        homes,
    }
}

/// What of one kind a batch has met, and its index.
#[derive(Default)]
struct Known {
    by_share: HashMap<Share, usize, FixedState>,
    /// The last one, since items of one key may come together.
    last: Option<(Share, usize)>,
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

struct Builder<'a> {
    view: &'a View,
    stamps: KeyTimes<'a>,
    text: Vec<u8>,
    groups: Vec<Group>,
    /// Those of the batch, a few.
    specs: Vec<BarSpec>,
    /// Of bars, by layout of their groups.
    bases: Known,
    streams: Known,
    manifests: Known,
    channels: Known,
    notices: Vec<(Bytes, Notice)>,
    is_guarded: bool,
    /// Whether entries are counted and not made, to count commands.
    has_counts_only: bool,
}

impl<'a> Builder<'a> {
    fn new(view: &'a View, is_guarded: bool) -> Builder<'a> {
        Builder {
            view,
            stamps: KeyTimes::new(&view.settings().zone),
            text: Vec::new(),
            groups: Vec::new(),
            specs: Vec::new(),
            bases: Known::default(),
            streams: Known::default(),
            manifests: Known::default(),
            channels: Known::default(),
            notices: Vec::new(),
            is_guarded,
            has_counts_only: false,
        }
    }

    fn share(&mut self, symbol: Option<Symbol>, spec: Option<BarSpec>, at: i64) -> Share {
        let specs = &mut self.specs;
        let spec = spec.map(|spec| {
            let known = specs.iter().position(|one| *one == spec);
            known.unwrap_or_else(|| {
                specs.push(spec);
                specs.len() - 1
            })
        });
        Share { symbol, spec, at }
    }

    fn push(&mut self, item: &WriteItem, now: Timestamp) -> Home {
        match item {
            WriteItem::Bar(update) => {
                let stamp = self.stamps.of(update.bar.start, update.bar.spec);
                Home {
                    base: self.push_base(update, &stamp),
                    stream: self.push_stream(update, &stamp),
                    notice: self.push_notice(update, &stamp),
                }
            }
            WriteItem::Manifest(manifest) => Home {
                base: Some(self.push_manifest(manifest, now)),
                ..Home::default()
            },
        }
    }

    fn push_base(&mut self, update: &BarUpdate, stamp: &KeyTime) -> Option<usize> {
        let (view, bar) = (self.view, update.bar.key());
        let (date, start) = (number_of(stamp.date()), bar.start.as_nanos());
        let (layout, symbol, at) = match view.settings().kind {
            ViewKind::SymbolDay => (Layout::Hash, Some(bar.symbol), date),
            ViewKind::Minute => (Layout::Hash, None, start),
            ViewKind::KeyPerBar => (Layout::Text, Some(bar.symbol), start),
            ViewKind::Stream | ViewKind::Publish => return None,
        };
        let share = self.share(symbol, Some(bar.spec), at);
        let next = self.groups.len();
        let index = self.bases.index(share, next).unwrap_or_else(|| {
            self.begin(layout, |text| view.push_key(text, &bar, stamp));
            if self.is_guarded {
                self.push_versions_key(next, &bar, stamp);
            }
            next
        });
        if self.has_counts_only {
            return Some(index);
        }
        let field = self.text.len();
        if layout == Layout::Text && self.is_guarded {
            stamp.push_time(&mut self.text);
        } else {
            view.push_field(&mut self.text, &bar, stamp);
        }
        self.push_entry(index, update, field);
        Some(index)
    }

    /// Key of the versions of what lies under the key of a group.
    fn push_versions_key(&mut self, group: usize, bar: &BarKey, stamp: &KeyTime) {
        let start = self.text.len();
        let group = &mut self.groups[group];
        if group.layout == Layout::Hash {
            self.text.extend_from_within(group.key.clone());
            self.text.extend_from_slice(b":version");
        } else {
            let namespace = &self.view.settings().namespace;
            push_display(
                &mut self.text,
                format_args!("version:{namespace}:{}:", bar.spec),
            );
            stamp.push_date(&mut self.text);
            push_display(&mut self.text, format_args!(":{}", bar.symbol.as_str()));
        }
        group.versions = start..self.text.len();
    }

    fn push_stream(&mut self, update: &BarUpdate, stamp: &KeyTime) -> Option<usize> {
        let template = self.view.stream()?;
        if update.state == BarState::Forming {
            return None;
        }
        let (view, bar) = (self.view, update.bar.key());
        let spec = template.has(Placeholder::Spec).then_some(bar.spec);
        let share = if template.has(Placeholder::Date) {
            self.share(Some(bar.symbol), Some(bar.spec), number_of(stamp.date()))
        } else {
            self.share(Some(bar.symbol), spec, 0)
        };
        let next = self.groups.len();
        let index = self.streams.index(share, next).unwrap_or_else(|| {
            self.begin(Layout::Stream, |text| {
                view.push_template(text, template, &bar, stamp);
            });
            next
        });
        if self.has_counts_only {
            self.groups[index].len += 1;
            return Some(index);
        }
        let field = self.text.len();
        bar.start.push_text(&mut self.text);
        self.push_entry(index, update, field);
        Some(index)
    }

    fn push_notice(&mut self, update: &BarUpdate, stamp: &KeyTime) -> Option<usize> {
        let template = self.view.channel()?;
        let bar = update.bar.key();
        let spec = template.has(Placeholder::Spec).then_some(bar.spec);
        let share = self.share(None, spec, 0);
        let next = self.notices.len();
        let index = self.channels.index(share, next).unwrap_or_else(|| {
            let mut channel = Vec::new();
            self.view.push_template(&mut channel, template, &bar, stamp);
            self.notices.push((Bytes::from(channel), Notice::default()));
            next
        });
        self.notices[index].1.add(update, stamp);
        Some(index)
    }

    fn push_manifest(&mut self, manifest: &Manifest, now: Timestamp) -> usize {
        let (view, spec, date) = (self.view, manifest.spec, manifest.date);
        let share = self.share(None, Some(spec), number_of(date));
        let next = self.groups.len();
        let index = self.manifests.index(share, next).unwrap_or_else(|| {
            self.begin(Layout::Manifest, |text| {
                view.push_manifest_key(text, spec, date);
            });
            next
        });
        if !self.has_counts_only {
            let start = self.text.len();
            let symbol = manifest.symbol.as_str().as_bytes();
            self.text.extend_from_slice(symbol);
            let middle = self.text.len();
            push_manifest(&mut self.text, manifest, now);
            self.groups[index].add(Entry {
                cell: (manifest.symbol, Timestamp::EPOCH),
                revision: 0,
                field: start..middle,
                version: middle..middle,
                value: middle..self.text.len(),
            });
        }
        index
    }

    /// Begins the next group; `name` appends its key, where that is needed.
    fn begin(&mut self, layout: Layout, name: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        if !self.has_counts_only || self.is_guarded {
            name(&mut self.text);
        }
        self.groups.push(Group {
            layout,
            key: start..self.text.len(),
            versions: 0..0,
            // Many a key has one bar in a batch.
            entries: Vec::with_capacity(1),
            len: 0,
            is_rising: true,
        });
    }

    /// Adds the update to a group; its field begins at `start` in the text.
    fn push_entry(&mut self, group: usize, update: &BarUpdate, start: usize) {
        let field = start..self.text.len();
        if self.is_guarded || self.groups[group].layout == Layout::Stream {
            push_version(&mut self.text, update);
        }
        let version = field.end..self.text.len();
        push_value(&mut self.text, update, self.view.settings().value);
        self.groups[group].add(Entry {
            cell: (update.bar.symbol, update.bar.start),
            revision: update.revision,
            field,
            value: version.end..self.text.len(),
            version,
        });
    }
}

/// Commands that the items would need, as the store bills them: Upstash counts what runs inside a script too.
pub(crate) fn count_commands(view: &View, items: &[WriteItem], is_guarded: bool) -> usize {
    let mut builder = Builder::new(view, is_guarded);
    builder.has_counts_only = true;
    for item in items {
        builder.push(item, Timestamp::EPOCH);
    }
    let expire = usize::from(view.settings().ttl_s.is_some());
    // Guarded, each group has its type looked at, its versions read and written, and those of a gone key removed.
    let guard = usize::from(is_guarded);
    let mut versions = None;
    let commands = builder.groups.iter().map(|group| match group.layout {
        Layout::Text => {
            let own = &builder.text[group.versions.clone()];
            let is_new = versions.replace(own) != Some(own);
            1 + guard * usize::from(is_new) * (2 + expire)
        }
        Layout::Hash => 1 + expire + guard * (4 + expire),
        Layout::Manifest => 1 + expire + guard,
        // Unguarded, a script of its own; guarded, a look at its type.
        Layout::Stream => 1 + group.len + expire,
    });
    commands.sum::<usize>() + builder.notices.len() + 2 * guard
}
