//! Which cells of a store hold the wanted bars.

use crate::key_store::command::Command;
use crate::layout::settings::{ViewKind, ViewSettings};
use crate::layout::view::View;
use barmill_core::model::{BarKey, BarSpec, Symbol, Timestamp};
use bytes::Bytes;
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Keys in one `MGET`: Upstash bounds the size of one command, and a server answers nothing else meanwhile.
const KEYS_PER_GET: usize = 1_000;
const MINUTE_NS: i64 = 60_000_000_000;

/// Bars that only a hash of their day could list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{spec} bars of {date} cannot be listed in the {kind} view, since trades decide when they start; write them in the symbol-day or stream view"
)]
pub struct UnlistedError {
    /// The bars' spec.
    pub spec: BarSpec,
    /// The wanted date.
    pub date: Date,
    /// The view's kind.
    pub kind: ViewKind,
}

/// Where one bar lies.
pub(crate) struct Cell {
    pub(crate) bar: BarKey,
    pub(crate) key: Bytes,
    /// Empty in a view of strings.
    pub(crate) field: Bytes,
}

impl Cell {
    pub(crate) fn of(view: &View, bar: BarKey) -> Cell {
        let (key, field) = view.key_and_field(&bar);
        Cell {
            bar,
            key: Bytes::from(key),
            field: Bytes::from(field),
        }
    }
}

/// One command and what its reply means.
pub(crate) enum Lookup {
    /// The whole hash of a date; `bar` tells symbol and spec.
    All { bar: BarKey, key: Bytes, date: Date },
    /// A stream from the start of a day on; `bar` tells symbol and spec, `to` where the wanted days end.
    Stream {
        bar: BarKey,
        key: Bytes,
        to: Timestamp,
    },
    /// Cells in the order of the reply: fields of one hash, or strings.
    Exact(Vec<Cell>),
}

impl Lookup {
    pub(crate) fn command(&self) -> Command {
        match self {
            Lookup::All { key, .. } => Command::HashGetAll { key: key.clone() },
            Lookup::Stream { bar, key, .. } => Command::StreamRange {
                key: key.clone(),
                from_ms: u64::try_from(bar.start.as_millis()).unwrap_or(0),
            },
            Lookup::Exact(cells) => match cells.first() {
                Some(Cell { key, field, .. }) if !field.is_empty() => Command::HashGet {
                    key: key.clone(),
                    fields: cells.iter().map(|cell| cell.field.clone()).collect(),
                },
                Some(_) | None => Command::Get {
                    keys: cells.iter().map(|cell| cell.key.clone()).collect(),
                },
            },
        }
    }

    /// Takes one more day into a range of a stream.
    pub(crate) fn reach(&mut self, view: &View, date: Date) {
        if let (Lookup::Stream { to, .. }, Some((_, end))) =
            (self, day_edges(date, &view.settings().zone))
        {
            *to = end;
        }
    }

    /// The lookups of bars whose starts are known: strings in chunks, fields by their hash.
    pub(crate) fn exact(
        view: &View,
        symbols: &[Symbol],
        spec: BarSpec,
        starts: &[Timestamp],
    ) -> Vec<Lookup> {
        let cell = |symbol: Symbol, start: Timestamp| {
            Cell::of(
                view,
                BarKey {
                    symbol,
                    spec,
                    start,
                },
            )
        };
        // In an order that keeps the cells of one hash together.
        let cells: Vec<Cell> = if view.settings().kind == ViewKind::Minute {
            let of_start = |&start: &Timestamp| symbols.iter().map(move |&one| cell(one, start));
            starts.iter().flat_map(of_start).collect()
        } else {
            let of_symbol = |&one: &Symbol| starts.iter().map(move |&start| cell(one, start));
            symbols.iter().flat_map(of_symbol).collect()
        };
        Lookup::pack(cells, usize::MAX)
    }

    /// The lookups of cells: strings by the thousand, fields by their hash, where they follow each other.
    pub(crate) fn pack(cells: Vec<Cell>, fields_max: usize) -> Vec<Lookup> {
        let fits = |cells: &[Cell], cell: &Cell| {
            if cell.field.is_empty() {
                cells.len() < KEYS_PER_GET
            } else {
                cells.last().is_some_and(|last| last.key == cell.key) && cells.len() < fields_max
            }
        };
        let mut lookups: Vec<Lookup> = Vec::new();
        for cell in cells {
            match lookups.last_mut() {
                Some(Lookup::Exact(cells)) if fits(cells, &cell) => cells.push(cell),
                Some(_) | None => lookups.push(Lookup::Exact(vec![cell])),
            }
        }
        lookups
    }
}

/// The first instant of a civil date and that of the next; `None` outside representable time.
pub(crate) fn day_edges(date: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    let midnight = |date: Date| {
        date.to_zoned(zone.clone())
            .ok()
            .map(|zoned| zoned.timestamp())
    };
    let edge = |date: Date| midnight(date).and_then(|time| Timestamp::from_jiff(time).ok());
    Some((edge(date)?, edge(date.saturating_add(1.day()))?))
}

/// Every start that a bar of a clock-cut spec can have on a civil date.
pub(crate) fn day_starts(
    spec: BarSpec,
    date: Date,
    settings: &ViewSettings,
) -> Result<Vec<Timestamp>, UnlistedError> {
    let Some((from, to)) = day_edges(date, &settings.zone) else {
        return Ok(Vec::new());
    };
    let step = match spec {
        BarSpec::Day => return Ok(vec![from]),
        BarSpec::Time(length) => i64::try_from(length.get()).unwrap_or(i64::MAX),
        // A session begins on a whole minute.
        BarSpec::Session => MINUTE_NS,
        BarSpec::Tick(_) | BarSpec::Volume(_) | BarSpec::Value(_) => {
            return Err(UnlistedError {
                spec,
                date,
                kind: settings.kind,
            });
        }
    };
    let late = from.as_nanos().rem_euclid(step);
    let first = if late == 0 {
        from
    } else {
        from.saturating_add(step - late)
    };
    let next = |start: &Timestamp| Some(start.saturating_add(step));
    Ok(std::iter::successors(Some(first), next)
        .take_while(|start| *start < to)
        .collect())
}
