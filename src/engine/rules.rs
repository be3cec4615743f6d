//! Tape rules: what each trade may do to a bar.
//!
//! Owns the named profiles and the check of one trade. The tables are data: `data/massive-conditions.csv` and
//! `data/alpaca-conditions.csv`, whose headers name source, version and every choice. Deliberately does not
//! fold: what a trade may set is answered here, what it does set is the aggregate's.
//!
//! All profiles: the strictest rule over a trade's conditions wins (no before only-if-first before yes), a
//! trade without conditions may do everything, and a condition the table does not know changes nothing: so
//! Massive treats entries without update rules, and a new indicator must not empty the bars. Corrections:
//! only codes 0 (regular) and 12 (correction record) count; 1, 7, 8, 10 and 11 name trades that are replaced,
//! erroneous or cancelled, and their records (NYSE trade correction indicators), and so would any other code.
//! An adapter whose venue says it in words maps them: Alpaca's `corrected` to 1, `incorrect` to 7, `canceled`
//! to 8.
//!
//! - `massive-minute`: the consolidated rules, but Form T sets prices and the closing cross is left out.
//!   Condition 22 counts for volume as its flag says, though one rebuild found it left out after hours.
//!   The vwap is over all volume, as seen in the vendor's bars, whose vwap may lie outside low and high.
//! - `massive-daily`: the consolidated rules as published.
//! - `alpaca-minute`, `alpaca-daily`: the vendor's table; the vwap is over trades that count for high and low
//!   and for volume. Without a tape the strictest tape decides.
//! - `all`: every sale condition counts.
//! - `lean`: the rule fitted to the minute bars of LEAN's sample data (SPY 2013-10-07, IBM 2013-10-08): every
//!   tick counts for volume, prices come from extended-hours ticks and seven exact flag words. A figure to
//!   regress against, not the truth.

mod table;

use crate::model::{Conditions, Trade};
use table::{Bars, Masks};

const MASSIVE: &str = include_str!("../../data/massive-conditions.csv");
const ALPACA: &str = include_str!("../../data/alpaca-conditions.csv");

/// LEAN's flag of an extended-hours tick.
const LEAN_EXTENDED: u128 = 0x2000;
/// LEAN's flag words, whole, of the other ticks that set prices.
const LEAN_PRICED: [u128; 7] = [0x1, 0x2000_0002, 0x2000_0004, 0x4800, 0x10_2000, 0x10_0000, 0x200_0000];

/// Why there are no such rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// No profile of this name.
    #[error("rules {name:?} are not one of massive-minute massive-daily alpaca-minute alpaca-daily all lean")]
    Unknown {
        /// The refused name.
        name: String,
    },
    /// A line of a condition table is damaged.
    #[error("condition table line {line} {text:?} is not bars,tapes,code,high_low,open_close,volume,name")]
    Line {
        /// Line number, from 1.
        line: usize,
        /// The line.
        text: String,
    },
}

/// Whether a trade may set open and close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OpenClose {
    /// Never.
    No,
    /// Open like any other; close only while no [`OpenClose::Yes`] trade is in the bar, of several the first
    /// one.
    OnlyIfFirst,
    /// Always.
    Yes,
}

/// What one trade may do to a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Eligible {
    /// May set high and low.
    pub high_low: bool,
    /// May set open and close.
    pub open_close: OpenClose,
    /// Counts for volume and for the number of trades.
    pub volume: bool,
    /// Counts for the vwap; never without `volume`.
    pub vwap: bool,
}

impl Eligible {
    /// Everything.
    pub const ALL: Eligible =
        Eligible { high_low: true, open_close: OpenClose::Yes, volume: true, vwap: true };
    /// Nothing: the trade is counted as ineligible and is in no bar.
    pub const NONE: Eligible =
        Eligible { high_low: false, open_close: OpenClose::No, volume: false, vwap: false };
}

/// The tape of a US equity, for rules that differ by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tape {
    /// NYSE-listed.
    A = 1,
    /// Listed on NYSE Arca, American and the regional exchanges.
    B = 2,
    /// Nasdaq-listed.
    C = 3,
    /// Over the counter.
    O = 4,
}

impl Tape {
    /// The tape of a letter; `None` for any other.
    pub const fn from_letter(letter: u8) -> Option<Tape> {
        match letter {
            b'A' => Some(Tape::A),
            b'B' => Some(Tape::B),
            b'C' => Some(Tape::C),
            b'O' => Some(Tape::O),
            _ => None,
        }
    }

