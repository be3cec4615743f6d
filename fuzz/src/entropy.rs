//! Choices out of bytes: a target reads its own settings from the front of the input.

use barmill::{BarSpec, Price, Size, Symbol, Timestamp, Volume};

/// Bytes taken from the front; zeros once they are used up.
#[derive(Debug)]
pub struct Entropy<'a> {
    bytes: &'a [u8],
}

impl<'a> Entropy<'a> {
    /// Takes the input.
    pub fn new(bytes: &'a [u8]) -> Entropy<'a> {
        Entropy { bytes }
    }

    /// Whether bytes are left.
    pub fn has_more(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// What is left.
    pub fn rest(self) -> &'a [u8] {
        self.bytes
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    /// A number below `bound`, which is at most 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// The next 64 bits; small numbers are as likely as large ones.
    pub fn u64(&mut self) -> u64 {
        let shift = self.byte() % 64;
        u64::from_le_bytes(self.array()) >> shift
    }

    /// The next 128 bits; small numbers are as likely as large ones.
    pub fn u128(&mut self) -> u128 {
        let shift = self.byte() % 128;
        u128::from_le_bytes(self.array()) >> shift
    }

    /// An instant, mostly of this century.
    pub fn time(&mut self) -> Timestamp {
        let nanos = match self.below(4) {
            0 => self.u64() >> 1,
            _ => 1_700_000_000_000_000_000 + self.u64() % 100_000_000_000_000_000,
        };
        Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX)).unwrap_or_default()
    }

    /// A price, also zero.
    pub fn price(&mut self) -> Price {
        Price::from_raw(self.u64())
    }

    /// A size, also zero.
    pub fn size(&mut self) -> Size {
        Size::from_raw(self.u128() & Size::MAX.raw()).unwrap_or_default()
    }

    /// One of a few symbols, so that the table of names stays small.
    pub fn symbol(&mut self) -> Symbol {
        const NAMES: [&str; 6] = [
            "A",
            "AAPL",
            "BRK.B",
            "BTC/USD",
            "X:BTC-USD",
            "A1234567890123456789012345678901",
        ];
        NAMES[self.below(NAMES.len())].parse().expect("a symbol")
    }

    /// A spec of any kind.
    pub fn spec(&mut self) -> BarSpec {
        const TIMES: [&str; 6] = ["1s", "1m", "4h", "1d", "session", "tick:7"];
        let volume = Volume::from_raw(self.u128().max(1));
        let price = Price::from_raw(self.u64().max(1));
        match self.below(8) {
            0 => BarSpec::Volume(volume),
            1 => BarSpec::Value(price),
            kind => TIMES[kind - 2].parse().expect("a spec"),
        }
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let len = N.min(self.bytes.len());
        array[..len].copy_from_slice(&self.bytes[..len]);
        self.bytes = &self.bytes[len..];
        array
    }
}
