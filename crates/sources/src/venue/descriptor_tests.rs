use super::{SettingKind, VENUES, Venue, VenueSettings};
use std::collections::BTreeSet;

#[test]
fn venues_and_their_settings_have_names_of_their_own() {
    let names: BTreeSet<&str> = VENUES.iter().map(|venue| venue.name).collect();
    assert_eq!(names.len(), VENUES.len());
    for venue in VENUES {
        assert_eq!(Venue::by_name(venue.name), Some(venue));
        let settings = venue.settings.iter().map(|setting| setting.name);
        let secrets = venue.secrets.iter().map(|secret| secret.setting);
        let keys: BTreeSet<&str> = settings.chain(secrets).collect();
        assert_eq!(keys.len(), venue.settings.len() + venue.secrets.len());
        for setting in venue.settings {
            if let SettingKind::Choice(choices) = setting.kind {
                assert!(choices.contains(&setting.default), "{setting:?}");
            }
        }
        assert!(venue.history.page_len_min < venue.history.page_len_max);
    }
}

#[test]
fn secrets_do_not_print_and_unknown_settings_are_named() {
    let alpaca = Venue::by_name("alpaca").unwrap();
    let mut settings = VenueSettings::new(alpaca);
    settings
        .set_secret("secret_key_env", "canary".into())
        .unwrap();
    assert!(!format!("{settings:?}").contains("canary"));
    let error = settings.set("feeds", "x").unwrap_err();
    assert_eq!(error.to_string(), "alpaca has no setting feeds");
}

#[test]
fn origin_and_address_hold_the_settings_that_decide_the_trades() {
    let alpaca = VenueSettings::new(Venue::by_name("alpaca").unwrap());
    assert_eq!(alpaca.origin(), "alpaca sip");
    assert_eq!(
        alpaca.filled_in(alpaca.venue().live.url),
        "wss://stream.data.alpaca.markets/v2/sip"
    );
    let kraken = VenueSettings::new(Venue::by_name("kraken").unwrap());
    assert_eq!(kraken.origin(), "kraken");
}
