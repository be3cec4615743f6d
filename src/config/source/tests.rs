use super::{BASE_URL, SOCKET_URL, SettingKind, Value, read_own, source_name};

fn given(text: &str) -> Value {
    Value::Given(text.to_owned())
}

#[test]
fn address_that_may_hold_a_key_is_refused_unseen() {
    assert!(BASE_URL.read(&given("http://127.0.0.1:8080/proxy")).is_ok());
    assert!(
        BASE_URL.read(&given("http://[::1]:1")).is_ok()
            && BASE_URL.read(&given("https://host/x")).is_ok()
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
        let error = BASE_URL.read(&given(text)).unwrap_err().to_string();
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
        assert!(SOCKET_URL.read(&given(text)).is_ok(), "{text}");
    }
    for text in [
        "ws://host",
        "ws://127.0.0.1.evil.example/",
        "https://host",
        "wss://k@host",
        "",
    ] {
        assert!(SOCKET_URL.read(&given(text)).is_err(), "{text}");
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
    let error = source_name("masive").unwrap_err();
    insta::assert_snapshot!(error, @r#""masive" is not known, allowed is massive, alpaca, binance, coinbase, kraken, did you mean "massive"?"#);
}
