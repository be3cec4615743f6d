//! A bare aggregator: minute bars in fixed point, by a dense number per ticker.

use crate::text::{price, whole};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

const MINUTE_NS: i64 = 60_000_000_000;

#[derive(Clone, Copy, Default)]
pub struct Bar {
    pub ticker: u64,
    pub minute: i64,
    pub open: i64,
    pub high: i64,
    pub low: i64,
    pub close: i64,
    pub volume: i64,
    pub notional: i128,
    pub trades: u64,
}

/// One multiplication, as a ticker of up to eight bytes is a number already.
#[derive(Default)]
pub struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers")
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (value ^ value >> 29).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(26);
    }
}

/// A ticker of up to eight bytes as a number.
pub fn pack(ticker: &[u8]) -> u64 {
    ticker.iter().fold(0, |packed, byte| packed << 8 | u64::from(*byte))
}

#[derive(Default)]
pub struct Bare {
    numbers: HashMap<u64, usize, BuildHasherDefault<Mix>>,
    open: Vec<Bar>,
    closed: Vec<Bar>,
    trades: u64,
}

impl Bare {
    pub fn add(&mut self, ticker: &[u8], time: &[u8], price_text: &[u8], size: &[u8]) {
        self.push(pack(ticker), whole(time), price(price_text), whole(size));
    }

    pub fn push(&mut self, ticker: u64, time: i64, price: i64, size: i64) {
        let next = self.open.len();
        let number = *self.numbers.entry(ticker).or_insert(next);
        if number == next {
            self.open.push(Bar::default());
        }
        let bar = &mut self.open[number];
        let minute = time / MINUTE_NS;
        if bar.minute != minute {
            if bar.trades > 0 {
                self.closed.push(*bar);
            }
            *bar = Bar { ticker, minute, open: price, high: price, low: price, ..Bar::default() };
        }
        bar.high = bar.high.max(price);
        bar.low = bar.low.min(price);
        bar.close = price;
        bar.volume += size;
        bar.notional += i128::from(price) * i128::from(size);
        bar.trades += 1;
        self.trades += 1;
    }

    pub fn counts(&self) -> (u64, u64) {
        (self.trades, (self.closed.len() + self.open.len()) as u64)
    }

    pub fn finish(mut self) -> Vec<Bar> {
        self.closed.append(&mut self.open);
        self.closed
    }
}
