//! Tape rules: which fields of a bar a trade may set.
//!
//! Owns the named profiles and the check of one trade. The tables are data: `data/conditions.csv`, which also names
//! the profiles, and says of each table its source, version and every choice. Deliberately does not
//! fold: what a trade may set is answered here, what it does set is the aggregate's.
//!
//! All profiles: the strictest rule over a trade's conditions wins (no before only-if-first before yes), a
//! trade without conditions may do everything, and a condition the table does not know changes nothing, since
//! a new indicator must not empty the bars. Corrections:
//! 1, 7, 8, 10 and 11 name trades that are replaced, erroneous or cancelled, and their records (NYSE trade
//! correction indicators), and count in no profile; 0 (regular) and 12 (correction record) count in all; any
//! other code counts in `all` only. An adapter whose venue says it in words maps them: the correction itself to 12,
//! what it replaces to 7, what is cancelled to 8.
//!
//! Beside the profiles of the tables:
//!
//! - `all`: every sale condition counts, as who sums up a file by hand would have it. Replaced and cancelled
//!   trades stay out here too: with their records beside them they would count twice, or though undone.
//! - `lean`: the rule fitted to the minute bars of LEAN's sample data (SPY 2013-10-07, IBM 2013-10-08): every
//!   tick counts for volume, prices come from extended-hours ticks and seven exact flag words. A figure to
//!   regress against, not the truth.

mod eligible;
mod table;

use crate::model::{Conditions, Trade};
pub use eligible::{Eligible, OpenClose};
use table::{Bars, Masks, tables};
pub use table::{Tape, letter_condition};

/// LEAN's flag of an extended-hours tick.
const LEAN_EXTENDED: u128 = 0x2000;
/// LEAN's flag words, whole, of the other ticks that set prices.
const LEAN_PRICED: [u128; 7] = [
    0x1,
    0x2000_0002,
    0x2000_0004,
    0x4800,
    0x10_2000,
    0x10_0000,
    0x200_0000,
];

/// Why there are no such rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// No profile of this name.
    #[error("rules {name:?} are not one of {}", Rules::names().collect::<Vec<_>>().join(" "))]
    Unknown {
        /// The refused name.
        name: String,
    },
    /// A line of a condition table is damaged.
    #[error(
        "condition table line {line} {text:?} is not bars,tapes,code,high_low,open_close,volume,name"
    )]
    Line {
        /// Line number, from 1.
        line: usize,
        /// The line.
        text: String,
    },
}

/// What sets a profile's rules apart from its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The vwap is over all volume.
    Table,
    /// The vwap is over the trades that count for high and low.
    TablePricedVwap,
    /// Codes of corrections without a meaning count.
    All,
    /// Flag words instead of a table.
    Lean,
}

/// The rules for bars of one length.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Profile {
    name: &'static str,
    kind: Kind,
    /// By tape: 0 for an unknown one, then A, B, C, O.
    masks: [Masks; 5],
    /// The conditions that decide anything.
    heeded: u128,
    /// The answer for a regular trade that has none of them.
    plain: Eligible,
}

/// One named profile, ready to check trades.
///
/// ```
/// use barmill_core::engine::rules::Rules;
/// assert_eq!(Rules::by_name("all")?, Rules::all());
/// let names: Vec<_> = Rules::names().collect();
/// assert!(Rules::by_name("none").is_err() && !names.contains(&"none"));
/// # Ok::<(), barmill_core::engine::rules::RulesError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    own: Profile,
    daily: Profile,
}

