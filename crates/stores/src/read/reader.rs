//! The reader: bars and manifests from any key store, in any view.
//!
//! Owns which commands answer which question, each question being one round trip. Deliberately scans no keys:
//! where a view has no hash of the day, the keys of its windows are enumerated, so bars cut by trades (tick, volume,
//! value) can be read by day from the `symbol-day` and `stream` views only. A stream is read from the day on to its end.

use super::plan::{Lookup, UnlistedError, day_edges, day_starts};
use crate::key_store::command::Command;
use crate::key_store::port::{KeyStore, Reply};
use crate::key_store::stream::FIELDS as STREAM_FIELDS;
use crate::layout::instant::{instant, instants};
use crate::layout::key_time::KeyTime;
use crate::layout::settings::ViewKind;
use crate::layout::stored::{StoredBar, StoredManifest, ValueError, decode_bar, decode_manifest};
use crate::layout::template::Placeholder;
use crate::layout::view::View;
use barmill_core::model::{BarKey, BarSpec, Symbol, Timestamp};
use barmill_core::port::{Clock, ItemError, SinkError};
use bytes::Bytes;
use jiff::civil::{Date, Time};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Nanoseconds before now that [`BarReader::latest`] looks at: six days, a long weekend and a holiday.
const LATEST_REACH_NS: i64 = 6 * 86_400_000_000_000;

/// Why bars could not be read.
///
/// See the example of [`BarReader`](crate::BarReader).
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] SinkError),
    /// The store refuses one of the commands.
    #[error("store refuses to read key {key}")]
    Refused {
        /// The first key of the command.
        key: String,
        /// The store's words.
        #[source]
        source: ItemError,
    },
    /// A value that is no bar or manifest.
    #[error("value of key {key} field {field:?} does not decode")]
    Value {
        /// The key.
        key: String,
        /// The field; empty in a string.
        field: String,
        /// The cause.
        #[source]
        source: ValueError,
    },
    /// Bars whose keys cannot be known beforehand.
    #[error(transparent)]
    Unlisted(#[from] UnlistedError),
}

/// Reads the bars and manifests that a sink with the same view wrote.
///
/// ```no_run
/// # async fn run(reader: barmill_stores::BarReader) -> Result<(), Box<dyn std::error::Error>> {
/// let newest = reader.latest("SPY".parse()?, "1m".parse()?).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct BarReader {
    store: Arc<dyn KeyStore>,
    view: Arc<View>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for BarReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarReader")
            .field("store", &self.store.name())
            .finish_non_exhaustive()
    }
}

impl BarReader {
    /// Joins a store and a view; the clock tells [`BarReader::latest`] what today is.
    pub fn new(store: Arc<dyn KeyStore>, view: Arc<View>, clock: Arc<dyn Clock>) -> BarReader {
        BarReader { store, view, clock }
    }

    /// Reads the bars of one symbol that start on a civil date of the view's zone, by start.
    ///
    /// # Errors
    /// [`ReadError`] names the key and field of what cannot be read.
    pub async fn day(
        &self,
        symbol: Symbol,
        spec: BarSpec,
        date: Date,
    ) -> Result<Vec<StoredBar>, ReadError> {
        self.days(&[symbol], spec, date).await
    }

    /// Reads the bars of several symbols on one civil date, by start and then symbol.
    ///
    /// # Errors
    /// As for [`BarReader::day`].
    pub async fn days(
        &self,
        symbols: &[Symbol],
        spec: BarSpec,
        date: Date,
    ) -> Result<Vec<StoredBar>, ReadError> {
        self.read(self.plan(symbols, spec, [date], |_| true)?).await
    }

    /// Reads the bars of several symbols that start at one civil time; both passes of a repeated hour.
    ///
    /// # Errors
    /// As for [`BarReader::day`].
    pub async fn minute(
        &self,
        symbols: &[Symbol],
        spec: BarSpec,
        date: Date,
        time: Time,
    ) -> Result<Vec<StoredBar>, ReadError> {
        let starts = instants(date.to_datetime(time), &self.view.settings().zone);
        if self.view.settings().kind == ViewKind::Stream {
            let mut bars = self.days(symbols, spec, date).await?;
            bars.retain(|bar| starts.contains(&bar.start));
            return Ok(bars);
        }
        self.read(Lookup::exact(&self.view, symbols, spec, &starts))
            .await
    }

    /// Reads the newest bar of a symbol that started today or in the six days before.
    ///
    /// One round trip: a command a day in the `symbol-day` view, one in the `stream` view, one for each thousand
    /// windows in `key-per-bar`, and one for each window in `minute`, where [`BarReader::latest_since`] asks less.
    ///
    /// # Errors
    /// As for [`BarReader::day`].
    pub async fn latest(
        &self,
        symbol: Symbol,
        spec: BarSpec,
    ) -> Result<Option<StoredBar>, ReadError> {
        self.latest_since(
            symbol,
            spec,
            self.clock.now().saturating_sub(LATEST_REACH_NS),
        )
        .await
    }

