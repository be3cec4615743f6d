//! The settings of a live feed, with the defaults of each venue.
//!
//! Limits are those of the venues' public documents of 2026, with room to spare; `LiveFeed::new` checks them.

use crate::venue::VenueSettings;
use barmill_core::model::{Symbol, TradeKey};
use jiff::tz::TimeZone;
use std::time::Duration;

/// How one venue is listened to.
#[derive(Debug, Clone)]
pub struct LiveSettings {
    /// Address: `wss`, or `ws` on loopback and behind a proxy of one's own.
    pub url: String,
    /// The venue, its keys and its choices.
    pub venue: VenueSettings,
    /// Symbols of one connection, at least 1; more symbols take more connections.
    pub symbols_per_connection_max: usize,
    /// Symbols of one subscribe message, at least 1.
    pub symbols_per_message_max: usize,
    /// Least time between two messages to the venue.
    pub message_every: Duration,
    /// Bytes of the largest message from the venue.
    pub message_bytes_max: usize,
    /// Trades of the largest batch, at least 1.
    pub batch_len_max: usize,
    /// Trades that wait for a slow consumer; beyond it the connections are closed on purpose, and what is missed is
    /// fetched when half of them are gone.
    pub backlog_len_max: usize,
    /// Times of one connection.
    pub times: LiveTimes,
    /// How missed trades are fetched.
    pub gaps: GapSettings,
    /// When idle symbols are told to be so.
    pub idle_closing: IdleSettings,
    /// How far ahead of this machine's clock the time of a trade may be; a later one is malformed.
    pub clock_tolerance: Duration,
    /// Seed of the random part of the waits.
    pub seed: u64,
}

/// Times of one connection.
#[derive(Debug, Clone)]
pub struct LiveTimes {
    /// Longest wait for a connection, TLS and HTTP upgrade included, and for a message to be taken.
    pub connect_timeout: Duration,
    /// Longest wait from the connection to the last confirmed subscription.
    pub handshake_timeout: Duration,
    /// Time between two pings.
    pub ping_every: Duration,
    /// Longest time without any frame, pongs and heartbeats included.
    pub silence_max: Duration,
    /// Longest time without a trade, heartbeats ignored; doubled after each connection without one.
    pub stall_after: Duration,
    /// The doubled time's bound: a closed market is silent too.
    pub stall_after_max: Duration,
    /// Age at which a connection is given up before the venue ends it; `None` where the venue does not.
    pub lifetime: Option<Duration>,
    /// Bound of the first wait before a new connection; the wait is anything from half of its bound to it.
    pub backoff_base: Duration,
    /// Largest bound of such a wait.
    pub backoff_max: Duration,
    /// Age at which a connection has proved good, so that the next wait is a first one.
    pub stable_after: Duration,
    /// How long connections may be refused in a row for being too many, before that ends the feed: the venue may take
    /// minutes to notice that an earlier one is gone, be it of this process or of one that was killed.
    pub limit_wait: Duration,
}

/// How missed trades are fetched.
#[derive(Debug, Clone)]
pub struct GapSettings {
    /// Wait before a gap is fetched: trades out of order close it by themselves, and archives lag.
    pub wait: Duration,
    /// Wait after a new connection before a symbol without a trade is fetched.
    pub settle: Duration,
    /// Attempts per gap; then it stays open and is told.
    pub attempts_max: u32,
    /// Wait before the second attempt, doubled for each later one.
    pub backoff: Duration,
    /// Gaps fetched at the same time, at least 1.
    pub in_flight_max: usize,
    /// Trades of one answer, at least 2.
    pub len_max: usize,
    /// Live trades that wait behind the gaps of one symbol; those beyond it are fetched.
    pub held_len_max: usize,
    /// The same for the gaps of all symbols together.
    pub held_sum_max: usize,
    /// Event time read again before a gap, for venues without contiguous identities; also how far back trades are
    /// known by their identity.
    pub overlap: Duration,
}

/// When idle symbols are told to be so, that their bars close in time.
#[derive(Debug, Clone, Default)]
pub struct IdleSettings {
    /// What ends after a symbol's newest trade; none tells nothing.
    pub ends: Vec<IdleEnd>,
    /// How far the trades of one connection may be out of order among symbols.
    pub slack: Duration,
}

/// An end that an idle symbol is told to have reached.
#[derive(Debug, Clone)]
pub enum IdleEnd {
    /// Of the window of this length, aligned to the Unix epoch; where nothing comes at all, the archive is asked.
    Window(Duration),
    /// Of the civil day of this zone; the archive is asked likewise.
    Day(TimeZone),
    /// Of each such length again and again, as far as other symbols' trades show it; the archive is not asked.
    Steady(Duration),
}

