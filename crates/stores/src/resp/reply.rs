//! What the server's replies and the client's failures mean.

use crate::key_store::port::{CommandResult, Reply};
use crate::key_store::remedy::{item_error, remedy_of_text, shorten};
use barmill_core::port::{ItemError, Remedy};
use bytes::Bytes;
use redis::{ErrorKind, RedisError, Value};

/// What a failure of the client calls for; its connection is dropped already, so a retry dials anew.
pub(super) fn remedy_of_error(error: &RedisError) -> Remedy {
    let kind = error.kind();
    if matches!(kind, ErrorKind::Server(_) | ErrorKind::Extension) {
        let detail = error.detail().unwrap_or_default();
        return remedy_of_text(&format!("{} {detail}", error.code().unwrap_or("ERR")));
    }
    if kind == ErrorKind::InvalidClientConfig {
        Remedy::Fatal
    } else {
        Remedy::Retry { after: None }
    }
}

/// What came of a transaction.
pub(super) struct Executed {
    pub(super) results: Vec<CommandResult>,
    /// Whether the server may still wait for its end, so that the connection is good for nothing else.
    pub(super) is_open: bool,
}

impl Executed {
    /// Reads the replies to `MULTI`, `count` commands and `EXEC`: each command has the result that `EXEC` gives it, or the
    /// words with which it was not queued; where there is neither, those of `EXEC` or `MULTI`.
    pub(super) fn of(mut values: Vec<Value>, count: usize) -> Executed {
        let (exec, multi) = (values.pop().unwrap_or(Value::Nil), values.remove(0));
        let is_begun = !matches!(multi, Value::ServerError(_));
        let is_done = matches!(&exec, Value::Array(results) if results.len() == count);
        let (results, fault) = match (is_done, exec) {
            (true, Value::Array(results)) => (results, None),
            (_, exec) => {
                let fault = convert(if is_begun { exec } else { multi }).err();
                let unread = || item_error("answer of EXEC is no list of the commands");
                (Vec::new(), Some(fault.unwrap_or_else(unread)))
            }
        };
        let is_open = is_begun
            && fault
                .as_ref()
                .is_some_and(|fault| !fault.reason.starts_with("EXECABORT"));
        let mut results = results.into_iter();
        let result = |queued: Value| {
            let own = results.next();
            if matches!(queued, Value::ServerError(_)) {
                return convert(queued);
            }
            match (own, &fault) {
                (Some(result), _) => convert(result),
                (None, Some(fault)) => Err(again_where_broken(fault)),
                (None, None) => convert(Value::Nil),
            }
        };
        let results = values.into_iter().map(result).collect();
        Executed { results, is_open }
    }
}

/// That a transaction has no beginning, or two, says nothing against its commands.
fn again_where_broken(fault: &ItemError) -> ItemError {
    if fault.reason.contains(" MULTI") {
        return ItemError {
            remedy: Remedy::Reconnect,
            reason: fault.reason.clone(),
        };
    }
    fault.clone()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the client's enum may grow")]
pub(super) fn convert(value: Value) -> CommandResult {
    Ok(match value {
        Value::Nil => Reply::Nil,
        Value::Int(number) => Reply::Integer(number),
        Value::Okay => Reply::Text(Bytes::from_static(b"OK")),
        Value::BulkString(bytes) => Reply::Text(Bytes::from(bytes)),
        Value::SimpleString(text) => Reply::Text(Bytes::from(text)),
        Value::Array(values) | Value::Set(values) => {
            Reply::Array(values.into_iter().map(convert).collect::<Result<_, _>>()?)
        }
        Value::Map(pairs) => {
            let flat = pairs.into_iter().flat_map(|(field, value)| [field, value]);
            Reply::Array(flat.map(convert).collect::<Result<_, _>>()?)
        }
        Value::ServerError(error) => {
            return Err(item_error(&format!(
                "{} {}",
                error.code(),
                error.details().unwrap_or_default()
            )));
        }
        other => return Err(item_error(&shorten(&format!("unexpected reply {other:?}")))),
    })
}
