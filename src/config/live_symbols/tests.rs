use super::{LiveNames, Setting, SourceName, Value, Venue};

fn names(text: &str) -> LiveNames {
    LiveNames::read(&Value::Given(text.to_owned())).unwrap()
}

fn deal(text: &str, sources: &[SourceName]) -> String {
    match LiveNames::deal(&[names(text)], sources) {
        Ok(dealt) => format!("{dealt:?}"),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn names_go_to_their_source_and_each_symbol_to_one() {
    let [binance, kraken] = ["binance", "kraken"].map(|name| Venue::by_name(name).unwrap());
    assert_eq!(deal("A,B:C", &[kraken]), "{kraken: [A, B:C]}");
    assert_eq!(
        deal("kraken:BTC/USD,binance:X", &[binance, kraken]),
        "{binance: [X], kraken: [BTC/USD]}"
    );
    let refusals = [
        deal("A,kraken:B", &[binance, kraken]),
        deal("binance:A", &[kraken]),
        deal("kraken:A,binance:A", &[binance, kraken]),
        deal("kraken:A", &[binance, kraken]),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    symbol "A" has no source; with several sources write SOURCE:A
    symbol "binance:A" names the source binance, which live.sources does not list
    symbol A is requested from two sources; each symbol has one
    source binance has no symbol; give some with --symbol, --symbols-file or live.symbols
    "#);
}

#[test]
fn file_has_a_name_a_line_and_comments() {
    let read = LiveNames::from_lines("# coins\nBTCUSDT\n\n ETHUSDT # ether\nBTCUSDT\n").unwrap();
    assert_eq!(read, names("BTCUSDT,ETHUSDT"));
    let fault = LiveNames::from_lines("A\nB C\n").unwrap_err();
    assert_eq!(
        fault.to_string(),
        "line 2 of the symbols file: \"B C\" is not a symbol"
    );
}
