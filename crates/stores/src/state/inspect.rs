//! A look into the state of a barmill that is not running: list, check, export.
//!
//! Needs the lock of the folder, as the file may have to be repaired before it can be read. It never sets a
//! damaged file aside and never makes a new one; a file that was set aside is opened by its own name.

use super::error::from_io;
use super::folder::Folder;
use super::row::{Numbered, RowError, Timed, Totals};
use super::settings::{StateSettings, state_files};
use super::store::{Store, VERIFIED_LEN_MAX};
use barmill_core::engine::budget::BudgetUse;
use barmill_core::model::{Ohlc, Price, WriteItem};
use barmill_core::port::{DeadLetter, Position, SpoolStats, StateError};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;

/// Faults that a check tells in full; the others are only counted.
const FAULTS_SHOWN_MAX: usize = 20;

/// Everything in the state, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSummary {
    /// Spool and dead letters.
    pub spool: SpoolStats,
    /// Bars kept for a store that loses what it acked.
    pub recent: u64,
    /// The position of every feed, by name.
    pub checkpoints: Vec<(String, Position)>,
    /// The commands counted so far.
    pub budget: Option<BudgetUse>,
}

/// A table of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateTable {
    /// What waits for the store.
    Spool,
    /// What the store refused.
    DeadLetters,
    /// What the store acked in the last hours.
    Recent,
}

/// What a check of every value found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StateCheck {
    /// Rows that are what was written.
    pub intact: u64,
    /// Rows that are not, and totals that do not match.
    pub faults: u64,
    /// The first faults, each with its table, place and cause.
    pub shown: Vec<String>,
}

/// Why a visit of rows ended.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The output does not take it.
    #[error("rows cannot be written out")]
    Output(#[source] io::Error),
}

/// The state of a barmill that is not running.
pub struct Inspector {
    // Closed before the folder is given free.
    store: Store,
    _folder: Folder,
}

impl std::fmt::Debug for Inspector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inspector")
            .field("file", self.store.file())
            .finish_non_exhaustive()
    }
}

impl Inspector {
    /// Opens the state file of a folder, or another file in it, such as one that was set aside.
    ///
    /// The other file is not verified as a whole, so that what is intact in it can be exported; the checksum of
    /// every value still holds.
    ///
    /// # Errors
    /// [`StateError::Locked`] while a barmill runs on the folder, [`StateError::Io`] when there is no such file,
    /// [`StateError::Corrupt`] when nothing of it can be read.
    pub fn open(settings: &StateSettings, file: Option<&Path>) -> Result<Inspector, StateError> {
        let folder = Folder::lock(settings)?;
        let file = file.map_or_else(|| settings.file(), Path::to_owned);
        let len = std::fs::metadata(&file)
            .map_err(|source| from_io(&file, source))?
            .len();
        if len == 0 {
            return Err(from_io(&file, io::ErrorKind::UnexpectedEof.into()));
        }
        let is_own = state_files(&settings.folder).contains(&file);
        let verified_len = if is_own { VERIFIED_LEN_MAX } else { 0 };
        Ok(Inspector {
            store: Store::open_file(file, verified_len, settings.bounds)?,
            _folder: folder,
        })
    }

    /// Counts what is there.
    ///
    /// # Errors
    /// [`StateError::Corrupt`] names what cannot be read.
    pub fn summary(&mut self) -> Result<StateSummary, StateError> {
        self.store.read(|snapshot| {
            Ok(StateSummary {
                spool: snapshot.spool_stats()?,
                recent: snapshot.held.recent.items,
                checkpoints: snapshot.checkpoints()?,
                budget: snapshot.budget()?,
            })
        })
    }

    /// Calls `visit` with the number of every row of a table in order, and the row as JSON or what is wrong with it,
    /// until it says no.
    fn visit(
        &mut self,
        table: StateTable,
        mut visit: impl FnMut(u64, Result<Value, RowError>) -> bool,
    ) -> Result<(), StateError> {
        let rows = Numbered::new(table.as_str());
        self.store.read(|snapshot| match table {
            StateTable::Spool | StateTable::Recent => snapshot.visit(rows, |place, row| {
                visit(place, row.map(|row| json_of(table, place, &row, None)))
            }),
            StateTable::DeadLetters => snapshot.visit(rows, |place, row| {
                let json = |DeadLetter { item, reason, time }| {
                    json_of(table, place, &Timed { time, item }, Some(reason))
                };
                visit(place, row.map(json))
            }),
        })
    }

