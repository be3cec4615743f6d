//! The descriptor of a venue: everything that the config, the command line and the docs need to know about it.
//!
//! A venue is one constant of type [`Venue`] in its folder and two lines in the list of the folder above, [`VENUES`]. Nothing outside its folder asks
//! which venue it is; whoever needs something of it finds it here.

use super::VENUES;
use super::history::VenueHistory;
use super::live::decoder::{DecodeFrame, Decoder};
use super::live::script::Script;
use super::simulate::Simulation;
use secrecy::{ExposeSecret, SecretString};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Whose days and hours a venue keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Market {
    /// The US exchanges: New York time, their holidays and early closes.
    UsEquities,
    /// Never closed; a day is a UTC day.
    AlwaysOpen,
}

/// What a key of a venue's own section may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// Printable ASCII without white space.
    Word,
    /// A path with `{ticker}` in it.
    TickerPath,
    /// One of these.
    Choice(&'static [&'static str]),
}

/// A key that only one venue's section has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its name in `[source.NAME]`.
    pub name: &'static str,
    /// What it may hold.
    pub kind: SettingKind,
    /// What it holds when nothing is said.
    pub default: &'static str,
}

/// A secret of a venue, which comes from the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secret {
    /// The key in `[source.NAME]` that names the variable.
    pub setting: &'static str,
    /// The variable by default.
    pub variable: &'static str,
    /// An older variable, looked at where the default one is not set.
    pub older: Option<&'static str>,
    /// Whether the venue's own host demands it; a proxy may add it by itself.
    pub is_needed: bool,
}

/// How a venue's history is asked for unless the config says otherwise.
#[derive(Debug, Clone, Copy)]
pub struct HistoryDefaults {
    /// Scheme, host and port.
    pub base_url: &'static str,
    /// Requests a minute, with room to spare below what the public documents allow; where requests have weights, weight a minute.
    pub requests_per_minute: u32,
    /// The least that can be set: what the heaviest request costs.
    pub requests_per_minute_min: u32,
    /// Trades of one page at most; also the default.
    pub page_len_max: usize,
    /// The least that can be set, so that pages can be proved to join.
    pub page_len_min: usize,
    /// Seconds after its end from which on a day counts as over.
    pub settle_s: u64,
}

/// How a venue's live trades are asked for unless the config says otherwise.
#[derive(Debug, Clone, Copy)]
pub struct LiveDefaults {
    /// The address; `{NAME}` stands for the venue's setting of that name.
    pub url: &'static str,
    /// Symbols of one connection; 0 for all of them.
    pub symbols_per_connection: usize,
    /// Time between two messages to the venue.
    pub message_every: Duration,
    /// Age at which a connection is replaced.
    pub lifetime: Option<Duration>,
    /// Whether the identities of a symbol's trades follow each other without a gap.
    pub is_contiguous: bool,
    /// Whether the socket sends corrections and cancels of earlier trades.
    pub has_corrections: bool,
    /// Nanoseconds that the times of the socket at this address are cut to.
    pub resolution_ns: fn(url: &str) -> i64,
}

type ScriptWriter = fn(&VenueSettings, &[&[&str]]) -> Script;

/// A venue. `Debug` shows its name.
pub struct Venue {
    /// Its name on the command line and in `[source.NAME]`.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Whose days and hours it keeps.
    pub market: Market,
    /// The tape rules that its own bars follow.
    pub rules: &'static str,
    /// Settings that decide which trades there are, so that bars made with others are not mixed with them.
    pub origin: &'static [&'static str],
    /// Its history.
    pub history: HistoryDefaults,
    /// Its live trades.
    pub live: LiveDefaults,
    /// Its secrets.
    pub secrets: &'static [Secret],
    /// The keys that only it has.
    pub settings: &'static [Setting],
    pub(crate) pages: &'static VenueHistory,
    pub(crate) write_script: ScriptWriter,
    pub(crate) decode: DecodeFrame,
    /// Its simulated side.
    pub simulation: Simulation,
}