/// What is listened to.
#[derive(Debug, Clone)]
pub enum LiveSymbols {
    /// Everything the venue has, over one connection; for venues whose identities are not contiguous.
    All,
    /// These, each from its own start; not empty.
    Named(Vec<LiveSymbol>),
}

/// One symbol and where it starts.
#[derive(Debug, Clone, Copy)]
pub struct LiveSymbol {
    /// The name as the venue writes it.
    pub symbol: Symbol,
    /// The last trade known, after which nothing may be missed; with [`TradeId::NONE`](barmill_core::model::TradeId::NONE) only
    /// its time counts. `None` starts with what comes.
    pub after: Option<TradeKey>,
}

/// Why settings are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LiveSettingsError {
    /// An address that is none; its text is left out, as it may hold a key.
    #[error("url is not a ws or wss address")]
    Url,
    /// A number below its least.
    #[error("{key} is {value}, at least {min} is needed")]
    TooSmall {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: usize,
        /// The least allowed.
        min: usize,
    },
    /// Nothing to listen to, or a venue that does not give everything.
    #[error("symbols are empty, or all are requested from a venue that needs names")]
    Symbols,
    /// The machine's trusted roots cannot be read.
    #[error("TLS cannot be set up: {reason}")]
    Tls {
        /// The cause.
        reason: String,
    },
}

impl LiveSettings {
    /// The defaults of a venue, with its own settings and secrets.
    pub fn new(venue: VenueSettings) -> LiveSettings {
        let defaults = &venue.venue().live;
        LiveSettings {
            url: venue.filled_in(defaults.url),
            symbols_per_connection_max: match defaults.symbols_per_connection {
                0 => usize::MAX,
                count => count,
            },
            symbols_per_message_max: 100,
            message_every: defaults.message_every,
            message_bytes_max: 16 << 20,
            batch_len_max: 4_096,
            backlog_len_max: 262_144,
            times: LiveTimes {
                lifetime: defaults.lifetime,
                ..LiveTimes::default()
            },
            gaps: GapSettings::default(),
            idle_closing: IdleSettings::default(),
            clock_tolerance: Duration::from_mins(5),
            seed: 0,
            venue,
        }
    }

    /// The venue's name.
    pub fn name(&self) -> &'static str {
        self.venue.venue().name
    }

    /// Whether identities of a symbol follow each other without a gap.
    pub(crate) fn is_contiguous(&self) -> bool {
        self.venue.venue().live.is_contiguous
    }

    /// Nanoseconds that the times of the socket are cut to.
    pub(crate) fn resolution_ns(&self) -> i64 {
        (self.venue.venue().live.resolution_ns)(&self.url)
    }

    /// Refuses settings that cannot work.
    pub(crate) fn check(&self, symbols: &LiveSymbols) -> Result<(), LiveSettingsError> {
        let least = [
            (
                "symbols_per_connection_max",
                self.symbols_per_connection_max,
                1,
            ),
            ("symbols_per_message_max", self.symbols_per_message_max, 1),
            ("message_bytes_max", self.message_bytes_max, 1 << 10),
            ("batch_len_max", self.batch_len_max, 1),
            ("backlog_len_max", self.backlog_len_max, 2),
            ("gaps.in_flight_max", self.gaps.in_flight_max, 1),
            ("gaps.len_max", self.gaps.len_max, 2),
            ("gaps.held_len_max", self.gaps.held_len_max, 1),
            ("gaps.held_sum_max", self.gaps.held_sum_max, 1),
        ];
        if let Some((key, value, min)) = least.into_iter().find(|(_, value, min)| value < min) {
            return Err(LiveSettingsError::TooSmall { key, value, min });
        }
        let is_possible = match symbols {
            LiveSymbols::All => !self.is_contiguous(),
            LiveSymbols::Named(symbols) => !symbols.is_empty(),
        };
        if is_possible {
            Ok(())
        } else {
            Err(LiveSettingsError::Symbols)
        }
    }
}

impl Default for LiveTimes {
    fn default() -> LiveTimes {
        LiveTimes {
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(30),
            ping_every: Duration::from_secs(15),
            silence_max: Duration::from_secs(45),
            stall_after: Duration::from_secs(30),
            stall_after_max: Duration::from_mins(30),
            lifetime: None,
            backoff_base: Duration::from_millis(500),
            backoff_max: Duration::from_mins(1),
            stable_after: Duration::from_secs(30),
            limit_wait: Duration::from_mins(5),
        }
    }
}

impl Default for GapSettings {
    fn default() -> GapSettings {
        GapSettings {
            wait: Duration::from_millis(500),
            settle: Duration::from_secs(5),
            attempts_max: 8,
            backoff: Duration::from_secs(1),
            in_flight_max: 4,
            len_max: 50_000,
            held_len_max: 65_536,
            held_sum_max: 262_144,
            overlap: Duration::from_secs(5),
        }
    }
}
