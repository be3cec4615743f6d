//! What the socket protocols of all simulated venues share.

use crate::venue::simulate::recording::Tape;
use barmill_core::model::Timestamp;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;

/// How a client came: the path and the query of its upgrade.
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
}

/// What a client's text leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// An answer.
    Say(String),
    /// The client says who it is, and whether that can be.
    Prove(bool),
    /// The trades of these lanes.
    Subscribe(Vec<usize>),
    /// The trades of all lanes.
    SubscribeAll,
    /// No longer the trades of these lanes.
    Unsubscribe(Vec<usize>),
    /// The newest trades of these lanes, as a start.
    Snapshot(Vec<usize>),
    /// The venue ends the conversation.
    Leave,
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
pub(crate) trait Dialect: Send {
    /// Tells the time, before anything else is asked.
    fn at(&mut self, _now: Timestamp) {}

    /// What the venue says first.
    fn greeting(&mut self, tape: &Tape) -> Vec<Act>;

    /// What a text means.
    fn hear(&mut self, tape: &Tape, text: &str) -> Vec<Act>;

    /// Tells trades, given by their places in the order to be told.
    fn trades(&mut self, tape: &Tape, places: &[u32], out: &mut Vec<String>);

    /// Tells the newest trades of lanes that were just subscribed, oldest first.
    fn snapshot(&mut self, _tape: &Tape, _places: &[u32], _out: &mut Vec<String>) {}

    /// A sign of life of the venue's own; `newest` gives the newest trade of a lane.
    fn heartbeat(&mut self, _tape: &Tape, _newest: &dyn Fn(usize) -> Option<u32>) -> Vec<String> {
        Vec::new()
    }

    /// The words of a refusal; `None` where the venue just hangs up.
    fn refusal(&mut self, refusal: Refusal) -> Option<String>;

    /// What the key is answered when it is accepted.
    fn welcome(&mut self) -> Option<String> {
        None
    }

    /// How long a client may take until it has said who it is or what it wants.
    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// Time between two pings of the protocol, where the venue sends them.
    fn ping_every(&self) -> Option<Duration> {
        None
    }
}

/// The texts of an array.
pub(crate) fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The lanes of names that are known.
pub(crate) fn lanes(tape: &Tape, names: &[&str]) -> Vec<usize> {
    names.iter().filter_map(|name| tape.lane(name)).collect()
}
