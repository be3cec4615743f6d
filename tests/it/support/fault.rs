//! The faults of the test servers, as values, and the plan that deals them out.
//!
//! Texts of Redis errors as redis 7.0.15 words them; those of Upstash from its troubleshooting pages
//! (<https://upstash.com/docs/redis/troubleshooting>).

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::resp::Command;

/// What goes wrong with one request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The connection is reset instead of an answer.
    Reset,
    /// The answer never starts; the connection stays well.
    StallBeforeHeaders,
    /// The true answer comes, one byte per pause.
    Drip { pause: Duration },
    /// The first half of the true answer comes, then the end: with its declared length (the client can
    /// tell), or without one (the client cannot).
    Truncated { is_length_declared: bool },
    /// The true answer to a pipeline without its last result.
    ShortArray,
    /// The true answer to a pipeline with one result too many.
    LongArray,
    /// A proxy's page instead of JSON, status 502.
    HtmlBadGateway,
    /// Status 429.
    TooManyRequests(RetryAfter),
    /// Any other status, with a JSON error.
    Status(u16),
    /// Status 200; the commands that the choice names answer with the error, and are run only after the write is applied.
    CommandErrors { choice: Choice, error: StoreError },
    /// Status 400: the plan's commands are used up.
    Quota,
    /// Status 401; over RESP, an error that asks for a password.
    Unauthorized,
    /// The answer comes, and with it the announcement that the connection will end.
    GoAwayGraceful,
    /// HTTP/2: GOAWAY with this error code and the end of the connection instead of an answer.
    /// HTTP/1.1 has no such frame: the connection just ends.
    GoAwayAbrupt { code: u32 },
    /// HTTP/2: the stream is reset as not worked on. HTTP/1.1: the connection ends. Never applies a write.
    RefusedStream,
    /// The connection stands, and from now on nothing flows in it.
    BlackHole,
    /// The connection is reset instead of an answer, and so many of the next are spoiled.
    ResetThen(ConnectionFault, usize),
    /// The connection is reset instead of an answer, and the port refuses until it is opened again.
    ResetAndRefuse,
}

/// The `Retry-After` header of a 429.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RetryAfter {
    Absent,
    Seconds(u64),
    /// As in RFC 9110, section 5.6.7.
    HttpDate(jiff::Timestamp),
    /// Neither a number nor a date, or one that nobody should obey.
    Absurd(&'static str),
}

impl RetryAfter {
    /// The text of the header, if it is there at all.
    pub(crate) fn header(&self) -> Option<String> {
        match self {
            Self::Absent => None,
            Self::Seconds(seconds) => Some(seconds.to_string()),
            Self::HttpDate(at) => Some(at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
            Self::Absurd(text) => Some((*text).to_owned()),
        }
    }
}

/// How far the commands of a faulty request get in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    BeforeApply,
    /// The first half of the commands is applied.
    Midway,
    /// All are applied, and the answer is lost.
    AfterApply,
}

/// Picks commands of a request by place (from 0) and content.
#[derive(Clone)]
pub(crate) struct Choice(Arc<PickFn>);

type PickFn = dyn Fn(usize, &Command) -> bool + Send + Sync;

impl Choice {
    pub(crate) fn new(picks: impl Fn(usize, &Command) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(picks))
    }

    pub(crate) fn all() -> Self {
        Self::new(|_, _| true)
    }

    pub(crate) fn picks(&self, index: usize, command: &Command) -> bool {
        (self.0)(index, command)
    }
}

impl fmt::Debug for Choice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Choice")
    }
}

/// An error that a store answers for one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreError {
    WrongType,
    OutOfMemory,
    Loading,
    ReadOnly,
    Busy,
    MasterDown,
    TryAgain,
    ClusterDown,
    NoReplicas,
    ConnectionsMax,
    CapacityQuota,
    RecordSizeMax,
    RequestSizeMax,
    MonthlyQuota,
    DailyQuota,
    NoAuth,
    WrongPass,
    NoPermission,
    Misconfigured,
    Moved,
    CrossSlot,
    UnknownCommand,
}

impl StoreError {
    pub(crate) const ALL: [Self; 22] = [
        Self::WrongType,
        Self::OutOfMemory,
        Self::Loading,
        Self::ReadOnly,
        Self::Busy,
        Self::MasterDown,
        Self::TryAgain,
        Self::ClusterDown,
        Self::NoReplicas,
        Self::ConnectionsMax,
        Self::CapacityQuota,
        Self::RecordSizeMax,
        Self::RequestSizeMax,
        Self::MonthlyQuota,
        Self::DailyQuota,
        Self::NoAuth,
        Self::WrongPass,
        Self::NoPermission,
        Self::Misconfigured,
        Self::Moved,
        Self::CrossSlot,
        Self::UnknownCommand,
    ];

