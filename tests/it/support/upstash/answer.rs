//! From Redis's replies to the JSON of the REST API.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::request::{Call, Kind, Refusal};
use crate::support::resp::Reply;

/// What became of one command.
pub(super) type Outcome = Result<Reply, String>;

/// Status and body of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Answer {
    /// The answer to a request that was refused as a whole.
    pub(super) fn refusal(refusal: Refusal) -> Self {
        let body = refusal
            .error
            .map(|error| json!({ "error": error }).to_string());
        Self {
            status: refusal.status,
            body: body.unwrap_or_default().into(),
        }
    }

    /// The answer with these outcomes, one for each command of the call.
    pub(super) fn new(call: &Call, outcomes: Vec<Outcome>, result_bytes_max: usize) -> Self {
        let mut is_refused = false;
        let mut items: Vec<Value> = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            let item = outcome.map(|reply| to_json(reply, call.is_base64));
            is_refused |= item.is_err();
            items.push(match item {
                Ok(result) => limited(&result, result_bytes_max),
                Err(error) => json!({ "error": error }),
            });
        }
        match call.kind {
            Kind::Single => {
                let status = if is_refused {
                    StatusCode::BAD_REQUEST
                } else {
                    StatusCode::OK
                };
                Self {
                    status,
                    body: items.remove(0).to_string().into(),
                }
            }
            Kind::Pipeline | Kind::Transaction => Self {
                status: StatusCode::OK,
                body: Value::Array(items).to_string().into(),
            },
        }
    }
}

/// The text of the limit on the bytes of one command, in either direction.
pub(super) fn size_error(limit: usize, actual: usize) -> String {
    format!("ERR max request size exceeded. Limit: {limit}, Actual: {actual}")
}

/// A result past the limit is an error, and the status stays 200.
fn limited(result: &Value, limit: usize) -> Value {
    let actual = result.to_string().len();
    if actual <= limit {
        json!({ "result": result })
    } else {
        json!({ "error": size_error(limit, actual) })
    }
}

fn to_json(reply: Reply, is_base64: bool) -> Value {
    match reply {
        Reply::Nil => Value::Null,
        Reply::Integer(number) => number.into(),
        Reply::Text(bytes) if is_base64 && bytes != b"OK" => STANDARD.encode(bytes).into(),
        Reply::Text(bytes) => String::from_utf8_lossy(&bytes).into(),
        Reply::Error(text) => text.into(),
        Reply::Array(items) => items
            .into_iter()
            .map(|item| to_json(item, is_base64))
            .collect(),
    }
}
