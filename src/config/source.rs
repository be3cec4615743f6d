//! `[source.NAME]`: how one venue's history is asked for.
//!
//! The rates are those of the venues' public documents with room to spare; a plan that allows more or less is a
//! setting. Keys are no settings: a section names the variables that hold them.

use super::ValueError;
use super::section::{choice, section};
use super::value::{Setting, Show, Value, VariableName, quoted};
use std::net::Ipv4Addr;

choice! {
    /// A venue whose history can be fetched.
    SourceName {
        /// Massive, formerly Polygon, or a proxy of it.
        Massive = "massive",
        /// Alpaca.
        Alpaca = "alpaca",
        /// Binance spot.
        Binance = "binance",
        /// Coinbase Exchange.
        Coinbase = "coinbase",
        /// Kraken spot.
        Kraken = "kraken",
    }
}

impl SourceName {
    /// Takes a name.
    ///
    /// # Errors
    /// [`ValueError::NotAllowed`] with the names there are.
    pub fn parse(text: &str) -> Result<SourceName, ValueError> {
        SourceName::read(&Value::Given(text.to_owned()))
    }

    /// Whether the venue trades US equities, in the hours and the zone of their exchanges; else it never closes.
    pub const fn is_us_equity(self) -> bool {
        match self {
            SourceName::Massive | SourceName::Alpaca => true,
            SourceName::Binance | SourceName::Coinbase | SourceName::Kraken => false,
        }
    }
}

