//! Streams of closed bars: ids, entries, and what a refused id means.
//!
//! One entry per final or revised update, none for forming ones, none left out. An entry has three fields: `start`
//! (RFC 3339 in UTC), `version` (see `version`) and `bar` (the value of the view).
//!
//! **Ids.** An update's own id is `{ms}-{n}`: the bar's start in milliseconds, and the nanoseconds within that
//! millisecond times 2^32 plus the revision. It depends on the update alone, so that the same update has the same
//! id in every run. Redis takes ids in rising order only. An update behind the newest entry (a late revision, a batch
//! that was tried again, an older day) is refused with its own id; then the script that appends decides what it is:
//!
//! - its own id or a later entry holds the same bar in this or a newer version: a repeat, and counts as written;
//! - the stream has reached `stream_len_max` and its oldest entry is newer: out of its memory, and counts as written;
//! - otherwise it is new, and gets the id after the newest entry.
//!
//! So every update is in the stream once, in the order in which the store took them, and a run that goes on after a
//! crash leaves what an uninterrupted one leaves, however its batches are cut. Readers take the bar from `start`, never from the id, and of several
//! entries of a bar the one with the greatest `version`. **Limits:** with more than one request in flight a batch that
//! is tried again comes after its successors; bars start after 1970; what was trimmed or expired is forgotten, so an
//! update sent again after that is a new one.

use barmill_core::model::Timestamp;
use bytes::Bytes;
use std::fmt;

const MS_NS: i64 = 1_000_000;
pub(crate) const FIELDS: [&[u8]; 3] = [b"start", b"version", b"bar"];

/// The id of an entry; ids of one stream rise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId {
    /// Milliseconds since the Unix epoch.
    pub ms: u64,
    /// Order within the millisecond, below 2^53.
    pub sequence: u64,
}

impl StreamId {
    /// The own id of an update of the bar that starts then.
    pub(crate) fn of(start: Timestamp, revision: u32) -> StreamId {
        let nanos = start.as_nanos().max(0);
        let inside = u64::try_from(nanos % MS_NS).unwrap_or(0);
        let ms = u64::try_from(nanos / MS_NS).unwrap_or(0);
        StreamId {
            ms,
            sequence: (inside << 32) | u64::from(revision),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.sequence)
    }
}

/// One closed update of a bar in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    /// The update's own id.
    pub id: StreamId,
    /// Start of the bar, RFC 3339.
    pub start: Bytes,
    /// Version of the bar; the greater text is the newer one.
    pub version: Bytes,
    /// The bar's value.
    pub bar: Bytes,
}

/// Calls `take` with the arguments that the scripts' `append` reads: length to keep, smallest id, then id, start,
/// version and value of each entry.
pub(crate) fn each_of_stream(
    entries: &[StreamEntry],
    len_max: Option<u64>,
    mut take: impl FnMut(&[u8]),
) {
    take(itoa::Buffer::new().format(len_max.unwrap_or(0)).as_bytes());
    let from = entries
        .iter()
        .map(|entry| entry.id)
        .min()
        .unwrap_or_default();
    take(from.to_string().as_bytes());
    for StreamEntry {
        id,
        start,
        version,
        bar,
    } in entries
    {
        take(id.to_string().as_bytes());
        take(start);
        take(version);
        take(bar);
    }
}

#[cfg(test)]
mod tests {
    use super::StreamId;

    #[test]
    fn an_id_depends_on_start_and_revision_alone_and_rises_with_both() {
        let id = |start: &str, revision| StreamId::of(start.parse().unwrap(), revision);
        assert_eq!(id("2025-10-15T13:30:00Z", 0).to_string(), "1760535000000-0");
        assert_eq!(id("2025-10-15T13:30:00Z", 2).to_string(), "1760535000000-2");
        let ids = [
            id("2025-10-15T13:30:00Z", u32::MAX),
            id("2025-10-15T13:30:00.000000001Z", 0),
            id("2025-10-15T13:30:00.000999999Z", u32::MAX),
            id("2025-10-15T13:30:00.001Z", 0),
        ];
        assert!(
            ids.is_sorted() && ids.iter().all(|id| id.sequence < 1 << 53),
            "{ids:?}"
        );
    }
}
