//! Faults of a simulated venue, as command-line texts: `KIND=VALUE` or `KIND=VALUE@SEED`.
//!
//! Whether a fault strikes depends on its seed and on what it strikes (the place of a trade in the recording, the number
//! of a request), never on the wall clock, so that the same recording with the same faults goes wrong in the same places.

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
pub(crate) enum Amount {
    /// A count, at least 1.
    Count(u64),
    /// Nanoseconds, at least 1.
    Time(i64),
}

/// One fault of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) amount: Amount,
    pub(crate) seed: u64,
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

impl FaultKind {
    /// Every kind, in the order of the manual.
    pub const ALL: [FaultKind; 17] = [
        FaultKind::Drop,
        FaultKind::Duplicate,
        FaultKind::Reorder,
        FaultKind::Late,
        FaultKind::Disconnect,
        FaultKind::Stall,
        FaultKind::Silence,
        FaultKind::Garbage,
        FaultKind::Refuse,
        FaultKind::Auth,
        FaultKind::Limit,
        FaultKind::Slow,
        FaultKind::TooMany,
        FaultKind::Error,
        FaultKind::Cut,
        FaultKind::Lag,
        FaultKind::Delay,
    ];

    const fn name(self) -> &'static str {
        match self {
            FaultKind::Drop => "drop",
            FaultKind::Duplicate => "duplicate",
            FaultKind::Reorder => "reorder",
            FaultKind::Late => "late",
            FaultKind::Disconnect => "disconnect",
            FaultKind::Stall => "stall",
            FaultKind::Silence => "silence",
            FaultKind::Garbage => "garbage",
            FaultKind::Refuse => "refuse",
            FaultKind::Auth => "auth",
            FaultKind::Limit => "limit",
            FaultKind::Slow => "slow",
            FaultKind::TooMany => "429",
            FaultKind::Error => "error",
            FaultKind::Cut => "cut",
            FaultKind::Lag => "lag",
            FaultKind::Delay => "delay",
        }
    }

    /// Whether it takes a count, and whether a time.
    const fn takes(self) -> (bool, bool) {
        match self {
            FaultKind::Drop
            | FaultKind::Duplicate
            | FaultKind::Reorder
            | FaultKind::Late
            | FaultKind::Garbage
            | FaultKind::Refuse
            | FaultKind::Auth
            | FaultKind::Limit
            | FaultKind::Slow
            | FaultKind::TooMany
            | FaultKind::Error
            | FaultKind::Cut => (true, false),
            FaultKind::Lag | FaultKind::Delay => (false, true),
            FaultKind::Disconnect | FaultKind::Stall | FaultKind::Silence => (true, true),
        }
    }
}

fn names() -> String {
    FaultKind::ALL.map(FaultKind::name).join(", ")
}

impl Fault {
    /// Reads a fault, with a seed for one that names none.
    ///
    /// # Errors
    /// [`FaultError`], as for [`str::parse`].
    pub fn or_seed(text: &str, seed: u64) -> Result<Fault, FaultError> {
        let fault: Fault = text.parse()?;
        Ok(if text.contains('@') {
            fault
        } else {
            Fault { seed, ..fault }
        })
    }

    /// Whether the fault strikes the thing with this number.
    pub(crate) fn hits(&self, number: u64) -> bool {
        match self.amount {
            Amount::Count(count) => self.draw(number).is_multiple_of(count),
            Amount::Time(_) => false,
        }
    }

    /// Chance from the seed, the kind and a number.
    pub(crate) fn draw(&self, number: u64) -> u64 {
        let kind = self
            .kind
            .name()
            .bytes()
            .fold(0u64, |sum, byte| sum << 8 | u64::from(byte));
        let seed = mix(mix(self.seed) ^ kind);
        mix(seed ^ number)
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
        let form = || FaultError::Form {
            text: text.to_owned(),
        };
        let (name, rest) = text.split_once('=').ok_or_else(form)?;
        let (value, seed) = match rest.split_once('@') {
            Some((value, seed)) => (value, seed.parse().map_err(|_| form())?),
            None => (rest, 0),
        };
        let kind = FaultKind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| FaultError::Kind {
                kind: name.to_owned(),
            })?;
        let (takes_count, takes_time) = kind.takes();
        let count = value
            .parse()
            .ok()
            .filter(|count| takes_count && 0 < *count)
            .map(Amount::Count);
        let time = || time(value).filter(|_| takes_time).map(Amount::Time);
        let amount = count.or_else(time).ok_or_else(|| FaultError::Value {
            kind,
            wanted: match kind.takes() {
                (true, true) => "a count or a time such as 200 or 5s",
                (true, false) => "a count above zero",
                (false, _) => "a time such as 500ms, 5s or 2m",
            },
            value: value.to_owned(),
        })?;
        Ok(Fault { kind, amount, seed })
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

#[cfg(test)]
mod tests {
    use super::{Fault, FaultKind};

    #[test]
    fn a_fault_is_a_kind_a_value_and_a_seed() {
        let fault: Fault = "disconnect=5s@7".parse().unwrap();
        assert_eq!(fault.to_string(), "disconnect=5000ms@7");
        assert_eq!(Fault::or_seed("429=10", 3).unwrap().to_string(), "429=10@3");
        assert_eq!(
            Fault::or_seed("429=10@0", 3).unwrap().to_string(),
            "429=10@0"
        );
        for kind in FaultKind::ALL {
            let (takes_count, takes_time) = kind.takes();
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
