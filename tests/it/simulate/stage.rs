//! Trades to serve, a venue that serves them, and the settings to listen to it.

use crate::support::venue::client;
use barmill::{Conditions, Price, Side, Size, Symbol, Timestamp, Trade, TradeId};
use barmill_sources::history::HistorySettings;
use barmill_sources::live::LiveSettings;
use barmill_sources::simulate::{
    Numbering, Recording, Simulator, SimulatorSettings, SimulatorView,
};
use barmill_sources::venue::Venue;
use std::net::SocketAddr;
use tokio::task::JoinSet;

/// 2026-01-05T14:30:00Z.
pub(crate) fn dawn() -> Timestamp {
    "2026-01-05T14:30:00Z".parse().unwrap()
}

/// Three symbols as the venue writes them.
pub(crate) fn names(venue: &Venue) -> [String; 3] {
    let quote = match venue.name {
        _ if venue.is_us_equity() => "",
        "binance" => "USDT",
        "kraken" => "/USD",
        _ => "-USD",
    };
    ["AAA", "BBB", "CCC"].map(|base| format!("{base}{quote}"))
}

/// Trades of three symbols over `span_ns`, bursts and equal instants among them, each with what its venue tells.
pub(crate) fn trades(venue: &'static Venue, len: u64, span_ns: i64, seed: u64) -> Vec<Trade> {
    let mut random = fastrand::Rng::with_seed(seed);
    let names: Vec<Symbol> = names(venue)
        .iter()
        .map(|name| name.parse().unwrap())
        .collect();
    let step = span_ns / i64::try_from(len).unwrap();
    let mut time = dawn();
    let mut numbers = [1_000u64; 3];
    let trade = |_| {
        time = match random.u8(0..10) {
            0..3 => time,
            3..6 => time.saturating_add(random.i64(1..200_000)),
            // Four in ten, of two and a half steps on average: so many trades take the whole span.
            _ => time.saturating_add(random.i64(0..step * 5)),
        };
        let which = random.usize(0..3);
        numbers[which] += if venue.simulation.numbering == Numbering::Ascending {
            random.u64(1..5)
        } else {
            1
        };
        let size = Size::from_raw(u128::from(random.u64(1..900)) * 100_000_000).unwrap();
        let price = Price::from_raw(100_000_000_000 + 10_000_000 * random.u64(0..100));
        let number = numbers[which];
        let mut trade = Trade::new(names[which], time, price, size);
        trade.id = TradeId::from_number(number);
        trade.sequence = number;
        trade.sequenced = true;
        match venue.name {
            "massive" => {
                trade.conditions =
                    Conditions::from_bits(1 << (37 * u32::from(number.is_multiple_of(3))));
                trade.venue = 4 | 201 << 8;
            }
            "alpaca" => {
                trade.conditions = Conditions::from_bits(1 << 32 | 1 << 99);
                trade.venue = u16::from(b'V');
            }
            _ => trade.side = if random.bool() { Side::Buy } else { Side::Sell },
        }
        trade
    };
    (0..len).map(trade).collect()
}

/// A venue that plays.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) view: SimulatorView,
    _task: JoinSet<()>,
}

pub(crate) async fn play(recording: Recording, settings: SimulatorSettings) -> Stage {
    let simulator = Simulator::bind("127.0.0.1:0".parse().unwrap(), recording, settings)
        .await
        .unwrap();
    let (address, view) = (simulator.address(), simulator.view());
    let mut task = JoinSet::new();
    task.spawn(async move {
        let _stats = simulator.run().await;
    });
    Stage {
        address,
        view,
        _task: task,
    }
}

impl Stage {
    pub(crate) fn live(&self, venue: &'static Venue) -> LiveSettings {
        let (address, simulation) = (self.address, &venue.simulation);
        let (path, query) = (simulation.socket_path, simulation.socket_query);
        let mut settings = LiveSettings::new(client(venue));
        settings.url = format!("ws://{address}{path}{query}");
        settings
    }

    pub(crate) fn history(&self, venue: &'static Venue) -> HistorySettings {
        let mut settings = HistorySettings::new(client(venue));
        settings.base_url = format!("http://{}", self.address);
        settings.rate_per_min = 10_000_000;
        settings
    }
}