    /// Verifies the checksum and the form of every value, and the totals beside the tables.
    ///
    /// # Errors
    /// [`StateError`] when a table cannot be read at all; damaged values are told in the answer.
    pub fn check(&mut self) -> Result<StateCheck, StateError> {
        let mut check = StateCheck::default();
        let held = self.store.read(|snapshot| Ok(snapshot.held))?;
        for (table, held) in [
            (StateTable::Spool, held.spool),
            (StateTable::DeadLetters, held.dead),
            (StateTable::Recent, held.recent),
        ] {
            self.check_table(table, held, &mut check)?;
        }
        let named = self.store.read(|snapshot| {
            let checkpoints = snapshot.checkpoints().map(|all| all.len());
            let budget = snapshot.budget().map(|used| usize::from(used.is_some()));
            Ok([checkpoints, budget])
        })?;
        for rows in named {
            match rows {
                Ok(rows) => check.intact += u64::try_from(rows).unwrap_or(u64::MAX),
                Err(fault) => check.tell(fault.at(self.store.file()).to_string()),
            }
        }
        Ok(check)
    }

    fn check_table(
        &mut self,
        table: StateTable,
        held: Totals,
        check: &mut StateCheck,
    ) -> Result<(), StateError> {
        let name = table.as_str();
        let mut rows = 0;
        self.visit(table, |place, row| {
            rows += 1;
            match row {
                Ok(_) => check.intact += 1,
                Err(fault) => check.tell(format!("{name} place {place}: {fault}")),
            }
            true
        })?;
        if rows != held.items {
            check.tell(format!(
                "{name}: {rows} rows where {} were counted",
                held.items
            ));
        }
        Ok(())
    }

    /// Writes the rows of a table as JSON lines; a damaged row becomes a line with its place and fault.
    ///
    /// Returns the rows written, damaged ones left out.
    ///
    /// # Errors
    /// [`ExportError::Output`] when the output does not take it, [`ExportError::State`] when the table cannot be read.
    pub fn export(&mut self, table: StateTable, out: &mut dyn Write) -> Result<u64, ExportError> {
        let (mut count, mut output) = (0, Ok(()));
        self.visit(table, |place, row| {
            count += u64::from(row.is_ok());
            output = writeln!(out, "{}", line_of(table, place, row));
            output.is_ok()
        })?;
        output.map_err(ExportError::Output)?;
        Ok(count)
    }

    /// The first rows of a table, at most `len_max`, as [`Inspector::export`] writes them.
    ///
    /// # Errors
    /// [`StateError`] when the table cannot be read at all.
    pub fn first(&mut self, table: StateTable, len_max: usize) -> Result<Vec<Value>, StateError> {
        let mut lines = Vec::new();
        self.visit(table, |place, row| {
            let is_wanted = lines.len() < len_max;
            lines.extend(is_wanted.then(|| line_of(table, place, row)));
            is_wanted
        })?;
        Ok(lines)
    }
}

impl StateCheck {
    /// Adds what the check of another file found.
    pub fn add(&mut self, other: StateCheck) {
        self.intact += other.intact;
        self.faults += other.faults;
        self.shown.extend(other.shown);
    }

    fn tell(&mut self, fault: String) {
        self.faults += 1;
        if self.shown.len() < FAULTS_SHOWN_MAX {
            self.shown.push(fault);
        }
    }
}

impl StateTable {
    /// The table's name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            StateTable::Spool => "spool",
            StateTable::DeadLetters => "dead_letters",
            StateTable::Recent => "recent",
        }
    }
}

/// One row as JSON, or its fault.
fn line_of(table: StateTable, place: u64, row: Result<Value, RowError>) -> Value {
    row.unwrap_or_else(
        |fault| json!({ "table": table.as_str(), "place": place, "fault": fault.to_string() }),
    )
}

/// One row as JSON: numbers that must be exact are text. Only dead letters have a reason.
fn json_of(table: StateTable, place: u64, row: &Timed, reason: Option<String>) -> Value {
    let mut line = match &row.item {
        WriteItem::Bar(update) => {
            let bar = &update.bar;
            let price = |of: fn(Ohlc) -> Price| bar.prices.map(|p| of(p).to_string());
            json!({
                "kind": "bar",
                "symbol": bar.symbol.as_str(),
                "spec": bar.spec.to_string(),
                "start": bar.start.to_string(),
                "end": bar.end.to_string(),
                "open": price(|prices| prices.open),
                "high": price(|prices| prices.high),
                "low": price(|prices| prices.low),
                "close": price(|prices| prices.close),
                "volume": bar.volume.to_string(),
                "vwap": bar.vwap().map(|vwap| vwap.to_string()),
                "trades": bar.trades,
                "state": update.state.as_str(),
                "revision": update.revision,
            })
        }
        WriteItem::Manifest(manifest) => json!({
            "kind": "manifest",
            "symbol": manifest.symbol.as_str(),
            "spec": manifest.spec.to_string(),
            "date": manifest.date.to_string(),
            "zone": manifest.zone,
            "from": manifest.from.to_string(),
            "to": manifest.to.to_string(),
            "complete": manifest.complete,
            "gapless": manifest.gapless,
            "bars": manifest.bars,
            "trades": manifest.trades,
            "revision": manifest.revision,
            "origin": manifest.origin.as_ref().map(ToString::to_string),
        }),
    };
    line["table"] = table.as_str().into();
    line["place"] = place.into();
    line["time"] = row.time.to_string().into();
    if let Some(reason) = reason {
        line["reason"] = reason.into();
    }
    line
}
