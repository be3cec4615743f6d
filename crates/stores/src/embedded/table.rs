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

use super::stream;
use crate::key_store::command::Command;
use crate::key_store::port::{CommandResult, Reply};
use crate::key_store::remedy::item_error;
use barmill_core::port::{ItemError, Remedy};
use bytes::Bytes;
use redb::{Error, ReadableTable, Table, TableDefinition, WriteTransaction};

type KeysTable = TableDefinition<'static, &'static [u8], &'static [u8]>;
type FieldsTable = TableDefinition<'static, (&'static [u8], &'static [u8]), &'static [u8]>;
pub(crate) const KEYS: KeysTable = TableDefinition::new("keys");
pub(crate) const FIELDS: FieldsTable = TableDefinition::new("fields");
pub(crate) const EXPIRIES: TableDefinition<'static, (i64, &'static [u8]), ()> =
    TableDefinition::new("expiries");

/// Expired keys removed by one write at most, so that its time stays bounded.
const SWEEP_KEYS_MAX: usize = 32;
pub(crate) const WRONG_TYPE: &str =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
const HASH: u8 = 1;
const STRING: u8 = 2;
pub(crate) const STREAM: u8 = 3;

/// What a key is.
pub(crate) struct Header {
    pub(crate) kind: u8,
    /// Milliseconds since the epoch; 0 for never.
    pub(crate) expiry_ms: i64,
    pub(crate) value: Bytes,
}

impl Header {
    fn is_alive(&self, now_ms: i64) -> bool {
        self.expiry_ms == 0 || now_ms < self.expiry_ms
    }
}

/// A command's fate, or the failure of the whole store.
pub(crate) type Outcome = Result<CommandResult, Error>;

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

pub(crate) fn open<'a>(key: &[u8], field: &[u8], record: &'a [u8]) -> Option<&'a [u8]> {
    let (crc, content) = record.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*crc) == checksum(key, field, content)).then_some(content)
}

pub(crate) fn header(
    keys: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
    now_ms: i64,
) -> Result<Result<Option<Header>, ItemError>, Error> {
    let Some(record) = keys.get(key)? else {
        return Ok(Ok(None));
    };
    let parsed = open(key, b"", record.value()).and_then(|content| {
        let (kind, rest) = content.split_first()?;
        let (expiry, value) = rest.split_first_chunk::<8>()?;
        let expiry_ms = i64::from_le_bytes(*expiry);
        Some(Header {
            kind: *kind,
            expiry_ms,
            value: Bytes::copy_from_slice(value),
        })
    });
    let found = parsed.ok_or_else(|| damaged(key, None));
    Ok(found.map(|header| Some(header).filter(|header| header.is_alive(now_ms))))
}

/// Unwraps a header or returns the command's error.
macro_rules! header_or_return {
    ($keys:expr, $key:expr, $now_ms:expr) => {
        match header($keys, $key, $now_ms)? {
            Ok(header) => header,
            Err(error) => return Ok(Err(error)),
        }
    };
}

pub(crate) use header_or_return;

/// Answers a command that changes nothing; `None` for one that does.
pub(crate) fn read(
    keys: &impl ReadableTable<&'static [u8], &'static [u8]>,
    fields: &impl ReadableTable<(&'static [u8], &'static [u8]), &'static [u8]>,
    command: &Command,
    now_ms: i64,
) -> Result<Option<CommandResult>, Error> {
    match command {
        Command::Ping => Ok(Some(Ok(Reply::Text(Bytes::from_static(b"PONG"))))),
        Command::HashGetAll { key } => hash_all(keys, fields, key, now_ms).map(Some),
        Command::HashGet { key, fields: names } => {
            hash_get(keys, fields, key, names, now_ms).map(Some)
        }
        Command::Get { keys: names } => get(keys, names, now_ms).map(Some),
        Command::StreamRange { key, from_ms } => {
            stream::range(keys, fields, key, *from_ms, now_ms).map(Some)
        }
        // Nobody can listen to a folder.
        Command::Publish { .. } => Ok(Some(Ok(Reply::Integer(0)))),
        Command::Script { .. } => Ok(Some(Err(item_error("ERR unknown command")))),
        Command::HashSet { .. }
        | Command::Expire { .. }
        | Command::Set { .. }
        | Command::StreamAdd { .. }
        | Command::Delete { .. } => Ok(None),
    }
}

fn hash_all(
    keys: &impl ReadableTable<&'static [u8], &'static [u8]>,
    fields: &impl ReadableTable<(&'static [u8], &'static [u8]), &'static [u8]>,
    key: &[u8],
    now_ms: i64,
) -> Outcome {
    let mut replies = Vec::new();
    match header_or_return!(keys, key, now_ms) {
        None => return Ok(Ok(Reply::Array(replies))),
        Some(header) if header.kind != HASH => return Ok(Err(item_error(WRONG_TYPE))),
        Some(_) => {}
    }
    for entry in fields.range((key, b"".as_slice())..)? {
        let (place, record) = entry?;
        let (owner, field) = place.value();
        if owner != key {
            break;
        }
        let Some(value) = open(key, field, record.value()) else {
            return Ok(Err(damaged(key, Some(field))));
        };
        replies.push(Reply::Text(Bytes::copy_from_slice(field)));
        replies.push(Reply::Text(Bytes::copy_from_slice(value)));
    }
    Ok(Ok(Reply::Array(replies)))
}

