//! The rows of the state file: tables, keys, and a checksum in every value.
//!
//! A value is the CRC-32C of table, key and body (little-endian), then the body; so a value that lies under a
//! wrong key is as damaged as one with a wrong bit. redb checks its own pages only when a file is opened, and
//! 34 of 40 single flipped bits were served silently without a checksum of our own.

use super::codec::{CodecError, Reader, encode_item, push_date, push_text};
use barmill_core::engine::budget::BudgetUse;
use barmill_core::model::{BarUpdate, Timestamp, WriteItem};
use barmill_core::port::{DeadLetter, Position};
use redb::TableDefinition;

/// The format of the file as a whole; raised when an older program would misread a newer file.
pub(super) const SCHEMA: u32 = 1;
/// Bytes of a dead letter's reason that are kept.
const REASON_LEN_MAX: usize = 1_024;

/// Rows by place.
pub(super) type Places = TableDefinition<'static, u64, &'static [u8]>;
/// Rows by name.
pub(super) type Names = TableDefinition<'static, &'static str, &'static [u8]>;

pub(super) const SPOOL: Places = TableDefinition::new("spool");
pub(super) const DEAD: Places = TableDefinition::new("dead_letters");
pub(super) const RECENT: Places = TableDefinition::new("recent");
pub(super) const CHECKPOINTS: Names = TableDefinition::new("checkpoints");
pub(super) const META: Names = TableDefinition::new("meta");

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
pub(super) fn unseal<T>(
    table: &str,
    key: &[u8],
    value: &[u8],
    decode: impl FnOnce(&mut Reader<'_>) -> Result<T, CodecError>,
) -> Result<T, RowError> {
    let (sum, body) = value.split_first_chunk::<4>().ok_or(RowError::Checksum)?;
    if u32::from_le_bytes(*sum) != checksum(table, key, body) {
        return Err(RowError::Checksum);
    }
    let mut reader = Reader::new(body);
    let row = decode(&mut reader)?;
    reader.end()?;
    Ok(row)
}

fn checksum(table: &str, key: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(
        crc32c::crc32c_append(crc32c::crc32c(table.as_bytes()), key),
        body,
    )
}

/// An item of the spool, or a bar of the recent table, with the time of its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timed {
    pub(super) time: Timestamp,
    pub(super) item: WriteItem,
}

pub(super) fn encode_timed(time: Timestamp, item: &WriteItem, out: &mut Vec<u8>) {
    out.extend_from_slice(&time.as_nanos().to_le_bytes());
    encode_item(item, out);
}

pub(super) fn decode_timed(reader: &mut Reader<'_>) -> Result<Timed, CodecError> {
    Ok(Timed {
        time: reader.time("time")?,
        item: reader.item()?,
    })
}

/// A recent row holds bars only.
pub(super) fn decode_recent(reader: &mut Reader<'_>) -> Result<(Timestamp, BarUpdate), CodecError> {
    let row = decode_timed(reader)?;
    match row.item {
        WriteItem::Bar(update) => Ok((row.time, update)),
        WriteItem::Manifest(_) => Err(CodecError::Field { field: "kind" }),
    }
}

pub(super) fn encode_dead(letter: &DeadLetter, out: &mut Vec<u8>) {
    let reason = &letter.reason[..letter.reason.floor_char_boundary(REASON_LEN_MAX)];
    push_text(out, reason);
    encode_timed(letter.time, &letter.item, out);
}

pub(super) fn decode_dead(reader: &mut Reader<'_>) -> Result<DeadLetter, CodecError> {
    let reason = reader.text("reason")?.to_owned();
    let row = decode_timed(reader)?;
    Ok(DeadLetter {
        item: row.item,
        reason,
        time: row.time,
    })
}

pub(super) fn encode_position(position: Position, out: &mut Vec<u8>) {
    out.extend_from_slice(&position.0.to_le_bytes());
}

pub(super) fn decode_position(reader: &mut Reader<'_>) -> Result<Position, CodecError> {
    reader.u64().map(Position)
}

pub(super) fn decode_schema(reader: &mut Reader<'_>) -> Result<u32, CodecError> {
    reader.u32()
}

pub(super) fn encode_target(target: &str, out: &mut Vec<u8>) {
    push_text(out, target);
}

pub(super) fn decode_target(reader: &mut Reader<'_>) -> Result<String, CodecError> {
    Ok(reader.text("target")?.to_owned())
}

pub(super) fn encode_budget(used: BudgetUse, out: &mut Vec<u8>) {
    push_date(out, used.day);
    out.extend_from_slice(&used.day_commands.to_le_bytes());
    out.extend_from_slice(&used.month_commands.to_le_bytes());
}

pub(super) fn decode_budget(reader: &mut Reader<'_>) -> Result<BudgetUse, CodecError> {
    Ok(BudgetUse {
        day: reader.date()?,
        day_commands: reader.u64()?,
        month_commands: reader.u64()?,
    })
}

/// What a table of places holds; kept beside it, as counting would read the whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Totals {
    pub(super) items: u64,
    /// Bytes of keys and values.
    pub(super) bytes: u64,
    /// The place of the next row; grows for ever.
    pub(super) next: u64,
    /// The time of the last row; rows are in order of time, whatever the clock does.
    pub(super) last: Timestamp,
}

impl Totals {
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        for number in [self.items, self.bytes, self.next] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.last.as_nanos().to_le_bytes());
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Totals, CodecError> {
        Ok(Totals {
            items: reader.u64()?,
            bytes: reader.u64()?,
            next: reader.u64()?,
            last: reader.time("last")?,
        })
    }

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

/// Bytes of a row by place: its key and its value.
pub(super) fn row_bytes(value_len: usize) -> u64 {
    8 + u64::try_from(value_len).unwrap_or(u64::MAX - 8)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{bar_item, items, second};
    use super::{RowError, decode_dead, decode_timed, encode_dead, encode_timed, seal, unseal};
    use barmill_core::port::DeadLetter;
    use proptest::prelude::*;

    fn sealed() -> Vec<u8> {
        seal("spool", &[1], |out| {
            encode_timed(second(5), &bar_item(1), out);
        })
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let value = sealed();
        for bit in 0..value.len() * 8 {
            let mut damaged = value.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                unseal("spool", &[1], &damaged, decode_timed),
                Err(RowError::Checksum),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn value_under_another_key_or_table_is_damaged() {
        assert!(unseal("spool", &[1], &sealed(), decode_timed).is_ok());
        assert_eq!(
            unseal("spool", &[2], &sealed(), decode_timed),
            Err(RowError::Checksum)
        );
        assert_eq!(
            unseal("recent", &[1], &sealed(), decode_timed),
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
        let value = seal("dead_letters", &[], |out| encode_dead(&letter, out));
        let read = unseal("dead_letters", &[], &value, decode_dead).unwrap();
        assert_eq!(read.reason, "é".repeat(512));
    }

    proptest! {
        #[test]
        fn dead_letter_round_trips(item in items(), reason in ".{0,100}", seconds in 0i64..1_000_000) {
            let letter = DeadLetter { item, reason, time: second(seconds) };
            let value = seal("dead_letters", &[7], |out| encode_dead(&letter, out));
            prop_assert_eq!(unseal("dead_letters", &[7], &value, decode_dead), Ok(letter));
        }
    }
}
