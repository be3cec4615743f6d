//! Eligibility of one trade as a set of bits: which fields of a bar it may set.

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
pub struct Eligible(u8);

impl Eligible {
    const HIGH_LOW: u8 = 1;
    const OPEN: u8 = 2;
    const CLOSE: u8 = 4;
    const VOLUME: u8 = 8;
    const VWAP: u8 = 16;

    /// Everything.
    pub const ALL: Eligible = Eligible::new(true, OpenClose::Yes, true, true);
    /// Nothing: the trade is in no bar, and is counted as ineligible.
    pub const NONE: Eligible = Eligible(0);

    /// Takes one claim per right; a trade without `volume` never counts for the vwap.
    pub const fn new(high_low: bool, open_close: OpenClose, volume: bool, vwap: bool) -> Eligible {
        let ends = match open_close {
            OpenClose::No => 0,
            OpenClose::OnlyIfFirst => Self::OPEN,
            OpenClose::Yes => Self::OPEN | Self::CLOSE,
        };
        let sums = match (volume, vwap) {
            (false, _) => 0,
            (true, false) => Self::VOLUME,
            (true, true) => Self::VOLUME | Self::VWAP,
        };
        Eligible(ends | sums | if high_low { Self::HIGH_LOW } else { 0 })
    }

    /// Whether the trade may do nothing.
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether the trade may set high and low.
    #[inline]
    pub const fn high_low(self) -> bool {
        self.0 & Self::HIGH_LOW != 0
    }

    /// Whether the trade may set open and close.
    #[cfg(test)]
    pub const fn open_close(self) -> OpenClose {
        match (self.open(), self.close()) {
            (_, true) => OpenClose::Yes,
            (true, false) => OpenClose::OnlyIfFirst,
            (false, false) => OpenClose::No,
        }
    }

    /// Whether the trade may set the open.
    #[inline]
    pub const fn open(self) -> bool {
        self.0 & Self::OPEN != 0
    }

    /// Whether the trade may set the close whatever else is in the bar.
    #[inline]
    pub const fn close(self) -> bool {
        self.0 & Self::CLOSE != 0
    }

    /// Whether the trade counts for volume and for the number of trades.
    #[inline]
    pub const fn volume(self) -> bool {
        self.0 & Self::VOLUME != 0
    }

    /// Whether the trade counts for the vwap; never without volume.
    #[inline]
    pub const fn vwap(self) -> bool {
        self.0 & Self::VWAP != 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Eligible, OpenClose};

    #[test]
    fn every_claim_is_answered_as_given() {
        for open_close in [OpenClose::No, OpenClose::OnlyIfFirst, OpenClose::Yes] {
            for bits in 0..8 {
                let (high_low, volume, vwap) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
                let eligible = Eligible::new(high_low, open_close, volume, vwap);
                assert_eq!(
                    (eligible.high_low(), eligible.open_close()),
                    (high_low, open_close)
                );
                assert_eq!(
                    (eligible.volume(), eligible.vwap()),
                    (volume, volume && vwap)
                );
                assert_eq!(eligible.is_none(), eligible == Eligible::NONE);
            }
        }
    }
}
