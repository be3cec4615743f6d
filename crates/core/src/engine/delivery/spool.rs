//! The spool as delivery sees it: its front, items into it and out of it, and the pending commit.

use super::work::StateChange;
use crate::engine::batch::bar_of;
use crate::engine::retry::Backoff;
use crate::model::{BarUpdate, WriteItem};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// How long acked bars wait for company before they are kept: one commit serves them all, and a crash forgets no more.
const RECENT_WAIT: Duration = Duration::from_secs(10);

/// The spool of one run.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Spool {
    /// Items in it after the last commit.
    items: u64,
    /// Its first items as far as they were read, without those in flight.
    front: VecDeque<(u64, WriteItem)>,
    /// Where reading goes on.
    read_from: u64,
    loading: bool,
    /// The change that is gathered.
    next: StateChange,
    /// The change that is being committed.
    committing: Option<StateChange>,
    /// Appending makes no sense before this instant, because there was no room.
    append_at: Duration,
    /// Nothing can be committed before this instant, because the disk took not even a removal.
    commit_at: Duration,
    /// Commits in a row that found no room.
    fulls: u32,
    /// When the first recent bar of the gathered change was acked.
    recent_since: Option<Duration>,
}

/// What the front of the spool gives to send.
#[derive(Debug)]
pub(super) enum Front {
    /// Nothing before it is read: from this position, so many items at most.
    Load { from: u64, len_max: usize },
    /// Its first items, with their positions.
    Items(Vec<u64>, Vec<WriteItem>),
    /// The disk takes nothing and the spool is empty: what waits for it is all there is.
    Bypass(Vec<WriteItem>),
}

impl Spool {
    pub(super) fn new(items: u64) -> Spool {
        Spool {
            items,
            ..Spool::default()
        }
    }

    /// Items in it after the last commit.
    pub(super) fn items(&self) -> u64 {
        self.items
    }

    /// Items on their way to the disk that are in no commit yet.
    pub(super) fn gathered_len(&self) -> usize {
        self.next.append.len() + self.next.dead.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items == 0 && self.front.is_empty() && !self.is_appending()
    }

    /// Whether items are on their way into it.
    pub(super) fn is_appending(&self) -> bool {
        self.changes().any(|change| !change.append.is_empty())
    }

    /// Whether items are on their way into the dead letters.
    pub(super) fn is_burying(&self) -> bool {
        self.changes().any(|change| !change.dead.is_empty())
    }

    fn changes(&self) -> impl Iterator<Item = &StateChange> {
        self.committing.iter().chain([&self.next])
    }

    pub(super) fn is_committing(&self) -> bool {
        self.committing.is_some()
    }

    /// Whether everything given to the state store is durable.
    pub(super) fn is_settled(&self) -> bool {
        self.committing.is_none() && self.next == StateChange::default()
    }

    /// Whether the last commit found no room.
    pub(super) fn lacks_room(&self) -> bool {
        self.fulls > 0
    }

    /// Whether there is something to probe or drain with.
    pub(super) fn can_probe(&self) -> bool {
        self.can_drain() && (self.items > 0 || !self.next.append.is_empty())
    }

    /// Whether the front may be read and sent: never what was sent already and is still there on disk.
    fn can_drain(&self) -> bool {
        !self.loading && self.committing.is_none() && self.next.remove.is_empty()
    }

    /// Gathers an item for its end.
    pub(super) fn append(&mut self, item: WriteItem) {
        self.next.append.push(item);
    }

    /// Gathers a bar that the store acked; `len_max` of them at most.
    pub(super) fn keep_recent(&mut self, update: BarUpdate, len_max: usize, now: Duration) {
        let recent = &mut self.next.recent;
        if len_max <= recent.len() {
            // The disk takes nothing: the guard against a forgetful store must not cost the memory.
            recent.drain(..recent.len().div_ceil(2));
        }
        recent.push(update);
        self.recent_since.get_or_insert(now);
    }

    /// Takes in what became of items of the front: those at `done` leave the spool, `left` are its first ones again, and
    /// `dead` are refused, wherever they came from.
    pub(super) fn returned(
        &mut self,
        done: &[u64],
        left: Vec<(u64, WriteItem)>,
        dead: Vec<(WriteItem, String)>,
    ) {
        for &position in done {
            match self.next.remove.last_mut() {
                Some((_, last)) if *last + 1 == position => *last = position,
                Some(_) | None => self.next.remove.push((position, position)),
            }
        }
        for entry in left.into_iter().rev() {
            self.front.push_front(entry);
        }
        self.next.dead.extend(dead);
    }

    /// When the gathered change is to be committed; `None` when there is nothing worth it, with `enough` recent bars.
    pub(super) fn due_at(&self, enough: usize) -> Option<Duration> {
        if self.committing.is_some() {
            return None;
        }
        if !self.next.remove.is_empty() || enough <= self.next.recent.len() {
            return Some(self.commit_at);
        }
        let recent = self.recent_since.filter(|_| !self.next.recent.is_empty());
        let recent = recent.map(|since| (since + RECENT_WAIT).max(self.commit_at));
        let adds = 0 < self.gathered_len();
        let added = adds.then(|| self.append_at.max(self.commit_at));
        [recent, added].into_iter().flatten().min()
    }

