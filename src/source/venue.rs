//! Venues as sources: live trades, or the history of a period.

use super::{Description, Market, Opening, Source};
use crate::Symbol;
use crate::daemon::{CatchUp, LiveSource, idle_closing, live_feed, market_hours};
use crate::engine::requested::{Requested, RequestedDay};
use crate::faults::{BoxError, kept};
use crate::period::Period;
use crate::port::TradeFeed;
use barmill_sources::history::{HistoryFeed, HistorySettings, HistorySource, SymbolRange};
use barmill_sources::live::LiveSettings;
use barmill_sources::venue::{Secret, Venue, VenueSettings};
use secrecy::SecretString;

/// A venue that this library does not know.
#[derive(Debug, thiserror::Error)]
#[error("venue {name:?} is not one of {}", names())]
pub(super) struct UnknownVenueError {
    pub(super) name: String,
}

fn names() -> String {
    Venue::names().join(" ")
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

/// The market of a venue, as pipelines know markets.
pub(super) fn market(venue: &Venue) -> Market {
    Market {
        is_us_equity: venue.is_us_equity(),
        rules: venue.rules,
        corrects: venue.live.has_corrections,
    }
}

#[derive(Debug)]
enum Mode {
    Live(CatchUp),
    History(Option<Period>),
}

/// The trades of a venue, by its name or from a type such as [`Binance`].
///
/// A live source catches up first, fills the gaps of lost connections from the venue's history, and closes the bars of
/// quiet symbols in time. Keys come from the environment variables that [`VenueSource::key`] lists, or from its
/// argument.
///
/// To try it without an account, use [`SimulatedSource`](crate::SimulatedSource), or run `barmill simulate` and pass
/// its address to [`VenueSource::rest_url`] and [`VenueSource::socket_url`].
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
    /// Each secret that is known, by the setting that names its variable.
    keys: Vec<(&'static str, SecretString)>,
    rest_url: Option<String>,
    socket_url: Option<String>,
    faults: Vec<BoxError>,
}

impl VenueSource {
    /// Follows live trades of symbols, spelled as the venue does, such as `BTC/USD` at `kraken`.
    pub fn live(venue: &str, symbols: impl IntoIterator<Item = impl AsRef<str>>) -> VenueSource {
        VenueSource::named(venue, symbols, Mode::Live(CatchUp::default()))
    }

    /// Reads the history of symbols: a day such as `2025-10-15`, or `FROM..TO`, both days or instants such as
    /// `2025-10-15T13:30:00Z`, the end excluded.
    pub fn history(
        venue: &str,
        symbols: impl IntoIterator<Item = impl AsRef<str>>,
        period: &str,
    ) -> VenueSource {
        let mut source = VenueSource::named(venue, symbols, Mode::History(None));
        source.mode = Mode::History(kept(&mut source.faults, period.parse()));
        source
    }

    /// Sets where a live source without a checkpoint begins. Default [`CatchUp::Day`](crate::CatchUp::Day).
    #[must_use]
    pub fn catch_up(mut self, catch_up: CatchUp) -> VenueSource {
        if let Mode::Live(own) = &mut self.mode {
            *own = catch_up;
        }
        self
    }

    /// Sets the key. Default: the environment variable `MASSIVE_API_KEY` or `POLYGON_API_KEY` for Massive,
    /// `APCA_API_SECRET_KEY` for Alpaca; the other venues need none.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> VenueSource {
        let secret = self.venue.and_then(|venue| venue.secrets.last());
        self.set_secret(secret, key.into().into());
        self
    }

    /// Sets the id of the key, for Alpaca. Default: the environment variable `APCA_API_KEY_ID`.
    #[must_use]
    pub fn key_id(mut self, id: impl Into<String>) -> VenueSource {
        let secret = self.venue.and_then(|venue| match venue.secrets {
            [id, _] => Some(id),
            _ => None,
        });
        self.set_secret(secret, id.into().into());
        self
    }

    /// Sets the base URL of the REST interface, such as a proxy's: `https`, or `http` on this machine.
    #[must_use]
    pub fn rest_url(mut self, url: impl Into<String>) -> VenueSource {
        self.rest_url = Some(url.into());
        self
    }

    /// Sets the URL of the WebSocket: `wss`, or `ws` on this machine.
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
        let mut faults = Vec::new();
        let venue = Venue::by_name(name).ok_or_else(|| UnknownVenueError {
            name: name.to_owned(),
        });
        let venue = kept(&mut faults, venue);
        let parsed = symbols.into_iter().map(|one| one.as_ref().parse());
        let symbols = parsed.filter_map(|symbol| kept(&mut faults, symbol));
        let mut source = VenueSource {
            venue,
            symbols: symbols.collect(),
            mode,
            keys: Vec::new(),
            rest_url: None,
            socket_url: None,
            faults,
        };
        for secret in venue.map_or(&[][..], |venue| venue.secrets) {
            let names = [Some(secret.variable), secret.older];
            if let Some(value) = variable(names.into_iter().flatten()) {
                source.set_secret(Some(secret), value);
            }
        }
        source
    }

    fn set_secret(&mut self, secret: Option<&'static Secret>, value: SecretString) {
        if let Some(secret) = secret {
            self.keys.retain(|(setting, _)| *setting != secret.setting);
            self.keys.push((secret.setting, value));
        }
    }

    fn check(&mut self, venue: &'static Venue) {
        if self.symbols.is_empty() && self.faults.is_empty() {
            self.faults.push(Box::new(NoSymbolsError(venue.name)));
        }
        // A proxy may add the key by itself.
        let is_own_host = self.rest_url.is_none();
        for secret in venue.secrets.iter().filter(|secret| secret.is_needed) {
            let is_known = self.keys.iter().any(|(name, _)| *name == secret.setting);
            if is_own_host && !is_known {
                self.faults.push(Box::new(NoKeyError {
                    venue: venue.name,
                    variable: secret.variable,
                }));
            }
        }
    }

    /// What only this venue has, with its secrets.
    fn settings(&self, venue: &'static Venue) -> VenueSettings {
        let mut settings = VenueSettings::new(venue);
        for (name, secret) in &self.keys {
            // The venue has the secret: its own declaration named it.
            let _known = settings.set_secret(name, secret.clone());
        }
        settings
    }
}

