//! Tests of the list of formats and of their detection.

use super::{AUTO, Format, detect};
use std::collections::HashSet;

#[test]
fn every_name_is_its_own_and_parses_back() {
    let names: HashSet<&str> = Format::all().map(Format::name).collect();
    assert_eq!(names.len(), Format::all().count());
    for format in Format::all() {
        assert_eq!(format.to_string().parse(), Ok(format));
        assert_eq!(Format::choice(format.name()), Ok(Some(format)));
        assert!(Format::choices().contains(format.name()));
    }
    assert_eq!(Format::choice(AUTO), Ok(None));
    assert!("csv".parse::<Format>().is_err());
}

#[test]
fn each_layout_is_told_from_its_start() {
    for (text, want) in [
        ("BMREC\r\n\u{1a}\u{1}", Some("recording")),
        ("BMR", Some("recording")),
        ("size,price,sip_timestamp,ticker\r\n", Some("massive-csv")),
        (
            "ticker,price,size,participant_timestamp",
            Some("massive-csv"),
        ),
        (
            r#"{"status":"OK","data":{"results":["#,
            Some("massive-json"),
        ),
        (r#" {"error":[],"result":{"#, Some("kraken-json")),
        (r#"1723161253937085768 {"stream":"#, Some("binance-ws")),
        (
            "1,2.5,3,7.5,1735689600012345,True,True\n",
            Some("binance-trades"),
        ),
        (
            "id,price,qty,quote_qty,time,is_buyer_maker\n",
            Some("binance-trades"),
        ),
        (
            "26129,0.01633102,4.7,27781,27781,1498793709153,true,true\n",
            Some("binance-aggtrades"),
        ),
        (
            "agg_trade_id,price,quantity,first_trade_id,last_trade_id",
            Some("binance-aggtrades"),
        ),
        ("14400464,1674100,100,P,20002000,0\r\n", Some("lean-tick")),
        ("date,open,high,low,close\n", None),
        ("{}", None),
        ("[1,2]", None),
        ("\u{0}\u{1}", None),
    ] {
        assert_eq!(detect(text.as_bytes()).map(Format::name), want, "{text}");
    }
}
