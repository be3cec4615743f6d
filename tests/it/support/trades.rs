//! Made-up trades as a Massive stocks flat file, the same for the same parameters on every machine.
//!
//! The columns are those of the vendor's trades files; the market is plausible, no more. Integers only.

use std::fmt::Write;

use fastrand::Rng;

const HEADER: &str = "ticker,conditions,correction,exchange,id,participant_timestamp,price,sequence_number,\
                      sip_timestamp,size,tape,trf_id,trf_timestamp\n";
const NS_PER_MINUTE: u64 = 60_000_000_000;
/// 2025-10-15 12:00:00 UTC, 08:00 in New York.
const START_NS: u64 = 1_760_529_600_000_000_000;
/// The exchange number of trades reported by a TRF; only those have sub-penny prices here.
const OFF_EXCHANGE: usize = 4;
const EXCHANGES: [usize; 8] = [OFF_EXCHANGE, OFF_EXCHANGE, 11, 12, 10, 8, 19, 21];
/// Sale conditions with about the frequency they have on the tape: none, odd lot, sweep, form T, and sums.
const CONDITIONS: [&str; 8] = ["", "", "37", "37", "14,41", "14,37,41", "12,37", "41"];

/// How rows stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// As a live stream: by SIP time over all symbols.
    Time,
    /// As the vendor's day files: by ticker, then by SIP time.
    Ticker,
}

/// The parameters of a made-up day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MadeDay {
    pub(crate) trades: u64,
    /// Symbols there are to trade, at least 1; the first is AAPL. With few trades not all appear.
    pub(crate) symbols: usize,
    /// Minutes that the trades are spread over evenly, at least 1.
    pub(crate) minutes: u64,
    pub(crate) seed: u64,
    pub(crate) order: Order,
}

/// One symbol's state.
struct Listing {
    ticker: String,
    /// In hundredths of a cent, at least one cent.
    price: u64,
    id: u64,
    sequence: u64,
    tape: u8,
}

struct Row {
    listing: usize,
    sip: u64,
    text: String,
}

impl MadeDay {
    /// The file's text, header line first.
    pub(crate) fn massive_csv(&self) -> String {
        let mut rng = Rng::with_seed(self.seed);
        let mut listings: Vec<Listing> = (0..self.symbols)
            .map(|index| Listing::new(index, &mut rng))
            .collect();
        let span = self.minutes * NS_PER_MINUTE;
        let mut rows: Vec<Row> = (0..self.trades)
            .map(|index| {
                let slot = |at: u64| {
                    u64::try_from(u128::from(span) * u128::from(at) / u128::from(self.trades))
                };
                let (from, to) = (
                    slot(index).expect("within the span"),
                    slot(index + 1).expect("within the span"),
                );
                let sip = START_NS + rng.u64(from..to.max(from + 1));
                // The lesser of two draws: early symbols trade more.
                let listing = rng.usize(..self.symbols).min(rng.usize(..self.symbols));
                Row {
                    listing,
                    sip,
                    text: listings[listing].trade(sip, &mut rng),
                }
            })
            .collect();
        if self.order == Order::Ticker {
            rows.sort_by(|a, b| {
                (&listings[a.listing].ticker, a.sip).cmp(&(&listings[b.listing].ticker, b.sip))
            });
        }
        rows.into_iter()
            .fold(HEADER.to_owned(), |text, row| text + &row.text)
    }
}

impl Listing {
    fn new(index: usize, rng: &mut Rng) -> Self {
        let ticker = if index == 0 {
            "AAPL".to_owned()
        } else {
            ticker(index)
        };
        let price = if index == 0 {
            2_550_000
        } else {
            rng.u64(200..9_000) * 1000
        };
        Self {
            ticker,
            price,
            id: 0,
            sequence: rng.u64(1..5_000),
            tape: rng.u8(1..=3),
        }
    }

    /// Moves the price by up to two cents and writes the trade's row.
    fn trade(&mut self, sip: u64, rng: &mut Rng) -> String {
        self.price = (self.price + rng.u64(0..=4) * 100)
            .saturating_sub(200)
            .max(100);
        self.id += 1;
        self.sequence += rng.u64(1..40);
        let exchange = EXCHANGES[rng.usize(..EXCHANGES.len())];
        let is_off_exchange = exchange == OFF_EXCHANGE;
        let price = self.price
            + if is_off_exchange && rng.u8(..6) == 0 {
                rng.u64(1..100)
            } else {
                0
            };
        let participant = sip - rng.u64(15_000..200_000);
        let (trf_id, trf_time) = if is_off_exchange {
            (rng.u64(201..204), sip - 9_000)
        } else {
            (0, 0)
        };
        let size = match rng.u8(..10) {
            0..3 => 100,
            3..9 => rng.u64(1..100),
            _ => rng.u64(2..500) * 100,
        };
        let conditions = CONDITIONS[rng.usize(..CONDITIONS.len())];
        let quote = if conditions.contains(',') { "\"" } else { "" };
        let mut text = format!(
            "{},{quote}{conditions}{quote},0,{exchange},{},",
            self.ticker, self.id
        );
        write!(
            text,
            "{participant},{},{},{sip},{size}",
            shortest(price),
            self.sequence
        )
        .expect("memory");
        writeln!(text, ",{},{trf_id},{trf_time}", self.tape).expect("memory");
        text
    }
}

/// Four letters that no two places share and that are not AAPL: the first never is an A.
fn ticker(index: usize) -> String {
    let letter = |digit: usize| char::from(b'A' + u8::try_from(digit % 26).expect("a letter"));
    let mixed = index * 7919;
    [1 + mixed / 17_576 % 25, mixed / 676, mixed / 26, mixed]
        .into_iter()
        .map(letter)
        .collect()
}

/// Hundredths of a cent as dollars, without zeros at the end, as the vendor writes them.
fn shortest(price: u64) -> String {
    let text = format!("{}.{:04}", price / 10_000, price % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
