use super::{CatchUp, LiveSources, Setting, Value};
use std::time::Duration;

fn given(text: &str) -> Value {
    Value::Given(text.to_owned())
}

#[test]
fn time_to_catch_up_is_read_as_it_is_shown() {
    for text in ["day", "none", "90m", "6h", "2d", "45s"] {
        assert_eq!(
            CatchUp::read(&given(text)).unwrap().show(),
            format!("\"{text}\"")
        );
    }
    assert_eq!(
        CatchUp::read(&given("24h")),
        Ok(CatchUp::For(Duration::from_hours(24)))
    );
    for text in ["", "h", "0h", "-1h", "31d", "1w", "9999999999999999999d"] {
        assert!(CatchUp::read(&given(text)).is_err(), "{text}");
    }
}

#[test]
fn source_is_listed_once() {
    assert_eq!(
        LiveSources::read(&given("kraken,binance"))
            .unwrap()
            .as_slice()
            .len(),
        2
    );
    assert!(LiveSources::read(&given("kraken,kraken")).is_err());
}
