use super::{SourceKeys, Sources};
use crate::config::Environment;
use crate::config::source_name;
use secrecy::ExposeSecret;

fn key(name: &str, pairs: &[(&str, &str)]) -> Result<Option<String>, String> {
    let environment = Environment::from_pairs(pairs.iter().copied());
    let name = source_name(name).unwrap();
    let keys = SourceKeys::resolve(&Sources::default(), name, &environment);
    let keys = keys.map_err(|error| error.to_string())?;
    assert!(!format!("{keys:?}").contains("hunter"));
    let last = keys.0.last();
    Ok(last.map(|(_, key)| key.expose_secret().to_owned()))
}

#[test]
fn older_name_of_a_key_still_works_and_the_newer_counts_over_it() {
    let old = ("POLYGON_API_KEY", "hunter1");
    assert_eq!(key("massive", &[old]).unwrap().unwrap(), "hunter1");
    let both = [old, ("MASSIVE_API_KEY", "hunter2")];
    assert_eq!(key("massive", &both).unwrap().unwrap(), "hunter2");
}

#[test]
fn missing_key_of_a_vendor_is_named_and_a_public_venue_needs_none() {
    let error = key("alpaca", &[("APCA_API_KEY_ID", "hunter")]).unwrap_err();
    insta::assert_snapshot!(error, @"the source alpaca needs the environment variable APCA_API_SECRET_KEY, or APCA_API_SECRET_KEY_FILE naming a file that holds its value");
    for name in ["binance", "coinbase", "kraken"] {
        assert_eq!(key(name, &[]).unwrap(), None);
    }
}
