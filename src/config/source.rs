//! `[source.NAME]`: the settings of one venue's history and live trades.
//!
//! Each venue has a section: the keys that all of them have, with the venue's own defaults and ranges, then the
//! variables that hold its secrets, then the keys that only it has. All of it follows from what the venue's folder
//! declares (`barmill_sources::venue::Venue`). Secrets are no settings: a section names the variables that hold them.

use super::ValueError;
use super::section::{Section, SetError, not_a_choice, section};
use super::value::{Setting, Show, Value, VariableName, quoted, read_in};
use barmill_sources::venue::{self, SettingKind, VENUES, Venue, VenueSettings};
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::LazyLock;

/// A venue that trades come from, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SourceName(&'static Venue);

impl SourceName {
    /// Every venue, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = SourceName> {
        VENUES.iter().copied().map(SourceName)
    }

    /// The names as one text, such as `a, b or c`.
    pub fn choices() -> String {
        let names: Vec<&str> = SourceName::all().map(SourceName::as_str).collect();
        match names.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        }
    }

    /// Takes a name.
    ///
    /// # Errors
    /// [`ValueError::NotAllowed`] with the names there are.
    pub fn parse(text: &str) -> Result<SourceName, ValueError> {
        let names: Vec<&str> = VENUES.iter().map(|venue| venue.name).collect();
        Venue::by_name(text)
            .map(SourceName)
            .ok_or_else(|| not_a_choice(text, &names))
    }

    /// The name in the config and on the command line.
    pub fn as_str(self) -> &'static str {
        self.0.name
    }

    /// What the venue says about itself.
    pub fn venue(self) -> &'static Venue {
        self.0
    }

    /// Whether the venue trades US equities, in the hours and the zone of their exchanges; else it never closes.
    pub fn is_us_equity(self) -> bool {
        self.0.is_us_equity()
    }

    /// Its place among all venues.
    fn index(self) -> usize {
        VENUES
            .iter()
            .position(|venue| *venue == self.0)
            .unwrap_or(VENUES.len())
    }
}

impl PartialOrd for SourceName {
    fn partial_cmp(&self, other: &SourceName) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SourceName {
    fn cmp(&self, other: &SourceName) -> std::cmp::Ordering {
        self.index().cmp(&other.index())
    }
}

impl fmt::Debug for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

section! {
    /// What the sections of all venues have; the defaults of each venue replace those that stand here.
    CommonSource, "source" {
        /// Scheme, host, port and path prefix of the venue or of a proxy before it.
        base_url: BaseUrl = BaseUrl(String::new());
        /// Requests a minute that the plan allows, retries included; for Binance weight a minute.
        requests_per_minute: u32 = 1, 1..=10_000_000;
        /// Trades of one page.
        page_len: usize = 1_000, 1..=50_000;
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
        settle_s: u64 = 60, 0..=86_400;
        /// Address of the live trades.
        ws_url: WsUrl = WsUrl(String::new());
        /// Symbols of one live connection, 0 (all of them) to 1,000,000; more take more connections.
        symbols_per_connection: usize = 0, 0..=1_000_000;
    }
}

/// The names of one section, made once of what its venue declares.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    /// Such as `source.kraken`.
    name: String,
    /// Its keys: those of all venues, then its secrets', then its own.
    keys: Vec<&'static str>,
    /// The same with the section's name before them.
    paths: Vec<String>,
}

static LAYOUTS: LazyLock<Vec<Layout>> = LazyLock::new(|| {
    let layout = |venue: &&'static Venue| {
        let name = format!("source.{}", venue.name);
        let common = CommonSource::default().keys();
        let secrets = venue.secrets.iter().map(|secret| secret.setting);
        let own = venue.settings.iter().map(|setting| setting.name);
        let keys: Vec<&str> = common.iter().copied().chain(secrets).chain(own).collect();
        let paths = keys.iter().map(|key| format!("{name}.{key}")).collect();
        Layout { name, keys, paths }
    };
    VENUES.iter().map(layout).collect()
});

/// The section of one venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    venue: &'static Venue,
    layout: &'static Layout,
    /// What all venues have.
    pub common: CommonSource,
    /// The variables that hold the venue's secrets, in its order.
    variables: Vec<VariableName>,
    /// The values of its own settings, in its order.
    values: Vec<String>,
}

impl Source {
    fn new(venue: &'static Venue) -> Source {
        let (history, live) = (&venue.history, &venue.live);
        let common = CommonSource {
            base_url: BaseUrl(history.base_url.to_owned()),
            requests_per_minute: history.requests_per_minute,
            page_len: history.page_len_max,
            settle_s: history.settle_s,
            ws_url: WsUrl(live.url.to_owned()),
            symbols_per_connection: live.symbols_per_connection,
            ..CommonSource::default()
        };
        Source {
            venue,
            layout: &LAYOUTS[SourceName(venue).index()],
            common,
            variables: venue
                .secrets
                .iter()
                .map(|secret| VariableName::known(secret.variable))
                .collect(),
            values: venue
                .settings
                .iter()
                .map(|setting| setting.default.to_owned())
                .collect(),
        }
    }

