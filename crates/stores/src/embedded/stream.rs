//! Streams of the embedded store.
//!
//! Owns the layout below and does in one step what for Redis takes `XADD` and a script, see `stream`.
//!
//! | table | key | value |
//! |---|---|---|
//! | `keys` | key | content: count of entries, ms and sequence of the newest id, each u64 LE |
//! | `fields` | (key, ms u64 BE and sequence u64 BE) | length of start u8, start, length of version u8, version, value |

use super::table::{Header, Outcome, STREAM, Tables, damaged, seal, text};
use crate::key_store::port::Reply;
use crate::key_store::remedy::item_error;
use crate::key_store::stream::{FIELDS, StreamEntry, StreamId};

/// What the header of a stream tells.
#[derive(Clone, Copy)]
struct Summary {
    len: u64,
    newest: StreamId,
}

impl Summary {
    fn of(header: &Header) -> Option<Summary> {
        let (numbers, _) = header.value.as_chunks::<8>();
        let [len, ms, sequence, ..] = numbers else {
            return None;
        };
        let [len, ms, sequence] = [len, ms, sequence].map(|bytes| u64::from_le_bytes(*bytes));
        let newest = StreamId { ms, sequence };
        Some(Summary { len, newest })
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
    let (ms, sequence) = field.split_first_chunk()?;
    Some(StreamId {
        ms: u64::from_be_bytes(*ms),
        sequence: u64::from_be_bytes(*sequence.first_chunk()?),
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

impl Tables<'_> {
    /// Answers `XRANGE key from +`.
    pub(crate) fn stream_range(&self, key: &[u8], from_ms: u64) -> Outcome {
        let mut entries = Vec::new();
        if self.header_of(key, STREAM)?.is_some() {
            let from = StreamId {
                ms: from_ms,
                sequence: 0,
            };
            self.each_entry(key, from, |id, parts| {
                let pairs = FIELDS.into_iter().zip(parts);
                let pairs = pairs.flat_map(|(field, value)| [text(field), text(value)]);
                entries.push(Reply::Array(vec![
                    text(id.to_string().as_bytes()),
                    Reply::Array(pairs.collect()),
                ]));
                true
            })?;
        }
        Ok(Reply::Array(entries))
    }

    /// Shows the entries from an id on until `take` says no.
    fn each_entry(
        &self,
        key: &[u8],
        from: StreamId,
        mut take: impl FnMut(StreamId, [&[u8]; 3]) -> bool,
    ) -> Outcome<()> {
        self.each_field(key, &id_bytes(from), |field, content| {
            let entry = parse_id(field).zip(decode(content));
            let (id, parts) = entry.ok_or_else(|| damaged(key, Some(field)))?;
            Ok(take(id, parts))
        })
    }

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
            added += i64::from(self.stream_add(key, entry, len_max)?);
        }
        if let Some(seconds) = seconds {
            self.expire(key, seconds)?;
        }
        Ok(Reply::Integer(added))
    }

    /// Appends an entry unless the stream holds it, a newer version of it, or has passed it.
    fn stream_add(
        &mut self,
        key: &[u8],
        entry: &StreamEntry,
        len_max: Option<u64>,
    ) -> Outcome<bool> {
        let (summary, expiry_ms) = match self.header_of(key, STREAM)? {
            None => {
                self.purge(key)?;
                let newest = StreamId { ms: 0, sequence: 0 };
                (Summary { len: 0, newest }, 0)
            }
            Some(header) => {
                let summary = Summary::of(&header).ok_or_else(|| damaged(key, None))?;
                (summary, header.expiry_ms)
            }
        };
        let mut id = entry.id;
        if id <= summary.newest && summary.len > 0 {
            let is_full = len_max.is_some_and(|len_max| len_max <= summary.len);
            if self.is_known(key, entry, is_full)? {
                return Ok(false);
            }
            id = StreamId {
                sequence: summary.newest.sequence + 1,
                ..summary.newest
            };
        }
        let content = encode(entry).ok_or_else(|| item_error("ERR entry is too long"))?;
        let field = id_bytes(id);
        let record = seal(key, &field, &content);
        self.fields
            .insert((key, field.as_slice()), record.as_slice())?;
        let len = self.trim(key, summary.len + 1, len_max)?;
        let summary = Summary { len, newest: id };
        self.put_header(key, STREAM, expiry_ms, &summary.encode())?;
        Ok(true)
    }

    /// Whether the entry, or a newer version of its bar, is in the stream, or a full stream has passed it.
    fn is_known(&self, key: &[u8], entry: &StreamEntry, is_full: bool) -> Outcome<bool> {
        let mut is_known = false;
        self.each_entry(key, entry.id, |_, [start, version, _]| {
            is_known = start == entry.start && entry.version <= version;
            !is_known
        })?;
        if is_full && !is_known {
            let first = StreamId { ms: 0, sequence: 0 };
            self.each_entry(key, first, |oldest, _| {
                is_known = entry.id < oldest;
                false
            })?;
        }
        Ok(is_known)
    }

    /// Removes the oldest entries beyond the length to keep; returns how many are left.
    fn trim(&mut self, key: &[u8], len: u64, len_max: Option<u64>) -> Outcome<u64> {
        let Some(len_max) = len_max.filter(|len_max| *len_max < len) else {
            return Ok(len);
        };
        let over = usize::try_from(len - len_max).unwrap_or(0);
        let first = (key, b"".as_slice());
        for oldest in self
            .fields
            .extract_from_if(first.., |_, _| true)?
            .take(over)
        {
            oldest?;
        }
        Ok(len_max)
    }
}
