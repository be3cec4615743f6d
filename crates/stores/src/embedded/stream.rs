//! Streams of the embedded store.
//!
//! Owns the layout below and does in one step what for Redis takes `XADD` and a script, see `stream`.
//!
//! | table | key | value |
//! |---|---|---|
//! | `keys` | key | content: count of entries, ms and sequence of the newest id, each u64 LE |
//! | `fields` | (key, ms u64 BE and sequence u64 BE) | length of start u8, start, length of version u8, version, value |

use super::table::{
    Header, Outcome, STREAM, Tables, WRONG_TYPE, damaged, header, header_or_return, open, seal,
};
use crate::key_store::port::Reply;
use crate::key_store::remedy::item_error;
use crate::layout::stream::{FIELDS, StreamEntry, StreamId};
use barmill_core::port::ItemError;
use bytes::Bytes;
use redb::{Error, ReadableTable};

/// What the header of a stream tells.
#[derive(Clone, Copy)]
struct Summary {
    len: u64,
    newest: StreamId,
}

impl Summary {
    fn of(header: &Header) -> Option<Summary> {
        let (len, rest) = header.value.split_first_chunk::<8>()?;
        let (ms, rest) = rest.split_first_chunk::<8>()?;
        let (sequence, _) = rest.split_first_chunk::<8>()?;
        let newest = StreamId {
            ms: u64::from_le_bytes(*ms),
            sequence: u64::from_le_bytes(*sequence),
        };
        Some(Summary {
            len: u64::from_le_bytes(*len),
            newest,
        })
    }

    fn encode(self) -> Vec<u8> {
        [self.len, self.newest.ms, self.newest.sequence]
            .into_iter()
            .flat_map(u64::to_le_bytes)
            .collect()
    }
}

fn id_bytes(id: StreamId) -> [u8; 16] {
    (u128::from(id.ms) << 64 | u128::from(id.sequence)).to_be_bytes()
}

fn parse_id(field: &[u8]) -> Option<StreamId> {
    let (ms, sequence) = field.split_first_chunk::<8>()?;
    let sequence = sequence.first_chunk::<8>()?;
    Some(StreamId {
        ms: u64::from_be_bytes(*ms),
        sequence: u64::from_be_bytes(*sequence),
    })
}

fn encode(entry: &StreamEntry) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(entry.bar.len() + 64);
    for text in [&entry.start, &entry.version] {
        out.push(u8::try_from(text.len()).ok()?);
        out.extend_from_slice(text);
    }
    out.extend_from_slice(&entry.bar);
    Some(out)
}

/// Start, version and value of an entry.
fn decode(content: &[u8]) -> Option<[&[u8]; 3]> {
    let (len, rest) = content.split_first()?;
    let (start, rest) = rest.split_at_checked(usize::from(*len))?;
    let (len, rest) = rest.split_first()?;
    let (version, bar) = rest.split_at_checked(usize::from(*len))?;
    Some([start, version, bar])
}

/// Answers `XRANGE key from +`.
pub(crate) fn range(
    keys: &impl ReadableTable<&'static [u8], &'static [u8]>,
    fields: &impl ReadableTable<(&'static [u8], &'static [u8]), &'static [u8]>,
    key: &[u8],
    from_ms: u64,
    now_ms: i64,
) -> Outcome {
    let mut entries = Vec::new();
    match header_or_return!(keys, key, now_ms) {
        None => return Ok(Ok(Reply::Array(entries))),
        Some(header) if header.kind != STREAM => return Ok(Err(item_error(WRONG_TYPE))),
        Some(_) => {}
    }
    let from = StreamId {
        ms: from_ms,
        sequence: 0,
    };
    let damage = each(fields, key, from, |id, parts| {
        let text = |text: &[u8]| Reply::Text(Bytes::copy_from_slice(text));
        let pairs = FIELDS
            .into_iter()
            .zip(parts)
            .flat_map(|(field, value)| [text(field), text(value)]);
        entries.push(Reply::Array(vec![
            text(id.to_string().as_bytes()),
            Reply::Array(pairs.collect()),
        ]));
        true
    })?;
    Ok(damage.map_or_else(|| Ok(Reply::Array(entries)), Err))
}

