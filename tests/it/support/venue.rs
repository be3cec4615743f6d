//! Venues by name, with their settings and secrets, for feeds that are made without the program.

use barmill_sources::history::HistorySettings;
use barmill_sources::live::LiveSettings;
use barmill_sources::simulate::Numbering;
use barmill_sources::venue::{self, VenueSettings};

/// A venue's own settings; a name is that of a setting or of a secret.
pub(crate) fn venue(name: &str, values: &[(&str, &str)]) -> VenueSettings {
    let mut settings = VenueSettings::new(venue::Venue::by_name(name).expect("a venue"));
    for (name, value) in values {
        let secret = settings.set_secret(name, (*value).into());
        secret
            .or_else(|_| settings.set(name, *value))
            .expect("a setting or a secret");
    }
    settings
}

/// The history of a venue.
pub(crate) fn history(name: &str, values: &[(&str, &str)]) -> HistorySettings {
    HistorySettings::new(venue(name, values))
}

/// The live trades of a venue.
pub(crate) fn live(name: &str, values: &[(&str, &str)]) -> LiveSettings {
    LiveSettings::new(venue(name, values))
}

/// The venues that tests play, so that a test can say what each of them tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Venue {
    Massive,
    Alpaca,
    Binance,
    Coinbase,
    Kraken,
}

impl Venue {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Venue::Massive => "massive",
            Venue::Alpaca => "alpaca",
            Venue::Binance => "binance",
            Venue::Coinbase => "coinbase",
            Venue::Kraken => "kraken",
        }
    }

    /// Whether the numbers of a symbol's trades follow each other.
    pub(crate) fn is_contiguous(self) -> bool {
        self.described().simulation.numbering == Numbering::Contiguous
    }

    /// The venue with this description.
    pub(crate) fn of(described: &venue::Venue) -> Venue {
        let all = [
            Venue::Massive,
            Venue::Alpaca,
            Venue::Binance,
            Venue::Coinbase,
            Venue::Kraken,
        ];
        let mut all = all.into_iter();
        all.find(|venue| venue.name() == described.name)
            .expect("a venue of the tests")
    }

    /// What the venue says of itself.
    pub(crate) fn described(self) -> &'static venue::Venue {
        venue::Venue::by_name(self.name()).expect("a venue")
    }
}
