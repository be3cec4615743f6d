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

/// The keys of a venue's section under which a client hears every trade, with their values.
pub(crate) fn client_settings(venue: &Venue) -> Vec<(&'static str, &'static str)> {
    // The interface that counts its messages, where there is a choice.
    let advanced = ("interface", "advanced");
    let has_choice = venue.settings.iter().any(|one| one.name == advanced.0);
    let declared = venue.simulation.client_settings.iter().copied();
    declared.chain(has_choice.then_some(advanced)).collect()
}

/// A client of a venue that a test plays: it has a key, and hears every trade.
pub(crate) fn client(venue: &'static Venue) -> VenueSettings {
    let secrets = venue.secrets.iter().map(|one| (one.setting, "live-key"));
    let values: Vec<_> = secrets.chain(client_settings(venue)).collect();
    self::venue(venue.name, &values)
}
