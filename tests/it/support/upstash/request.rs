//! From an HTTP request to the commands it asks for, as the REST API reads them.

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use super::{READ_ONLY_TOKEN, TOKEN};
use crate::support::resp::Command;

/// What a request asks for.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) kind: Kind,
    /// One for `Kind::Single`; an empty command in a pipeline is an error of its own.
    pub(super) commands: Vec<Command>,
    pub(super) access: Access,
    pub(super) is_base64: bool,
}

/// How the commands run and answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Single,
    Pipeline,
    Transaction,
}

/// What the request's token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Full,
    ReadOnly,
}

/// An answer to the request as a whole, before any command.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// `None` for an empty body.
    pub(super) error: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            error: Some(error.into()),
        }
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "WRONGPASS invalid or missing auth token",
        )
    }
}

/// Reads a request.
pub(super) fn parse(parts: &Parts, body: &[u8]) -> Result<Call, Refusal> {
    let query = query(parts);
    let access = access(parts, &query)?;
    if ![Method::GET, Method::HEAD, Method::POST, Method::PUT].contains(&parts.method) {
        return Err(Refusal {
            status: StatusCode::METHOD_NOT_ALLOWED,
            error: None,
        });
    }
    let bad = |text: &str| Refusal::new(StatusCode::BAD_REQUEST, text);
    let (kind, commands) = match parts.uri.path().trim_end_matches('/') {
        "" => (
            Kind::Single,
            vec![words(body).ok_or_else(|| bad("ERR failed to parse command"))?],
        ),
        "/pipeline" => (
            Kind::Pipeline,
            batch(body).ok_or_else(|| bad("ERR failed to parse pipeline request"))?,
        ),
        "/multi-exec" => (
            Kind::Transaction,
            batch(body).ok_or_else(|| bad("ERR failed to parse pipeline request"))?,
        ),
        path => (Kind::Single, vec![path_command(path, body, query)]),
    };
    if commands.is_empty() {
        return Err(bad("ERR empty pipeline request"));
    }
    if kind == Kind::Single && commands[0].is_empty() {
        return Err(bad("ERR empty command"));
    }
    let encoding = parts.headers.get("upstash-encoding");
    let is_base64 = encoding.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"base64"));
    Ok(Call {
        kind,
        commands,
        access,
        is_base64,
    })
}

fn access(parts: &Parts, query: &[(Vec<u8>, Vec<u8>)]) -> Result<Access, Refusal> {
    let header = parts
        .headers
        .get("authorization")
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let in_query = query
        .iter()
        .find(|(name, _)| name == b"_token")
        .map(|(_, value)| value.as_slice());
    match header.or(in_query) {
        Some(token) if token == TOKEN.as_bytes() => Ok(Access::Full),
        Some(token) if token == READ_ONLY_TOKEN.as_bytes() => Ok(Access::ReadOnly),
        Some(_) | None => Err(Refusal::unauthorized()),
    }
}

/// `/set/key?EX=100` with a body: path, then body, then query, each pair as two words.
fn path_command(path: &str, body: &[u8], query: Vec<(Vec<u8>, Vec<u8>)>) -> Command {
    let mut words: Command = path
        .trim_start_matches('/')
        .split('/')
        .map(decode)
        .collect();
    if !body.is_empty() {
        words.push(body.to_vec());
    }
    for (name, value) in query.into_iter().filter(|(name, _)| name != b"_token") {
        words.push(name);
        words.extend((!value.is_empty()).then_some(value));
    }
    words
}

fn query(parts: &Parts) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pairs = parts
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

fn batch(body: &[u8]) -> Option<Vec<Command>> {
    let commands: Vec<&RawValue> = serde_json::from_slice(body).ok()?;
    commands
        .into_iter()
        .map(|command| words(command.get().as_bytes()))
        .collect()
}

fn words(body: &[u8]) -> Option<Command> {
    let words: Vec<&RawValue> = serde_json::from_slice(body).ok()?;
    words.into_iter().map(|word| text_of(word.get())).collect()
}

/// A word is a text, or a number or boolean as it is written.
fn text_of(json: &str) -> Option<Vec<u8>> {
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(json)
            .ok()
            .map(String::into_bytes),
        b'[' | b'{' | b'n' => None,
        _ => Some(json.as_bytes().to_vec()),
    }
}
