//! Venues as sources: live trades, or the history of a period.

use super::{BoxError, Description, Market, Opening, Source};
use crate::Symbol;
use crate::daemon::{CatchUp, LiveSource, idle_closing};
use crate::engine::asked::{Asked, Hours};
use crate::engine::calendar::Calendar;
use crate::period::{Moment, Period};
use crate::pipeline::clock::SystemClock;
use crate::port::TradeFeed;
use barmill_sources::history::{
    BinanceTrades, HistoryFeed, HistorySettings, HistorySource, SymbolRange,
};
use barmill_sources::live::{BinanceStream, CoinbaseApi, LiveFeed, LiveParts, LiveSettings};
use barmill_sources::simulate::Venue as Played;
use secrecy::SecretString;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// A venue that this library does not know.
#[derive(Debug, thiserror::Error)]
#[error("venue {name:?} is not one of massive alpaca binance coinbase kraken")]
struct UnknownVenueError {
    name: String,
}

/// No symbols were given.
#[derive(Debug, thiserror::Error)]
#[error("source {0} has no symbols")]
struct NoSymbolsError(&'static str);

/// A key that the venue wants.
#[derive(Debug, thiserror::Error)]
#[error("source {venue} has no key; give one with key(), or set {variable}")]
struct NoKeyError {
    venue: &'static str,
    variable: &'static str,
}

/// The keys of a venue; what it does not need is absent.
#[derive(Debug, Default)]
struct Keys {
    id: Option<SecretString>,
    key: Option<SecretString>,
}

/// What is known of a venue here.
#[derive(Debug)]
struct Venue {
    name: &'static str,
    market: Market,
    /// Environment variables of the id that goes with the key, and of the key; the first that is set counts.
    id_variables: &'static [&'static str],
    key_variables: &'static [&'static str],
    plays: Played,
    /// Path of the socket where a simulator serves it.
    path: &'static str,
    history: fn(Keys) -> HistorySettings,
    live: fn(Keys) -> LiveSettings,
}

const CRYPTO: Market = Market {
    is_us_equity: false,
    rules: "all",
    corrects: false,
};

const MASSIVE: Venue = Venue {
    name: "massive",
    market: Market {
        is_us_equity: true,
        rules: "massive-minute",
        corrects: false,
    },
    id_variables: &[],
    key_variables: &["MASSIVE_API_KEY", "POLYGON_API_KEY"],
    plays: Played::Massive,
    path: "stocks",
    history: |keys| HistorySettings::massive(keys.key),
    live: |keys| LiveSettings::massive(keys.key.unwrap_or_default()),
};
const ALPACA: Venue = Venue {
    name: "alpaca",
    market: Market {
        is_us_equity: true,
        rules: "alpaca-minute",
        corrects: true,
    },
    id_variables: &["APCA_API_KEY_ID"],
    key_variables: &["APCA_API_SECRET_KEY"],
    plays: Played::Alpaca,
    path: "v2/sip",
    history: |keys| HistorySettings::alpaca(keys.id, keys.key),
    live: |keys| LiveSettings::alpaca(keys.id.unwrap_or_default(), keys.key.unwrap_or_default()),
};
const BINANCE: Venue = Venue {
    name: "binance",
    market: CRYPTO,
    id_variables: &[],
    key_variables: &[],
    plays: Played::Binance,
    path: "stream",
    history: |_| HistorySettings::binance(BinanceTrades::Aggregate),
    live: |_| LiveSettings::binance(BinanceStream::Aggregate),
};
const COINBASE: Venue = Venue {
    name: "coinbase",
    market: CRYPTO,
    id_variables: &[],
    key_variables: &[],
    plays: Played::Coinbase,
    path: "",
    history: |_| HistorySettings::coinbase(),
    live: |_| LiveSettings::coinbase(CoinbaseApi::Exchange),
};
const KRAKEN: Venue = Venue {
    name: "kraken",
    market: CRYPTO,
    id_variables: &[],
    key_variables: &[],
    plays: Played::Kraken,
    path: "v2",
    history: |_| HistorySettings::kraken(),
    live: |_| LiveSettings::kraken(),
};
const VENUES: [&Venue; 5] = [&MASSIVE, &ALPACA, &BINANCE, &COINBASE, &KRAKEN];

