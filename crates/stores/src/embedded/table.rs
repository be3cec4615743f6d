//! The tables of the embedded store and the commands on them.
//!
//! Owns the record layout below. Every record carries a CRC-32C over its place and content, which is checked
//! whenever it is read, so that a flipped bit is an error and never a price.
//!
//! | table | key | value |
//! |---|---|---|
//! | `keys` | key | crc u32 LE, kind u8 (1 hash, 2 string, 3 stream), expiry i64 LE (ms since the epoch, 0 never), content |
//! | `fields` | (key, field) | crc u32 LE, value |
//! | `expiries` | (ms, key) | nothing |
//!
//! The content of a string is its text, of a hash nothing, of a stream see `embedded_stream`.

use crate::key_store::command::{Command, Fields};
use crate::key_store::port::{CommandResult, Reply};
use crate::key_store::remedy::item_error;
use barmill_core::port::{ItemError, Remedy};
use bytes::Bytes;
use redb::{Error, ReadableTable, StorageError, Table, TableDefinition, WriteTransaction};

type KeysTable = TableDefinition<'static, &'static [u8], &'static [u8]>;
type FieldsTable = TableDefinition<'static, (&'static [u8], &'static [u8]), &'static [u8]>;
pub(super) const KEYS: KeysTable = TableDefinition::new("keys");
pub(super) const FIELDS: FieldsTable = TableDefinition::new("fields");
const EXPIRIES: TableDefinition<'static, (i64, &'static [u8]), ()> =
    TableDefinition::new("expiries");

/// Expired keys removed by one write at most, so that its time stays bounded.
const SWEEP_KEYS_MAX: usize = 32;
const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
const HASH: u8 = 1;
const STRING: u8 = 2;
pub(crate) const STREAM: u8 = 3;

/// What a key is.
pub(crate) struct Header {
    kind: u8,
    /// Milliseconds since the epoch; 0 for never.
    pub(crate) expiry_ms: i64,
    pub(crate) value: Bytes,
}

impl Header {
    fn is_alive(&self, now_ms: i64) -> bool {
        self.expiry_ms == 0 || now_ms < self.expiry_ms
    }
}

/// Why a command has no reply.
pub(crate) enum RunError {
    /// It failed alone.
    Command(ItemError),
    /// The whole store failed.
    Store(Error),
}

impl From<ItemError> for RunError {
    fn from(error: ItemError) -> RunError {
        RunError::Command(error)
    }
}

impl From<StorageError> for RunError {
    fn from(error: StorageError) -> RunError {
        RunError::Store(error.into())
    }
}

pub(crate) type Outcome<T = Reply> = Result<T, RunError>;

/// A command's fate, or the failure of the whole store.
pub(crate) fn fate(outcome: Outcome) -> Result<CommandResult, Error> {
    match outcome {
        Ok(reply) => Ok(Ok(reply)),
        Err(RunError::Command(error)) => Ok(Err(error)),
        Err(RunError::Store(error)) => Err(error),
    }
}

/// Whether a command changes the store.
pub(crate) fn is_write(command: &Command) -> bool {
    match command {
        Command::HashSet { .. }
        | Command::Expire { .. }
        | Command::Set { .. }
        | Command::StreamAdd { .. }
        | Command::Delete { .. } => true,
        Command::HashGetAll { .. }
        | Command::HashGet { .. }
        | Command::Get { .. }
        | Command::StreamRange { .. }
        | Command::Publish { .. }
        | Command::Script { .. }
        | Command::Ping => false,
    }
}

pub(crate) fn damaged(key: &[u8], field: Option<&[u8]>) -> ItemError {
    let key = String::from_utf8_lossy(key);
    let field = field
        .map(|field| format!(" field {}", String::from_utf8_lossy(field)))
        .unwrap_or_default();
    ItemError {
        remedy: Remedy::Fatal,
        reason: format!("stored value of key {key}{field} fails its checksum"),
    }
}

fn checksum(key: &[u8], field: &[u8], content: &[u8]) -> u32 {
    let len = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&len.to_le_bytes()), key);
    crc32c::crc32c_append(crc32c::crc32c_append(crc, field), content)
}

pub(crate) fn seal(key: &[u8], field: &[u8], content: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(content.len() + 4);
    record.extend_from_slice(&checksum(key, field, content).to_le_bytes());
    record.extend_from_slice(content);
    record
}