impl Rules {
    /// The names of all profiles.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let of_tables = tables().flat_map(|table| [table.minute, table.daily]);
        of_tables.chain([ALL.name, LEAN.name])
    }

    /// Builds a profile.
    ///
    /// # Errors
    /// [`RulesError::Unknown`] for any other name, [`RulesError::Line`] when a built-in table is damaged.
    pub fn by_name(name: &str) -> Result<Rules, RulesError> {
        if let Some(own) = [ALL, LEAN].into_iter().find(|profile| profile.name == name) {
            let daily = own.clone();
            return Ok(Rules { own, daily });
        }
        let table = tables().find(|table| [table.minute, table.daily].contains(&name));
        let table = table.ok_or_else(|| RulesError::Unknown {
            name: name.to_owned(),
        })?;
        let profile = |name, bars| Ok(Profile::new(name, table.kind, &table.masks(bars)?));
        let daily = profile(table.daily, Bars::Daily)?;
        let own = if name == table.daily {
            daily.clone()
        } else {
            profile(table.minute, Bars::Minute)?
        };
        Ok(Rules { own, daily })
    }

    /// The profile `all`.
    pub const fn all() -> Rules {
        Rules {
            own: ALL,
            daily: ALL,
        }
    }

    /// The profile's name.
    pub const fn name(&self) -> &'static str {
        self.own.name
    }

    /// The profile for session and day bars that belongs to this one: the vendor's daily rules, else itself.
    #[must_use]
    pub fn daily(&self) -> Rules {
        Rules {
            own: self.daily.clone(),
            daily: self.daily.clone(),
        }
    }

    /// What a trade may do to a bar shorter than a day.
    #[inline]
    pub fn eligibility(&self, trade: &Trade) -> Eligible {
        self.own.eligibility(trade)
    }

    /// What a trade may do to a day or session bar: the answer of [`Rules::daily`].
    #[inline]
    pub fn daily_eligibility(&self, trade: &Trade) -> Eligible {
        self.daily.eligibility(trade)
    }
}

impl Profile {
    fn new(name: &'static str, kind: Kind, masks: &[Masks; 5]) -> Profile {
        Profile {
            name,
            kind,
            masks: *masks,
            heeded: masks.iter().fold(0, |bits, masks| bits | masks.any()),
            plain: Eligible::ALL,
        }
    }

    #[inline]
    fn eligibility(&self, trade: &Trade) -> Eligible {
        if trade.correction == 0 && trade.conditions.bits() & self.heeded == 0 {
            return self.plain;
        }
        self.weigh(trade)
    }

    fn weigh(&self, trade: &Trade) -> Eligible {
        let counts = match self.kind {
            Kind::All => !trade.is_void(),
            Kind::Table | Kind::TablePricedVwap | Kind::Lean => matches!(trade.correction, 0 | 12),
        };
        if !counts {
            return Eligible::NONE;
        }
        if self.kind == Kind::Lean {
            return lean(trade.conditions);
        }
        let bits = trade.conditions.bits();
        let masks = &self.masks[tape_index(bits)];
        let high_low = bits & masks.no_high_low == 0;
        let open_close = if bits & masks.no_open_close != 0 {
            OpenClose::No
        } else if bits & masks.only_if_first != 0 {
            OpenClose::OnlyIfFirst
        } else {
            OpenClose::Yes
        };
        let vwap = high_low || self.kind != Kind::TablePricedVwap;
        Eligible::new(high_low, open_close, bits & masks.no_volume == 0, vwap)
    }
}

const NO_MASKS: Masks = Masks {
    no_high_low: 0,
    no_open_close: 0,
    only_if_first: 0,
    no_volume: 0,
};
const ALL: Profile = Profile {
    name: "all",
    kind: Kind::All,
    masks: [NO_MASKS; 5],
    heeded: 0,
    plain: Eligible::ALL,
};
const LEAN: Profile = Profile {
    name: "lean",
    kind: Kind::Lean,
    heeded: u128::MAX,
    plain: LEAN_UNPRICED,
    ..ALL
};
const LEAN_UNPRICED: Eligible = Eligible::new(false, OpenClose::No, true, true);

const fn tape_index(bits: u128) -> usize {
    match bits >> 97 & 0xf {
        0b0001 => Tape::A as usize,
        0b0010 => Tape::B as usize,
        0b0100 => Tape::C as usize,
        0b1000 => Tape::O as usize,
        _ => 0,
    }
}

fn lean(flags: Conditions) -> Eligible {
    let is_priced = flags.bits() & LEAN_EXTENDED != 0 || LEAN_PRICED.contains(&flags.bits());
    if is_priced {
        Eligible::ALL
    } else {
        LEAN_UNPRICED
    }
}

#[cfg(test)]
pub(in crate::engine) mod golden_each_tests;
#[cfg(test)]
mod golden_tests;
