//! The rows of the state file: tables, keys, and a checksum in every value.
//!
//! A value is the CRC-32C of table, key and body (little-endian), then the body; so a value that lies under a
//! wrong key is as damaged as one with a wrong bit. redb checks its own pages only when a file is opened, and
//! 34 of 40 single flipped bits were served silently without a checksum of our own.

use super::codec::{CodecError, Field, Reader, decode, put_text, record};
use barmill_core::engine::budget::BudgetUse;
use barmill_core::model::{BarUpdate, Timestamp, WriteItem};
use barmill_core::port::DeadLetter;
use redb::TableDefinition;

/// The format of the file as a whole; raised when an older program would misread a newer file.
pub(super) const SCHEMA: u32 = 1;
/// Bytes of a dead letter's reason that are kept.
const REASON_LEN_MAX: usize = 1_024;

/// Rows by number.
pub(super) type Numbered = TableDefinition<'static, u64, &'static [u8]>;
/// Rows by name.
pub(super) type Named = TableDefinition<'static, &'static str, &'static [u8]>;

pub(super) const SPOOL: Numbered = TableDefinition::new("spool");
pub(super) const DEAD: Numbered = TableDefinition::new("dead_letters");
pub(super) const RECENT: Numbered = TableDefinition::new("recent");
pub(super) const CHECKPOINTS: Named = TableDefinition::new("checkpoints");
pub(super) const META: Named = TableDefinition::new("meta");

/// Why a row is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum RowError {
    #[error("checksum does not match")]
    Checksum,
    #[error("row is missing")]
    Missing,
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Makes the value of a row.
pub(super) fn seal(table: &str, key: &[u8], encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut value = Vec::with_capacity(256);
    value.extend_from_slice(&[0; 4]);
    encode(&mut value);
    let (sum, body) = value.split_at_mut(4);
    sum.copy_from_slice(&checksum(table, key, body).to_le_bytes());
    value
}

/// Checks the value of a row and decodes its body.
pub(super) fn unseal<T: Field>(table: &str, key: &[u8], value: &[u8]) -> Result<T, RowError> {
    let (sum, body) = value.split_first_chunk::<4>().ok_or(RowError::Checksum)?;
    if u32::from_le_bytes(*sum) != checksum(table, key, body) {
        return Err(RowError::Checksum);
    }
    Ok(decode(body)?)
}

fn checksum(table: &str, key: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(
        crc32c::crc32c_append(crc32c::crc32c(table.as_bytes()), key),
        body,
    )
}

/// An item of the spool with the time of its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timed {
    pub(super) time: Timestamp,
    pub(super) item: WriteItem,
}

record!(Timed { time, item });

/// A recent bar with the time of its row, which is that of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recent {
    pub(super) time: Timestamp,
    pub(super) update: BarUpdate,
}

impl Field for Recent {
    fn put(&self, out: &mut Vec<u8>) {
        self.time.put(out);
        WriteItem::Bar(self.update).put(out);
    }

    fn take(reader: &mut Reader<'_>, name: &'static str) -> Result<Recent, CodecError> {
        let Timed { time, item } = Timed::take(reader, name)?;
        match item {
            WriteItem::Bar(update) => Ok(Recent { time, update }),
            WriteItem::Manifest(_) => Err(CodecError::Field { field: "kind" }),
        }
    }
}

impl Field for DeadLetter {
    fn put(&self, out: &mut Vec<u8>) {
        let reason = &self.reason[..self.reason.floor_char_boundary(REASON_LEN_MAX)];
        put_text(reason, out);
        self.time.put(out);
        self.item.put(out);
    }

    fn take(reader: &mut Reader<'_>, name: &'static str) -> Result<DeadLetter, CodecError> {
        let reason = Field::take(reader, "reason")?;
        let Timed { time, item } = Timed::take(reader, name)?;
        Ok(DeadLetter { item, reason, time })
    }
}

record!(BudgetUse {
    day,
    day_commands,
    month_commands
});

/// What a table of numbered rows holds; kept beside it, as counting would read the whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Totals {
    pub(super) items: u64,
    /// Bytes of keys and values.
    pub(super) bytes: u64,
    /// The number of the next row; grows for ever.
    pub(super) next: u64,
    /// The time of the last row; rows are in order of time, whatever the clock does.
    pub(super) last: Timestamp,
}

record!(Totals {
    items,
    bytes,
    next,
    last
});

/// What the numbered tables hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Held {
    pub(super) spool: Totals,
    pub(super) dead: Totals,
    pub(super) recent: Totals,
}

impl Totals {
    /// Counts a new row.
    pub(super) fn add(&mut self, value_len: usize) {
        self.items += 1;
        self.bytes += row_bytes(value_len);
        self.next += 1;
    }

    /// Counts a removed row.
    pub(super) fn remove(&mut self, value_len: usize) {
        self.items = self.items.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(row_bytes(value_len));
    }
}

/// Bytes of a numbered row: its key and its value.
pub(super) fn row_bytes(value_len: usize) -> u64 {
    8 + u64::try_from(value_len).unwrap_or(u64::MAX - 8)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{bar_item, items, second};
    use super::{RowError, Timed, seal, unseal};
    use crate::state::codec::Field;
    use barmill_core::port::DeadLetter;
    use proptest::prelude::*;

    fn sealed() -> Vec<u8> {
        seal("spool", &[1], |out| {
            second(5).put(out);
            bar_item(1).put(out);
        })
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let value = sealed();
        for bit in 0..value.len() * 8 {
            let mut damaged = value.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                unseal::<Timed>("spool", &[1], &damaged),
                Err(RowError::Checksum),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn value_under_another_key_or_table_is_damaged() {
        assert!(unseal::<Timed>("spool", &[1], &sealed()).is_ok());
        assert_eq!(
            unseal::<Timed>("spool", &[2], &sealed()),
            Err(RowError::Checksum)
        );
        assert_eq!(
            unseal::<Timed>("recent", &[1], &sealed()),
            Err(RowError::Checksum)
        );
    }

    #[test]
    fn long_reason_is_cut_at_a_character() {
        let letter = DeadLetter {
            item: bar_item(1),
            reason: "é".repeat(600) + "x",
            time: second(1),
        };
        let value = seal("dead_letters", &[], |out| letter.put(out));
        let read: DeadLetter = unseal("dead_letters", &[], &value).unwrap();
        assert_eq!(read.reason, "é".repeat(512));
    }

    proptest! {
        #[test]
        fn dead_letter_round_trips(item in items(), reason in ".{0,100}", seconds in 0i64..1_000_000) {
            let letter = DeadLetter { item, reason, time: second(seconds) };
            let value = seal("dead_letters", &[7], |out| letter.put(out));
            prop_assert_eq!(unseal("dead_letters", &[7], &value), Ok(letter));
        }
    }
}