fn open<'a>(key: &[u8], field: &[u8], record: &'a [u8]) -> Option<&'a [u8]> {
    let (crc, content) = record.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*crc) == checksum(key, field, content)).then_some(content)
}

/// The first key behind a key, in the order of bytes.
fn next_key(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

pub(crate) fn text(bytes: &[u8]) -> Reply {
    Reply::Text(Bytes::copy_from_slice(bytes))
}

/// The tables inside one transaction.
pub(crate) struct Tables<'a> {
    keys: Table<'a, &'static [u8], &'static [u8]>,
    pub(crate) fields: Table<'a, (&'static [u8], &'static [u8]), &'static [u8]>,
    expiries: Table<'a, (i64, &'static [u8]), ()>,
    now_ms: i64,
}

impl<'a> Tables<'a> {
    pub(crate) fn open(
        transaction: &'a WriteTransaction,
        now_ms: i64,
    ) -> Result<Tables<'a>, Error> {
        Ok(Tables {
            keys: transaction.open_table(KEYS)?,
            fields: transaction.open_table(FIELDS)?,
            expiries: transaction.open_table(EXPIRIES)?,
            now_ms,
        })
    }

    pub(crate) fn run(&mut self, command: &Command) -> Outcome {
        match command {
            Command::HashSet { key, fields } => self.hash_set(key, fields),
            Command::Expire { key, seconds } => self.expire(key, *seconds),
            Command::Set {
                key,
                value,
                seconds,
            } => self.set(key, value, *seconds),
            Command::StreamAdd {
                key,
                entries,
                len_max,
                seconds,
                ..
            } => self.stream_add_all(key, entries, *len_max, *seconds),
            Command::Delete { keys } => self.delete(keys),
            Command::Ping => Ok(text(b"PONG")),
            Command::HashGetAll { key } => self.hash_all(key),
            Command::HashGet { key, fields } => self.hash_get(key, fields),
            Command::Get { keys } => self.get(keys),
            Command::StreamRange { key, from_ms } => self.stream_range(key, *from_ms),
            // Nobody can listen to a folder.
            Command::Publish { .. } => Ok(Reply::Integer(0)),
            Command::Script { .. } => Err(item_error("ERR unknown command").into()),
        }
    }

    /// The header of a key that is alive.
    fn header(&self, key: &[u8]) -> Outcome<Option<Header>> {
        let header = self.stored_header(key)?;
        Ok(header.filter(|header| header.is_alive(self.now_ms)))
    }

    fn stored_header(&self, key: &[u8]) -> Outcome<Option<Header>> {
        let Some(record) = self.keys.get(key)? else {
            return Ok(None);
        };
        let parsed = open(key, b"", record.value()).and_then(|content| {
            let (kind, rest) = content.split_first()?;
            let (expiry, value) = rest.split_first_chunk::<8>()?;
            Some(Header {
                kind: *kind,
                expiry_ms: i64::from_le_bytes(*expiry),
                value: Bytes::copy_from_slice(value),
            })
        });
        let header = parsed.ok_or_else(|| damaged(key, None))?;
        Ok(Some(header))
    }

    /// The header of a key that must be of this kind, if it exists.
    pub(crate) fn header_of(&self, key: &[u8], kind: u8) -> Outcome<Option<Header>> {
        match self.header(key)? {
            Some(header) if header.kind != kind => Err(item_error(WRONG_TYPE).into()),
            header => Ok(header),
        }
    }

    /// Shows the fields and values of a key from a field on until `take` says no.
    pub(crate) fn each_field(
        &self,
        key: &[u8],
        from: &[u8],
        mut take: impl FnMut(&[u8], &[u8]) -> Outcome<bool>,
    ) -> Outcome<()> {
        let next = next_key(key);
        let end = (next.as_slice(), b"".as_slice());
        for entry in self.fields.range((key, from)..end)? {
            let (cell, record) = entry?;
            let (_, field) = cell.value();
            let value = open(key, field, record.value());
            let value = value.ok_or_else(|| damaged(key, Some(field)))?;
            if !take(field, value)? {
                break;
            }
        }
        Ok(())
    }

    fn hash_all(&self, key: &[u8]) -> Outcome {
        let mut replies = Vec::new();
        if self.header_of(key, HASH)?.is_some() {
            self.each_field(key, b"", |field, value| {
                replies.extend([text(field), text(value)]);
                Ok(true)
            })?;
        }
        Ok(Reply::Array(replies))
    }

    fn hash_get(&self, key: &[u8], names: &[Bytes]) -> Outcome {
        if self.header_of(key, HASH)?.is_none() {
            return Ok(Reply::Array(vec![Reply::Nil; names.len()]));
        }
        let mut replies = Vec::with_capacity(names.len());
        for field in names {
            replies.push(match self.fields.get((key, field.as_ref()))? {
                Some(record) => {
                    let value = open(key, field, record.value());
                    text(value.ok_or_else(|| damaged(key, Some(field)))?)
                }
                None => Reply::Nil,
            });
        }
        Ok(Reply::Array(replies))
    }

    fn get(&self, names: &[Bytes]) -> Outcome {
        let mut replies = Vec::with_capacity(names.len());
        for key in names {
            // As in Redis, MGET answers nil for a key of another type.
            let header = self.header(key)?.filter(|header| header.kind == STRING);
            replies.push(header.map_or(Reply::Nil, |header| Reply::Text(header.value)));
        }
        Ok(Reply::Array(replies))
    }

    fn hash_set(&mut self, key: &[u8], fields: &Fields) -> Outcome {
        if self.header_of(key, HASH)?.is_none() {
            self.purge(key)?;
            self.put_header(key, HASH, 0, b"")?;
        }
        let mut new = 0;
        for (field, value) in fields.iter() {
            let record = seal(key, field, value);
            let before = self.fields.insert((key, field), record.as_slice())?;
            new += i64::from(before.is_none());
        }
        Ok(Reply::Integer(new))
    }

    pub(crate) fn expire(&mut self, key: &[u8], seconds: u64) -> Outcome {
        let Some(header) = self.header(key)? else {
            return Ok(Reply::Integer(0));
        };
        self.expiries.remove((header.expiry_ms, key))?;
        self.put_header(key, header.kind, self.expiry_ms(seconds), &header.value)?;
        Ok(Reply::Integer(1))
    }

    fn set(&mut self, key: &[u8], value: &[u8], seconds: Option<u64>) -> Outcome {
        self.purge(key)?;
        let expiry_ms = seconds.map_or(0, |seconds| self.expiry_ms(seconds));
        self.put_header(key, STRING, expiry_ms, value)?;
        Ok(text(b"OK"))
    }

    fn delete(&mut self, names: &[Bytes]) -> Outcome {
        let mut gone = 0;
        for key in names {
            let existed = self.header(key)?.is_some();
            self.purge(key)?;
            gone += i64::from(existed);
        }
        Ok(Reply::Integer(gone))
    }

    fn expiry_ms(&self, seconds: u64) -> i64 {
        let life_ms = i64::try_from(seconds)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000);
        self.now_ms.saturating_add(life_ms)
    }

    pub(crate) fn put_header(
        &mut self,
        key: &[u8],
        kind: u8,
        expiry_ms: i64,
        value: &[u8],
    ) -> Outcome<()> {
        let content = [&[kind], expiry_ms.to_le_bytes().as_slice(), value].concat();
        self.keys.insert(key, seal(key, b"", &content).as_slice())?;
        if expiry_ms != 0 {
            self.expiries.insert((expiry_ms, key), ())?;
        }
        Ok(())
    }

    /// Removes a key with all it holds, alive or not, readable or not.
    pub(crate) fn purge(&mut self, key: &[u8]) -> Outcome<()> {
        let expiry_ms = match self.stored_header(key) {
            Ok(header) => header.map_or(0, |header| header.expiry_ms),
            Err(RunError::Command(_)) => 0,
            Err(error) => return Err(error),
        };
        if self.keys.remove(key)?.is_none() {
            return Ok(());
        }
        self.expiries.remove((expiry_ms, key))?;
        let (next, first) = (next_key(key), b"".as_slice());
        self.fields
            .retain_in((key, first)..(next.as_slice(), first), |_, _| false)?;
        Ok(())
    }

    /// Removes some keys whose time is over.
    pub(crate) fn sweep(&mut self) -> Outcome<()> {
        let mut over = Vec::new();
        let end = (self.now_ms.saturating_add(1), b"".as_slice());
        let expired = self.expiries.extract_from_if(..end, |_, ()| true)?;
        for entry in expired.take(SWEEP_KEYS_MAX) {
            over.push(entry?.0.value().1.to_vec());
        }
        for key in over {
            self.purge(&key)?;
        }
        Ok(())
    }
}