    /// Whether the address is the venue's own, and not that of a proxy.
    pub fn is_own_host(&self) -> bool {
        self.common.base_url.as_str() == self.venue.history.base_url
    }

    /// A key with the section's name before it; the section's name for a key that it does not have.
    pub(super) fn path(&self, key: &str) -> &'static str {
        let index = self.layout.keys.iter().position(|known| *known == key);
        index.map_or(self.layout.name.as_str(), |index| {
            self.layout.paths[index].as_str()
        })
    }

    /// The venue's secrets, each with the variable that holds it.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static venue::Secret, &VariableName)> {
        self.venue.secrets.iter().zip(&self.variables)
    }

    /// What only this venue has, without its secrets.
    pub fn venue_settings(&self) -> VenueSettings {
        let mut settings = VenueSettings::new(self.venue);
        settings.page_len = self.common.page_len;
        for (setting, value) in self.venue.settings.iter().zip(&self.values) {
            // The venue has the setting, since this section was made of it.
            let _known = settings.set(setting.name, value.as_str());
        }
        settings
    }
}

impl Section for Source {
    fn name(&self) -> &'static str {
        &self.layout.name
    }

    fn keys(&self) -> &'static [&'static str] {
        &self.layout.keys
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), SetError> {
        let history = &self.venue.history;
        if key == "requests_per_minute" {
            let range = history.requests_per_minute_min..=10_000_000;
            self.common.requests_per_minute = read_in(value, &range).map_err(SetError::Value)?;
            return Ok(());
        }
        if key == "page_len" {
            let range = history.page_len_min..=history.page_len_max;
            self.common.page_len = read_in(value, &range).map_err(SetError::Value)?;
            return Ok(());
        }
        let mut secrets = self.venue.secrets.iter().zip(&mut self.variables);
        if let Some((_, variable)) = secrets.find(|(secret, _)| secret.setting == key) {
            *variable = VariableName::read(value).map_err(SetError::Value)?;
            return Ok(());
        }
        let mut settings = self.venue.settings.iter().zip(&mut self.values);
        if let Some((setting, held)) = settings.find(|(setting, _)| setting.name == key) {
            *held = read_own(setting.kind, value).map_err(SetError::Value)?;
            return Ok(());
        }
        self.common.set(key, value)
    }

    fn show(&self, key: &str) -> Option<String> {
        let mut secrets = self.secrets();
        if let Some((_, variable)) = secrets.find(|(secret, _)| secret.setting == key) {
            return Some(variable.show());
        }
        let mut settings = self.venue.settings.iter().zip(&self.values);
        if let Some((_, value)) = settings.find(|(setting, _)| setting.name == key) {
            return Some(quoted(value));
        }
        self.common.show(key)
    }
}

fn read_own(kind: SettingKind, value: &Value) -> Result<String, ValueError> {
    let text = value.text()?;
    let allowed = match kind {
        SettingKind::Word if is_word(text) => return Ok(text.to_owned()),
        SettingKind::Word => "one or more printable ASCII characters without white space",
        SettingKind::TickerPath
            if is_word(text) && text.contains("{ticker}") && !text.contains(['?', '#']) =>
        {
            return Ok(text.to_owned());
        }
        // Without it every symbol would get the same trades.
        SettingKind::TickerPath => "a path with {ticker} in it, such as /v3/trades/{ticker}",
        SettingKind::Choice(names) if names.contains(&text) => return Ok(text.to_owned()),
        SettingKind::Choice(names) => return Err(not_a_choice(text, names)),
    };
    Err(ValueError::NotAllowed {
        value: text.to_owned(),
        allowed: allowed.to_owned(),
        nearest: None,
    })
}

/// The sections of all venues, in the order of the documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources(Vec<Source>);

impl Default for Sources {
    fn default() -> Sources {
        Sources(VENUES.iter().map(|venue| Source::new(venue)).collect())
    }
}

impl Sources {
    /// The section of a venue.
    pub fn of(&self, name: SourceName) -> &Source {
        &self.0[name.index()]
    }

    /// Every section.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Source> {
        self.0.iter_mut()
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

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::{BaseUrl, Setting, SettingKind, SourceName, Value, WsUrl, read_own};

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
        let read = |text| read_own(SettingKind::Word, &given(text));
        assert!(read("data.results").is_ok());
        assert!(read("a b").is_err() && read("").is_err());
    }

    #[test]
    fn path_names_the_symbol() {
        let read = |text| read_own(SettingKind::TickerPath, &given(text));
        assert!(read("/polygon/{ticker}/trades").is_ok());
        for text in ["", "/v3/trades", "/v3/{ticker}?x=y", "/v3/{ticker} "] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn mistyped_source_is_met_with_the_nearest() {
        let error = SourceName::parse("masive").unwrap_err();
        insta::assert_snapshot!(error, @r#""masive" is not known, allowed is massive, alpaca, binance, coinbase, kraken, did you mean "massive"?"#);
    }
}