/// The value of the first variable that is set.
fn variable(mut names: impl Iterator<Item = &'static str>) -> Option<SecretString> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the keys that a program's user has set, under the names that vendors give them"
    )]
    let value = names.find_map(|name| std::env::var(name).ok());
    value.filter(|value| !value.is_empty()).map(Into::into)
}

impl Source for VenueSource {
    fn describe(mut self) -> Description {
        let Some(venue) = self.venue else {
            return Description {
                faults: self.faults,
                ..Description::feed(|_| Err("venue is not known".into()))
            };
        };
        self.check(venue);
        let faults = std::mem::take(&mut self.faults);
        let catch_up = match self.mode {
            Mode::Live(catch_up) => Some(catch_up),
            Mode::History(_) => None,
        };
        let is_live = catch_up.is_some();
        let origin = self.settings(venue).origin();
        let opening = if is_live {
            Opening::Live(Box::new(move |plan| Ok(open_live(self, venue, plan))))
        } else {
            Opening::Feed(Box::new(move |plan| {
                Box::pin(async move { open_history(self, venue, &plan) })
            }))
        };
        Description {
            faults,
            origin,
            market: Some(market(venue)),
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
    let own = source.settings(venue);
    let VenueSource {
        symbols,
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
                let mut history = HistorySettings::new(own.clone());
                history.base_url = rest_url.unwrap_or(history.base_url);
                let mut settings = LiveSettings::new(own);
                settings.url = socket_url.unwrap_or(settings.url);
                settings.idle_closing = quiet;
                settings.batch_len_max = batch_len_max;
                settings.seed = u64::from(std::process::id());
                live_feed(settings, HistorySource::new(&history)?, &symbols)
            })
        }),
    }
}

fn open_history(
    source: VenueSource,
    venue: &'static Venue,
    plan: &super::SourcePlan,
) -> Result<Box<dyn TradeFeed>, BoxError> {
    let mut asked = Requested::default();
    if let Mode::History(Some(period)) = source.mode {
        let (from, to) = period.resolve(&plan.zone)?;
        let hours = market_hours(venue.is_us_equity(), None, plan.zone.clone())?;
        hours.ask(from, to, &mut asked)?;
    }
    let mut settings = HistorySettings::new(source.settings(venue));
    settings.base_url = source.rest_url.unwrap_or(settings.base_url);
    settings.batch_len_max = plan.batch_len_max;
    let history = HistorySource::new(&settings)?;
    let ranges = ranges(&source.symbols, &asked.days);
    Ok(Box::new(HistoryFeed::new(&history, ranges)))
}

/// The ranges of all symbols, day by day, so that the ranges of a symbol are in order of time.
pub(crate) fn ranges(symbols: &[Symbol], days: &[RequestedDay]) -> Vec<SymbolRange> {
    let of_day = |&RequestedDay { from, to, .. }: &RequestedDay| {
        let range = move |&symbol: &Symbol| SymbolRange { symbol, from, to };
        symbols.iter().map(range).collect::<Vec<_>>()
    };
    days.iter().flat_map(of_day).collect()
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
    ///
    /// See the example of [`VenueSource`](crate::VenueSource).
    Massive = "massive";
    /// US equities of Alpaca; needs a key and its id.
    ///
    /// See the example of [`VenueSource`](crate::VenueSource).
    Alpaca = "alpaca";
    /// Binance spot: `barmill::Binance::live(["BTCUSDT"])`.
    ///
    /// See the example of [`VenueSource`](crate::VenueSource).
    Binance = "binance";
    /// Coinbase: `barmill::Coinbase::live(["BTC-USD"])`.
    ///
    /// See the example of [`VenueSource`](crate::VenueSource).
    Coinbase = "coinbase";
    /// Kraken spot: `barmill::Kraken::live(["BTC/USD"])`.
    ///
    /// See the example of [`VenueSource`](crate::VenueSource).
    Kraken = "kraken";
}