    /// The change to commit now; `enough` as for [`Spool::due_at`].
    pub(super) fn next_commit(&mut self, enough: usize, now: Duration) -> Option<StateChange> {
        self.due_at(enough).filter(|at| *at <= now)?;
        let mut change = std::mem::take(&mut self.next);
        self.recent_since = None;
        if now < self.append_at {
            self.next.append = std::mem::take(&mut change.append);
        }
        self.committing = Some(change.clone());
        Some(change)
    }

    /// The commit under way is durable; the spool now holds so many items. Answers what was committed.
    pub(super) fn committed(&mut self, items: u64) -> Option<StateChange> {
        let change = self.committing.take()?;
        (self.items, self.fulls) = (items, 0);
        (self.append_at, self.commit_at) = (Duration::ZERO, Duration::ZERO);
        Some(change)
    }

    /// The commit under way changed nothing for want of room: it is made again, later.
    pub(super) fn commit_failed(&mut self, now: Duration, backoff: &mut Backoff) {
        let Some(change) = self.committing.take() else {
            return;
        };
        self.fulls += 1;
        self.append_at = now + backoff.delay(self.fulls.min(6), None);
        if change.append.is_empty() {
            // Not even what frees space was taken.
            self.commit_at = self.append_at;
        }
        if !change.recent.is_empty() {
            self.recent_since = Some(now);
        }
        self.next = change.followed_by(std::mem::take(&mut self.next));
    }

    /// Somebody else has appended to it.
    pub(super) fn grew(&mut self, items: u64) {
        self.items = items;
    }

    /// Everything on its way to the disk, durable or not.
    pub(super) fn rescue(&mut self) -> StateChange {
        let committing = self.committing.take().unwrap_or_default();
        committing.followed_by(std::mem::take(&mut self.next))
    }

    /// The front was read.
    pub(super) fn loaded(&mut self, items: Vec<(u64, WriteItem)>) {
        self.loading = false;
        self.read_from = items.last().map_or(self.read_from, |(last, _)| last + 1);
        self.front.extend(items);
    }

    /// Takes what is to be sent next, `len_max` items at most; `None` when there is nothing, or nothing may be sent.
    pub(super) fn take_front(&mut self, len_max: usize) -> Option<Front> {
        if !self.can_drain() {
            return None;
        }
        // Two batches are looked at to send one.
        let known = u64::try_from(self.front.len()).unwrap_or(u64::MAX);
        let missing = (2 * len_max).saturating_sub(self.front.len());
        if known < self.items && 0 < missing {
            self.loading = true;
            return Some(Front::Load {
                from: self.read_from,
                len_max: missing,
            });
        }
        let len = self.front_len(len_max);
        if 0 < len {
            let (positions, items) = self.front.drain(..len).unzip();
            return Some(Front::Items(positions, items));
        }
        // All of it, since a bar that is in it twice must not be in two flights.
        let items = std::mem::take(&mut self.next.append);
        (!items.is_empty()).then_some(Front::Bypass(items))
    }

    /// How many of the first items go out together: no manifest behind a bar that may yet fail.
    fn front_len(&self, len_max: usize) -> usize {
        let is_bar = |item: &WriteItem| bar_of(item).is_some();
        let first = self.front.front().is_some_and(|(_, item)| is_bar(item));
        let alike = self
            .front
            .iter()
            .take_while(|(_, item)| is_bar(item) == first);
        let len = alike.count();
        if first {
            self.uncut_len(len, len_max)
        } else {
            len.min(len_max)
        }
    }

    /// How many of the first `len` bars go out together: updates of one bar that a batch held do not part. The store may
    /// have taken that batch, and its answer been lost; then an earlier update alone would take the last one back.
    fn uncut_len(&self, len: usize, len_max: usize) -> usize {
        let bars = self
            .front
            .iter()
            .take(len)
            .filter_map(|(_, item)| bar_of(item));
        let keys: Vec<_> = bars.map(|update| update.bar.key()).collect();
        let last: HashMap<_, usize> = keys
            .iter()
            .enumerate()
            .map(|(index, key)| (*key, index))
            .collect();
        let parted = |cut: usize| keys[..cut].iter().position(|key| cut <= last[key]);
        let most = len.min(len_max);
        let mut cut = most;
        while let Some(index) = parted(cut) {
            if index == 0 {
                // Nothing fits before the first bar is whole, so what it takes with it comes along.
                let (mut end, mut index) = (0, 0);
                while index <= end && end < most {
                    end = end.max(last[&keys[index]]);
                    index += 1;
                }
                return most.min(end + 1);
            }
            cut = index;
        }
        cut
    }
}
