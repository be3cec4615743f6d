//! Finds the bars that are missing or older in a store, by version.
//!
//! Owns the comparison of closed bars with what lies in a store, in every view that keeps bars. Reads exactly the cells
//! of the bars; only a stream is read from the day of a symbol's first bar on. Deliberately writes nothing: the writer,
//! which alone knows what is on its way, decides.

use super::plan::{Cell, Lookup};
use super::reader::{BarReader, ReadError};
use crate::key_store::command::Command;
use crate::key_store::port::{KeyStore, Reply, failed};
use crate::layout::settings::{ValueForm, ViewKind};
use crate::layout::stored::{StoredBar, decode_bar};
use crate::layout::view::View;
use barmill_core::model::{BarKey, BarSpec, BarState, BarUpdate, Symbol};
use barmill_core::port::{Clock, Remedy, SinkError};
use jiff::civil::Date;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Fields asked for in one command.
const FIELDS_MAX: usize = 1_000;
/// Commands in one request.
const COMMANDS_MAX: usize = 200;

/// Indexes in `updates` of the bars that the store lacks; `None` for a view that keeps no bars.
///
/// # Errors
/// [`SinkError`] when the store cannot be read. A value that does not decode counts as missing, and so does one under
/// a key of another type.
pub(crate) async fn missing_or_stale(
    store: &Arc<dyn KeyStore>,
    view: &Arc<View>,
    clock: &Arc<dyn Clock>,
    updates: &[BarUpdate],
) -> Result<Option<Vec<usize>>, SinkError> {
    let held = match view.settings().kind {
        ViewKind::Publish => return Ok(None),
        ViewKind::Stream => {
            let reader = BarReader::new(Arc::clone(store), Arc::clone(view), Arc::clone(clock));
            of_streams(&reader, view, updates).await?
        }
        ViewKind::SymbolDay | ViewKind::Minute | ViewKind::KeyPerBar => {
            of_cells(store.as_ref(), view, updates).await?
        }
    };
    let is_lacking = |update: &BarUpdate| {
        held.get(&update.bar.key())
            .is_none_or(|stored| is_older(stored, update, view.settings().value))
    };
    Ok(Some(
        (0..updates.len())
            .filter(|&index| is_lacking(&updates[index]))
            .collect(),
    ))
}

/// Whether the store's bar is to be replaced by ours.
fn is_older(stored: &StoredBar, ours: &BarUpdate, form: ValueForm) -> bool {
    let own = StoredBar::of(&ours.bar, ours.state, ours.revision);
    match (form, &stored.detail) {
        (ValueForm::JsonFull, Some(detail)) => {
            let version = |revision: u32, state: BarState, trades: u64, last: u64| {
                (revision, state != BarState::Forming, trades, last)
            };
            let bar = &ours.bar;
            let theirs = version(
                detail.revision,
                detail.state,
                detail.trades,
                detail.last_sequence,
            );
            theirs < version(ours.revision, ours.state, bar.trades, bar.last_sequence)
        }
        // These tell no version. Trades add to a bar's volume, so what differs and has no more of it is older; only a
        // cancel makes a newer bar smaller, and then the older one stays rather than that a newer one is lost.
        (ValueForm::JsonFull | ValueForm::JsonSix | ValueForm::Csv, _) => {
            stored.volume <= own.volume
                && (stored.prices, stored.volume) != (own.prices, own.volume)
        }
    }
}

type Held = HashMap<BarKey, StoredBar>;

/// Reads the exact cells.
async fn of_cells(
    store: &dyn KeyStore,
    view: &View,
    updates: &[BarUpdate],
) -> Result<Held, SinkError> {
    let bars: HashSet<BarKey> = updates.iter().map(|update| update.bar.key()).collect();
    let mut cells: Vec<Cell> = bars.into_iter().map(|bar| Cell::of(view, bar)).collect();
    cells.sort_by(|one, other| one.key.cmp(&other.key));
    let mut held = Held::new();
    for part in Lookup::pack(cells, FIELDS_MAX).chunks(COMMANDS_MAX) {
        let commands: Vec<Command> = part.iter().map(Lookup::command).collect();
        let results = store.run(&commands).await?;
        for (result, lookup) in results.into_iter().zip(part) {
            let reply = match result {
                Ok(reply) => reply,
                // A key of another type holds no bar; the write will be refused and tell why.
                Err(error) if error.remedy == Remedy::Refuse => continue,
                Err(error) => return Err(failed("read bars back", error.remedy, error)),
            };
            let (Reply::Array(values), Lookup::Exact(cells)) = (reply, lookup) else {
                continue;
            };
            for (Cell { bar, .. }, value) in cells.iter().zip(values) {
                let Reply::Text(value) = value else { continue };
                if let Ok(stored) = decode_bar(&value, bar.symbol, bar.spec, Some(bar.start)) {
                    held.insert(*bar, stored);
                }
            }
        }
    }
    Ok(held)
}

/// Reads the streams of the bars' days.
async fn of_streams(
    reader: &BarReader,
    view: &View,
    updates: &[BarUpdate],
) -> Result<Held, SinkError> {
    let mut days: BTreeMap<(BarSpec, Date), HashSet<Symbol>> = BTreeMap::new();
    for update in updates {
        let date = view
            .settings()
            .zone
            .to_datetime(update.bar.start.to_jiff())
            .date();
        days.entry((update.bar.spec, date))
            .or_default()
            .insert(update.bar.symbol);
    }
    let mut held = Held::new();
    for ((spec, date), symbols) in days {
        let symbols: Vec<Symbol> = symbols.into_iter().collect();
        let stored = reader.days(&symbols, spec, date).await;
        for stored in stored.map_err(read_error)? {
            let bar = BarKey {
                symbol: stored.symbol,
                spec,
                start: stored.start,
            };
            held.insert(bar, stored);
        }
    }
    Ok(held)
}

fn read_error(error: ReadError) -> SinkError {
    match error {
        ReadError::Store(error) => error,
        ReadError::Refused { .. } | ReadError::Value { .. } | ReadError::Unlisted(_) => {
            failed("read bars back", Remedy::Refuse, error)
        }
    }
}
