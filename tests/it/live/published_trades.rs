//! The truth of a test: every trade that ever was, and how many of them the venue has published.

use barmill::{Conditions, Price, Side, Size, Symbol, Timestamp, Trade, TradeId};
use barmill_core::port::{Clock, Gap, GapError, GapFill, GapSource, Remedy};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// The venues, as their wire formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Massive,
    Alpaca,
    Binance,
    BinanceAggregate,
    CoinbaseAdvanced,
    CoinbaseExchange,
    Kraken,
}

pub(crate) const ALL: [Kind; 7] = [
    Kind::Massive,
    Kind::Alpaca,
    Kind::Binance,
    Kind::BinanceAggregate,
    Kind::CoinbaseAdvanced,
    Kind::CoinbaseExchange,
    Kind::Kraken,
];

impl Kind {
    pub(crate) fn is_contiguous(self) -> bool {
        !matches!(self, Kind::Massive | Kind::Alpaca)
    }

    fn names(self) -> [&'static str; 3] {
        match self {
            Kind::Massive | Kind::Alpaca => ["AAA", "BBB", "CCC"],
            Kind::Binance | Kind::BinanceAggregate => ["AAAUSDT", "BBBUSDT", "CCCUSDT"],
            Kind::CoinbaseAdvanced | Kind::CoinbaseExchange => ["AAA-USD", "BBB-USD", "CCC-USD"],
            Kind::Kraken => ["AAA/USD", "BBB/USD", "CCC/USD"],
        }
    }
}

#[derive(Debug)]
struct Tape {
    trades: Vec<Trade>,
    published: usize,
}

/// Trades by symbol; the archive knows those that are published.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) kind: Kind,
    tapes: Mutex<BTreeMap<Symbol, Tape>>,
    pub(crate) is_archive_shut: AtomicBool,
    pub(crate) questions: AtomicU32,
}

impl World {
    pub(crate) fn new(kind: Kind, len: u64) -> Arc<World> {
        World::at(kind, len, Dawn.now(), 2)
    }

    /// A world that begins at an instant, every third trade of a symbol so many milliseconds later.
    pub(crate) fn at(kind: Kind, len: u64, start: Timestamp, step_ms: i64) -> Arc<World> {
        let tape = |name: &str| {
            let symbol: Symbol = name.parse().unwrap();
            let at = |number: u64| {
                start.saturating_add(i64::try_from(number / 3).unwrap() * step_ms * 1_000_000)
            };
            let trades = (0..len).map(|number| Trade {
                time: at(number),
                ..trade(kind, symbol, number)
            });
            (
                symbol,
                Tape {
                    trades: trades.collect(),
                    published: 0,
                },
            )
        };
        Arc::new(World {
            kind,
            tapes: Mutex::new(kind.names().into_iter().map(tape).collect()),
            is_archive_shut: AtomicBool::new(false),
            questions: AtomicU32::new(0),
        })
    }

    pub(crate) fn symbols(&self) -> Vec<Symbol> {
        self.tapes.lock().unwrap().keys().copied().collect()
    }

    pub(crate) fn truth(&self) -> BTreeMap<Symbol, Vec<Trade>> {
        self.tapes
            .lock()
            .unwrap()
            .iter()
            .map(|(symbol, tape)| (*symbol, tape.trades.clone()))
            .collect()
    }

    /// What is history by now.
    pub(crate) fn history(&self, symbol: Symbol) -> Vec<Trade> {
        let tapes = self.tapes.lock().unwrap();
        tapes
            .get(&symbol)
            .map(|tape| tape.trades[..tape.published].to_vec())
            .unwrap_or_default()
    }

    /// The next trade of the least published of some symbols; it is history from now on.
    pub(crate) fn publish(&self, symbols: &[Symbol]) -> Option<Trade> {
        let mut tapes = self.tapes.lock().unwrap();
        let behind = symbols
            .iter()
            .min_by_key(|symbol| tapes.get(symbol).map(|tape| tape.published))?;
        let tape = tapes.get_mut(behind)?;
        let trade = tape.trades.get(tape.published).copied()?;
        tape.published += 1;
        Some(trade)
    }

    fn answer(&self, gap: &Gap) -> Result<GapFill, GapError> {
        let question = self.questions.fetch_add(1, Ordering::Relaxed);
        let error = |remedy| GapError {
            symbol: gap.symbol,
            from: gap.from,
            remedy,
            source: "archive is shut".into(),
        };
        if self.is_archive_shut.load(Ordering::Relaxed) {
            return Err(error(Remedy::Fatal));
        }
        if question % 5 == 4 {
            return Err(error(Remedy::Retry { after: None }));
        }
        let tapes = self.tapes.lock().unwrap();
        let tape = &tapes[&gap.symbol];
        let published = &tape.trades[..tape.published];
        let inside = published
            .iter()
            .filter(|trade| gap.from <= trade.time && trade.time < gap.to);
        let trades: Vec<Trade> = inside.copied().take(gap.len_max).collect();
        Ok(GapFill {
            is_whole: trades.len() < gap.len_max,
            trades,
        })
    }
}

/// The archive of a world.
#[derive(Debug)]
pub(crate) struct Archive(pub(crate) Arc<World>);

impl GapSource for Archive {
    fn fetch(&self, gap: Gap) -> BoxFuture<'static, Result<GapFill, GapError>> {
        let world = Arc::clone(&self.0);
        Box::pin(async move { world.answer(&gap) })
    }
}

/// A clock before every trade, as a start at an instant must not cut the tapes.
#[derive(Debug)]
pub(crate) struct Dawn;

impl Clock for Dawn {
    fn now(&self) -> Timestamp {
        "2026-01-05T14:30:00Z".parse().unwrap()
    }
}

/// Up to three trades share a millisecond; all fields survive the wire of their venue.
fn trade(kind: Kind, symbol: Symbol, number: u64) -> Trade {
    let id = 1_000 + number;
    let is_equity = !kind.is_contiguous();
    Trade {
        symbol,
        time: Dawn.now(),
        sequence: if kind == Kind::Alpaca { 0 } else { id },
        id: TradeId::from_number(id),
        price: Price::from_raw(1_000_000_000 + 10_000_000 * (number * 7 % 100)),
        size: Size::from_raw(u128::from(1 + number % 9) * 10_000_000_000).unwrap(),
        conditions: match kind {
            Kind::Massive => Conditions::from_bits(1 << 37),
            Kind::Alpaca => Conditions::from_bits(1 << 32 | 1 << 99),
            Kind::Binance
            | Kind::BinanceAggregate
            | Kind::CoinbaseAdvanced
            | Kind::CoinbaseExchange
            | Kind::Kraken => Conditions::NONE,
        },
        venue: match kind {
            Kind::Massive => 4 | 201 << 8,
            Kind::Alpaca => u16::from(b'V'),
            Kind::Binance
            | Kind::BinanceAggregate
            | Kind::CoinbaseAdvanced
            | Kind::CoinbaseExchange
            | Kind::Kraken => 0,
        },
        correction: 0,
        side: if is_equity {
            Side::Unknown
        } else if number.is_multiple_of(2) {
            Side::Buy
        } else {
            Side::Sell
        },
        sequenced: kind != Kind::Alpaca,
    }
}
