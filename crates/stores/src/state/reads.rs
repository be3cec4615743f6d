//! What one read transaction of the state file tells; every value is checked before it is served.

use super::codec::{CodecError, Reader};
use super::error::{EngineError, engine};
use super::row::{
    CHECKPOINTS, DEAD, META, Names, Places, RECENT, RowError, SCHEMA, SPOOL, Timed, Totals,
    decode_budget, decode_dead, decode_position, decode_recent, decode_schema, decode_target,
    decode_timed, unseal,
};
use super::session::Held;
use barmill_core::engine::budget::BudgetUse;
use barmill_core::model::{Timestamp, WriteItem};
use barmill_core::port::{DeadLetter, Position, RecentBar};
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableError, TableHandle};

/// Takes a row's body apart.
pub(super) type Decode<T> = fn(&mut Reader<'_>) -> Result<T, CodecError>;

/// What is committed at one instant.
pub(super) struct Snapshot {
    transaction: ReadTransaction,
}

impl Snapshot {
    pub(super) fn new(transaction: ReadTransaction) -> Snapshot {
        Snapshot { transaction }
    }

    /// The items at or after `from`.
    pub(super) fn spool(
        &self,
        from: u64,
        len_max: usize,
    ) -> Result<Vec<(u64, WriteItem)>, EngineError> {
        let rows = self.places(SPOOL, from, len_max, decode_timed)?;
        Ok(rows
            .into_iter()
            .map(|(place, row)| (place, row.item))
            .collect())
    }

    /// When the oldest item was appended.
    pub(super) fn spool_oldest(&self) -> Result<Option<Timestamp>, EngineError> {
        let first: Option<(u64, Timed)> = self.places(SPOOL, 0, 1, decode_timed)?.pop();
        Ok(first.map(|(_, row)| row.time))
    }

    /// The dead letters at or after `from`.
    pub(super) fn dead(
        &self,
        from: u64,
        len_max: usize,
    ) -> Result<Vec<(u64, DeadLetter)>, EngineError> {
        self.places(DEAD, from, len_max, decode_dead)
    }

    /// The recent bars at or after `since` and `from`.
    pub(super) fn recent(
        &self,
        since: Timestamp,
        from: u64,
        len_max: usize,
        held: Totals,
    ) -> Result<Vec<RecentBar>, EngineError> {
        let first = self.recent_since(since, held)?;
        let rows = self.places(RECENT, from.max(first), len_max, decode_recent)?;
        Ok(rows
            .into_iter()
            .map(|(place, (time, update))| RecentBar {
                place,
                time,
                update,
            })
            .collect())
    }

    /// The first place at or after `since`, by halving: rows are in order of time and only the oldest leave.
    fn recent_since(&self, since: Timestamp, held: Totals) -> Result<u64, EngineError> {
        let (mut low, mut high) = (held.next - held.items.min(held.next), held.next);
        while low < high {
            let middle = low + (high - low) / 2;
            let row = self.places(RECENT, middle, 1, decode_recent)?.pop();
            match row {
                Some((_, (time, _))) if time < since => low = middle + 1,
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    /// The saved position of a feed.
    pub(super) fn checkpoint(&self, feed: &str) -> Result<Option<Position>, EngineError> {
        self.named(CHECKPOINTS, feed, decode_position)
    }

    /// The saved position of every feed.
    pub(super) fn checkpoints(&self) -> Result<Vec<(String, Position)>, EngineError> {
        let table = self.transaction.open_table(CHECKPOINTS).map_err(engine)?;
        let mut positions = Vec::new();
        for row in table.iter().map_err(engine)? {
            let (feed, value) = row.map_err(engine)?;
            positions.push((
                feed.value().to_owned(),
                named(CHECKPOINTS, feed.value(), value.value(), decode_position)?,
            ));
        }
        Ok(positions)
    }

    /// The saved commands.
    pub(super) fn budget(&self) -> Result<Option<BudgetUse>, EngineError> {
        self.named(META, "budget", decode_budget)
    }

    /// The text of the target that the file is labelled with.
    pub(super) fn target(&self) -> Result<Option<String>, EngineError> {
        self.named(META, "target", decode_target)
    }

    /// Calls `visit` with every row of a table, its place and what it is or why it is damaged, until it says no.
    pub(super) fn visit<T>(
        &self,
        table: Places,
        decode: Decode<T>,
        mut visit: impl FnMut(u64, Result<T, RowError>) -> bool,
    ) -> Result<(), EngineError> {
        let rows = self.transaction.open_table(table).map_err(engine)?;
        for row in rows.iter().map_err(engine)? {
            let (place, value) = row.map_err(engine)?;
            let place = place.value();
            if !visit(
                place,
                unseal(table.name(), &place.to_le_bytes(), value.value(), decode),
            ) {
                break;
            }
        }
        Ok(())
    }

    fn places<T>(
        &self,
        table: Places,
        from: u64,
        len_max: usize,
        decode: Decode<T>,
    ) -> Result<Vec<(u64, T)>, EngineError> {
        let rows = self.transaction.open_table(table).map_err(engine)?;
        let mut found = Vec::new();
        for row in rows.range(from..).map_err(engine)?.take(len_max) {
            let (place, value) = row.map_err(engine)?;
            let place = place.value();
            let row = unseal(table.name(), &place.to_le_bytes(), value.value(), decode).map_err(
                |source| EngineError::Row {
                    place: format!("{} place {place}", table.name()),
                    source,
                },
            )?;
            found.push((place, row));
        }
        Ok(found)
    }

    fn named<T>(
        &self,
        table: Names,
        name: &str,
        decode: Decode<T>,
    ) -> Result<Option<T>, EngineError> {
        let rows = self.transaction.open_table(table).map_err(engine)?;
        let value = rows.get(name).map_err(engine)?;
        value
            .map(|value| self::named(table, name, value.value(), decode))
            .transpose()
    }

    fn required<T>(&self, name: &str, decode: Decode<T>) -> Result<T, EngineError> {
        let missing = || EngineError::Row {
            place: format!("meta {name}"),
            source: RowError::Missing,
        };
        self.named(META, name, decode)?.ok_or_else(missing)
    }
}

fn named<T>(table: Names, name: &str, value: &[u8], decode: Decode<T>) -> Result<T, EngineError> {
    unseal(table.name(), name.as_bytes(), value, decode).map_err(|source| EngineError::Row {
        place: format!("{} {name}", table.name()),
        source,
    })
}

/// What the tables hold; `None` for a file without tables.
pub(super) fn read_held(database: &Database) -> Result<Option<Held>, EngineError> {
    let snapshot = Snapshot::new(database.begin_read().map_err(engine)?);
    match snapshot.transaction.open_table(META) {
        Ok(_) => {}
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(engine(error)),
    }
    let schema = snapshot.required("schema", decode_schema)?;
    if schema > SCHEMA {
        return Err(EngineError::Version(schema));
    }
    Ok(Some(Held {
        spool: snapshot.required("spool", Totals::decode)?,
        dead: snapshot.required("dead_letters", Totals::decode)?,
        recent: snapshot.required("recent", Totals::decode)?,
    }))
}
