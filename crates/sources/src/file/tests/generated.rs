//! Made trades in each vendor's layout come out as they were made.

use super::{all, reader, settings};
use crate::file::{FileFeed, Format, TradeReader};
use barmill_core::model::{Side, Trade};
use barmill_core::port::TradeFeed;
use barmill_test_kit::{MadeTrade, Tape};
use std::collections::BTreeSet;

/// One layout: its name, the name of the file, the text, and whether it tells identities and the taker's side.
struct Case {
    format: &'static str,
    file: &'static str,
    symbol: &'static str,
    text: String,
    has_id: bool,
    has_side: bool,
}

fn cases(tape: &Tape) -> Vec<Case> {
    let case = |format, file, symbol, text, has_id, has_side| Case {
        format,
        file,
        symbol,
        text,
        has_id,
        has_side,
    };
    vec![
        case(
            "massive-csv",
            "day.csv",
            "AAPL",
            tape.massive_csv("AAPL"),
            true,
            false,
        ),
        case(
            "massive-json",
            "page.json",
            "AAPL",
            tape.massive_json(),
            true,
            false,
        ),
        case(
            "binance-trades",
            "BTCUSDT-trades-2025-10-15.csv",
            "BTCUSDT",
            tape.binance_csv(),
            true,
            true,
        ),
        case(
            "binance-ws",
            "frames.txt",
            "BTCUSDT",
            tape.binance_frames("BTCUSDT"),
            true,
            true,
        ),
        case(
            "kraken-json",
            "trades.json",
            "XBTUSD",
            tape.kraken_json("XBTUSD"),
            true,
            true,
        ),
        case(
            "lean-tick",
            "20251015_spy_Trade_Tick.csv",
            "SPY",
            tape.lean_csv(),
            false,
            false,
        ),
    ]
}

fn check(case: &Case, trades: &[Trade], made: &[MadeTrade]) {
    assert_eq!(trades.len(), made.len(), "{}", case.format);
    for (at, (trade, made)) in trades.iter().zip(made).enumerate() {
        let name = format!("{} {at}", case.format);
        assert_eq!(trade.symbol.as_str(), case.symbol, "{name}");
        assert_eq!(
            trade.time.as_nanos(),
            i64::try_from(made.time_ms).unwrap() * 1_000_000,
            "{name}"
        );
        assert_eq!(trade.price, made.price_text().parse().unwrap(), "{name}");
        assert_eq!(trade.size, made.size.to_string().parse().unwrap(), "{name}");
        if case.has_id {
            assert_eq!(
                (trade.id.raw(), trade.sequence),
                (made.id, made.id),
                "{name}"
            );
        }
        let side = match (case.has_side, made.is_buy) {
            (false, _) => Side::Unknown,
            (true, true) => Side::Buy,
            (true, false) => Side::Sell,
        };
        assert_eq!(trade.side, side, "{name}");
    }
    assert_eq!(trades.iter().all(|trade| trade.sequenced), case.has_id);
}

#[test]
fn made_trades_come_back_from_every_layout() {
    let folder = tempfile::tempdir().unwrap();
    let tape = Tape::new(7, 3_000);
    for case in cases(&tape) {
        let path = folder.path().join(case.file);
        std::fs::write(&path, &case.text).unwrap();
        let symbols = [case.symbol];
        for format in ["auto", case.format] {
            let mut settings = settings(format, &symbols);
            settings.paths = vec![path.clone()];
            let mut reader = TradeReader::new(settings);
            assert_eq!(
                reader.format().unwrap().map(Format::name),
                Some(case.format)
            );
            check(&case, &all(reader).unwrap(), &tape.trades);
        }
    }
}

#[tokio::test]
async fn made_trades_come_back_from_workers() {
    let folder = tempfile::tempdir().unwrap();
    let tape = Tape::new(8, 9_000);
    for case in cases(&tape) {
        let path = folder.path().join(case.file);
        std::fs::write(&path, &case.text).unwrap();
        let mut settings = settings("auto", &[case.symbol]);
        (settings.paths, settings.batch_len_max) = (vec![path], 200);
        let mut feed = FileFeed::new(settings);
        let mut trades = Vec::new();
        while let Some(batch) = feed.next_batch().await.unwrap() {
            trades.extend(batch.trades);
        }
        check(&case, &trades, &tape.trades);
    }
}

#[test]
fn every_layout_but_two_is_among_the_made_ones() {
    let made: BTreeSet<&str> = cases(&Tape::new(1, 1))
        .iter()
        .map(|case| case.format)
        .collect();
    let rest: Vec<&str> = Format::all()
        .map(Format::name)
        .filter(|name| !made.contains(name))
        .collect();
    // Aggregated trades share the decoder of trades, and a recording is written by its own tests.
    assert_eq!(rest, ["binance-aggtrades", "recording"]);
}

#[test]
fn sequences_go_on_over_files_that_give_none() {
    let folder = tempfile::tempdir().unwrap();
    let (spy, ibm) = (Tape::new(1, 500), Tape::new(2, 400));
    let mut settings = settings("lean-tick", &[]);
    for (name, tape) in [("ibm", &ibm), ("spy", &spy)] {
        let path = folder
            .path()
            .join(format!("20251015_{name}_Trade_Tick.csv"));
        std::fs::write(&path, tape.lean_csv()).unwrap();
        settings.paths.push(path);
    }
    let trades = all(TradeReader::new(settings)).unwrap();
    let of_ibm = trades
        .iter()
        .take_while(|trade| trade.symbol.as_str() == "IBM")
        .count();
    assert_eq!((of_ibm, trades.len()), (400, 900));
    assert!(
        trades
            .windows(2)
            .all(|pair| pair[0].sequence + 1 == pair[1].sequence)
    );
}

#[test]
fn made_file_through_a_pipe_is_the_same() {
    let tape = Tape::new(9, 200);
    let text = tape.kraken_json("XBTUSD");
    let trades = all(reader(text.as_bytes(), settings("auto", &[]))).unwrap();
    assert_eq!(trades.len(), 200);
    assert!(trades.windows(2).all(|pair| pair[0].key() < pair[1].key()));
}
