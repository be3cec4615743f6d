//! What one transaction of the state file reads or changes.
//!
//! [`Snapshot`] is what is committed at one instant; every value is checked before it is served. [`Session`] applies
//! changes and keeps the totals and the bounds: a change that passes the bound of the spool is refused before anything
//! of it is applied, so that the other changes of the transaction are not touched by it.

use super::codec::Field;
use super::error::EngineError;
use super::row::{
    CHECKPOINTS, DEAD, Held, META, Named, Numbered, RECENT, Recent, RowError, SCHEMA, SPOOL, Timed,
    Totals, row_bytes, seal, unseal,
};
use super::settings::Bounds;
use barmill_core::engine::budget::BudgetUse;
use barmill_core::model::{BarState, BarUpdate, Timestamp, WriteItem};
use barmill_core::port::{
    Changes, Committed, DeadLetter, Position, RecentBar, SpoolRange, SpoolStats, StateError,
};
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableError, TableHandle,
    WriteTransaction,
};

/// What is committed at one instant.
pub(super) struct Snapshot {
    transaction: ReadTransaction,
    /// What the tables hold.
    pub(super) held: Held,
}

impl Snapshot {
    pub(super) fn new(database: &Database, held: Held) -> Result<Snapshot, EngineError> {
        let transaction = database.begin_read()?;
        Ok(Snapshot { transaction, held })
    }

    /// What the tables of a file hold that is being opened; `None` for a file without tables.
    pub(super) fn stored(database: &Database) -> Result<Option<Held>, EngineError> {
        let snapshot = Snapshot::new(database, Held::default())?;
        match snapshot.transaction.open_table(META) {
            Ok(_) => {}
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let schema = snapshot.required("schema")?;
        if schema > SCHEMA {
            return Err(EngineError::Version(schema));
        }
        Ok(Some(Held {
            spool: snapshot.required("spool")?,
            dead: snapshot.required("dead_letters")?,
            recent: snapshot.required("recent")?,
        }))
    }

    /// The items at or after `from`.
    pub(super) fn spool(
        &self,
        from: u64,
        len_max: usize,
    ) -> Result<Vec<(u64, WriteItem)>, EngineError> {
        let rows = self.rows(SPOOL, from, len_max)?.into_iter();
        Ok(rows
            .map(|(number, row): (u64, Timed)| (number, row.item))
            .collect())
    }

    /// What waits in the spool.
    pub(super) fn spool_stats(&self) -> Result<SpoolStats, EngineError> {
        let oldest: Option<(u64, Timed)> = self.rows(SPOOL, 0, 1)?.pop();
        let Held { spool, dead, .. } = self.held;
        Ok(SpoolStats {
            items: spool.items,
            bytes: spool.bytes,
            oldest: oldest.map(|(_, row)| row.time),
            dead_letters: dead.items,
            dead_bytes: dead.bytes,
        })
    }

    /// The dead letters at or after `from`.
    pub(super) fn dead(
        &self,
        from: u64,
        len_max: usize,
    ) -> Result<Vec<(u64, DeadLetter)>, EngineError> {
        self.rows(DEAD, from, len_max)
    }

    /// The recent bars at or after `since` and `from`.
    pub(super) fn recent(
        &self,
        since: Timestamp,
        from: u64,
        len_max: usize,
    ) -> Result<Vec<RecentBar>, EngineError> {
        let first = self.recent_since(since)?;
        let rows = self.rows(RECENT, from.max(first), len_max)?.into_iter();
        let bar = |(place, Recent { time, update })| RecentBar {
            place,
            time,
            update,
        };
        Ok(rows.map(bar).collect())
    }

    /// The first number at or after `since`, by halving: rows are in order of time and only the oldest leave.
    fn recent_since(&self, since: Timestamp) -> Result<u64, EngineError> {
        let Totals { items, next, .. } = self.held.recent;
        let (mut low, mut high) = (next - items.min(next), next);
        while low < high {
            let middle = low + (high - low) / 2;
            let row: Option<(u64, Recent)> = self.rows(RECENT, middle, 1)?.pop();
            if row.is_some_and(|(_, row)| row.time < since) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The saved position of a feed.
    pub(super) fn checkpoint(&self, feed: &str) -> Result<Option<Position>, EngineError> {
        self.named(CHECKPOINTS, feed)
    }

    /// The saved position of every feed.
    pub(super) fn checkpoints(&self) -> Result<Vec<(String, Position)>, EngineError> {
        let table = self.transaction.open_table(CHECKPOINTS)?;
        let mut positions = Vec::new();
        for row in table.iter()? {
            let (feed, value) = row?;
            let position = unseal_named(CHECKPOINTS, feed.value(), value.value())?;
            positions.push((feed.value().to_owned(), position));
        }
        Ok(positions)
    }

    /// The saved commands.
    pub(super) fn budget(&self) -> Result<Option<BudgetUse>, EngineError> {
        self.named(META, "budget")
    }

    /// The text of the target that the file is labelled with.
    pub(super) fn target(&self) -> Result<Option<String>, EngineError> {
        self.named(META, "target")
    }

    /// Calls `visit` with every row of a table, its number and what it is or why it is damaged, until it says no.
    pub(super) fn visit<T: Field>(
        &self,
        table: Numbered,
        mut visit: impl FnMut(u64, Result<T, RowError>) -> bool,
    ) -> Result<(), EngineError> {
        let rows = self.transaction.open_table(table)?;
        for row in rows.iter()? {
            let (number, value) = row?;
            let number = number.value();
            if !visit(number, unseal_numbered(table, number, value.value())) {
                break;
            }
        }
        Ok(())
    }

    fn rows<T: Field>(
        &self,
        table: Numbered,
        from: u64,
        len_max: usize,
    ) -> Result<Vec<(u64, T)>, EngineError> {
        let rows = self.transaction.open_table(table)?;
        let mut found = Vec::new();
        for row in rows.range(from..)?.take(len_max) {
            let (number, value) = row?;
            let number = number.value();
            let row = unseal_numbered(table, number, value.value());
            let fault = |source| EngineError::Row {
                place: format!("{} place {number}", table.name()),
                source,
            };
            found.push((number, row.map_err(fault)?));
        }
        Ok(found)
    }

    fn named<T: Field>(&self, table: Named, name: &str) -> Result<Option<T>, EngineError> {
        let rows = self.transaction.open_table(table)?;
        let value = rows.get(name)?;
        value
            .map(|value| unseal_named(table, name, value.value()))
            .transpose()
    }

    fn required<T: Field>(&self, name: &str) -> Result<T, EngineError> {
        let missing = || EngineError::Row {
            place: format!("meta {name}"),
            source: RowError::Missing,
        };
        self.named(META, name)?.ok_or_else(missing)
    }
}

fn unseal_named<T: Field>(table: Named, name: &str, value: &[u8]) -> Result<T, EngineError> {
    unseal(table.name(), name.as_bytes(), value).map_err(|source| EngineError::Row {
        place: format!("{} {name}", table.name()),
        source,
    })
}

fn unseal_numbered<T: Field>(table: Numbered, number: u64, value: &[u8]) -> Result<T, RowError> {
    unseal(table.name(), &number.to_le_bytes(), value)
}

fn put_named(
    table: &mut Table<'_, &'static str, &'static [u8]>,
    name: &str,
    row: &impl Field,
) -> Result<(), EngineError> {
    let value = seal(table.name(), name.as_bytes(), |out| row.put(out));
    table.insert(name, value.as_slice())?;
    Ok(())
}

/// The open tables of one write transaction.
pub(super) struct Session<'t> {
    spool: Counted<'t>,
    dead: Counted<'t>,
    recent: Counted<'t>,
    checkpoints: Table<'t, &'static str, &'static [u8]>,
    meta: Table<'t, &'static str, &'static [u8]>,
    bounds: Bounds,
}

/// A numbered table and what it holds.
struct Counted<'t> {
    rows: Table<'t, u64, &'static [u8]>,
    totals: Totals,
}

impl<'t> Counted<'t> {
    fn open(
        transaction: &'t WriteTransaction,
        name: Numbered,
        totals: Totals,
    ) -> Result<Counted<'t>, EngineError> {
        let rows = transaction.open_table(name)?;
        Ok(Counted { rows, totals })
    }

