//! Parses and checks answers of the REST API.
//!
//! Wire format: Upstash REST (redis/features/restapi, 2026-08): `/pipeline` answers an array with one
//! `{"result": ..}` or `{"error": ".."}` per command; a request that is refused as a whole answers one `{"error": ".."}`.

use crate::key_store::port::{CommandResult, Reply};
use crate::key_store::remedy::{item_error, shorten};
use bytes::Bytes;
use serde_json::Value;

/// Why an answer is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnswerError {
    /// A refusal of the whole request, with the status it came with.
    #[error("status {status}: {reason}")]
    Refused { status: u16, reason: String },
    /// Not JSON: a proxy's page, or a truncated answer.
    #[error("status {status} with something other than JSON: {snippet:?}")]
    NotJson { status: u16, snippet: String },
    /// Another number of replies than commands.
    #[error("{found} replies to {expected} commands")]
    Count { found: usize, expected: usize },
    /// A reply that is neither a result nor an error.
    #[error("reply {index} is neither a result nor an error")]
    Shape { index: usize },
    /// More bytes than are read.
    #[error("answer is longer than {bytes_max} bytes")]
    TooLong { bytes_max: usize },
}

impl AnswerError {
    /// The store's words about the whole request.
    pub(crate) fn error_text(&self) -> Option<&str> {
        match self {
            AnswerError::Refused { reason, .. } => Some(reason),
            AnswerError::NotJson { .. }
            | AnswerError::Count { .. }
            | AnswerError::Shape { .. }
            | AnswerError::TooLong { .. } => None,
        }
    }
}

/// Decodes the answer to `expected` commands.
///
/// # Errors
/// [`AnswerError`] when the fate of the commands cannot be told from it.
pub(crate) fn decode(
    status: u16,
    body: &[u8],
    expected: usize,
) -> Result<Vec<CommandResult>, AnswerError> {
    let not_json = || AnswerError::NotJson {
        status,
        snippet: shorten(&String::from_utf8_lossy(&body[..body.len().min(200)])),
    };
    let answer: Value = serde_json::from_slice(body).map_err(|_| not_json())?;
    if let Some(reason) = answer.get("error").and_then(Value::as_str) {
        return Err(AnswerError::Refused {
            status,
            reason: shorten(reason),
        });
    }
    match answer {
        Value::Array(replies) if status == 200 && replies.len() == expected => replies
            .into_iter()
            .enumerate()
            .map(|(index, reply)| one(index, reply))
            .collect(),
        Value::Array(replies) if status == 200 => Err(AnswerError::Count {
            found: replies.len(),
            expected,
        }),
        Value::Array(_)
        | Value::Object(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_) => Err(not_json()),
    }
}

fn one(index: usize, reply: Value) -> Result<CommandResult, AnswerError> {
    let shape = || AnswerError::Shape { index };
    let Value::Object(mut members) = reply else {
        return Err(shape());
    };
    match (members.remove("result"), members.remove("error")) {
        (_, Some(Value::String(reason))) => Ok(Err(item_error(&reason))),
        (Some(result), None) => convert(result).map(Ok).ok_or_else(shape),
        (_, _) => Err(shape()),
    }
}

fn convert(value: Value) -> Option<Reply> {
    Some(match value {
        Value::Null => Reply::Nil,
        Value::String(text) => Reply::Text(Bytes::from(text)),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Reply::Integer(number),
            None => Reply::Text(Bytes::from(number.to_string())),
        },
        Value::Array(values) => {
            Reply::Array(values.into_iter().map(convert).collect::<Option<_>>()?)
        }
        Value::Bool(_) | Value::Object(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{AnswerError, decode};
    use crate::key_store::port::Reply;
    use barmill_core::port::Remedy;

    #[test]
    fn each_command_has_its_own_result_or_error() {
        let body = br#"[{"result":"OK"},{"error":"WRONGTYPE Operation"},{"result":[null,2,"x"]}]"#;
        let results = decode(200, body, 3).unwrap();
        assert_eq!(results[0], Ok(Reply::Text("OK".into())));
        assert_eq!(results[1].as_ref().unwrap_err().remedy, Remedy::Refuse);
        let array = vec![Reply::Nil, Reply::Integer(2), Reply::Text("x".into())];
        assert_eq!(results[2], Ok(Reply::Array(array)));
    }

    #[test]
    fn an_answer_that_does_not_fit_is_never_a_success() {
        let count = AnswerError::Count {
            found: 1,
            expected: 2,
        };
        assert_eq!(decode(200, br#"[{"result":1}]"#, 2), Err(count));
        assert_eq!(
            decode(200, br#"[{"result":1},{}]"#, 2),
            Err(AnswerError::Shape { index: 1 })
        );
        assert_eq!(
            decode(200, br#"[{"result":1},{"result"#, 2)
                .unwrap_err()
                .error_text(),
            None
        );
        assert!(matches!(
            decode(502, b"<html>bad gateway", 1),
            Err(AnswerError::NotJson { .. })
        ));
        assert!(matches!(
            decode(500, br#"[{"result":1}]"#, 1),
            Err(AnswerError::NotJson { .. })
        ));
        let refused =
            decode(200, br#"{"error":"ERR max requests limit exceeded."}"#, 1).unwrap_err();
        assert_eq!(
            refused.error_text(),
            Some("ERR max requests limit exceeded.")
        );
    }
}
