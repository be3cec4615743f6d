//! The settings of a history source, with the defaults of each venue.
//!
//! Rates are those of the venues' public documents of 2026 with room to spare; a plan that allows more
//! or less is a setting. `HistorySource::new` checks them.

use secrecy::SecretString;
use std::time::Duration;

/// How one venue's history is asked for.
#[derive(Debug, Clone)]
pub struct HistorySettings {
    /// Scheme, host, port and path prefix of the venue or of a proxy before it; `https`, or `http` on loopback.
    pub base_url: String,
    /// Requests per minute that the plan allows, at least 1; for Binance, weight per minute.
    pub rate_per_min: u32,
    /// Symbols fetched at the same time, at least 1; memory is this many pages.
    pub symbols_in_flight: usize,
    /// Trades of the largest batch, at least 1.
    pub batch_len_max: usize,
    /// Bytes of the largest page after decompression.
    pub page_bytes_max: usize,
    /// Longest wait for a connection, TLS included.
    pub connect_timeout: Duration,
    /// Longest silence of the venue.
    pub read_timeout: Duration,
    /// Longest time of one attempt, from the first byte sent to the last received.
    pub total_timeout: Duration,
    /// Attempts per page, the first included; at least 1.
    pub attempts_max: u32,
    /// Wait before the second attempt; doubled before each later one, the half of it random.
    pub backoff_base: Duration,
    /// Longest wait between attempts that the venue did not ask for.
    pub backoff_max: Duration,
    /// Longest wait granted to a venue that asks for one.
    pub retry_after_max: Duration,
    /// Seed of the random half of the waits.
    pub seed: u64,
    /// Whether a row that cannot be read is counted and left out, instead of ending its symbol.
    pub skip_malformed: bool,
    /// What only this venue has.
    pub venue: VenueSettings,
}

/// What only one venue has.
#[derive(Debug, Clone)]
pub enum VenueSettings {
    /// Massive, formerly Polygon, or a proxy of it.
    Massive(MassiveSettings),
    /// Alpaca.
    Alpaca(AlpacaSettings),
    /// Binance spot.
    Binance(BinanceSettings),
    /// Coinbase Exchange.
    Coinbase(CoinbaseSettings),
    /// Kraken spot.
    Kraken(KrakenSettings),
}

/// How Massive's pages follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MassivePaging {
    /// By `next_url`.
    Cursor,
    /// By asking again from the last SIP timestamp, inclusive: for proxies that drop cursors.
    Restart,
}

/// Massive: `/v3/trades/{ticker}`.
#[derive(Debug, Clone)]
pub struct MassiveSettings {
    /// The key, sent in a header only; without one the header is left out.
    pub key: Option<SecretString>,
    /// Name of the key's header; `authorization` gets the key as a bearer token, any other the key alone.
    pub key_header: String,
    /// Path below the base URL; `{ticker}` stands for the symbol.
    pub path: String,
    /// Where the rows lie in the reply, as names joined by points.
    pub wrap: String,
    /// How pages follow each other.
    pub paging: MassivePaging,
    /// Trades per page, 2 to 50,000.
    pub page_len: usize,
}

/// Alpaca: `/v2/stocks/trades`.
#[derive(Debug, Clone)]
pub struct AlpacaSettings {
    /// `APCA-API-KEY-ID`.
    pub key_id: Option<SecretString>,
    /// `APCA-API-SECRET-KEY`.
    pub secret_key: Option<SecretString>,
    /// The feed: `sip`, `iex`, `otc` or `boats`.
    pub feed: String,
    /// Trades per page, 2 to 10,000.
    pub page_len: usize,
}

/// Which of Binance's two histories is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinanceTrades {
    /// `/api/v3/aggTrades`: the fills of one taker order at one price are one row.
    Aggregate,
    /// `/api/v3/historicalTrades`: every fill.
    Single,
}

/// Binance spot.
#[derive(Debug, Clone)]
pub struct BinanceSettings {
    /// `X-MBX-APIKEY`, for those who have one.
    pub key: Option<SecretString>,
    /// Which history.
    pub trades: BinanceTrades,
    /// Trades per page, 2 to 1,000.
    pub page_len: usize,
}

/// Coinbase Exchange: `/products/{id}/trades`.
#[derive(Debug, Clone)]
pub struct CoinbaseSettings {
    /// Trades per page, 3 to 1,000.
    pub page_len: usize,
}

/// Kraken: `/0/public/Trades`.
#[derive(Debug, Clone)]
pub struct KrakenSettings {
    /// Trades per page, 2 to 1,000.
    pub page_len: usize,
}

impl HistorySettings {
    /// Massive by its own host and cursors.
    pub fn massive(key: Option<SecretString>) -> HistorySettings {
        let venue = MassiveSettings {
            key,
            key_header: "authorization".into(),
            path: "/v3/trades/{ticker}".into(),
            wrap: "results".into(),
            paging: MassivePaging::Cursor,
            page_len: 50_000,
        };
        HistorySettings::of(
            "https://api.massive.com",
            1_200,
            VenueSettings::Massive(venue),
        )
    }

    /// Alpaca's SIP feed.
    pub fn alpaca(
        key_id: Option<SecretString>,
        secret_key: Option<SecretString>,
    ) -> HistorySettings {
        let venue = AlpacaSettings {
            key_id,
            secret_key,
            feed: "sip".into(),
            page_len: 10_000,
        };
        HistorySettings::of(
            "https://data.alpaca.markets",
            200,
            VenueSettings::Alpaca(venue),
        )
    }

    /// Binance spot.
    pub fn binance(trades: BinanceTrades) -> HistorySettings {
        let venue = BinanceSettings {
            key: None,
            trades,
            page_len: 1_000,
        };
        HistorySettings::of(
            "https://api.binance.com",
            4_800,
            VenueSettings::Binance(venue),
        )
    }

    /// Coinbase Exchange.
    pub fn coinbase() -> HistorySettings {
        let venue = CoinbaseSettings { page_len: 1_000 };
        HistorySettings::of(
            "https://api.exchange.coinbase.com",
            480,
            VenueSettings::Coinbase(venue),
        )
    }

    /// Kraken spot.
    pub fn kraken() -> HistorySettings {
        let venue = KrakenSettings { page_len: 1_000 };
        HistorySettings::of("https://api.kraken.com", 60, VenueSettings::Kraken(venue))
    }

    fn of(base_url: &str, rate_per_min: u32, venue: VenueSettings) -> HistorySettings {
        HistorySettings {
            base_url: base_url.into(),
            rate_per_min,
            symbols_in_flight: 4,
            batch_len_max: 4_096,
            page_bytes_max: 64 << 20,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(15),
            total_timeout: Duration::from_mins(1),
            attempts_max: 8,
            backoff_base: Duration::from_millis(500),
            backoff_max: Duration::from_mins(1),
            retry_after_max: Duration::from_mins(5),
            seed: 0,
            skip_malformed: false,
            venue,
        }
    }
}
