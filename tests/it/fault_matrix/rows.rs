//! The matrix: each fault, over which wires, how far the write had come, and what must become of it.
//!
//! A row runs for each wire and stage with one faulty request and, unless the client heals it, again with as many as
//! open the circuit. The bound is of requests beyond those of an undisturbed run and the faulty ones: what another
//! batch on the same connection, or a batch cut in two, costs.

use std::time::Duration;

use super::bench::AnswerWait;
use crate::support::fault::{ConnectionFault, Fault, RetryAfter, Stage, StoreError};

/// How the program and the store speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// HTTP/1.1 without TLS.
    Http1,
    /// HTTP/2 over TLS.
    Http2,
    Resp,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub(super) enum Met {
    Request(Fault),
    /// Before and midway some commands answer with the error and are not carried out; after the write all of them are.
    Commands(StoreError),
    /// The first connections; where a write was on its way, those after a reset.
    Connections(ConnectionFault),
    /// The port refuses until the log speaks of two failures.
    Refused,
    /// Every request that holds a bar of one symbol, for ever.
    Poison(Fault),
}

/// What becomes of the write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing is told: the client heals it, or halves the batch.
    Unseen,
    Retried,
    /// The circuit opens at once and no attempt is repeated.
    Paused,
    /// The store must not be asked again: to the dead letters, and the rest goes on.
    DeadLetters,
    /// The run ends with everything in the spool; the next one, when the cause is away, writes it.
    Halted,
}

/// One line of the matrix.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) fault: &'static str,
    pub(super) met: Met,
    pub(super) wires: &'static [Wire],
    pub(super) stages: &'static [Stage],
    pub(super) ending: Ending,
    pub(super) requests_over: u64,
    /// What the line of the log that tells of it holds besides the words of its kind; `|` parts alternatives.
    pub(super) line: &'static str,
}

impl Row {
    /// Where no answer comes it is not waited for long; elsewhere a busy machine must not look like a fault.
    pub(super) fn wait(&self) -> AnswerWait {
        match self.met {
            Met::Connections(ConnectionFault::Hang)
            | Met::Request(
                Fault::BlackHole
                | Fault::StallBeforeHeaders
                | Fault::Drip { .. }
                | Fault::ShortArray,
            ) => AnswerWait::Short,
            Met::Request(_)
            | Met::Commands(_)
            | Met::Connections(_)
            | Met::Refused
            | Met::Poison(_) => AnswerWait::Long,
        }
    }

    /// Whether more of the same says more.
    pub(super) fn is_repeated(&self) -> bool {
        self.ending != Ending::Unseen && !matches!(self.met, Met::Poison(_))
    }
}

use Ending::{DeadLetters, Halted, Paused, Retried, Unseen};
use Met::{Commands, Connections, Poison, Refused, Request};

const ALL: &[Wire] = &[Wire::Http1, Wire::Http2, Wire::Resp];
const REST: &[Wire] = &[Wire::Http1, Wire::Http2];
const HTTP1: &[Wire] = &[Wire::Http1];
const HTTP2: &[Wire] = &[Wire::Http2];
const RESP: &[Wire] = &[Wire::Resp];
const EACH: &[Stage] = &[Stage::BeforeApply, Stage::Midway, Stage::AfterApply];
/// Faults of a kind that comes before a write only, by what they are.
const BEFORE: &[Stage] = &[Stage::BeforeApply];
/// Faults of connections that meet a write on its way.
const UNDER_WAY: &[Stage] = &[Stage::Midway, Stage::AfterApply];
/// A true answer comes, so the write is applied.
const AFTER: &[Stage] = &[Stage::AfterApply];