    /// The text as it comes over the wire.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Self::OutOfMemory => "OOM command not allowed when used memory > 'maxmemory'.",
            Self::Loading => "LOADING Redis is loading the dataset in memory",
            Self::ReadOnly => "READONLY You can't write against a read only replica.",
            Self::Busy => {
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
            }
            Self::MasterDown => {
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
            }
            Self::TryAgain => "TRYAGAIN Multiple keys request during rehashing of slot",
            Self::ClusterDown => "CLUSTERDOWN Hash slot not served",
            Self::NoReplicas => "NOREPLICAS Not enough good replicas to write.",
            Self::ConnectionsMax => "ERR max concurrent connections exceeded",
            Self::CapacityQuota => "ERR DB capacity quota exceeded",
            Self::RecordSizeMax => "ERR max single record size exceeded",
            Self::RequestSizeMax => {
                "ERR max request size exceeded. Limit: 1048576, Actual: 2097152"
            }
            Self::MonthlyQuota => "ERR max requests limit exceeded. Limit: 500000, Usage: 500000",
            Self::DailyQuota => "ERR max daily request limit exceeded. Limit: 10000, Usage: 10001",
            Self::NoAuth => "NOAUTH Authentication required.",
            Self::WrongPass => "WRONGPASS invalid username-password pair or user is disabled.",
            Self::NoPermission => "NOPERM this user has no permissions to run the 'hset' command",
            Self::Misconfigured => {
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."
            }
            Self::Moved => "MOVED 3999 127.0.0.1:6381",
            Self::CrossSlot => "CROSSSLOT Keys in request don't hash to the same slot",
            Self::UnknownCommand => "ERR unknown command 'HSET', with args beginning with: ",
        }
    }
}

/// What goes wrong with a connection before it carries a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionFault {
    /// Accepted, the first bytes (a TLS `ClientHello`) are read, and no answer ever comes.
    Hang,
    /// Accepted and reset at once.
    Reset,
}

impl Stage {
    /// How many of so many commands are applied.
    pub(crate) fn applied_count(self, count: usize) -> usize {
        match self {
            Self::BeforeApply => 0,
            Self::Midway => count / 2,
            Self::AfterApply => count,
        }
    }
}

type MeantFn = dyn Fn(&[Command]) -> bool + Send;

/// A fault, to which requests it applies, and how often.
pub(crate) struct Rule {
    fault: Fault,
    stage: Stage,
    times: usize,
    is_meant: Box<MeantFn>,
}

impl fmt::Debug for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:?} {:?} x{}",
            self.fault, self.stage, self.times
        )
    }
}

impl Rule {
    /// The fault for the next request, before anything is applied.
    pub(crate) fn next(fault: Fault) -> Self {
        Self {
            fault,
            stage: Stage::BeforeApply,
            times: 1,
            is_meant: Box::new(|_| true),
        }
    }

    /// For so many requests, at least one.
    pub(crate) fn times(mut self, times: usize) -> Self {
        assert!(times > 0, "a rule for no request");
        self.times = times;
        self
    }

    /// With the commands applied so far. An answer that is late, cut or miscounted then says that all of them are.
    pub(crate) fn at(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    /// For requests whose commands answer to this only.
    pub(crate) fn when(mut self, is_meant: impl Fn(&[Command]) -> bool + Send + 'static) -> Self {
        self.is_meant = Box::new(is_meant);
        self
    }
}

/// The rules that wait for their requests, first come, first served.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    rules: Mutex<Vec<Rule>>,
}

impl Plan {
    pub(crate) fn push(&self, rule: Rule) {
        self.rules
            .lock()
            .expect("no panic under the lock")
            .push(rule);
    }

    pub(crate) fn clear(&self) {
        self.rules.lock().expect("no panic under the lock").clear();
    }

    /// Uses up one request's worth of the first rule that is meant for these commands.
    pub(crate) fn take(&self, commands: &[Command]) -> Option<(Fault, Stage)> {
        let mut rules = self.rules.lock().expect("no panic under the lock");
        let index = rules.iter().position(|rule| (rule.is_meant)(commands))?;
        let rule = &mut rules[index];
        let dealt = (rule.fault.clone(), rule.stage);
        rule.times -= 1;
        if rule.times == 0 {
            rules.remove(index);
        }
        Some(dealt)
    }
}
