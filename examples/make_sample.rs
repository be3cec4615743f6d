//! Writes the recorded trades that the README replays: `cargo run --example make_sample`.
//!
//! Invented trades of three symbols over the first twenty minutes of a New York session, in the column
//! layout of Massive's stock flat files. The same seed gives the same bytes on every machine, as only
//! integers decide them.

use std::fmt::Write;
use std::path::Path;

const HEADER: &str = "ticker,conditions,correction,exchange,id,participant_timestamp,price,sequence_number,\
                      sip_timestamp,size,tape,trf_id,trf_timestamp";
/// 2025-10-15T13:30:00Z, the opening of the session, in nanoseconds since the Unix epoch.
const OPEN_NS: u64 = 1_760_535_000_000_000_000;
/// Milliseconds of the file.
const SPAN_MS: u64 = 20 * 60 * 1000;
const TRADES: u64 = 2000;

/// A symbol on its random walk.
struct Walk {
    ticker: &'static str,
    tape: u8,
    /// Hundredths of a dollar.
    price: u64,
    sequence: u64,
    id: u64,
}

/// Numbers that look random: the 64-bit congruential step of Knuth's MMIX, high half.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) % bound
    }
}

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("sample-trades.csv"), sample(20_251_015))
}

fn sample(seed: u64) -> String {
    let mut dice = Dice(seed);
    let walk = |ticker, tape, price| Walk {
        ticker,
        tape,
        price,
        sequence: 1000,
        id: 0,
    };
    let mut walks = [
        walk("AAPL", 3, 24_912),
        walk("MSFT", 3, 51_408),
        walk("SPY", 2, 66_850),
    ];
    // Square of the place: the opening minutes trade more than the later ones.
    let mut offsets_ms: Vec<u64> = (0..TRADES)
        .map(|_| dice.below(SPAN_MS) * dice.below(SPAN_MS) / SPAN_MS)
        .collect();
    offsets_ms.sort_unstable();
    let mut text = format!("{HEADER}\n");
    for offset_ms in offsets_ms {
        let which = if dice.below(2) == 0 {
            2
        } else {
            usize::from(dice.below(3) == 0)
        };
        let time = OPEN_NS + offset_ms * 1_000_000 + dice.below(1_000_000);
        push_row(&mut text, &mut walks[which], time, &mut dice);
    }
    text
}

fn push_row(text: &mut String, walk: &mut Walk, time: u64, dice: &mut Dice) {
    walk.price = walk.price + dice.below(7) - 3;
    walk.sequence += 1 + dice.below(40);
    walk.id += 1;
    let off_exchange = dice.below(3) == 0;
    let (exchange, facility) = if off_exchange {
        (4, 201 + dice.below(2))
    } else {
        (10 + dice.below(3), 0)
    };
    let odd_lot = dice.below(2) == 0;
    let size = if odd_lot {
        1 + dice.below(99)
    } else {
        100 * (1 + dice.below(5))
    };
    let conditions = match (odd_lot, dice.below(4)) {
        (true, 0) => "\"14,37,41\"",
        (true, _) => "37",
        (false, 0) => "\"14,41\"",
        (false, _) => "",
    };
    let made = time - 15_000 - dice.below(180_000);
    let reported = if off_exchange { time - 9_000 } else { 0 };
    let Walk {
        ticker,
        tape,
        price,
        sequence,
        id,
    } = walk;
    let (dollars, cents) = (*price / 100, *price % 100);
    let row = writeln!(
        text,
        "{ticker},{conditions},0,{exchange},{id},{made},{dollars}.{cents:02},{sequence},{time},{size},{tape},{facility},{reported}"
    );
    // Writing to a string cannot fail.
    debug_assert!(row.is_ok());
}
