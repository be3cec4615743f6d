//! `[source.NAME]`: the settings of one venue's history and live trades.
//!
//! Each venue has a section: the keys that all of them have, with the venue's own defaults and ranges, then the
//! variables that hold its secrets, then the keys that only it has. All of it follows from what the venue's folder
//! declares (`barmill_sources::venue::Venue`). Secrets are no settings: a section names the variables that hold them.

use super::ValueError;
use super::section::{Section, SetError, not_a_choice, section};
use super::value::{Setting, Value, VariableName, not_allowed, quoted, read_in};
use barmill_sources::venue::{self, SettingKind, VENUES, Venue, VenueSettings};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// A venue that trades come from.
pub type SourceName = &'static Venue;

/// The names as one text, such as `a, b or c`.
pub fn source_choices() -> String {
    let names = Venue::names();
    let [others @ .., last] = &names;
    format!("{} or {last}", others.join(", "))
}

/// Takes a name.
///
/// # Errors
/// [`ValueError::NotAllowed`] with the names there are.
pub fn source_name(text: &str) -> Result<SourceName, ValueError> {
    Venue::by_name(text).ok_or_else(|| not_a_choice(text, &Venue::names()))
}

impl Setting for SourceName {
    fn read(value: &Value) -> Result<SourceName, ValueError> {
        source_name(value.text()?)
    }

    fn show(&self) -> String {
        quoted(self.name)
    }
}

section! {
    /// What the sections of all venues have; the defaults of each venue replace those that stand here.
    CommonSource, "source" {
        /// Scheme, host, port and path prefix of the venue or of a proxy before it.
        base_url: String = String::new();
        /// Requests a minute that the plan allows, retries included, or what the venue counts instead.
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
        ws_url: String = String::new();
        /// Symbols of one live connection, 0 (all of them) to 1,000,000; more take more connections.
        symbols_per_connection: usize = 0, 0..=1_000_000;
    }
}

/// The section of one venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    venue: &'static Venue,
    /// `source.NAME`, with the venue's name.
    name: String,
    /// What all venues have.
    pub common: CommonSource,
    /// What only this venue has, by key: the variables that hold its secrets, and its own settings.
    own: BTreeMap<&'static str, String>,
}

impl Source {
    fn new(venue: &'static Venue) -> Source {
        let (history, live) = (&venue.history, &venue.live);
        let common = CommonSource {
            base_url: history.base_url.to_owned(),
            requests_per_minute: history.requests_per_minute,
            page_len: history.page_len_max,
            settle_s: history.settle_s,
            ws_url: live.url.to_owned(),
            symbols_per_connection: live.symbols_per_connection,
            ..CommonSource::default()
        };
        let secrets = venue.secrets.iter();
        let secrets = secrets.map(|secret| (secret.setting, secret.variable));
        let settings = venue.settings.iter();
        let settings = settings.map(|setting| (setting.name, setting.default));
        let own = secrets.chain(settings);
        Source {
            venue,
            name: format!("source.{}", venue.name),
            common,
            own: own.map(|(key, text)| (key, text.to_owned())).collect(),
        }
    }

    /// Whether the address is the venue's own, and not that of a proxy.
    pub fn is_own_host(&self) -> bool {
        self.common.base_url == self.venue.history.base_url
    }

    /// The venue's secrets, each with the name of the variable that holds it.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static venue::Secret, &str)> {
        let secrets = self.venue.secrets.iter();
        secrets.map(|secret| (secret, self.own[secret.setting].as_str()))
    }

    /// What only this venue has, without its secrets.
    pub fn venue_settings(&self) -> VenueSettings {
        let mut settings = VenueSettings::new(self.venue);
        settings.page_len = self.common.page_len;
        for setting in self.venue.settings {
            // The venue has the setting, since this section was made of it.
            let _known = settings.set(setting.name, self.own[setting.name].as_str());
        }
        settings
    }

    fn set_own(&mut self, key: &str, value: &Value) -> Result<(), SetError> {
        let Some(held) = self.own.get_mut(key) else {
            return self.common.set(key, value);
        };
        let mut settings = self.venue.settings.iter();
        *held = match settings.find(|setting| setting.name == key) {
            Some(setting) => read_own(setting.kind, value)?,
            None => VariableName::read(value)?.to_string(),
        };
        Ok(())
    }
}

