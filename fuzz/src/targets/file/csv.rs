//! The CSV layouts, against plain decoders.

use super::pack::put;
use super::read::{Outcome, agree, drain, is_packed};
use crate::plain::csv::{self, Rows};
use crate::targets::seed;
use barmill_sources::file::{FileFeedSettings, OnBadRow, TradeReader};

/// Bytes of the shortest row that is a trade, its end of line left out.
const ROW_MIN: usize = 12;

/// The trades equal those of the plain decoder, and so does the count of bad rows.
fn compare(found: &Outcome, rows: &Rows) {
    let trades: Vec<_> = rows.iter().copied().flatten().collect();
    assert_eq!(found.error, None, "the plain decoder sees no fault");
    assert_eq!(found.trades, trades, "the plain decoder sees other trades");
    assert_eq!(
        found.stats.malformed,
        (rows.len() - trades.len()) as u64,
        "the plain decoder counts other bad rows"
    );
}

/// Lines whose length both readers allow.
fn lines(text: &[u8]) -> Option<Vec<Vec<Vec<u8>>>> {
    csv::lines(text).filter(|lines| lines.iter().all(|fields| fields.len() <= 64))
}

/// Massive flat files.
pub fn massive_csv(input: &[u8]) {
    let Some((&knobs, text)) = input.split_first() else {
        return;
    };
    let found = agree(text, "massive-csv", knobs, ROW_MIN);
    if is_packed(text) {
        return;
    }
    match lines(text).map(|lines| (csv::massive(&lines), lines)) {
        Some((Some(rows), _)) => compare(&found, &rows),
        Some((None, lines)) => {
            assert!(found.trades.is_empty() && (found.error.is_some() || lines.is_empty()))
        }
        None => {}
    }
}

/// Binance trades and aggregated trades.
pub fn binance_csv(input: &[u8]) {
    let Some((&knobs, text)) = input.split_first() else {
        return;
    };
    let is_aggregated = knobs & 1 == 1;
    let format = if is_aggregated {
        "binance-aggtrades"
    } else {
        "binance-trades"
    };
    let found = agree(text, format, knobs, ROW_MIN);
    if is_packed(text) {
        return;
    }
    let symbol = "BTCUSDT".parse().expect("a symbol");
    match lines(text).map(|lines| (csv::binance(&lines, is_aggregated, symbol), lines)) {
        Some((Some(rows), _)) => compare(&found, &rows),
        Some((None, lines)) => {
            assert!(found.trades.is_empty() && (found.error.is_some() || lines.is_empty()))
        }
        None => {}
    }
}

/// LEAN ticks; symbol and date are in the name of the file, so a real one is read.
pub fn lean(input: &[u8]) {
    let Some((&knobs, text)) = input.split_first() else {
        return;
    };
    // The second day has a clock change, at which only panics are looked for.
    let (day, midnight) = [
        ("20131007", Some(1_381_118_400_000_000_000)),
        ("20131103", None),
    ][usize::from(knobs & 1)];
    let path = put(&format!("{day}_spy_Trade_Tick.csv"), text);
    let mut settings = FileFeedSettings::new(vec![path]);
    settings.time_max = barmill::Timestamp::MAX;
    (settings.format, settings.on_bad_row) =
        (Some("lean-tick".parse().expect("a layout")), OnBadRow::Skip);
    let batch_len_max = settings.batch_len_max;
    let found = drain(TradeReader::new(settings), batch_len_max);
    if let (false, Some(midnight), Some(lines)) = (is_packed(text), midnight, lines(text)) {
        compare(
            &found,
            &csv::lean(&lines, "SPY".parse().expect("a symbol"), midnight),
        );
    }
}

/// With all columns, of crypto, with decimal sizes, and without sequence numbers.
pub fn massive_csv_seeds() -> Vec<Vec<u8>> {
    let stocks = "ticker,conditions,correction,exchange,id,participant_timestamp,price,sequence_number,sip_timestamp,size,tape,trf_id,trf_timestamp\n\
                  A,\"12,37\",0,4,52983525035312,1760535000000000001,142.99,3807,1760535000000000002,5.5,1,201,0\n\
                  AAPL,,0,11,7,1760535060000000000,255.1200,3808,1760535060000000000,100,3,0,0\r\n\
                  AAPL,14,1,4,abc,1760535060000000000,0.0001,3809,1760535061000000000,1e-7,3,202,0\n";
    let crypto = "ticker,conditions,exchange,id,participant_timestamp,price,size\n\
                  X:BTC-USD,2,1,1,1760535000000000001,67000.1,0.00000001\n\
                  X:BTC-USD,1,1,2,1760535000000000002,67000.123456789,12345678.0123456789\n\n";
    let decimal = "\u{feff}size,price,sip_timestamp,ticker,decimal_size\n0,1.5,1760535000000000001,BRK.B,0.25\n";
    let bad = "ticker,price,sip_timestamp,size\nA,0,1760535000000000001,1\nA,1,1,1\nA B,1,1760535000000000001,1\nA,1,1760535000000000001\nA,1,1760535000000000001,1\n";
    [(0, stocks), (0x4b, crypto), (0x9d, decimal), (0xff, bad)]
        .map(|(knobs, text)| seed(knobs, text))
        .to_vec()
}

/// With and without a header, of both kinds.
pub fn binance_csv_seeds() -> Vec<Vec<u8>> {
    let spot = "4359185,93576.00000000,0.00012000,11.22912000,1735689600012345,True,True\n\
                4359186,93576.10000000,1.5,140364.15,1735689600012345,False,True\n";
    let futures = "id,price,qty,quote_qty,time,is_buyer_maker\n5,93576.1,0.001,93.5,1735689600012,true\n6,1,0,0,1735689600013,false\n";
    let spot_aggregated = "26129,0.01633102,4.70443515,27781,27781,1498793709153,true,true\n";
    let futures_aggregated = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n7,1.5,2,1,2,1735689600012,TRUE\n";
    [
        (0, spot),
        (0x2a, futures),
        (0x13, spot_aggregated),
        (0x71, futures_aggregated),
    ]
    .map(|(knobs, text)| seed(knobs, text))
    .to_vec()
}

/// Of a day with and one without a clock change.
pub fn lean_seeds() -> Vec<Vec<u8>> {
    let rows = "14400464,1674100,100,P,20002000,0\r\n14400464.5,1674100.00001,0.5,TT,,1\n86399999.999999,1,1,XYZ,ffffffffffffffff,0\n";
    vec![
        seed(0, rows),
        seed(
            1,
            "3600000,1,1,P,0,0\n7200000,1,1,P,0,0\n10800000,1,1,P,0,0\n",
        ),
    ]
}