    /// Reads the newest bar of a symbol that started at `since` or later, in one round trip.
    ///
    /// # Errors
    /// As for [`BarReader::day`].
    pub async fn latest_since(
        &self,
        symbol: Symbol,
        spec: BarSpec,
        since: Timestamp,
    ) -> Result<Option<StoredBar>, ReadError> {
        let date = |time: Timestamp| self.view.settings().zone.to_datetime(time.to_jiff()).date();
        let now = self.clock.now();
        let days = date(since)
            .series(jiff::Span::new().days(1))
            .take_while(|day| *day <= date(now));
        let lookups = self.plan(&[symbol], spec, days, |start| {
            since <= start && start <= now
        })?;
        Ok(self
            .read(lookups)
            .await?
            .pop()
            .filter(|bar| since <= bar.start))
    }

    /// Reads what is covered on a date, by symbol.
    ///
    /// # Errors
    /// As for [`BarReader::day`].
    pub async fn manifests(
        &self,
        spec: BarSpec,
        date: Date,
    ) -> Result<Vec<StoredManifest>, ReadError> {
        let mut key = Vec::new();
        self.view.push_manifest_key(&mut key, spec, date);
        let key = Bytes::from(key);
        let replies = self
            .replies(&[Command::HashGetAll { key: key.clone() }])
            .await?;
        let mut found = Vec::new();
        for (field, value) in pairs(replies.into_iter().next().unwrap_or(Reply::Nil)) {
            let symbol = Symbol::intern(&field).map_err(|_| ValueError::Part { name: "symbol" });
            let manifest = symbol.and_then(|symbol| decode_manifest(&value, symbol, spec, date));
            found.push(manifest.map_err(|source| value_error(&key, &field, source))?);
        }
        found.sort_by_key(|one| one.manifest.symbol);
        Ok(found)
    }

    /// The lookups of several symbols on consecutive dates; where bars are asked for one by one, of those wanted.
    fn plan(
        &self,
        symbols: &[Symbol],
        spec: BarSpec,
        dates: impl IntoIterator<Item = Date>,
        is_wanted: impl Fn(Timestamp) -> bool,
    ) -> Result<Vec<Lookup>, UnlistedError> {
        let mut lookups = Vec::new();
        let mut starts = Vec::new();
        for date in dates {
            match self.view.settings().kind {
                ViewKind::SymbolDay => lookups.extend(self.of_day(symbols, spec, date)),
                ViewKind::Stream if lookups.is_empty() => {
                    lookups.extend(self.of_day(symbols, spec, date));
                }
                // One range reaches over all days.
                ViewKind::Stream => lookups
                    .iter_mut()
                    .for_each(|lookup| lookup.reach(&self.view, date)),
                // Nothing is kept.
                ViewKind::Publish => {}
                ViewKind::Minute | ViewKind::KeyPerBar => {
                    starts.extend(day_starts(spec, date, self.view.settings())?);
                }
            }
        }
        starts.retain(|start| is_wanted(*start));
        lookups.extend(Lookup::exact(&self.view, symbols, spec, &starts));
        Ok(lookups)
    }

    /// One `HGETALL` or `XRANGE` per symbol.
    fn of_day(&self, symbols: &[Symbol], spec: BarSpec, date: Date) -> Vec<Lookup> {
        let settings = self.view.settings();
        let Some((start, to)) = day_edges(date, &settings.zone) else {
            return Vec::new();
        };
        let lookup = |&symbol: &Symbol| {
            let bar = BarKey {
                symbol,
                spec,
                start,
            };
            let mut key = Vec::new();
            self.view.push_key(
                &mut key,
                &bar,
                &KeyTime::of(start, BarSpec::Day, &settings.zone),
            );
            let key = Bytes::from(key);
            if settings.kind == ViewKind::Stream {
                Lookup::Stream { bar, key, to }
            } else {
                Lookup::All { bar, key, date }
            }
        };
        symbols.iter().map(lookup).collect()
    }

    async fn read(&self, lookups: Vec<Lookup>) -> Result<Vec<StoredBar>, ReadError> {
        let commands: Vec<Command> = lookups.iter().map(Lookup::command).collect();
        let replies = self.replies(&commands).await?;
        let mut bars = Vec::new();
        for (lookup, reply) in lookups.into_iter().zip(replies) {
            match lookup {
                Lookup::All { bar, key, date } => {
                    self.take_hash(&mut bars, &bar, &key, date, reply)?;
                }
                Lookup::Stream { bar, key, to } => take_stream(&mut bars, &bar, &key, to, reply)?,
                Lookup::Exact(cells) => {
                    let Reply::Array(values) = reply else {
                        continue;
                    };
                    for (cell, value) in cells.into_iter().zip(values) {
                        let Reply::Text(value) = value else { continue };
                        let BarKey {
                            symbol,
                            spec,
                            start,
                        } = cell.bar;
                        let bar = decode_bar(&value, symbol, spec, Some(start));
                        bars.push(
                            bar.map_err(|source| value_error(&cell.key, &cell.field, source))?,
                        );
                    }
                }
            }
        }
        bars.sort_by_key(|bar| (bar.start, bar.symbol));
        Ok(bars)
    }