impl Section for Source {
    fn name(&self) -> &str {
        &self.name
    }

    /// Those of all venues, then its secrets', then its own.
    fn keys(&self) -> Vec<&'static str> {
        let secrets = self.venue.secrets.iter().map(|secret| secret.setting);
        let own = self.venue.settings.iter().map(|setting| setting.name);
        self.common
            .keys()
            .into_iter()
            .chain(secrets)
            .chain(own)
            .collect()
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), SetError> {
        let (history, common) = (&self.venue.history, &mut self.common);
        let requests = history.requests_per_minute_min..=10_000_000;
        let page = history.page_len_min..=history.page_len_max;
        match key {
            "requests_per_minute" => common.requests_per_minute = read_in(value, &requests)?,
            "page_len" => common.page_len = read_in(value, &page)?,
            "base_url" => common.base_url = BASE_URL.read(value)?,
            "ws_url" => common.ws_url = SOCKET_URL.read(value)?,
            _ => return self.set_own(key, value),
        }
        Ok(())
    }

    fn show(&self, key: &str) -> Option<String> {
        match self.own.get(key) {
            Some(text) => Some(quoted(text)),
            None => self.common.show(key),
        }
    }
}

fn read_own(kind: SettingKind, value: &Value) -> Result<String, ValueError> {
    let text = value.text()?;
    let (is_right, allowed) = match kind {
        SettingKind::Choice(names) if names.contains(&text) => (true, ""),
        SettingKind::Choice(names) => return Err(not_a_choice(text, names)),
        SettingKind::Word => (
            is_word(text),
            "one or more printable ASCII characters without white space",
        ),
        // Without it every symbol would get the same trades.
        SettingKind::TickerPath => (
            is_word(text) && text.contains("{ticker}") && !text.contains(['?', '#']),
            "a path with {ticker} in it, such as /v3/trades/{ticker}",
        ),
    };
    if is_right {
        Ok(text.to_owned())
    } else {
        Err(not_allowed(text, allowed))
    }
}

/// The place of a venue among all.
fn index(venue: SourceName) -> usize {
    let place = VENUES.iter().position(|known| *known == venue);
    place.unwrap_or(VENUES.len())
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
        &self.0[index(name)]
    }

    /// Every section.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Source> {
        self.0.iter_mut()
    }
}

/// What an address of a venue may be: encrypted, or to this machine only, as keys are sent there.
struct AddressForm {
    /// With encryption and without.
    schemes: [&'static str; 2],
    /// What may hold a key and must not be in it.
    refused: &'static [char],
    allowed: &'static str,
}

const BASE_URL: AddressForm = AddressForm {
    schemes: ["https://", "http://"],
    refused: &['@', '?', '#'],
    allowed: "https://HOST or http://127.0.0.1:PORT with a path at most",
};
const SOCKET_URL: AddressForm = AddressForm {
    schemes: ["wss://", "ws://"],
    refused: &['@', '#'],
    allowed: "wss://HOST or ws://127.0.0.1:PORT, without user and fragment",
};

impl AddressForm {
    fn read(&self, value: &Value) -> Result<String, ValueError> {
        let text = value.text()?;
        let [encrypted, plain] = self.schemes;
        let is_safe = text.starts_with(encrypted) || text.strip_prefix(plain).is_some_and(is_here);
        if is_safe && is_word(text) && !text.contains(self.refused) {
            Ok(text.to_owned())
        } else {
            Err(ValueError::Hidden {
                allowed: self.allowed,
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

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
