//! Faults of a simulated venue, and their positions in a recording.
//!
//! A fault is a command-line text: `KIND=VALUE` or `KIND=VALUE@SEED`. Whether it strikes depends on its seed and on
//! what it strikes (the position of a trade in the recording, the number of a request), never on the wall clock, so that
//! the same recording with the same faults goes wrong in the same places.

use super::recording::Recording;
use std::fmt;
use std::str::FromStr;

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// One trade in N is not sent.
    Drop,
    /// One trade in N is sent twice, the second time up to eight trades later.
    Duplicate,
    /// One trade in N is sent up to eight trades later.
    Reorder,
    /// One trade in N is sent when a second of simulated time has passed.
    Late,
    /// The connection ends once in each stretch of time, or of N trades; every other time without a goodbye.
    Disconnect,
    /// Only heartbeats come any more, once in each stretch, until the client leaves.
    Stall,
    /// Nothing comes any more, pongs and heartbeats included, once in each stretch, for a minute at most.
    Silence,
    /// One message in N follows a text that is none of the venue's.
    Garbage,
    /// One connection in N is refused with 503.
    Refuse,
    /// The first N proofs of who the client is are refused; at a venue without keys, subscriptions.
    Auth,
    /// More than N connections at a time are refused in the venue's words.
    Limit,
    /// A client that is N trades behind is cut off.
    Slow,
    /// One request in N is answered by 429.
    TooMany,
    /// One request in N is answered by 500, 502 or 503.
    Error,
    /// One reply in N ends early.
    Cut,
    /// The history has a trade this much simulated time after the socket.
    Lag,
    /// A reply takes this much time.
    Delay,
}

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amount {
    /// A count, at least 1.
    Count(u64),
    /// Nanoseconds, at least 1.
    Time(i64),
}

/// One fault of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    kind: FaultKind,
    amount: Amount,
    seed: u64,
}

/// Why a text is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// Not `KIND=VALUE`.
    #[error(
        "{text:?} is not a fault; write KIND=VALUE or KIND=VALUE@SEED, such as disconnect=5s@7"
    )]
    Form {
        /// The text.
        text: String,
    },
    /// Another kind.
    #[error("{kind:?} is not a kind of fault; known are {}", names())]
    Kind {
        /// The word.
        kind: String,
    },
    /// A value the kind does not take.
    #[error("{kind} takes {wanted}, not {value:?}")]
    Value {
        /// The kind.
        kind: FaultKind,
        /// What it takes.
        wanted: &'static str,
        /// The value.
        value: String,
    },
}

/// Every kind with its name, and whether it takes a count and a time: in the order of the enum and of the manual.
const KINDS: [(FaultKind, &str, bool, bool); 17] = [
    (FaultKind::Drop, "drop", true, false),
    (FaultKind::Duplicate, "duplicate", true, false),
    (FaultKind::Reorder, "reorder", true, false),
    (FaultKind::Late, "late", true, false),
    (FaultKind::Disconnect, "disconnect", true, true),
    (FaultKind::Stall, "stall", true, true),
    (FaultKind::Silence, "silence", true, true),
    (FaultKind::Garbage, "garbage", true, false),
    (FaultKind::Refuse, "refuse", true, false),
    (FaultKind::Auth, "auth", true, false),
    (FaultKind::Limit, "limit", true, false),
    (FaultKind::Slow, "slow", true, false),
    (FaultKind::TooMany, "429", true, false),
    (FaultKind::Error, "error", true, false),
    (FaultKind::Cut, "cut", true, false),
    (FaultKind::Lag, "lag", false, true),
    (FaultKind::Delay, "delay", false, true),
];

impl FaultKind {
    fn name(self) -> &'static str {
        KINDS[self as usize].1
    }
}

fn names() -> String {
    KINDS.map(|(_, name, ..)| name).join(", ")
}

impl Fault {
    /// Reads a fault, with a seed for one that names none.
    ///
    /// # Errors
    /// [`FaultError`], as for [`str::parse`].
    pub fn or_seed(text: &str, seed: u64) -> Result<Fault, FaultError> {
        let form = || FaultError::Form {
            text: text.to_owned(),
        };
        let (name, rest) = text.split_once('=').ok_or_else(form)?;
        let (value, seed) = match rest.split_once('@') {
            Some((value, seed)) => (value, seed.parse().map_err(|_| form())?),
            None => (rest, seed),
        };
        let (kind, _, takes_count, takes_time) = KINDS
            .into_iter()
            .find(|(_, known, ..)| *known == name)
            .ok_or_else(|| FaultError::Kind {
                kind: name.to_owned(),
            })?;
        let count = value
            .parse()
            .ok()
            .filter(|count| takes_count && 0 < *count)
            .map(Amount::Count);
        let time = || time(value).filter(|_| takes_time).map(Amount::Time);
        let amount = count.or_else(time).ok_or_else(|| FaultError::Value {
            kind,
            wanted: match (takes_count, takes_time) {
                (true, true) => "a count or a time such as 200 or 5s",
                (true, false) => "a count above zero",
                (false, _) => "a time such as 500ms, 5s or 2m",
            },
            value: value.to_owned(),
        })?;
        Ok(Fault { kind, amount, seed })
    }

