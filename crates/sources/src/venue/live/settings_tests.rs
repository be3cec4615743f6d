use super::settings::{LiveSettings, LiveSettingsError, LiveSymbols};
use crate::venue::{VenueSettings, binance, massive};

#[test]
fn settings_that_cannot_work_are_refused() {
    let settings = LiveSettings::new(VenueSettings::new(&binance::VENUE));
    assert_eq!(
        settings.check(&LiveSymbols::All),
        Err(LiveSettingsError::Symbols)
    );
    let settings = LiveSettings {
        batch_len_max: 0,
        ..LiveSettings::new(VenueSettings::new(&massive::VENUE))
    };
    let fault = settings.check(&LiveSymbols::All).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "batch_len_max is 0, at least 1 is needed"
    );
}
