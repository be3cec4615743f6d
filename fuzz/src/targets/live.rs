//! Frames of the WebSocket feeds.

use super::seed;
use crate::tree::Tree;
use barmill::{Price, Trade};
use barmill_sources::live::{DecodeError, Decoder, Event};
use barmill_sources::venue::VENUES;

fn decoder(number: u8) -> Decoder {
    VENUES[usize::from(number) % VENUES.len()].decoder()
}

fn decode(number: u8, frame: &[u8]) -> (Vec<Event>, Option<DecodeError>) {
    let mut events = Vec::new();
    let fault = decoder(number).decode(frame, &mut events).err();
    (events, fault)
}

/// One frame of a venue.
///
/// Claims: no more events than bytes; texts of the venue are shortened; a trade has a price; blanks and the order of
/// keys change nothing; what is no JSON gives no trade that its JSON part does not hold.
pub fn frame(input: &[u8]) {
    let Some((&number, text)) = input.split_first() else {
        return;
    };
    let (events, fault) = decode(number, text);
    assert!(
        events.len() <= text.len() + 1,
        "{} events in {} bytes",
        events.len(),
        text.len()
    );
    events.iter().for_each(check);
    if let Some(fault) = &fault {
        super::words(fault);
    }
    let Some(tree) = Tree::parse(text).filter(|tree| tree.is_plain() && !text.contains(&b'\\'))
    else {
        return;
    };
    // Binance's frames are flat or in one wrap; where a field stands in both, the later one counts.
    let orders: &[bool] = if number % 5 == 2 {
        &[false]
    } else {
        &[false, true]
    };
    for &is_turned in orders {
        let mut other = String::new();
        tree.write(&mut other, is_turned);
        let (again, other_fault) = decode(number, other.as_bytes());
        assert_eq!(
            other_fault.is_some(),
            fault.is_some(),
            "written as {other}: {other_fault:?}, before {fault:?}"
        );
        if fault.is_none() {
            assert_eq!(shapes(&again), shapes(&events), "written as {other}");
        }
    }
}

fn check(event: &Event) {
    let priced = |trade: &Trade| assert!(trade.price > Price::ZERO, "a price of zero");
    match event {
        Event::Trade(trade) | Event::Snapshot(trade) => priced(trade),
        Event::Correction(pair) => std::iter::once(&pair.original)
            .chain(&pair.corrected)
            .for_each(priced),
        Event::Refused(refusal) => {
            let text = refusal.to_string();
            assert!(
                text.len() < 1_000 && !text.chars().any(char::is_control),
                "{text:?}"
            );
        }
        Event::Malformed(fault) => drop(super::words(fault)),
        _ => {}
    }
}

/// The events, those that are no trade by their kind alone: which of several faults is named may change.
fn shapes(events: &[Event]) -> Vec<String> {
    let shape = |event: &Event| match event {
        Event::Malformed(_) => "malformed".to_owned(),
        other => format!("{other:?}"),
    };
    events.iter().map(shape).collect()
}

/// Frames of each kind of each venue.
pub fn frame_seeds() -> Vec<Vec<u8>> {
    let frames = [
        (
            0,
            r#"[{"ev":"T","sym":"MSFT","x":4,"i":"12345","z":3,"p":114.125,"s":0,"ds":"0.25","c":[0,12],"t":1536036818784,"q":3681328,"trfi":201,"trft":1}]"#,
        ),
        (
            0,
            r#"[{"ev":"status","status":"connected","message":"Connected Successfully"},{"ev":"status","status":"auth_failed","message":"x"},{"ev":"status","status":"success","message":"subscribed to: T.A"}]"#,
        ),
        (
            1,
            r#"[{"T":"t","i":96921,"S":"AAPL","x":"D","p":126.55,"s":1,"t":"2021-02-22T15:51:44.208Z","c":["@","I"],"z":"C"},{"T":"c","S":"EEM","x":"M","oi":52,"op":39.1582,"os":440000,"oc":[" "],"ci":52,"cp":39.1,"cs":4,"cc":[" ","7"],"z":"B","t":"2023-04-06T14:25:06.542305024Z"},{"T":"x","S":"G","i":1,"x":"D","p":1.5,"s":1,"a":"C","z":"A","t":"2023-04-06T13:15:42.83540958Z"}]"#,
        ),
        (
            1,
            r#"[{"T":"success","msg":"authenticated"},{"T":"subscription","trades":["AAPL"],"quotes":[]},{"T":"error","code":406,"msg":"connection limit exceeded"}]"#,
        ),
        (
            2,
            r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255342,"s":"BTCUSDT","t":5,"p":"61837.63","q":"0.02","T":1723161255342,"m":true,"M":true}}"#,
        ),
        (
            2,
            r#"{"e":"aggTrade","E":1,"s":"BTCUSDT","a":425085,"p":"13.8048","q":"2.1","f":439577,"l":439578,"T":1633998288467123,"m":false,"M":true}"#,
        ),
        (2, r#"{"result":null,"id":3}"#),
        (2, r#"{"error":{"code":3,"msg":"Invalid JSON"},"id":1}"#),
        (
            3,
            r#"{"channel":"market_trades","client_id":"","timestamp":"2023-02-09T20:19:35.39625135Z","sequence_num":3,"events":[{"type":"update","trades":[{"product_id":"ETH-USD","trade_id":"12","price":"1260.01","size":"0.3","time":"2019-08-14T20:42:27.265Z","side":"SELL"},{"product_id":"ETH-USD","trade_id":"11","price":"1260","size":"0.3","time":"2019-08-14T20:42:27.265Z","side":"BUY"}]}]}"#,
        ),
        (
            3,
            r#"{"type":"match","trade_id":10,"side":"sell","size":"5.23512","price":"400.23","product_id":"BTC-USD","sequence":50,"time":"2014-11-07T08:19:27.028459Z"}"#,
        ),
        (
            3,
            r#"{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD","time":"2014-11-07T08:19:28.464459Z"}"#,
        ),
        (
            3,
            r#"{"type":"error","message":"Failed to subscribe","reason":"X-Y is not a valid product"}"#,
        ),
        (
            4,
            r#"{"channel":"trade","type":"update","data":[{"symbol":"MATIC/USD","side":"buy","price":0.5147,"qty":6423.46326,"ord_type":"limit","trade_id":4665846,"timestamp":"2023-09-25T07:48:36.925533Z"}]}"#,
        ),
        (
            4,
            r#"{"method":"subscribe","result":{"channel":"trade","symbol":"BTC/USD"},"success":true,"time_in":"2023-09-25T09:04:31.742599Z"}"#,
        ),
        (
            4,
            r#"{"error":"Currency pair not supported X/Y","method":"subscribe","success":false,"symbol":"X/Y"}"#,
        ),
        (4, r#"[0,[["1","2"]],"trade","XBT/USD"]"#),
    ];
    frames.map(|(number, text)| seed(number, text)).to_vec()
}
