//! Condition tables: how their codes become conditions, their text form, and the masks a check needs.
//!
//! Owns the tables in `data/conditions.csv` and their parser. Lines: `bars,tapes,code,high_low,open_close,volume,name`; a
//! later line for the same condition replaces an earlier one, `none` changes nothing.

use super::{Kind, OpenClose, RulesError};

const TABLES: &str = include_str!("../../../data/conditions.csv");

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

    /// The condition that carries the tape inside [`Conditions`](crate::model::Conditions): 97 for A to 100 for O, above every code.
    pub const fn condition(self) -> u32 {
        96 + self as u32
    }
}

/// The condition of a code letter: its byte less 32, so 0 to 95; `None` outside ASCII and below the blank.
pub const fn letter_condition(letter: u8) -> Option<u32> {
    if letter >= b' ' && letter < 128 {
        Some(letter as u32 - 32)
    } else {
        None
    }
}

/// Which bars a table is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bars {
    Minute,
    Daily,
}

/// What the conditions of one tape forbid, one bit per condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Masks {
    pub(super) no_high_low: u128,
    pub(super) no_open_close: u128,
    pub(super) only_if_first: u128,
    pub(super) no_volume: u128,
}

/// The rule of one line.
#[derive(Debug, Clone, Copy)]
struct Rule {
    high_low: bool,
    open_close: OpenClose,
    volume: bool,
}

impl Masks {
    /// The conditions that forbid anything.
    pub(super) fn any(self) -> u128 {
        self.no_high_low | self.no_open_close | self.only_if_first | self.no_volume
    }

    fn set(&mut self, bit: u128, rule: Rule) {
        let put =
            |mask: &mut u128, is_set: bool| *mask = *mask & !bit | if is_set { bit } else { 0 };
        put(&mut self.no_high_low, !rule.high_low);
        put(&mut self.no_open_close, rule.open_close == OpenClose::No);
        put(
            &mut self.only_if_first,
            rule.open_close == OpenClose::OnlyIfFirst,
        );
        put(&mut self.no_volume, !rule.volume);
    }

    fn union(self, other: Masks) -> Masks {
        Masks {
            no_high_low: self.no_high_low | other.no_high_low,
            no_open_close: self.no_open_close | other.no_open_close,
            only_if_first: self.only_if_first | other.only_if_first,
            no_volume: self.no_volume | other.no_volume,
        }
    }
}

/// One table of the data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    /// The profile of minute bars.
    pub(super) minute: &'static str,
    /// The profile of day bars.
    pub(super) daily: &'static str,
    pub(super) kind: Kind,
    /// How a code becomes a condition.
    condition: fn(&str) -> Option<u32>,
    pub(super) lines: &'static str,
}

impl Table {
    /// What the conditions forbid in bars of one length, by tape.
    pub(super) fn masks(self, bars: Bars) -> Result<[Masks; 5], RulesError> {
        parse(self.lines, bars, self.condition)
    }
}

/// The tables of the data; one whose first line is damaged is left out, as a test would show.
pub(super) fn tables() -> impl Iterator<Item = Table> {
    TABLES.split("\ntable,").skip(1).filter_map(|text| {
        let (head, lines) = text.split_once('\n')?;
        let mut fields = head.split(',');
        let (minute, daily) = fields.next()?.split_once(' ')?;
        let condition = match fields.next()? {
            "number" => number,
            "letter" => letter,
            _ => return None,
        };
        let kind = match fields.next()? {
            "volume" => Kind::Table,
            "prices" => Kind::TablePricedVwap,
            _ => return None,
        };
        Some(Table {
            minute,
            daily,
            kind,
            condition,
            lines,
        })
    })
}

/// Numbers are conditions as they are; 96 and above would meet the tape.
fn number(code: &str) -> Option<u32> {
    code.parse().ok().filter(|id| *id < 96)
}

fn letter(code: &str) -> Option<u32> {
    match code.as_bytes() {
        b"space" => letter_condition(b' '),
        [letter] => letter_condition(*letter),
        _ => None,
    }
}