    fn take_hash(
        &self,
        bars: &mut Vec<StoredBar>,
        bar: &BarKey,
        key: &Bytes,
        date: Date,
        reply: Reply,
    ) -> Result<(), ReadError> {
        for (field, value) in pairs(reply) {
            let start = self.start_of(&field, date);
            // A field of another spec or symbol, where a template puts those into the field.
            let cell = start.map(|start| self.view.key_and_field(&BarKey { start, ..*bar }));
            if cell.is_some_and(|(_, own)| own != field) {
                continue;
            }
            let decoded = decode_bar(&value, bar.symbol, bar.spec, start);
            bars.push(decoded.map_err(|source| value_error(key, &field, source))?);
        }
        Ok(())
    }

    /// The start that a field of the day's hash tells.
    fn start_of(&self, field: &[u8], date: Date) -> Option<Timestamp> {
        let text = std::str::from_utf8(field).ok()?;
        let template = self.view.settings().field.as_ref()?;
        if let Some(time) = template.capture(text, Placeholder::Time) {
            return instant(date, time, &self.view.settings().zone);
        }
        Timestamp::from_millis(template.capture(text, Placeholder::Start)?.parse().ok()?)
    }

    pub(crate) async fn replies(&self, commands: &[Command]) -> Result<Vec<Reply>, ReadError> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let results = self.store.run(commands).await?;
        let refused = |(result, command): (Result<Reply, ItemError>, &Command)| {
            result.map_err(|source| ReadError::Refused {
                key: first_key(command),
                source,
            })
        };
        results.into_iter().zip(commands).map(refused).collect()
    }
}

/// Takes the newest version of each bar from the day of `bar` up to `to`; a late revision may stand behind bars of
/// later days.
fn take_stream(
    bars: &mut Vec<StoredBar>,
    bar: &BarKey,
    key: &Bytes,
    to: Timestamp,
    reply: Reply,
) -> Result<(), ReadError> {
    let mut newest: BTreeMap<Timestamp, (Bytes, Bytes)> = BTreeMap::new();
    for (start, version, value) in stream_entries(reply) {
        let time = std::str::from_utf8(&start)
            .ok()
            .and_then(|text| text.parse::<Timestamp>().ok());
        let time = time.ok_or(ValueError::Part { name: "start" });
        let time = time.map_err(|source| value_error(key, &start, source))?;
        let is_newer = newest.get(&time).is_none_or(|(known, _)| *known < version);
        if bar.start <= time && time < to && is_newer {
            newest.insert(time, (version, value));
        }
    }
    for (start, (_, value)) in newest {
        let decoded = decode_bar(&value, bar.symbol, bar.spec, Some(start));
        bars.push(decoded.map_err(|source| value_error(key, b"bar", source))?);
    }
    Ok(())
}

/// The start, version and value of each entry of an `XRANGE` reply; entries of others are left out.
pub(crate) fn stream_entries(reply: Reply) -> Vec<(Bytes, Bytes, Bytes)> {
    let Reply::Array(entries) = reply else {
        return Vec::new();
    };
    entries.into_iter().filter_map(parse_entry).collect()
}

fn parse_entry(entry: Reply) -> Option<(Bytes, Bytes, Bytes)> {
    let Reply::Array(parts) = entry else {
        return None;
    };
    let Some(Reply::Array(fields)) = parts.into_iter().nth(1) else {
        return None;
    };
    let value = |name: &[u8]| {
        let mut pairs = fields.chunks_exact(2);
        pairs.find_map(|pair| match pair {
            [Reply::Text(field), Reply::Text(value)] if field == name => Some(value.clone()),
            _ => None,
        })
    };
    let [start, version, bar] = STREAM_FIELDS;
    Some((value(start)?, value(version)?, value(bar)?))
}

fn first_key(command: &Command) -> String {
    let mut key = None;
    command.each_argument(|argument| {
        key.get_or_insert_with(|| String::from_utf8_lossy(argument).into_owned());
    });
    key.unwrap_or_default()
}

/// The fields and values of a flat hash reply.
fn pairs(reply: Reply) -> Vec<(Bytes, Bytes)> {
    let Reply::Array(parts) = reply else {
        return Vec::new();
    };
    let mut found = Vec::with_capacity(parts.len() / 2);
    let mut parts = parts.into_iter();
    while let (Some(Reply::Text(field)), Some(Reply::Text(value))) = (parts.next(), parts.next()) {
        found.push((field, value));
    }
    found
}

fn value_error(key: &[u8], field: &[u8], source: ValueError) -> ReadError {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ReadError::Value {
        key: text(key),
        field: text(field),
        source,
    }
}