/// Declares the section of one source: what all of them have, then its own keys.
macro_rules! source {
    (
        $(#[$about:meta])*
        $type:ident, $name:literal, $url:literal, $rate:literal, $rates:expr, $page:literal, $pages:expr, $settle:literal,
        $ws:literal, $per:literal {
            $( $(#[$doc:meta])* $key:ident : $value:ty = $default:expr; )*
        }
    ) => {
        section! {
            $(#[$about])*
            $type, $name {
                /// Scheme, host, port and path prefix of the venue or of a proxy before it.
                base_url: BaseUrl = BaseUrl($url.to_owned());
                /// Requests a minute that the plan allows, retries included; for Binance weight a minute.
                requests_per_minute: u32 = $rate, $rates;
                /// Trades of one page.
                page_len: usize = $page, $pages;
                /// Symbols fetched at the same time, 1 to 1,000; memory is two pages of each.
                symbols_in_flight: usize = 4, 1..=1_000;
                /// Bytes of the largest page after decompression, one kibibyte to one gibibyte.
                page_bytes_max: usize = 67_108_864, 1_024..=1_073_741_824;
                /// Milliseconds to connect, TLS included, 1 to 10 minutes.
                connect_timeout_ms: u64 = 10_000, 1..=600_000;
                /// Milliseconds of silence of the venue, 1 to 10 minutes.
                read_timeout_ms: u64 = 15_000, 1..=600_000;
                /// Milliseconds of one attempt from start to end, 1 to one hour.
                timeout_ms: u64 = 60_000, 1..=3_600_000;
                /// Attempts of one page, the first included, 1 to 1,000.
                attempts_max: u32 = 8, 1..=1_000;
                /// Milliseconds before the second attempt, 1 to one minute; doubles with each further one.
                backoff_ms: u64 = 500, 1..=60_000;
                /// Seconds after its end from which on a day counts as over, 0 to one day.
                settle_s: u64 = $settle, 0..=86_400;
                /// Address of the live trades.
                ws_url: WsUrl = WsUrl($ws.to_owned());
                /// Symbols of one live connection, 0 (all of them) to 1,000,000; more take more connections.
                symbols_per_connection: usize = $per, 0..=1_000_000;
                $( $(#[$doc])* $key: $value = $default; )*
            }
        }
    };
}

source! {
    /// Massive's history, or that of a proxy of it.
    MassiveSource, "source.massive", "https://api.massive.com", 1_200, 1..=10_000_000, 50_000, 2..=50_000, 1_200,
    "wss://socket.massive.com/stocks", 0 {
        /// The variable that holds the key; where it is this one, `POLYGON_API_KEY` is looked at as well.
        key_env: VariableName = VariableName::known("MASSIVE_API_KEY");
        /// The header that carries the key; `authorization` gets it as a bearer token, any other the key alone.
        key_header: Word = Word("authorization".to_owned());
        /// Path below the base URL; `{ticker}` stands for the symbol.
        path: TickerPath = TickerPath("/v3/trades/{ticker}".to_owned());
        /// Where the rows lie in the reply, as names joined by points.
        wrap: Word = Word("results".to_owned());
        /// How pages follow each other.
        paging: Paging = Paging::Cursor;
    }
}

source! {
    /// Alpaca's history.
    AlpacaSource, "source.alpaca", "https://data.alpaca.markets", 200, 1..=10_000_000, 10_000, 2..=10_000, 1_200,
    "wss://stream.data.alpaca.markets/v2/{feed}", 0 {
        /// The variable that holds the id of the key.
        key_id_env: VariableName = VariableName::known("APCA_API_KEY_ID");
        /// The variable that holds the secret of the key.
        secret_key_env: VariableName = VariableName::known("APCA_API_SECRET_KEY");
        /// The feed.
        feed: Word = Word("sip".to_owned());
    }
}

source! {
    /// Binance's spot history.
    BinanceSource, "source.binance", "https://api.binance.com", 4_800, 25..=10_000_000, 1_000, 2..=1_000, 60,
    "wss://stream.binance.com:9443/stream?timeUnit=MICROSECOND", 1_000 {
        /// The variable that holds the key, for those who have one.
        key_env: VariableName = VariableName::known("BINANCE_API_KEY");
        /// Which of the two histories.
        trades: BinanceHistory = BinanceHistory::Aggregate;
    }
}

source! {
    /// Coinbase Exchange's history.
    CoinbaseSource, "source.coinbase", "https://api.exchange.coinbase.com", 480, 1..=10_000_000, 1_000, 3..=1_000, 60,
    "wss://ws-feed.exchange.coinbase.com", 200 {
        /// The interface that `ws_url` speaks.
        interface: CoinbaseInterface = CoinbaseInterface::Exchange;
    }
}

source! {
    /// Kraken's spot history.
    KrakenSource, "source.kraken", "https://api.kraken.com", 60, 1..=10_000_000, 1_000, 2..=1_000, 60,
    "wss://ws.kraken.com/v2", 200 {}
}

/// The sources, each with its section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// Massive.
    pub massive: MassiveSource,
    /// Alpaca.
    pub alpaca: AlpacaSource,
    /// Binance.
    pub binance: BinanceSource,
    /// Coinbase.
    pub coinbase: CoinbaseSource,
    /// Kraken.
    pub kraken: KrakenSource,
}

choice! {
    /// How Massive's pages follow each other.
    Paging {
        /// By the vendor's cursor.
        Cursor = "cursor",
        /// By asking again from the last timestamp, for proxies that drop cursors.
        Restart = "restart",
    }
}

choice! {
    /// Which of Binance's histories is read.
    BinanceHistory {
        /// The fills of one taker order at one price as one trade.
        Aggregate = "aggregate",
        /// Every fill.
        Single = "single",
    }
}

choice! {
    /// Which of Coinbase's two live interfaces is spoken.
    CoinbaseInterface {
        /// Exchange: `matches`.
        Exchange = "exchange",
        /// Advanced Trade: `market_trades`.
        Advanced = "advanced",
    }
}

/// The address of live trades; `ws` to this machine only, as keys are sent over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WsUrl(String);

impl WsUrl {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Show for WsUrl {
    fn show(&self) -> String {
        quoted(&self.0)
    }
}

impl Setting for WsUrl {
    fn read(value: &Value) -> Result<WsUrl, ValueError> {
        let text = value.text()?;
        let is_safe = text.starts_with("wss://") || text.strip_prefix("ws://").is_some_and(is_here);
        if is_safe && is_word(text) && !text.contains(['@', '#']) {
            Ok(WsUrl(text.to_owned()))
        } else {
            Err(ValueError::Hidden {
                allowed: "wss://HOST or ws://127.0.0.1:PORT, without user and fragment",
            })
        }
    }
}

/// Whether the host that an address begins with is this machine.
fn is_here(address: &str) -> bool {
    let host = address.split(['/', '?']).next().unwrap_or_default();
    if host == "[::1]" || host.starts_with("[::1]:") {
        return true;
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    let is_loopback = |address: Ipv4Addr| address.is_loopback();
    name == "localhost" || name.parse().is_ok_and(is_loopback)
}

/// An address without user, password, query and fragment, which may hold a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Show for BaseUrl {
    fn show(&self) -> String {
        quoted(&self.0)
    }
}

impl Setting for BaseUrl {
    fn read(value: &Value) -> Result<BaseUrl, ValueError> {
        let text = value.text()?;
        let is_safe =
            text.starts_with("https://") || text.strip_prefix("http://").is_some_and(is_here);
        if is_safe && is_word(text) && !text.contains(['@', '?', '#']) {
            Ok(BaseUrl(text.to_owned()))
        } else {
            Err(ValueError::Hidden {
                allowed: "https://HOST or http://127.0.0.1:PORT with a path at most",
            })
        }
    }
}

/// A text of printable ASCII without white space; at least one character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(String);

impl Word {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Show for Word {
    fn show(&self) -> String {
        quoted(&self.0)
    }
}

impl Setting for Word {
    fn read(value: &Value) -> Result<Word, ValueError> {
        let text = value.text()?;
        if is_word(text) {
            Ok(Word(text.to_owned()))
        } else {
            Err(ValueError::NotAllowed {
                value: text.to_owned(),
                allowed: "one or more printable ASCII characters without white space".to_owned(),
                nearest: None,
            })
        }
    }
}

/// A path in which `{ticker}` stands for the symbol; without it every symbol would get the same trades.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickerPath(String);

impl TickerPath {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Show for TickerPath {
    fn show(&self) -> String {
        quoted(&self.0)
    }
}

impl Setting for TickerPath {
    fn read(value: &Value) -> Result<TickerPath, ValueError> {
        let text = value.text()?;
        if is_word(text) && text.contains("{ticker}") && !text.contains(['?', '#']) {
            Ok(TickerPath(text.to_owned()))
        } else {
            Err(ValueError::NotAllowed {
                value: text.to_owned(),
                allowed: "a path with {ticker} in it, such as /v3/trades/{ticker}".to_owned(),
                nearest: None,
            })
        }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::{BaseUrl, Setting, SourceName, TickerPath, Value, Word, WsUrl};

    fn given(text: &str) -> Value {
        Value::Given(text.to_owned())
    }

    #[test]
    fn address_that_may_hold_a_key_is_refused_unseen() {
        assert!(BaseUrl::read(&given("http://127.0.0.1:8080/proxy")).is_ok());
        assert!(
            BaseUrl::read(&given("http://[::1]:1")).is_ok()
                && BaseUrl::read(&given("https://host/x")).is_ok()
        );
        for text in [
            "https://k@host",
            "https://host/?apiKey=hunter2",
            "https://host#k",
            "http://host",
            "http://127.0.0.1.evil.example/",
            "host",
            "ftp://host",
            "",
        ] {
            let error = BaseUrl::read(&given(text)).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn live_address_is_encrypted_beyond_this_machine() {
        for text in [
            "wss://host/x?y=z",
            "ws://127.0.0.1:8080/stream",
            "ws://localhost/",
            "ws://[::1]:1/",
        ] {
            assert!(WsUrl::read(&given(text)).is_ok(), "{text}");
        }
        for text in [
            "ws://host",
            "ws://127.0.0.1.evil.example/",
            "https://host",
            "wss://k@host",
            "",
        ] {
            assert!(WsUrl::read(&given(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn word_has_no_white_space() {
        assert!(Word::read(&given("data.results")).is_ok());
        assert!(Word::read(&given("a b")).is_err() && Word::read(&given("")).is_err());
    }

    #[test]
    fn path_names_the_symbol() {
        assert!(TickerPath::read(&given("/polygon/{ticker}/trades")).is_ok());
        for text in ["", "/v3/trades", "/v3/{ticker}?x=y", "/v3/{ticker} "] {
            assert!(TickerPath::read(&given(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn mistyped_source_is_met_with_the_nearest() {
        let error = SourceName::parse("masive").unwrap_err();
        insta::assert_snapshot!(error, @r#""masive" is not known, allowed is massive, alpaca, binance, coinbase, kraken, did you mean "massive"?"#);
    }
}