#[derive(Debug)]
enum Mode {
    Live(CatchUp),
    History(Option<Period>),
}

/// The trades of a venue, by its name or from a type such as [`Binance`].
///
/// A live source catches up first, closes the gaps of a lost connection from the venue's history, and closes the bars of
/// quiet symbols in time. Keys come from the environment names that [`VenueSource::key`] tells, or are given.
///
/// ```
/// use barmill::VenueSource;
/// let live = VenueSource::live("kraken", ["BTC/USD"]);
/// let day = VenueSource::history("massive", ["AAPL"], "2025-10-15").key("secret");
/// ```
#[derive(Debug)]
pub struct VenueSource {
    venue: Option<&'static Venue>,
    symbols: Vec<Symbol>,
    mode: Mode,
    keys: Keys,
    rest_url: Option<String>,
    socket_url: Option<String>,
    faults: Vec<BoxError>,
}

impl VenueSource {
    /// Listens to symbols of the venue with this name.
    pub fn live(venue: &str, symbols: impl IntoIterator<Item = impl AsRef<str>>) -> VenueSource {
        VenueSource::named(venue, symbols, Mode::Live(CatchUp::default()))
    }

    /// Reads the history of symbols: of a day such as `2025-10-15`, or of `FROM..TO`, both days or instants, the end
    /// excluded.
    pub fn history(
        venue: &str,
        symbols: impl IntoIterator<Item = impl AsRef<str>>,
        period: &str,
    ) -> VenueSource {
        let source = VenueSource::named(venue, symbols, Mode::History(None));
        source.of(period)
    }

    /// Sets where a live source begins that has no checkpoint; by default at the opening of the day.
    #[must_use]
    pub fn catch_up(mut self, catch_up: CatchUp) -> VenueSource {
        if let Mode::Live(own) = &mut self.mode {
            *own = catch_up;
        }
        self
    }

    /// Sets the key; otherwise it is taken from `MASSIVE_API_KEY`, `POLYGON_API_KEY` or `APCA_API_SECRET_KEY`.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> VenueSource {
        self.keys.key = Some(key.into().into());
        self
    }

    /// Sets the id that goes with the key; otherwise it is taken from `APCA_API_KEY_ID`.
    #[must_use]
    pub fn key_id(mut self, id: impl Into<String>) -> VenueSource {
        self.keys.id = Some(id.into().into());
        self
    }

    /// Sets the base URL of the venue's REST interface, such as that of a proxy.
    #[must_use]
    pub fn rest_url(mut self, url: impl Into<String>) -> VenueSource {
        self.rest_url = Some(url.into());
        self
    }

    /// Sets the URL of the venue's WebSocket.
    #[must_use]
    pub fn socket_url(mut self, url: impl Into<String>) -> VenueSource {
        self.socket_url = Some(url.into());
        self
    }

    fn named(
        name: &str,
        symbols: impl IntoIterator<Item = impl AsRef<str>>,
        mode: Mode,
    ) -> VenueSource {
        let venue = VENUES.into_iter().find(|venue| venue.name == name);
        let mut source = VenueSource {
            venue,
            symbols: Vec::new(),
            mode,
            keys: Keys::default(),
            rest_url: None,
            socket_url: None,
            faults: Vec::new(),
        };
        match venue {
            Some(venue) => {
                source.keys.key = variable(venue.key_variables);
                source.keys.id = variable(venue.id_variables);
            }
            None => source.faults.push(Box::new(UnknownVenueError {
                name: name.to_owned(),
            })),
        }
        for symbol in symbols {
            match symbol.as_ref().parse() {
                Ok(symbol) => source.symbols.push(symbol),
                Err(error) => source.faults.push(Box::new(error)),
            }
        }
        source
    }

    fn of(mut self, text: &str) -> VenueSource {
        let parsed = match text.split_once("..") {
            Some((from, to)) => from
                .parse()
                .and_then(|from| to.parse().map(|to| Period::Between { from, to })),
            None => text.parse().map(|moment| match moment {
                Moment::Day(day) => Period::Day(day),
                Moment::Instant(_) => Period::Between {
                    from: moment,
                    to: moment,
                },
            }),
        };
        match parsed {
            Ok(period) => self.mode = Mode::History(Some(period)),
            Err(error) => self.faults.push(Box::new(error)),
        }
        self
    }

    fn check(&mut self, venue: &'static Venue) {
        if self.symbols.is_empty() && self.faults.is_empty() {
            self.faults.push(Box::new(NoSymbolsError(venue.name)));
        }
        // A proxy may add the key by itself.
        let is_own_host = self.rest_url.is_none();
        let wanted = [
            (&self.keys.key, venue.key_variables),
            (&self.keys.id, venue.id_variables),
        ];
        for (key, variables) in wanted {
            if let (None, Some(variable), true) = (key, variables.first(), is_own_host) {
                self.faults.push(Box::new(NoKeyError {
                    venue: venue.name,
                    variable,
                }));
            }
        }
    }
}

