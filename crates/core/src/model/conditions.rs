//! Sale conditions of one trade, as a set of small numbers.

/// The set of a trade's sale conditions, each a number from 0 to 127.
///
/// What a number means is the source's: a condition's own number, the byte of its letter, or the bit of a flag word.
/// The engine only asks whether a set meets a table's masks.
///
/// See the example of [`TradeFeed`](crate::port::TradeFeed).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Conditions(u128);

impl Conditions {
    /// No condition.
    pub const NONE: Conditions = Conditions(0);

    /// Takes one bit per condition.
    pub const fn from_bits(bits: u128) -> Conditions {
        Conditions(bits)
    }

    /// One bit per condition.
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// The set with one more condition; `None` when it is above 127.
    #[must_use]
    pub const fn with(self, condition: u32) -> Option<Conditions> {
        if condition < 128 {
            Some(Conditions(self.0 | 1 << condition))
        } else {
            None
        }
    }
}

impl std::fmt::Debug for Conditions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries((0..128).filter(|bit| self.0 >> bit & 1 == 1))
            .finish()
    }
}