impl Venue {
    /// The venue of a name.
    pub fn by_name(name: &str) -> Option<&'static Venue> {
        VENUES.iter().copied().find(|venue| venue.name == name)
    }

    /// A decoder of its live frames; each connection takes a new one.
    pub fn decoder(&self) -> Decoder {
        Decoder::new(self.decode)
    }

    /// The names of all venues, in the order of help texts.
    pub fn names() -> [&'static str; VENUES.len()] {
        VENUES.map(|venue| venue.name)
    }

    /// Whether the venue trades US equities, in the hours and the zone of their exchanges; else it never closes.
    pub fn is_us_equity(&self) -> bool {
        self.market == Market::UsEquities
    }
}

impl PartialEq for Venue {
    fn eq(&self, other: &Venue) -> bool {
        self.name == other.name
    }
}

impl Eq for Venue {}

impl PartialOrd for Venue {
    fn partial_cmp(&self, other: &Venue) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// In the order of help texts.
impl Ord for Venue {
    fn cmp(&self, other: &Venue) -> Ordering {
        let place = |one: &Venue| VENUES.iter().position(|venue| *venue == one);
        place(self).cmp(&place(other))
    }
}

impl fmt::Debug for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

/// What only one venue has: its own settings and its secrets. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct VenueSettings {
    venue: &'static Venue,
    /// Trades of one page.
    pub page_len: usize,
    values: BTreeMap<&'static str, String>,
    secrets: BTreeMap<&'static str, SecretString>,
}

/// A setting or secret that the venue does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{venue} has no setting {name}")]
pub struct UnknownSettingError {
    venue: &'static str,
    name: String,
}

impl VenueSettings {
    /// The venue's defaults, without secrets.
    pub fn new(venue: &'static Venue) -> VenueSettings {
        let default = |setting: &Setting| (setting.name, setting.default.to_owned());
        VenueSettings {
            venue,
            page_len: venue.history.page_len_max,
            values: venue.settings.iter().map(default).collect(),
            secrets: BTreeMap::new(),
        }
    }

    /// The venue.
    pub fn venue(&self) -> &'static Venue {
        self.venue
    }

    /// Changes one of the venue's own settings.
    ///
    /// # Errors
    /// [`UnknownSettingError`] when the venue has none of that name.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> Result<(), UnknownSettingError> {
        match self.values.get_mut(name) {
            Some(old) => {
                *old = value.into();
                Ok(())
            }
            None => Err(self.unknown(name)),
        }
    }

    /// Gives the secret whose variable the setting `name` names.
    ///
    /// # Errors
    /// [`UnknownSettingError`] when the venue has none of that name.
    pub fn set_secret(
        &mut self,
        name: &str,
        value: SecretString,
    ) -> Result<(), UnknownSettingError> {
        let secret = self.venue.secrets.iter().find(|one| one.setting == name);
        let secret = secret.ok_or_else(|| self.unknown(name))?;
        self.secrets.insert(secret.setting, value);
        Ok(())
    }

    /// One of the venue's own settings; empty for a name that it does not have.
    pub fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    pub(crate) fn secret(&self, name: &str) -> Option<&SecretString> {
        self.secrets.get(name)
    }

    /// The text of a secret for a message to the venue; empty where it is not given.
    pub(crate) fn exposed(&self, name: &str) -> &str {
        self.secret(name)
            .map_or("", |secret| secret.expose_secret())
    }

    /// The source that manifests name: the venue and the settings that decide which trades it gives.
    pub fn origin(&self) -> String {
        let words = self.venue.origin.iter().map(|name| self.get(name));
        std::iter::once(self.venue.name)
            .chain(words)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// An address with each `{NAME}` replaced by the setting of that name.
    pub fn filled_in(&self, address: &str) -> String {
        let fill = |text: String, (name, value): (&&str, &String)| {
            text.replace(&format!("{{{name}}}"), value)
        };
        self.values.iter().fold(address.to_owned(), fill)
    }

    fn unknown(&self, name: &str) -> UnknownSettingError {
        UnknownSettingError {
            venue: self.venue.name,
            name: name.to_owned(),
        }
    }
}