/// The value of the first variable that is set.
fn variable(names: &[&str]) -> Option<SecretString> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the keys that a program's user has set, under the names that vendors give them"
    )]
    let value = names.iter().find_map(|name| std::env::var(name).ok());
    value.filter(|value| !value.is_empty()).map(Into::into)
}

impl Source for VenueSource {
    fn describe(mut self) -> Description {
        let Some(venue) = self.venue else {
            return Description {
                faults: self.faults,
                ..Description::feed(|_| Ok(Box::new(Nothing)))
            };
        };
        self.check(venue);
        let faults = std::mem::take(&mut self.faults);
        let catch_up = match self.mode {
            Mode::Live(catch_up) => Some(catch_up),
            Mode::History(_) => None,
        };
        let is_live = catch_up.is_some();
        let opening = if is_live {
            Opening::Live(Box::new(move |plan| Ok(open_live(self, venue, plan))))
        } else {
            Opening::Feed(Box::new(move |plan| {
                Box::pin(async move { open_history(self, venue, &plan) })
            }))
        };
        Description {
            faults,
            market: Some(venue.market),
            catch_up,
            is_live,
            opening,
        }
    }
}

fn open_live(
    source: VenueSource,
    venue: &'static Venue,
    plan: &super::SourcePlan,
) -> LiveSource<'static> {
    let quiet = idle_closing(&plan.specs, &plan.zone, plan.lateness);
    let batch_len_max = plan.batch_len_max;
    let VenueSource {
        symbols,
        keys: Keys { id, key },
        rest_url,
        socket_url,
        ..
    } = source;
    LiveSource {
        name: venue.name.to_owned(),
        symbols,
        checkpoint: None,
        open: Box::new(move |symbols| {
            Box::pin(async move {
                let mut history = (venue.history)(Keys {
                    id: id.clone(),
                    key: key.clone(),
                });
                history.base_url = rest_url.unwrap_or(history.base_url);
                let mut settings = (venue.live)(Keys { id, key });
                settings.url = socket_url.unwrap_or(settings.url);
                settings.quiet = quiet;
                settings.batch_len_max = batch_len_max;
                settings.seed = u64::from(std::process::id());
                let parts = LiveParts {
                    clock: Arc::new(SystemClock),
                    archive: Arc::new(HistorySource::new(&history)?),
                    tap: None,
                };
                Ok(LiveFeed::new(settings, &symbols, parts)?)
            })
        }),
    }
}