    /// Whether the fault strikes the thing with this number.
    fn hits(&self, number: u64) -> bool {
        match self.amount {
            Amount::Count(count) => self.draw(number).is_multiple_of(count),
            Amount::Time(_) => false,
        }
    }

    /// Chance from the seed, the kind and a number.
    fn draw(&self, number: u64) -> u64 {
        let kind = self
            .kind
            .name()
            .bytes()
            .fold(0u64, |sum, byte| sum << 8 | u64::from(byte));
        let seed = mix(mix(self.seed) ^ kind);
        mix(seed ^ number)
    }

    /// How it breaks the connection at its n-th position; `None` for faults that break none.
    fn breaks(&self, number: u64) -> Option<Break> {
        let is_even = self.draw(!number).is_multiple_of(2);
        let breaks = [
            (FaultKind::Disconnect, [Break::Abrupt, Break::Goodbye]),
            (FaultKind::Stall, [Break::Stall; 2]),
            (FaultKind::Silence, [Break::Silence; 2]),
        ];
        let found = breaks.into_iter().find(|(kind, _)| *kind == self.kind);
        found.map(|(_, how)| how[usize::from(is_even)])
    }
}

/// The finalizer of the generator "split mix 64": every bit of the input changes about half of the output.
fn mix(input: u64) -> u64 {
    let mut z = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Fault, FaultError> {
        Fault::or_seed(text, 0)
    }
}

/// Nanoseconds of `500ms`, `5s`, `2m` or `1h`; `None` for zero and for any other text.
fn time(text: &str) -> Option<i64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: i64 = match text.get(digits.len()..)? {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    digits
        .parse::<i64>()
        .ok()?
        .checked_mul(unit)
        .filter(|nanos| 0 < *nanos)
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.amount {
            Amount::Count(count) => write!(f, "{}={count}@{}", self.kind, self.seed),
            Amount::Time(nanos) => write!(f, "{}={}ms@{}", self.kind, nanos / 1_000_000, self.seed),
        }
    }
}

/// How a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// With a goodbye.
    Goodbye,
    /// Without one.
    Abrupt,
    /// Heartbeats only.
    Stall,
    /// Nothing at all.
    Silence,
}

/// The faults of a run.
#[derive(Debug, Default)]
pub(crate) struct FaultPlan {
    faults: Vec<Fault>,
    /// The positions before which connections break, ascending.
    breaks: Vec<(usize, Break)>,
}

impl FaultPlan {
    pub(crate) fn new(faults: &[Fault], recording: &Recording) -> FaultPlan {
        let mut breaks = Vec::new();
        for fault in faults {
            let positions = match fault.amount {
                Amount::Count(count) => by_count(fault, count, recording.len()),
                Amount::Time(nanos) => by_time(fault, nanos, recording),
            };
            for (number, position) in (0u64..).zip(positions) {
                breaks.extend(fault.breaks(number).map(|how| (position, how)));
            }
        }
        breaks.sort_by_key(|(position, _)| *position);
        FaultPlan {
            faults: faults.to_vec(),
            breaks,
        }
    }

    fn of(&self, kind: FaultKind) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(move |fault| fault.kind == kind)
    }

    /// Whether a fault of this kind strikes the thing with this number.
    pub(crate) fn hits(&self, kind: FaultKind, number: u64) -> bool {
        self.of(kind).any(|fault| fault.hits(number))
    }

    /// Chance for a fault of this kind, from its own seed: a number below `end`.
    pub(crate) fn draw(&self, kind: FaultKind, number: u64, end: usize) -> usize {
        let chance = self.of(kind).next().map_or(0, |fault| fault.draw(!number));
        usize::try_from(chance % end as u64).unwrap_or(0)
    }

    /// The smallest count given for a kind.
    pub(crate) fn count(&self, kind: FaultKind) -> Option<u64> {
        let count = |fault: &Fault| match fault.amount {
            Amount::Count(count) => Some(count),
            Amount::Time(_) => None,
        };
        self.of(kind).filter_map(count).min()
    }

    /// The largest time given for a kind, nanoseconds.
    pub(crate) fn time(&self, kind: FaultKind) -> Option<i64> {
        let time = |fault: &Fault| match fault.amount {
            Amount::Time(nanos) => Some(nanos),
            Amount::Count(_) => None,
        };
        self.of(kind).filter_map(time).max()
    }

    /// The first break after a position.
    pub(crate) fn next_break(&self, position: usize) -> Option<(usize, Break)> {
        let next = self.breaks.partition_point(|(at, _)| *at <= position);
        self.breaks.get(next).copied()
    }
}