    /// The condition that carries the tape inside [`Conditions`]: 97 for A to 100 for O, above every code.
    pub const fn condition(self) -> u32 {
        96 + self as u32
    }
}

/// The condition of an Alpaca code letter: its byte less 32, so 0 to 95; `None` outside ASCII and below the blank.
pub const fn alpaca_condition(letter: u8) -> Option<u32> {
    if letter >= b' ' && letter < 128 { Some(letter as u32 - 32) } else { None }
}

/// One named profile, ready to check trades.
///
/// ```
/// use barmill::engine::rules::Rules;
/// let rules = Rules::by_name("massive-minute")?;
/// assert_eq!(rules.daily()?.name(), "massive-daily");
/// assert!(Rules::by_name("massive").is_err());
/// # Ok::<(), barmill::engine::rules::RulesError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    name: &'static str,
    /// By tape: 0 for an unknown one, then A, B, C, O.
    masks: [Masks; 5],
    is_vwap_for_high_low_only: bool,
    is_lean: bool,
}

impl Rules {
    /// The names of all profiles.
    pub const NAMES: [&str; 6] =
        ["massive-minute", "massive-daily", "alpaca-minute", "alpaca-daily", "all", "lean"];

    /// Builds a profile.
    ///
    /// # Errors
    /// [`RulesError::Unknown`] for any other name, [`RulesError::Line`] when a built-in table is damaged.
    pub fn by_name(name: &str) -> Result<Rules, RulesError> {
        let none = [Masks::default(); 5];
        let (name, masks) = match name {
            "massive-minute" => ("massive-minute", table::parse(MASSIVE, Bars::Minute, massive_condition)?),
            "massive-daily" => ("massive-daily", table::parse(MASSIVE, Bars::Daily, massive_condition)?),
            "alpaca-minute" => ("alpaca-minute", table::parse(ALPACA, Bars::Minute, alpaca_code)?),
            "alpaca-daily" => ("alpaca-daily", table::parse(ALPACA, Bars::Daily, alpaca_code)?),
            "all" => ("all", none),
            "lean" => ("lean", none),
            _ => return Err(RulesError::Unknown { name: name.to_owned() }),
        };
        let is_vwap_for_high_low_only = name.starts_with("alpaca-");
        Ok(Rules { name, masks, is_vwap_for_high_low_only, is_lean: name == "lean" })
    }

    /// The profile's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The profile for session and day bars that belongs to this one: the vendor's daily rules, else itself.
    ///
    /// # Errors
    /// As [`Rules::by_name`].
    pub fn daily(&self) -> Result<Rules, RulesError> {
        match self.name {
            "massive-minute" => Rules::by_name("massive-daily"),
            "alpaca-minute" => Rules::by_name("alpaca-daily"),
            _ => Ok(self.clone()),
        }
    }

    /// What a trade may do to a bar.
    pub fn eligibility(&self, trade: &Trade) -> Eligible {
        if !matches!(trade.correction, 0 | 12) {
            return Eligible::NONE;
        }
        if self.is_lean {
            return lean(trade.conditions);
        }
        let bits = trade.conditions.bits();
        let masks = &self.masks[tape_index(bits)];
        let high_low = bits & masks.no_high_low == 0;
        let volume = bits & masks.no_volume == 0;
        let open_close = if bits & masks.no_open_close != 0 {
            OpenClose::No
        } else if bits & masks.only_if_first != 0 {
            OpenClose::OnlyIfFirst
        } else {
            OpenClose::Yes
        };
        let vwap = volume && (high_low || !self.is_vwap_for_high_low_only);
        Eligible { high_low, open_close, volume, vwap }
    }
}

/// Massive's ids are conditions as they are; 96 and above would meet the tape.
fn massive_condition(code: &str) -> Option<u32> {
    code.parse().ok().filter(|id| *id < 96)
}

fn alpaca_code(code: &str) -> Option<u32> {
    match code.as_bytes() {
        b"space" => alpaca_condition(b' '),
        [letter] => alpaca_condition(*letter),
        _ => None,
    }
}

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
    let open_close = if is_priced { OpenClose::Yes } else { OpenClose::No };
    Eligible { high_low: is_priced, open_close, ..Eligible::ALL }
}

#[cfg(test)]
mod golden;