fn hash_get(
    keys: &impl ReadableTable<&'static [u8], &'static [u8]>,
    fields: &impl ReadableTable<(&'static [u8], &'static [u8]), &'static [u8]>,
    key: &[u8],
    names: &[Bytes],
    now_ms: i64,
) -> Outcome {
    match header_or_return!(keys, key, now_ms) {
        None => return Ok(Ok(Reply::Array(vec![Reply::Nil; names.len()]))),
        Some(header) if header.kind != HASH => return Ok(Err(item_error(WRONG_TYPE))),
        Some(_) => {}
    }
    let mut replies = Vec::with_capacity(names.len());
    for field in names {
        let Some(record) = fields.get((key, field.as_ref()))? else {
            replies.push(Reply::Nil);
            continue;
        };
        match open(key, field, record.value()) {
            Some(value) => replies.push(Reply::Text(Bytes::copy_from_slice(value))),
            None => return Ok(Err(damaged(key, Some(field)))),
        }
    }
    Ok(Ok(Reply::Array(replies)))
}

fn get(
    keys: &impl ReadableTable<&'static [u8], &'static [u8]>,
    names: &[Bytes],
    now_ms: i64,
) -> Outcome {
    let mut replies = Vec::with_capacity(names.len());
    for key in names {
        // As in Redis, MGET answers nil for a key of another type.
        let header = header_or_return!(keys, key, now_ms).filter(|header| header.kind == STRING);
        replies.push(header.map_or(Reply::Nil, |header| Reply::Text(header.value)));
    }
    Ok(Ok(Reply::Array(replies)))
}

/// The tables inside one write transaction.
pub(crate) struct Tables<'a> {
    pub(crate) keys: Table<'a, &'static [u8], &'static [u8]>,
    pub(crate) fields: Table<'a, (&'static [u8], &'static [u8]), &'static [u8]>,
    expiries: Table<'a, (i64, &'static [u8]), ()>,
    pub(crate) now_ms: i64,
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
            Command::HashGetAll { .. }
            | Command::HashGet { .. }
            | Command::Get { .. }
            | Command::StreamRange { .. }
            | Command::Publish { .. }
            | Command::Script { .. }
            | Command::Ping => {
                let answered = read(&self.keys, &self.fields, command, self.now_ms)?;
                Ok(answered.unwrap_or_else(|| Err(item_error("ERR unknown command"))))
            }
        }
    }

    fn hash_set(&mut self, key: &[u8], fields: &[(Bytes, Bytes)]) -> Outcome {
        match header_or_return!(&self.keys, key, self.now_ms) {
            None => {
                self.purge(key)?;
                self.put_header(key, HASH, 0, b"")?;
            }
            Some(header) if header.kind != HASH => return Ok(Err(item_error(WRONG_TYPE))),
            Some(_) => {}
        }
        let mut new = 0;
        for (field, value) in fields {
            let record = seal(key, field, value);
            if self
                .fields
                .insert((key, field.as_ref()), record.as_slice())?
                .is_none()
            {
                new += 1;
            }
        }
        Ok(Ok(Reply::Integer(new)))
    }

    pub(crate) fn expire(&mut self, key: &[u8], seconds: u64) -> Outcome {
        let Some(header) = header_or_return!(&self.keys, key, self.now_ms) else {
            return Ok(Ok(Reply::Integer(0)));
        };
        self.expiries.remove((header.expiry_ms, key))?;
        self.put_header(key, header.kind, self.expiry_ms(seconds), &header.value)?;
        Ok(Ok(Reply::Integer(1)))
    }

    fn set(&mut self, key: &[u8], value: &[u8], seconds: Option<u64>) -> Outcome {
        self.purge(key)?;
        let expiry_ms = seconds.map_or(0, |seconds| self.expiry_ms(seconds));
        self.put_header(key, STRING, expiry_ms, value)?;
        Ok(Ok(Reply::Text(Bytes::from_static(b"OK"))))
    }

    fn delete(&mut self, names: &[Bytes]) -> Outcome {
        let mut gone = 0;
        for key in names {
            let existed = header_or_return!(&self.keys, key, self.now_ms).is_some();
            self.purge(key)?;
            gone += i64::from(existed);
        }
        Ok(Ok(Reply::Integer(gone)))
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
    ) -> Result<(), Error> {
        let content = [&[kind], expiry_ms.to_le_bytes().as_slice(), value].concat();
        self.keys.insert(key, seal(key, b"", &content).as_slice())?;
        if expiry_ms != 0 {
            self.expiries.insert((expiry_ms, key), ())?;
        }
        Ok(())
    }

    /// Removes a key with all it holds, alive or not, readable or not.
    pub(crate) fn purge(&mut self, key: &[u8]) -> Result<(), Error> {
        let expiry_ms = match header(&self.keys, key, i64::MIN)? {
            Ok(header) => header.map_or(0, |header| header.expiry_ms),
            Err(_) => 0,
        };
        if self.keys.remove(key)?.is_none() {
            return Ok(());
        }
        self.expiries.remove((expiry_ms, key))?;
        let mut fields = Vec::new();
        for entry in self.fields.range((key, b"".as_slice())..)? {
            let (place, _) = entry?;
            if place.value().0 != key {
                break;
            }
            fields.push(place.value().1.to_vec());
        }
        for field in fields {
            self.fields.remove((key, field.as_slice()))?;
        }
        Ok(())
    }

    /// Removes some keys whose time is over.
    pub(crate) fn sweep(&mut self) -> Result<(), Error> {
        let mut over = Vec::new();
        let end = (self.now_ms.saturating_add(1), b"".as_slice());
        for entry in self.expiries.range(..end)?.take(SWEEP_KEYS_MAX) {
            let (place, _) = entry?;
            over.push((place.value().0, place.value().1.to_vec()));
        }
        for (expiry_ms, key) in over {
            self.expiries.remove((expiry_ms, key.as_slice()))?;
            self.purge(&key)?;
        }
        Ok(())
    }
}