fn open_history(
    source: VenueSource,
    venue: &'static Venue,
    plan: &super::SourcePlan,
) -> Result<Box<dyn TradeFeed>, BoxError> {
    let mut asked = Asked::default();
    if let Mode::History(Some(period)) = source.mode {
        let (from, to) = period.resolve(&plan.zone)?;
        let hours = Hours {
            calendar: if venue.market.is_us_equity {
                Calendar::us_equities()?
            } else {
                Calendar::always_open()
            },
            kind: None,
            zone: plan.zone.clone(),
        };
        hours.ask(from, to, &mut asked)?;
    }
    let mut settings = (venue.history)(source.keys);
    settings.base_url = source.rest_url.unwrap_or(settings.base_url);
    settings.batch_len_max = plan.batch_len_max;
    let history = HistorySource::new(&settings)?;
    let range = |day: &crate::engine::asked::AskedDay| {
        let (from, to) = (day.from, day.to);
        let ranges = source.symbols.iter();
        ranges
            .map(move |&symbol| SymbolRange { symbol, from, to })
            .collect::<Vec<_>>()
    };
    let ranges = asked.days.iter().flat_map(range).collect();
    Ok(Box::new(HistoryFeed::new(&history, ranges)))
}

/// Stands for a source that cannot be opened; its faults end the description first.
#[derive(Debug)]
struct Nothing;

impl TradeFeed for Nothing {
    fn name(&self) -> &'static str {
        "nothing"
    }

    fn next_batch(
        &mut self,
    ) -> futures::future::BoxFuture<'_, Result<Option<crate::TradeBatch>, crate::FeedError>> {
        Box::pin(async { Ok(None) })
    }
}

/// A venue that can be played.
pub(super) struct SimulatedVenue {
    pub(super) market: Market,
    pub(super) plays: Played,
    /// The settings of its clients, for a simulator at an address.
    pub(super) settings: Box<dyn Fn(SocketAddr) -> (HistorySettings, LiveSettings) + Send>,
}

impl fmt::Debug for SimulatedVenue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimulatedVenue").field(&self.plays).finish()
    }
}

/// Finds a venue to play by its name.
pub(super) fn simulated_venue(name: &str) -> Result<SimulatedVenue, BoxError> {
    let venue = VENUES.into_iter().find(|venue| venue.name == name);
    let venue = venue.ok_or_else(|| UnknownVenueError {
        name: name.to_owned(),
    })?;
    let keys = || Keys {
        id: Some("simulated".into()),
        key: Some("simulated".into()),
    };
    Ok(SimulatedVenue {
        market: venue.market,
        plays: venue.plays,
        settings: Box::new(move |address| {
            let (mut history, mut live) = ((venue.history)(keys()), (venue.live)(keys()));
            history.base_url = format!("http://{address}");
            live.url = format!("ws://{address}/{}", venue.path);
            (history, live)
        }),
    })
}

macro_rules! venues {
    ($($(#[$doc:meta])* $name:ident = $venue:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl $name {
            #[doc = concat!("Listens to symbols of ", stringify!($name), "; see [`VenueSource::live`].")]
            pub fn live(symbols: impl IntoIterator<Item = impl AsRef<str>>) -> VenueSource {
                VenueSource::live($venue, symbols)
            }

            #[doc = concat!("Reads a period of the history of ", stringify!($name), "; see [`VenueSource::history`].")]
            pub fn history(
                symbols: impl IntoIterator<Item = impl AsRef<str>>,
                period: &str,
            ) -> VenueSource {
                VenueSource::history($venue, symbols, period)
            }
        }
    )+};
}

venues! {
    /// US equities of Massive, formerly Polygon; needs a key.
    Massive = "massive";
    /// US equities of Alpaca; needs a key and its id.
    Alpaca = "alpaca";
    /// Binance spot: `barmill::Binance::live(["BTCUSDT"])`.
    Binance = "binance";
    /// Coinbase: `barmill::Coinbase::live(["BTC-USD"])`.
    Coinbase = "coinbase";
    /// Kraken spot: `barmill::Kraken::live(["BTC/USD"])`.
    Kraken = "kraken";
}