/// One position in each stretch of so many trades.
fn by_count(fault: &Fault, count: u64, len: usize) -> Vec<usize> {
    let len = u64::try_from(len).unwrap_or(u64::MAX);
    let position = |stretch: u64| stretch * count + fault.draw(stretch) % count;
    (0..len.div_ceil(count))
        .filter_map(|stretch| usize::try_from(position(stretch)).ok())
        .collect()
}

/// One position in each stretch of time that holds a trade after the moment drawn.
fn by_time(fault: &Fault, nanos: i64, recording: &Recording) -> Vec<usize> {
    let (first, last) = recording.span();
    let mut positions = Vec::new();
    let mut start = first;
    let mut stretch = 0u64;
    while start < last {
        let draw = i64::try_from(fault.draw(stretch) >> 1).unwrap_or(0) % nanos;
        let position = recording.count_until(start.saturating_add(draw));
        // Stretches without a trade break nothing twice.
        if position < recording.len() && positions.last() != Some(&position) {
            positions.push(position);
        }
        (start, stretch) = (start.saturating_add(nanos), stretch + 1);
        if positions.len() > recording.len() {
            break;
        }
    }
    positions
}

#[cfg(test)]
mod tests {
    use super::{Fault, KINDS};

    #[test]
    fn a_fault_is_a_kind_a_value_and_a_seed() {
        let fault: Fault = "disconnect=5s@7".parse().unwrap();
        assert_eq!(fault.to_string(), "disconnect=5000ms@7");
        assert_eq!(Fault::or_seed("429=10", 3).unwrap().to_string(), "429=10@3");
        assert_eq!(
            Fault::or_seed("429=10@0", 3).unwrap().to_string(),
            "429=10@0"
        );
        for (index, (kind, _, takes_count, takes_time)) in KINDS.into_iter().enumerate() {
            assert_eq!(
                kind as usize, index,
                "the table is in the order of the enum"
            );
            assert_eq!(
                format!("{kind}=9").parse::<Fault>().is_ok(),
                takes_count,
                "{kind}"
            );
            assert_eq!(
                format!("{kind}=9m").parse::<Fault>().is_ok(),
                takes_time,
                "{kind}"
            );
            assert!(format!("{kind}=0").parse::<Fault>().is_err(), "{kind}");
        }
    }

    #[test]
    fn a_text_that_is_no_fault_is_refused_with_what_would_be() {
        let refusal = |text: &str| text.parse::<Fault>().unwrap_err().to_string();
        insta::assert_snapshot!(refusal("drop"), @r#""drop" is not a fault; write KIND=VALUE or KIND=VALUE@SEED, such as disconnect=5s@7"#);
        insta::assert_snapshot!(refusal("dorp=5"), @r#""dorp" is not a kind of fault; known are drop, duplicate, reorder, late, disconnect, stall, silence, garbage, refuse, auth, limit, slow, 429, error, cut, lag, delay"#);
        insta::assert_snapshot!(refusal("drop=5s"), @r#"drop takes a count above zero, not "5s""#);
        insta::assert_snapshot!(refusal("lag=5"), @r#"lag takes a time such as 500ms, 5s or 2m, not "5""#);
        insta::assert_snapshot!(refusal("stall=0s@1"), @r#"stall takes a count or a time such as 200 or 5s, not "0s""#);
    }

    #[test]
    fn one_in_n_strikes_the_same_n_th_part_every_time() {
        let fault: Fault = "drop=20@11".parse().unwrap();
        let hit = |fault: &Fault| {
            (0..20_000)
                .filter(|number| fault.hits(*number))
                .collect::<Vec<_>>()
        };
        let hits = hit(&fault);
        assert_eq!(hits, hit(&"drop=20@11".parse().unwrap()));
        assert_ne!(hits, hit(&"drop=20@12".parse().unwrap()));
        assert_ne!(hits, hit(&"duplicate=20@11".parse().unwrap()));
        assert!((900..1_100).contains(&hits.len()), "{}", hits.len());
    }
}