const fn row(
    fault: &'static str,
    met: Met,
    wires: &'static [Wire],
    stages: &'static [Stage],
    ending: Ending,
    (requests_over, line): (u64, &'static str),
) -> Row {
    Row {
        fault,
        met,
        wires,
        stages,
        ending,
        requests_over,
        line,
    }
}

/// One byte a blink: any answer takes longer than the wait of the matrix.
const DRIP: Fault = Fault::Drip {
    pause: Duration::from_millis(90),
};
const EPOCH: RetryAfter = RetryAfter::HttpDate(jiff::Timestamp::UNIX_EPOCH);

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    // Connections.
    row("refused port", Refused, ALL, BEFORE, Retried, (2, "Connection refused")),
    row("reset, then a refused port", Refused, REST, UNDER_WAY, Retried, (2, "onnection reset")),
    row("reset, then a refused port", Refused, RESP, UNDER_WAY, Retried, (2, "broken pipe|closed")),
    row("hanging connect", Connections(ConnectionFault::Hang), ALL, BEFORE, Retried, (6, "timed out")),
    row("reset, then a hanging connect", Connections(ConnectionFault::Hang), ALL, UNDER_WAY, Retried, (6, "timed out")),
    row("reset at connect", Connections(ConnectionFault::Reset), ALL, EACH, Retried, (2, "onnection reset|broken pipe")),
    row("reset", Request(Fault::Reset), REST, EACH, Retried, (2, "onnection reset")),
    row("reset", Request(Fault::Reset), RESP, EACH, Retried, (2, "broken pipe|closed")),
    row("black hole", Request(Fault::BlackHole), ALL, EACH, Retried, (6, "timed out")),
    row("GOAWAY, orderly", Request(Fault::GoAwayGraceful), REST, AFTER, Unseen, (1, "")),
    row("GOAWAY, internal error", Request(Fault::GoAwayAbrupt { code: 2 }), HTTP2, EACH, Retried, (2, "stream closed")),
    row("GOAWAY, enhance your calm", Request(Fault::GoAwayAbrupt { code: 11 }), HTTP2, EACH, Retried, (2, "stream closed")),
    row("another protocol", Request(Fault::GoAwayAbrupt { code: 2 }), HTTP1, EACH, Retried, (2, "invalid HTTP version")),
    row("another protocol", Request(Fault::HtmlBadGateway), RESP, EACH, Retried, (2, "send 6 commands")),
    row("refused stream", Request(Fault::RefusedStream), HTTP2, BEFORE, Unseen, (2, "")),
    row("end instead of an answer", Request(Fault::RefusedStream), HTTP1, BEFORE, Retried, (2, "connection closed before")),
    // Answers.
    row("silence", Request(Fault::StallBeforeHeaders), ALL, EACH, Retried, (6, "timed out")),
    row("drip", Request(DRIP), ALL, EACH, Retried, (6, "timed out")),
    row("truncated, length told", Request(Fault::Truncated { is_length_declared: true }), REST, EACH, Retried, (2, "reading a body")),
    row("truncated", Request(Fault::Truncated { is_length_declared: true }), RESP, EACH, Retried, (2, "broken pipe|closed")),
    row("truncated, length not told", Request(Fault::Truncated { is_length_declared: false }), REST, EACH, Retried, (2, "other than JSON")),
    row("an answer missing", Request(Fault::ShortArray), REST, EACH, Retried, (2, "5 replies to 6 commands")),
    row("an answer missing", Request(Fault::ShortArray), RESP, EACH, Retried, (6, "timed out")),
    row("an answer too many", Request(Fault::LongArray), REST, EACH, Retried, (2, "7 replies to 6 commands")),
    row("HTML", Request(Fault::HtmlBadGateway), REST, EACH, Retried, (2, "502 Bad Gateway")),
    // Statuses.
    row("408", Request(Fault::Status(408)), REST, EACH, Retried, (2, "status 408")),
    row("425", Request(Fault::Status(425)), REST, EACH, Retried, (2, "status 425")),
    row("429", Request(Fault::TooManyRequests(RetryAfter::Absent)), REST, EACH, Retried, (2, "status 429")),
    row("429, now", Request(Fault::TooManyRequests(RetryAfter::Seconds(0))), REST, EACH, Retried, (2, "status 429")),
    row("429, a date", Request(Fault::TooManyRequests(EPOCH)), REST, EACH, Retried, (2, "status 429")),
    row("429, absurd", Request(Fault::TooManyRequests(RetryAfter::Absurd("-1"))), REST, EACH, Retried, (2, "status 429")),
    row("500", Request(Fault::Status(500)), REST, EACH, Retried, (2, "status 500")),
    row("503", Request(Fault::Status(503)), REST, EACH, Retried, (2, "status 503")),
    row("504", Request(Fault::Status(504)), REST, EACH, Retried, (2, "status 504")),
    row("400 for a batch", Request(Fault::Status(400)), REST, EACH, Unseen, (2, "")),
    row("413 for a batch", Request(Fault::Status(413)), REST, EACH, Unseen, (2, "")),
    row("400 for one symbol", Poison(Fault::Status(400)), REST, EACH, DeadLetters, (40, "status 400")),
    row("413 for one symbol", Poison(Fault::Status(413)), REST, EACH, DeadLetters, (40, "status 413")),
    row("no access", Request(Fault::Unauthorized), REST, EACH, Halted, (3, "status 401")),
    row("403", Request(Fault::Status(403)), REST, EACH, Halted, (3, "status 403")),
    row("404", Request(Fault::Status(404)), REST, EACH, Halted, (3, "status 404")),
    row("quota, 400", Request(Fault::Quota), REST, EACH, Paused, (2, "max requests limit")),
    // Commands.
    row("LOADING", Commands(StoreError::Loading), ALL, EACH, Retried, (2, "LOADING")),
    row("READONLY", Commands(StoreError::ReadOnly), ALL, EACH, Retried, (2, "READONLY")),
    row("BUSY", Commands(StoreError::Busy), ALL, EACH, Retried, (2, "BUSY")),
    row("MASTERDOWN", Commands(StoreError::MasterDown), ALL, EACH, Retried, (2, "MASTERDOWN")),
    row("TRYAGAIN", Commands(StoreError::TryAgain), ALL, EACH, Retried, (2, "TRYAGAIN")),
    row("CLUSTERDOWN", Commands(StoreError::ClusterDown), ALL, EACH, Retried, (2, "CLUSTERDOWN")),
    row("NOREPLICAS", Commands(StoreError::NoReplicas), ALL, EACH, Retried, (2, "NOREPLICAS")),
    row("MISCONF", Commands(StoreError::Misconfigured), ALL, EACH, Retried, (2, "MISCONF")),
    row("OOM", Commands(StoreError::OutOfMemory), ALL, EACH, Retried, (2, "OOM")),
    row("capacity", Commands(StoreError::CapacityQuota), ALL, EACH, Retried, (2, "DB capacity quota")),
    row("connections", Commands(StoreError::ConnectionsMax), ALL, EACH, Retried, (2, "max concurrent connections")),
    row("quota of the month", Commands(StoreError::MonthlyQuota), ALL, EACH, Paused, (2, "Limit: 500000")),
    row("quota of the day", Commands(StoreError::DailyQuota), ALL, EACH, Paused, (2, "Limit: 10000")),
    row("WRONGTYPE", Commands(StoreError::WrongType), ALL, EACH, DeadLetters, (2, "WRONGTYPE")),
    row("record size", Commands(StoreError::RecordSizeMax), ALL, EACH, DeadLetters, (2, "max single record size")),
    row("request size", Commands(StoreError::RequestSizeMax), ALL, EACH, DeadLetters, (2, "max request size")),
    row("NOAUTH", Commands(StoreError::NoAuth), ALL, EACH, Halted, (3, "NOAUTH")),
    row("WRONGPASS", Commands(StoreError::WrongPass), ALL, EACH, Halted, (3, "WRONGPASS")),
    row("NOPERM", Commands(StoreError::NoPermission), ALL, EACH, Halted, (3, "NOPERM")),
    row("MOVED", Commands(StoreError::Moved), ALL, EACH, Halted, (3, "MOVED")),
    row("CROSSSLOT", Commands(StoreError::CrossSlot), ALL, EACH, Halted, (3, "CROSSSLOT")),
    row("unknown command", Commands(StoreError::UnknownCommand), ALL, EACH, Halted, (3, "unknown command")),
];