/// Shows the entries from an id on until `take` says no; returns the damage that it met.
fn each(
    fields: &impl ReadableTable<(&'static [u8], &'static [u8]), &'static [u8]>,
    key: &[u8],
    from: StreamId,
    mut take: impl FnMut(StreamId, [&[u8]; 3]) -> bool,
) -> Result<Option<ItemError>, Error> {
    for found in fields.range((key, id_bytes(from).as_slice())..)? {
        let (place, record) = found?;
        let (owner, field) = place.value();
        if owner != key {
            break;
        }
        let content = open(key, field, record.value());
        let Some((id, parts)) = parse_id(field).zip(content.and_then(decode)) else {
            return Ok(Some(damaged(key, Some(field))));
        };
        if !take(id, parts) {
            break;
        }
    }
    Ok(None)
}

impl Tables<'_> {
    /// Appends the entries that are not in the stream yet; answers how many.
    pub(crate) fn stream_add_all(
        &mut self,
        key: &[u8],
        entries: &[StreamEntry],
        len_max: Option<u64>,
        seconds: Option<u64>,
    ) -> Outcome {
        let mut added = 0;
        for entry in entries {
            match self.stream_add(key, entry, len_max)? {
                Ok(is_new) => added += i64::from(is_new),
                Err(error) => return Ok(Err(error)),
            }
        }
        let expired = seconds.map_or(Ok(Ok(Reply::Nil)), |seconds| self.expire(key, seconds))?;
        Ok(expired.map(|_| Reply::Integer(added)))
    }

    /// Appends an entry unless the stream holds it, a newer version of it, or has passed it.
    fn stream_add(
        &mut self,
        key: &[u8],
        entry: &StreamEntry,
        len_max: Option<u64>,
    ) -> Result<Result<bool, ItemError>, Error> {
        let found = header_or_return!(&self.keys, key, self.now_ms);
        let (summary, expiry_ms) = match &found {
            None => {
                self.purge(key)?;
                (
                    Summary {
                        len: 0,
                        newest: StreamId { ms: 0, sequence: 0 },
                    },
                    0,
                )
            }
            Some(header) if header.kind != STREAM => return Ok(Err(item_error(WRONG_TYPE))),
            Some(header) => match Summary::of(header) {
                Some(summary) => (summary, header.expiry_ms),
                None => return Ok(Err(damaged(key, None))),
            },
        };
        let mut id = entry.id;
        if id <= summary.newest && summary.len > 0 {
            match self.is_known(
                key,
                entry,
                len_max.is_some_and(|len_max| len_max <= summary.len),
            )? {
                Ok(true) => return Ok(Ok(false)),
                Ok(false) => {
                    id = StreamId {
                        sequence: summary.newest.sequence + 1,
                        ..summary.newest
                    }
                }
                Err(damage) => return Ok(Err(damage)),
            }
        }
        let Some(content) = encode(entry) else {
            return Ok(Err(item_error("ERR entry is too long")));
        };
        let field = id_bytes(id);
        self.fields.insert(
            (key, field.as_slice()),
            seal(key, &field, &content).as_slice(),
        )?;
        let len = self.trim(key, summary.len + 1, len_max)?;
        self.put_header(
            key,
            STREAM,
            expiry_ms,
            &Summary { len, newest: id }.encode(),
        )?;
        Ok(Ok(true))
    }

    /// Whether the entry, or a newer version of its bar, is in the stream, or a full stream has passed it.
    fn is_known(
        &self,
        key: &[u8],
        entry: &StreamEntry,
        is_full: bool,
    ) -> Result<Result<bool, ItemError>, Error> {
        let mut is_known = false;
        let mut damage = each(&self.fields, key, entry.id, |_, [start, version, _]| {
            is_known = start == entry.start && entry.version <= version;
            !is_known
        })?;
        if is_full && !is_known && damage.is_none() {
            damage = each(
                &self.fields,
                key,
                StreamId { ms: 0, sequence: 0 },
                |oldest, _| {
                    is_known = entry.id < oldest;
                    false
                },
            )?;
        }
        Ok(damage.map_or(Ok(is_known), Err))
    }

    /// Removes the oldest entries beyond the length to keep; returns how many are left.
    fn trim(&mut self, key: &[u8], len: u64, len_max: Option<u64>) -> Result<u64, Error> {
        let Some(len_max) = len_max.filter(|len_max| *len_max < len) else {
            return Ok(len);
        };
        let mut over = Vec::new();
        for found in self
            .fields
            .range((key, b"".as_slice())..)?
            .take(usize::try_from(len - len_max).unwrap_or(0))
        {
            let (place, _) = found?;
            over.push(place.value().1.to_vec());
        }
        for field in over {
            self.fields.remove((key, field.as_slice()))?;
        }
        Ok(len_max)
    }
}
