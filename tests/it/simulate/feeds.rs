//! Every trade of a recording reaches barmill's own feeds, over the socket and over the history.

use crate::simulate::stage::{dawn, play, trades};
use barmill::{Price, Size, Symbol, Trade};
use barmill_core::port::{Gap, GapError, GapFill, GapSource, TradeFeed};
use barmill_sources::history::{HistoryFeed, HistorySource, SymbolRange};
use barmill_sources::live::{LiveFeed, LiveParts, LiveSymbol, LiveSymbols};
use barmill_sources::simulate::{Recording, SimulatorSettings};
use barmill_sources::venue::{VENUES, Venue};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;

const HOUR_NS: i64 = 3_600_000_000_000;

/// What a feed must tell of a trade, whatever the resolution of its clock.
type Essence = (i64, u64, Price, Size, u128);

fn essences(trades: &[Trade], resolution_ns: i64) -> BTreeMap<Symbol, Vec<Essence>> {
    let mut out: BTreeMap<Symbol, Vec<Essence>> = BTreeMap::new();
    for trade in trades {
        let time = trade.time.as_nanos() / resolution_ns;
        let essence = (
            time,
            trade.id.raw(),
            trade.price,
            trade.size,
            trade.conditions.bits(),
        );
        out.entry(trade.symbol).or_default().push(essence);
    }
    for rows in out.values_mut() {
        rows.sort_unstable();
    }
    out
}

fn at_once(venue: &'static Venue) -> (Recording, SimulatorSettings) {
    let recording = Recording::new(venue, trades(venue, 9_000, HOUR_NS, 3)).unwrap();
    (
        recording,
        SimulatorSettings {
            speed: None,
            ..SimulatorSettings::default()
        },
    )
}

/// An archive that nobody may need.
#[derive(Debug)]
struct Shut;

impl GapSource for Shut {
    fn fetch(&self, gap: Gap) -> BoxFuture<'static, Result<GapFill, GapError>> {
        Box::pin(async move { panic!("asked for {gap:?}") })
    }
}

async fn hear(feed: &mut LiveFeed, count: usize) -> Vec<Trade> {
    let mut heard = Vec::new();
    while heard.len() < count {
        heard.extend(feed.next_batch().await.unwrap().unwrap().trades);
    }
    heard
}

#[tokio::test]
async fn every_trade_is_heard_over_the_socket_and_then_read_from_the_history() {
    for venue in VENUES {
        let (recording, settings) = at_once(venue);
        let truth = recording.trades().to_vec();
        let symbols: Vec<Symbol> = recording.symbols().to_vec();
        let stage = play(recording, settings).await;
        let all = symbols
            .iter()
            .map(|&symbol| LiveSymbol {
                symbol,
                after: None,
            })
            .collect();
        let parts = LiveParts {
            clock: Arc::new(barmill::internals::pipeline::clock::SystemClock),
            archive: Arc::new(Shut),
            tap: None,
        };
        let mut feed = LiveFeed::new(stage.live(venue), &LiveSymbols::Named(all), parts).unwrap();
        let heard = hear(&mut feed, truth.len()).await;
        let resolution = (venue.live.resolution_ns)(&stage.live(venue).url);
        assert_eq!(
            essences(&heard, resolution),
            essences(&truth, resolution),
            "{venue}"
        );

        let source = HistorySource::new(&stage.history(venue)).unwrap();
        let to = dawn().saturating_add(2 * HOUR_NS);
        let ranges = symbols
            .iter()
            .map(|&symbol| SymbolRange {
                symbol,
                from: dawn(),
                to,
            })
            .collect();
        let mut history = HistoryFeed::new(&source, ranges);
        let mut read = Vec::new();
        while let Some(batch) = history.next_batch().await.unwrap() {
            read.extend(batch.trades);
        }
        assert_eq!(essences(&read, 1), essences(&truth, 1), "{venue}");
        let stats = stage.view.stats();
        assert_eq!(
            (stats.published, stats.sent, stats.connections),
            (9_000, 9_000, 1),
            "{venue}"
        );
    }
}