/// Reads a table into masks by tape: A, B, C, O at 1 to 4, and at 0 whatever any of them forbids.
///
/// `condition` turns a code into the condition's number.
///
/// # Errors
/// [`RulesError::Line`] names the first damaged line.
pub(super) fn parse(
    text: &str,
    bars: Bars,
    condition: impl Fn(&str) -> Option<u32>,
) -> Result<[Masks; 5], RulesError> {
    let mut masks = [Masks::default(); 5];
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.starts_with("bars,") {
            continue;
        }
        parse_line(line, bars, &condition, &mut masks).ok_or_else(|| RulesError::Line {
            line: index + 1,
            text: line.to_owned(),
        })?;
    }
    masks[0] = masks[1..]
        .iter()
        .fold(Masks::default(), |union, tape| union.union(*tape));
    Ok(masks)
}

fn parse_line(
    line: &str,
    bars: Bars,
    condition: impl Fn(&str) -> Option<u32>,
    masks: &mut [Masks; 5],
) -> Option<()> {
    let mut fields = line.splitn(7, ',');
    let line_bars = match fields.next()? {
        "both" => bars,
        "minute" => Bars::Minute,
        "daily" => Bars::Daily,
        _ => return None,
    };
    let tapes = fields.next().filter(|tapes| !tapes.is_empty())?;
    let bit = 1u128 << condition(fields.next()?)?;
    let (high_low, open_close, volume) = (fields.next()?, fields.next()?, fields.next()?);
    fields.next()?;
    if [high_low, open_close, volume] == ["none"; 3] {
        return Some(());
    }
    let rule = Rule {
        high_low: parse_flag(high_low)?,
        open_close: parse_open_close(open_close)?,
        volume: parse_flag(volume)?,
    };
    let letters = if tapes == "*" { "ABCO" } else { tapes };
    for letter in letters.bytes() {
        let tape = Tape::from_letter(letter)?;
        if line_bars == bars {
            masks[tape as usize].set(bit, rule);
        }
    }
    Some(())
}

fn parse_flag(text: &str) -> Option<bool> {
    match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn parse_open_close(text: &str) -> Option<OpenClose> {
    match text {
        "yes" => Some(OpenClose::Yes),
        "only_if_first" => Some(OpenClose::OnlyIfFirst),
        "no" => Some(OpenClose::No),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Bars, Masks, RulesError, parse};

    fn number(code: &str) -> Option<u32> {
        code.parse().ok()
    }

    #[test]
    fn a_later_line_replaces_an_earlier_one_of_the_same_bars() {
        let text = "both,*,3,no,no,no,a\nminute,*,3,yes,only_if_first,yes,b\n";
        let minute = parse(text, Bars::Minute, number).unwrap();
        assert_eq!(
            minute,
            [Masks {
                only_if_first: 1 << 3,
                ..Masks::default()
            }; 5]
        );
        let daily = parse(text, Bars::Daily, number).unwrap();
        let refused = Masks {
            no_high_low: 1 << 3,
            no_open_close: 1 << 3,
            only_if_first: 0,
            no_volume: 1 << 3,
        };
        assert_eq!(daily, [refused; 5]);
    }

    #[test]
    fn an_unknown_tape_is_held_to_the_strictest() {
        let masks = parse(
            "both,C,3,no,yes,yes,a\nboth,A,3,yes,yes,no,b\n",
            Bars::Minute,
            number,
        )
        .unwrap();
        assert_eq!(
            masks[0],
            Masks {
                no_high_low: 1 << 3,
                no_volume: 1 << 3,
                ..Masks::default()
            }
        );
        assert_eq!(masks[2], Masks::default());
    }

    #[test]
    fn a_damaged_line_is_named_with_its_number() {
        for line in [
            "",
            "weekly,*,3,yes,yes,yes,a",
            "both,,3,yes,yes,yes,a",
            "both,D,3,yes,yes,yes,a",
            "both,*,x,yes,yes,yes,a",
            "both,*,3,maybe,yes,yes,a",
            "both,*,3,only_if_first,yes,yes,a",
            "both,*,3,yes,none,yes,a",
            "both,*,3,yes,yes,yes",
        ] {
            let error = parse(&format!("# head\n{line}\n"), Bars::Daily, number).unwrap_err();
            assert_eq!(
                error,
                RulesError::Line {
                    line: 2,
                    text: line.to_owned()
                }
            );
        }
    }
}
