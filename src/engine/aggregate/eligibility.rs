//! What a trade may set in a bar, decided by its sale conditions.
//!
//! Owns the rule: for each condition three bits (high and low, open and close, volume), `ANDed` over the
//! conditions of a trade; and the correction codes whose trades count for nothing. Deliberately holds no
//! venue's table: a profile builds the masks from its own data.

use crate::engine::rules::{OpenClose, Rules};
use crate::model::{Conditions, Trade};

/// What one trade may set in a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rights(u8);

impl Rights {
    /// The trade may set everything.
    pub const ALL: Rights = Rights(0b111);
    /// The trade counts for nothing.
    pub const NONE: Rights = Rights(0);

    /// Takes one claim per right.
    pub const fn new(high_low: bool, open_close: bool, volume: bool) -> Rights {
        Rights(high_low as u8 | (open_close as u8) << 1 | (volume as u8) << 2)
    }

    /// Whether the trade may set high and low.
    pub const fn high_low(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether the trade may set open and close.
    pub const fn open_close(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether the trade counts for volume, vwap and the number of trades.
    pub const fn volume(self) -> bool {
        self.0 & 4 != 0
    }
}

/// The conditions that take a right away, as bit sets, and the corrections that take all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EligibilityMasks {
    no_high_low: Conditions,
    no_open_close: Conditions,
    no_volume: Conditions,
    any: Conditions,
    dropped: [u128; 2],
}

/// The rule that gives each trade its [`Rights`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Eligibility {
    /// Every trade sets everything, whatever its conditions and correction.
    #[default]
    All,
    /// Conditions and corrections take rights away.
    Masks(EligibilityMasks),
    /// A named profile of tape rules.
    Profile(Box<Rules>),
}

impl Eligibility {
    /// Builds a rule from the conditions that may not set high and low, open and close, volume, and from
    /// the correction codes whose trades are left out.
    pub fn masks(
        no_high_low: Conditions,
        no_open_close: Conditions,
        no_volume: Conditions,
        dropped_corrections: &[u8],
    ) -> Eligibility {
        let mut dropped = [0u128; 2];
        for &code in dropped_corrections {
            dropped[usize::from(code >> 7)] |= 1 << (code & 127);
        }
        let any = Conditions::from_bits(no_high_low.bits() | no_open_close.bits() | no_volume.bits());
        Eligibility::Masks(EligibilityMasks { no_high_low, no_open_close, no_volume, any, dropped })
    }

    /// Takes the part of a profile that a fold knows.
    pub fn of(rules: &Rules) -> Eligibility {
        Eligibility::Profile(Box::new(rules.clone()))
    }

    /// What `trade` may set.
    #[inline]
    pub fn rights(&self, trade: &Trade) -> Rights {
        match self {
            Eligibility::All => Rights::ALL,
            Eligibility::Masks(masks) => masks.rights(trade),
            Eligibility::Profile(rules) => {
                let eligible = rules.eligibility(trade);
                Rights::new(eligible.high_low, eligible.open_close != OpenClose::No, eligible.volume)
            }
        }
    }
}

impl EligibilityMasks {
    #[inline]
    fn rights(&self, trade: &Trade) -> Rights {
        let code = trade.correction;
        if self.dropped[usize::from(code >> 7)] >> (code & 127) & 1 == 1 {
            return Rights::NONE;
        }
        let conditions = trade.conditions;
        if !conditions.meets(self.any) {
            return Rights::ALL;
        }
        Rights::new(
            !conditions.meets(self.no_high_low),
            !conditions.meets(self.no_open_close),
            !conditions.meets(self.no_volume),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Eligibility, Rights};
    use crate::engine::aggregate::testing::trade;
    use crate::model::Conditions;

    #[test]
    fn rights_are_anded_over_the_conditions_of_a_trade() {
        let bit = |number| Conditions::NONE.with(number).unwrap();
        let rules = Eligibility::masks(bit(2), bit(12), bit(38), &[]);
        let with = |bits: u128| {
            let mut one = trade("A", 0, "1", "1");
            one.conditions = Conditions::from_bits(bits);
            rules.rights(&one)
        };
        assert_eq!(with(0), Rights::ALL);
        assert_eq!(with(1 << 5), Rights::ALL);
        assert_eq!(with(1 << 2), Rights::new(false, true, true));
        assert_eq!(with(1 << 2 | 1 << 12), Rights::new(false, false, true));
        assert_eq!(with(1 << 2 | 1 << 12 | 1 << 38), Rights::NONE);
    }

    #[test]
    fn dropped_corrections_take_every_right() {
        let rules = Eligibility::masks(Conditions::NONE, Conditions::NONE, Conditions::NONE, &[8, 10, 200]);
        for (code, rights) in [(0, Rights::ALL), (8, Rights::NONE), (200, Rights::NONE), (72, Rights::ALL)] {
            let mut one = trade("A", 0, "1", "1");
            one.correction = code;
            assert_eq!(rules.rights(&one), rights, "code {code}");
            assert_eq!(Eligibility::All.rights(&one), Rights::ALL);
        }
    }
}
