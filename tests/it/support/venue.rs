//! Venues by name, with their settings and secrets, for feeds that are made without the program.

use barmill_sources::history::HistorySettings;
use barmill_sources::live::LiveSettings;
use barmill_sources::venue::{Venue, VenueSettings};

/// A venue's own settings; a name is that of a setting or of a secret.
pub(crate) fn venue(name: &str, values: &[(&str, &str)]) -> VenueSettings {
    let mut settings = VenueSettings::new(Venue::by_name(name).expect("a venue"));
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
