//! The simulated side of a venue: its part of the venue's descriptor, its REST replies and its socket protocol.

use super::recording::{Numbering, Published};
use barmill_core::model::{Symbol, Timestamp, Trade};
use hyper::header::HeaderMap;
use hyper::{Response, StatusCode};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

/// What the printed request for a venue's history asks for.
#[derive(Debug, Clone, Copy)]
pub struct Example<'a> {
    /// Scheme, host and port of the simulated venue.
    pub base_url: &'a str,
    /// The first symbol of the recording.
    pub symbol: &'a str,
    /// The times of the first and the last trade.
    pub span: (Timestamp, Timestamp),
}

/// The simulated side of a venue.
#[derive(Debug, Clone, Copy)]
pub struct Simulation {
    /// How it numbers trades.
    pub numbering: Numbering,
    /// Nanoseconds of the finest step of its clock, as its history tells it.
    pub resolution_ns: i64,
    /// The path of its socket.
    pub socket_path: &'static str,
    /// The query that a client should add to the path, with its question mark; empty for none.
    pub socket_query: &'static str,
    /// Keys of the venue's config section with the values under which a client reads every recorded trade.
    pub client_settings: &'static [(&'static str, &'static str)],
    /// A `curl` command for the first trades of a symbol.
    pub example: fn(&Example<'_>) -> String,
    /// Leaves of a trade what the history can tell, beyond what numbering and market say.
    pub(crate) restate: fn(&mut Trade),
    /// How long a client may take until it has said who it is or what it wants; `None` for as long as it likes.
    pub(crate) idle_max: Option<Duration>,
    /// Time between two pings of the protocol, where the venue sends them.
    pub(crate) ping_every: Option<Duration>,
    /// The venue's side of one socket, by the path and the query of its upgrade.
    pub(crate) protocol: fn(&Request<'_>) -> Box<dyn VenueProtocol>,
    /// Answers a request for the history.
    pub(crate) answer: fn(&Request<'_>) -> Reply,
    /// How it says that there were too many requests.
    pub(crate) too_many: fn() -> Reply,
}

/// One HTTP request.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// What the history has.
    pub(crate) published: Published<'a>,
    /// Requests before this one.
    pub(crate) number: u64,
    pub(crate) path: String,
    /// Of a name given twice the last value.
    pub(crate) query: HashMap<String, String>,
    pub(crate) headers: HeaderMap,
}

impl Request<'_> {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// A parameter as a number; an error names the parameter.
    pub(crate) fn number<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, &'static str> {
        self.get(name)
            .map(|text| text.parse().map_err(|_| name))
            .transpose()
    }

    /// A header; empty where it is not given.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    /// The segments of the path.
    pub(crate) fn segments(&self) -> Vec<&str> {
        let segments = self.path.split('/');
        segments.filter(|segment| !segment.is_empty()).collect()
    }
}

/// One reply, of JSON unless it says otherwise.
pub(crate) type Reply = Response<String>;

pub(crate) fn reply(status: StatusCode, body: impl Display) -> Reply {
    let mut reply = ok(body);
    *reply.status_mut() = status;
    reply
}

pub(crate) fn ok(body: impl Display) -> Reply {
    Response::new(body.to_string())
}

/// What a client's text leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// An answer.
    Send(String),
    /// The client says who it is, and whether that can be.
    Authenticate(bool),
    /// The trades of these symbols.
    Subscribe(Vec<Symbol>),
    /// No longer the trades of these symbols.
    Unsubscribe(Vec<Symbol>),
    /// The newest trades of these symbols, as a start.
    Snapshot(Vec<Symbol>),
    /// The venue ends the conversation.
    Close,
}

/// An answer.
pub(crate) fn send(text: impl Display) -> Action {
    Action::Send(text.to_string())
}

/// What a venue refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The key, or at a venue without keys the subscription.
    Auth,
    /// One connection more.
    Limit,
    /// A client that is too slow.
    Slow,
    /// A client that says nothing.
    Idle,
}

/// One venue's side of one conversation.
pub(crate) trait VenueProtocol: Send {
    /// What the venue says first.
    fn greeting(&mut self, _published: &Published<'_>) -> Vec<Action> {
        Vec::new()
    }

    /// What a text means.
    fn on_text(&mut self, published: &Published<'_>, text: &str) -> Vec<Action>;

    /// The messages that tell of trades, in their order.
    fn trades(&mut self, now: Timestamp, trades: &[&Trade]) -> Vec<String>;

    /// The messages that tell the newest trades of a symbol that was just subscribed, oldest first.
    fn snapshot(&mut self, _now: Timestamp, _trades: &[&Trade]) -> Vec<String> {
        Vec::new()
    }

    /// A sign of life of the venue's own.
    fn heartbeat(&mut self, _published: &Published<'_>) -> Vec<String> {
        Vec::new()
    }

    /// The words of a refusal; `None` where the venue just hangs up.
    fn refusal(&self, refusal: Refusal) -> Option<String>;

    /// What the key is answered when it is accepted.
    fn on_authenticated(&mut self) -> Option<String> {
        None
    }
}

/// The texts of an array.
pub(crate) fn strings(value: &Value) -> Vec<&str> {
    let values = value.as_array().into_iter().flatten();
    values.filter_map(Value::as_str).collect()
}

/// Rows with commas between them.
pub(crate) fn joined<'a>(
    trades: impl IntoIterator<Item = &'a Trade>,
    row: impl Fn(&'a Trade) -> String,
) -> String {
    let rows: Vec<String> = trades.into_iter().map(row).collect();
    rows.join(",")
}

/// The numbers of the bits that are set, of those in a range.
pub(crate) fn bits(set: u128, range: Range<u8>) -> impl Iterator<Item = u8> {
    range.filter(move |bit| set >> bit & 1 == 1)
}