    /// The values of the next rows.
    fn seal<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        put: impl Fn(T, &mut Vec<u8>),
    ) -> Vec<Vec<u8>> {
        (self.totals.next..)
            .zip(items)
            .map(|(number, item)| {
                seal(self.rows.name(), &number.to_le_bytes(), |out| {
                    put(item, out);
                })
            })
            .collect()
    }

    fn append(&mut self, values: &[Vec<u8>]) -> Result<(), EngineError> {
        for value in values {
            let number = self.totals.next;
            self.rows.insert(number, value.as_slice())?;
            self.totals.add(value.len());
        }
        Ok(())
    }

    /// Removes the rows of these numbers, both ends included.
    fn remove(&mut self, first: u64, last: u64) -> Result<(), EngineError> {
        let rows = self.rows.extract_from_if(first..=last, |_, _| true);
        for row in rows? {
            self.totals.remove(row?.1.value().len());
        }
        Ok(())
    }
}

impl<'t> Session<'t> {
    /// Opens the tables, and makes those that are missing.
    pub(super) fn open(
        transaction: &'t WriteTransaction,
        held: Held,
        bounds: Bounds,
    ) -> Result<Session<'t>, EngineError> {
        Ok(Session {
            spool: Counted::open(transaction, SPOOL, held.spool)?,
            dead: Counted::open(transaction, DEAD, held.dead)?,
            recent: Counted::open(transaction, RECENT, held.recent)?,
            checkpoints: transaction.open_table(CHECKPOINTS)?,
            meta: transaction.open_table(META)?,
            bounds,
        })
    }

    /// Applies one caller's changes, or refuses them alone where they find no room.
    pub(super) fn apply(
        &mut self,
        changes: &Changes,
    ) -> Result<Result<Committed, StateError>, EngineError> {
        let append = self.spool.seal(&changes.spool_append, |item, out| {
            changes.now.put(out);
            item.put(out);
        });
        let letters = self.dead.seal(&changes.dead_letters, DeadLetter::put);
        if let Err(full) = self.check_room(changes, append.iter().chain(&letters)) {
            return Ok(Err(full));
        }
        for range in &changes.spool_remove {
            self.spool.remove(range.first, range.last)?;
        }
        if let Some(through) = changes.dead_letters_remove {
            self.dead.remove(0, through)?;
        }
        let first = self.spool.totals.next;
        self.spool.append(&append)?;
        self.dead.append(&letters)?;
        for (feed, position) in &changes.checkpoints {
            put_named(&mut self.checkpoints, feed, position)?;
        }
        if let Some(used) = changes.budget {
            put_named(&mut self.meta, "budget", &used)?;
        }
        self.add_recent(&changes.recent, changes.now)?;
        let next = self.spool.totals.next;
        Ok(Ok(Committed {
            spooled: (first < next).then(|| SpoolRange {
                first,
                last: next - 1,
            }),
            spool_items: self.spool.totals.items,
            spool_bytes: self.spool.totals.bytes + self.dead.totals.bytes,
        }))
    }

    /// Labels the file with its target.
    pub(super) fn label(&mut self, target: &str) -> Result<(), EngineError> {
        put_named(&mut self.meta, "target", &target.to_owned())
    }

    /// Writes the totals; the last step before the commit.
    pub(super) fn finish(mut self) -> Result<Held, EngineError> {
        let held = Held {
            spool: self.spool.totals,
            dead: self.dead.totals,
            recent: self.recent.totals,
        };
        put_named(&mut self.meta, "schema", &SCHEMA)?;
        put_named(&mut self.meta, "spool", &held.spool)?;
        put_named(&mut self.meta, "dead_letters", &held.dead)?;
        put_named(&mut self.meta, "recent", &held.recent)?;
        Ok(held)
    }

    /// Refuses what passes the bound. What only moves items out of the spool always passes, as a full spool
    /// could not drain otherwise.
    fn check_room<'a>(
        &self,
        changes: &Changes,
        added: impl Iterator<Item = &'a Vec<u8>>,
    ) -> Result<(), StateError> {
        let needed: u64 = added.map(|value| row_bytes(value.len())).sum();
        let drains = changes.spool_append.is_empty() && !changes.spool_remove.is_empty();
        let bytes = self.spool.totals.bytes + self.dead.totals.bytes;
        if drains || needed == 0 || bytes + needed <= self.bounds.spool_bytes_max {
            return Ok(());
        }
        Err(StateError::Full {
            bytes,
            needed,
            bytes_max: self.bounds.spool_bytes_max,
        })
    }

    fn add_recent(&mut self, updates: &[BarUpdate], now: Timestamp) -> Result<(), EngineError> {
        if self.bounds.recent_age_max.is_zero() || updates.is_empty() {
            return Ok(());
        }
        let time = now.max(self.recent.totals.last);
        self.recent.totals.last = time;
        let is_closed = |update: &&BarUpdate| update.state != BarState::Forming;
        let closed = updates.iter().filter(is_closed);
        let values = self.recent.seal(closed, |&update, out| {
            Recent { time, update }.put(out);
        });
        self.recent.append(&values)?;
        self.forget_recent(time)
    }

    fn forget_recent(&mut self, now: Timestamp) -> Result<(), EngineError> {
        let age = i64::try_from(self.bounds.recent_age_max.as_nanos()).unwrap_or(i64::MAX);
        let oldest = now.saturating_sub(age);
        while let Some((number, time)) = self.recent_first()? {
            // A damaged row is forgotten like an old one: nothing else would ever remove it.
            let keep = time.is_some_and(|time| oldest <= time);
            if keep && self.recent.totals.bytes <= self.bounds.recent_bytes_max {
                break;
            }
            let Counted { rows, totals, .. } = &mut self.recent;
            if let Some(value) = rows.remove(number)? {
                totals.remove(value.value().len());
            }
        }
        Ok(())
    }

    /// Number and time of the oldest recent bar; no time when the row is damaged.
    fn recent_first(&self) -> Result<Option<(u64, Option<Timestamp>)>, EngineError> {
        let first = self.recent.rows.first()?;
        Ok(first.map(|(number, value)| {
            let number = number.value();
            let row: Result<Recent, RowError> = unseal_numbered(RECENT, number, value.value());
            (number, row.ok().map(|row| row.time))
        }))
    }
}
