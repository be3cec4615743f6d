//! One write transaction of the state file: applies changes, keeps the totals and the bounds.
//!
//! Owns what a change does to the tables. A change that passes the bound of the spool is refused before
//! anything of it is applied, so that the other changes of the transaction are not touched by it.

use super::error::{EngineError, engine};
use super::row::{
    CHECKPOINTS, DEAD, META, Names, Places, RECENT, SCHEMA, SPOOL, Totals, decode_recent,
    encode_budget, encode_dead, encode_position, encode_target, encode_timed, row_bytes, seal,
    unseal,
};
use super::settings::Bounds;
use barmill_core::model::{BarState, BarUpdate, Timestamp, WriteItem};
use barmill_core::port::{Changes, Committed, SpoolRange};
use redb::{ReadableTable, Table, TableHandle, WriteTransaction};
use std::ops::RangeInclusive;

/// What the tables of places hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Held {
    pub(super) spool: Totals,
    pub(super) dead: Totals,
    pub(super) recent: Totals,
}

/// The open tables of one write transaction.
pub(super) struct Session<'t> {
    spool: Table<'t, u64, &'static [u8]>,
    dead: Table<'t, u64, &'static [u8]>,
    recent: Table<'t, u64, &'static [u8]>,
    checkpoints: Table<'t, &'static str, &'static [u8]>,
    meta: Table<'t, &'static str, &'static [u8]>,
    held: Held,
    bounds: Bounds,
}

