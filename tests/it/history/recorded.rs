//! Replies recorded from the venues, read from the folder beside the project where it is there.

use crate::history::clean::case;
use crate::history::recording::{self, Run, drain, local, range};
use crate::history::server::{Reply, Server};
use crate::support::data;
use barmill_test_kit::Tape;

async fn replay(name: &str, text: String) -> Run {
    let server = Server::start(move |_| Reply::Page(text.clone())).await;
    let mut settings = local(case(name).settings, &server.base);
    settings.venue.page_len = settings.venue.venue().history.page_len_max;
    let interval = (recording::at(0), "2026-01-01T00:00:00Z".parse().unwrap());
    let symbol = if name == "kraken" { "XBTUSDT" } else { "AAPL" };
    drain(&settings, vec![range(symbol, interval)]).await
}

#[tokio::test]
async fn kraken_page_is_read_to_the_last_digit() {
    let Some(bytes) = data::bytes("kraken_xbtusdt/http_trades.json") else {
        return;
    };
    let run = replay("kraken", String::from_utf8(bytes).unwrap()).await;
    assert_eq!(run.trades.len(), 1_000);
    let first = run.trades[0];
    assert_eq!(
        (first.price.to_string(), first.size.to_string()),
        ("105433.6".into(), "0.00027625".into())
    );
    assert_eq!(
        (first.time.as_nanos(), first.id.raw()),
        (1_762_795_433_971_744_500, 10_218_208)
    );
    assert!(
        run.trades
            .windows(2)
            .all(|pair| pair[0].sequence + 1 == pair[1].sequence)
    );
    // The recording gives the same page for ever, so the walk must not go on nor call it whole.
    assert!(run.causes().contains("has nothing new"), "{}", run.causes());
}

#[tokio::test]
async fn alpaca_page_that_ends_inside_one_nanosecond_is_read() {
    let Some(bytes) = data::bytes("alpaca_fixtures/trades.json.gz") else {
        return;
    };
    let run = replay("alpaca", String::from_utf8(bytes).unwrap()).await;
    let times: Vec<String> = run
        .trades
        .iter()
        .map(|trade| trade.time.to_string())
        .collect();
    assert_eq!(times.len(), 5);
    assert_eq!(times[2..], ["2021-10-13T08:00:01.447670272Z"; 3]);
    let conditions = [b'@', b'T', b'I']
        .iter()
        .fold(1u128 << 99, |bits, byte| bits | 1 << (byte - 32));
    assert_eq!(run.trades[1].conditions.bits(), conditions);
    assert!(
        run.causes().contains("was given before"),
        "{}",
        run.causes()
    );
}

#[tokio::test]
async fn massive_rows_that_differ_in_the_exchange_only_are_two_trades() {
    let Some(bytes) = data::bytes("polygon_fixtures/v3_trades_AAPL_limit=2.json") else {
        return;
    };
    let run = replay("massive", String::from_utf8(bytes).unwrap()).await;
    assert_eq!(run.causes(), "");
    let [first, second] = run.trades.as_slice() else {
        panic!("{:?}", run.trades)
    };
    assert_eq!((first.venue, second.venue), (0x30b, 0x30c));
    assert_eq!(
        (first.sequence, first.correction, first.price.to_string()),
        (7_179_341, 1, "156.43".into())
    );
    assert_eq!(first.conditions.bits(), 1 << 12 | 1 << 37);
}

/// Made pages instead of recorded ones; what each venue makes of a page that never ends is in the tests above.
#[tokio::test]
async fn made_pages_are_read_to_the_last_digit() {
    let tape = Tape::new(5, 400);
    for (name, page) in [
        ("massive", tape.massive_json()),
        ("alpaca", tape.alpaca_json("AAPL")),
        ("kraken", tape.kraken_json("XBTUSDT")),
    ] {
        let run = replay(name, page).await;
        assert_eq!(run.trades.len(), 400, "{name}: {}", run.causes());
        for (trade, made) in run.trades.iter().zip(&tape.trades) {
            assert_eq!(trade.id.raw(), made.id, "{name}");
            assert_eq!(trade.price, made.price_text().parse().unwrap(), "{name}");
            assert_eq!(trade.size, made.size.to_string().parse().unwrap(), "{name}");
            assert_eq!(trade.time.as_millis(), i64::try_from(made.time_ms).unwrap());
        }
    }
}