impl<'t> Session<'t> {
    /// Opens the tables, and makes those that are missing.
    pub(super) fn open(
        transaction: &'t WriteTransaction,
        held: Held,
        bounds: Bounds,
    ) -> Result<Session<'t>, EngineError> {
        let places = |table: Places| transaction.open_table(table).map_err(engine);
        let names = |table: Names| transaction.open_table(table).map_err(engine);
        Ok(Session {
            spool: places(SPOOL)?,
            dead: places(DEAD)?,
            recent: places(RECENT)?,
            checkpoints: names(CHECKPOINTS)?,
            meta: names(META)?,
            held,
            bounds,
        })
    }

    /// Applies one caller's changes.
    pub(super) fn apply(&mut self, changes: &Changes) -> Result<Committed, EngineError> {
        let append = self.sealed_items(changes);
        let letters = self.sealed_letters(changes);
        self.check_room(changes, append.iter().chain(&letters))?;
        for range in &changes.spool_remove {
            remove(
                &mut self.spool,
                &mut self.held.spool,
                range.first..=range.last,
            )?;
        }
        if let Some(through) = changes.dead_letters_remove {
            remove(&mut self.dead, &mut self.held.dead, 0..=through)?;
        }
        let spooled = match u64::try_from(append.len()) {
            Ok(len @ 1..) => Some(SpoolRange {
                first: self.held.spool.next,
                last: self.held.spool.next + (len - 1),
            }),
            Ok(0) | Err(_) => None,
        };
        insert(&mut self.spool, &mut self.held.spool, &append)?;
        insert(&mut self.dead, &mut self.held.dead, &letters)?;
        for (feed, position) in &changes.checkpoints {
            let value = seal(CHECKPOINTS.name(), feed.as_bytes(), |out| {
                encode_position(*position, out);
            });
            self.checkpoints
                .insert(feed.as_str(), value.as_slice())
                .map_err(engine)?;
        }
        if let Some(used) = changes.budget {
            self.put_meta("budget", |out| encode_budget(used, out))?;
        }
        self.add_recent(&changes.recent, changes.now)?;
        let Held { spool, dead, .. } = self.held;
        Ok(Committed {
            spooled,
            spool_items: spool.items,
            spool_bytes: spool.bytes + dead.bytes,
        })
    }

    /// Labels the file with its target.
    pub(super) fn label(&mut self, target: &str) -> Result<(), EngineError> {
        self.put_meta("target", |out| encode_target(target, out))
    }

    /// Writes the totals; the last step before the commit.
    pub(super) fn finish(mut self) -> Result<Held, EngineError> {
        let held = self.held;
        self.put_meta("schema", |out| out.extend_from_slice(&SCHEMA.to_le_bytes()))?;
        for (name, totals) in [
            ("spool", held.spool),
            ("dead_letters", held.dead),
            ("recent", held.recent),
        ] {
            self.put_meta(name, |out| totals.encode(out))?;
        }
        Ok(held)
    }

    fn sealed_items(&self, changes: &Changes) -> Vec<Vec<u8>> {
        (self.held.spool.next..)
            .zip(&changes.spool_append)
            .map(|(place, item)| seal_item(SPOOL, place, changes.now, item))
            .collect()
    }

    fn sealed_letters(&self, changes: &Changes) -> Vec<Vec<u8>> {
        (self.held.dead.next..)
            .zip(&changes.dead_letters)
            .map(|(place, letter)| {
                seal(DEAD.name(), &place.to_le_bytes(), |out| {
                    encode_dead(letter, out);
                })
            })
            .collect()
    }

    /// Refuses what passes the bound. What only moves items out of the spool always passes, as a full spool
    /// could not drain otherwise.
    fn check_room<'a>(
        &self,
        changes: &Changes,
        added: impl Iterator<Item = &'a Vec<u8>>,
    ) -> Result<(), EngineError> {
        let needed: u64 = added.map(|value| row_bytes(value.len())).sum();
        let drains = changes.spool_append.is_empty() && !changes.spool_remove.is_empty();
        let bytes = self.held.spool.bytes + self.held.dead.bytes;
        if drains || needed == 0 || bytes + needed <= self.bounds.spool_bytes_max {
            return Ok(());
        }
        Err(EngineError::Full {
            bytes,
            needed,
            bytes_max: self.bounds.spool_bytes_max,
        })
    }

    fn add_recent(&mut self, updates: &[BarUpdate], now: Timestamp) -> Result<(), EngineError> {
        if self.bounds.recent_age_max.is_zero() || updates.is_empty() {
            return Ok(());
        }
        let now = now.max(self.held.recent.last);
        self.held.recent.last = now;
        let closed = updates
            .iter()
            .filter(|update| update.state != BarState::Forming);
        let values: Vec<Vec<u8>> = (self.held.recent.next..)
            .zip(closed)
            .map(|(place, update)| seal_item(RECENT, place, now, &WriteItem::Bar(*update)))
            .collect();
        insert(&mut self.recent, &mut self.held.recent, &values)?;
        self.forget_recent(now)
    }

    fn forget_recent(&mut self, now: Timestamp) -> Result<(), EngineError> {
        let age = i64::try_from(self.bounds.recent_age_max.as_nanos()).unwrap_or(i64::MAX);
        let oldest = now.saturating_sub(age);
        while let Some((place, len, time)) = self.recent_first()? {
            // A damaged row is forgotten like an old one: nothing else would ever remove it.
            let keep = time.is_some_and(|time| oldest <= time);
            if keep && self.held.recent.bytes <= self.bounds.recent_bytes_max {
                break;
            }
            self.recent.remove(place).map_err(engine)?;
            self.held.recent.remove(len);
        }
        Ok(())
    }

    /// Place, bytes and time of the oldest recent bar; no time when the row is damaged.
    fn recent_first(&self) -> Result<Option<(u64, usize, Option<Timestamp>)>, EngineError> {
        let first = self.recent.first().map_err(engine)?;
        Ok(first.map(|(place, value)| {
            let (place, value) = (place.value(), value.value());
            let row = unseal(RECENT.name(), &place.to_le_bytes(), value, decode_recent);
            (place, value.len(), row.ok().map(|(time, _)| time))
        }))
    }

    fn put_meta(
        &mut self,
        name: &str,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), EngineError> {
        let value = seal(META.name(), name.as_bytes(), encode);
        self.meta.insert(name, value.as_slice()).map_err(engine)?;
        Ok(())
    }
}

fn seal_item(table: Places, place: u64, time: Timestamp, item: &WriteItem) -> Vec<u8> {
    seal(table.name(), &place.to_le_bytes(), |out| {
        encode_timed(time, item, out);
    })
}

fn insert(
    table: &mut Table<'_, u64, &[u8]>,
    totals: &mut Totals,
    values: &[Vec<u8>],
) -> Result<(), EngineError> {
    for value in values {
        table
            .insert(totals.next, value.as_slice())
            .map_err(engine)?;
        totals.add(value.len());
    }
    Ok(())
}

fn remove(
    table: &mut Table<'_, u64, &[u8]>,
    totals: &mut Totals,
    places: RangeInclusive<u64>,
) -> Result<(), EngineError> {
    let rows = table.extract_from_if(places, |_, _| true).map_err(engine)?;
    for row in rows {
        totals.remove(row.map_err(engine)?.1.value().len());
    }
    Ok(())
}
