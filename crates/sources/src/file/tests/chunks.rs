//! The feed, which decodes chunks of the files at the same time, gives what the plain reader gives.

use super::{HEADER, settings, shared, stock_file, valid_files};
use crate::file::{FileFeed, FileFeedSettings, OnBadRow, TradeReader};
use barmill_core::model::Trade;
use barmill_core::port::{Position, TradeFeed};
use proptest::prelude::*;
use std::error::Error;
use std::fmt::Write;
use std::io::Cursor;

/// Trades, the error if any, the counts and the bad rows, as text.
type Outcome = (Vec<Trade>, Option<String>, String);

fn plain(mut reader: TradeReader) -> Outcome {
    let (mut trades, mut error) = (Vec::new(), None);
    for batch in reader.by_ref() {
        match batch {
            Ok(batch) => trades.extend(batch),
            Err(fault) => error = Some(told(&fault)),
        }
    }
    let rows: Vec<String> = reader.bad_rows().iter().map(ToString::to_string).collect();
    let known = if error.is_some() {
        String::new()
    } else {
        format!("{:?} {rows:?}", reader.stats())
    };
    (trades, error, known)
}

fn told(error: &dyn Error) -> String {
    format!("{error}: {:?}", error.source().map(ToString::to_string))
}

async fn in_parts(mut feed: FileFeed, settings: &FileFeedSettings) -> Outcome {
    let (start, len_max) = (settings.start.0, settings.batch_len_max);
    let (mut trades, mut error) = (Vec::new(), None);
    loop {
        match feed.next_batch().await {
            Ok(None) => break,
            Ok(Some(batch)) => {
                assert!(!batch.trades.is_empty() && batch.trades.len() <= len_max);
                trades.extend(batch.trades);
                assert_eq!(
                    batch.position.0,
                    start + u64::try_from(trades.len()).unwrap()
                );
            }
            Err(fault) => error = fault.source().map(told),
        }
    }
    let rows: Vec<String> = feed.bad_rows().iter().map(ToString::to_string).collect();
    let known = if error.is_some() {
        String::new()
    } else {
        format!("{:?} {rows:?}", feed.file_stats())
    };
    (trades, error, known)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(4)
        .build()
        .unwrap()
}

/// Compares both ways over a stream, in chunks of a few lines.
fn compare(text: &[u8], settings: &FileFeedSettings) -> Result<(), TestCaseError> {
    let open = |settings: &FileFeedSettings| {
        TradeReader::from_reader(
            "test",
            Box::new(Cursor::new(text.to_vec())),
            settings.clone(),
        )
    };
    let expected = plain(open(settings));
    let feed = FileFeed::from_reader(settings.start, open(settings));
    let found = runtime().block_on(in_parts(feed, settings));
    prop_assert_eq!(found, expected);
    Ok(())
}

/// Compares both ways over files.
fn compare_files(settings: &FileFeedSettings) {
    let expected = plain(TradeReader::new(settings.clone()));
    let found = runtime().block_on(in_parts(FileFeed::new(settings.clone()), settings));
    assert!(
        found == expected,
        "{:?}: {:?} instead of {:?}",
        settings.paths,
        found.1,
        expected.1
    );
    assert!(!found.0.is_empty());
}

fn any_field() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,4}",
        "[0-9]{1,5}[.][0-9]{1,5}",
        "[0-9]{5,20}",
        r#"["]?[0-9]{1,3}(,[0-9]{1,3}){0,4}["]?"#,
        "[A-Z]{1,5}|[A-Z]:[A-Z]{3}-[A-Z]{3}",
        r#"[ -~]{0,9}|"[ -~]{0,5}"|[.]?[0-9]{0,2}[.]?|-1|0|0[.]0"#,
        "17605[0-9]{14}",
        // Longer than a row that is read at once, and names that only look like others.
        "[A-Z0-9]{140,280}",
        "\u{0}{1,3}[A-Z]{1,5}|[A-Z]{1,3}\u{0}",
    ]
}

/// A row with some fields replaced, a blank line, or anything.
fn any_line() -> impl Strategy<Value = String> {
    let row = (
        0u64..400,
        "[A-Z]{1,5}|BRK[.]B|X:BTC-USD",
        0u64..10_000,
        1u64..1_000_000_000,
    )
        .prop_map(|(number, name, cents, size)| {
            let list = [
                "",
                "37",
                "\"14,41\"",
                "\"14,37,41\"",
                "\"12,14,37,41\"",
                "\"1\"",
            ];
            let conditions = list[usize::try_from(number % 6).unwrap()];
            // Half of them within the tenth of a second whose first digits are kept.
            let step = if number % 2 == 0 {
                70_003
            } else {
                7_000_000_003
            };
            let time = 1_760_535_000_000_000_000 + number * step;
            let id = number.pow(7);
            format!(
                "{name},{conditions},0,{},{id},1,{}.{cents:04},{number},{time},{size},3,201,0",
                number % 30,
                number * number
            )
        });
    let damaged = (row.clone(), 0usize..13, any_field()).prop_map(|(row, place, field)| {
        let row = row
            .replace("\"14,37,41\"", "\"14;37;41\"")
            .replace("\"14,41\"", "")
            .replace("12,14,37,41", "12");
        let mut fields: Vec<&str> = row.split(',').collect();
        fields[place] = &field;
        fields.join(",").replace(';', ",")
    });
    prop_oneof![
        8 => row,
        4 => damaged,
        1 => Just(String::new()),
        1 => r#"[A-Z0-9,".\r]{0,80}"#,
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    let ends = prop_oneof![6 => Just("\n"), 1 => Just("\r\n"), 1 => Just("\n\n")];
    (
        proptest::collection::vec((any_line(), ends), 0..120),
        any::<bool>(),
    )
        .prop_map(|(lines, is_ended)| {
            let mut text = format!("{HEADER}\n");
            for (line, end) in lines {
                write!(text, "{line}{end}").unwrap();
            }
            if is_ended {
                text
            } else {
                text.trim_end().to_owned()
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn parts_equal_the_plain_way(
        text in any_text(),
        len_max in 1usize..60,
        skips in any::<bool>(),
        start in prop_oneof![Just(0u64), 0u64..40],
        wanted in prop_oneof![Just(None), Just(Some("A"))],
    ) {
        let mut settings = settings("auto", wanted.as_slice());
        settings.batch_len_max = len_max;
        settings.start = Position(start);
        settings.on_bad_row = if skips { OnBadRow::Skip } else { OnBadRow::Stop };
        compare(text.as_bytes(), &settings)?;
    }

    #[test]
    fn parts_of_damaged_files_equal_the_plain_way(
        edits in proptest::collection::vec(any::<(usize, u8)>(), 0..5),
        len_max in 1usize..9,
        skips in any::<bool>(),
    ) {
        for (format, mut bytes, symbols) in valid_files() {
            for &(place, value) in &edits {
                let at = place % bytes.len();
                bytes[at] = value;
            }
            let mut settings = settings(format, &symbols);
            settings.batch_len_max = len_max;
            settings.on_bad_row = if skips { OnBadRow::Skip } else { OnBadRow::Stop };
            compare(&bytes, &settings)?;
        }
    }
}

#[test]
fn parts_of_large_files_one_behind_the_other_equal_the_plain_way() {
    let folder = tempfile::tempdir().unwrap();
    let long = [
        stock_file(9_000),
        b"A,".to_vec(),
        vec![b'9'; 300_000],
        b"\n".to_vec(),
    ]
    .concat();
    let crypto = "ticker,conditions,exchange,id,participant_timestamp,price,size\n".to_owned()
        + &"X:BTC-USD,2,1,abc,1712306654208705342,67000.1,0.00000001\n".repeat(6_000);
    let binance = "1,2.5,3,7.5,1735689600012345,True,True\n".repeat(9_000);
    let files: [(&str, Vec<u8>); 5] = [
        ("a.csv", stock_file(9_000)),
        ("b.csv", crypto.into_bytes()),
        ("empty.csv", Vec::new()),
        ("BTCUSDT-trades-2025-01-01.csv", binance.into_bytes()),
        ("long.csv", long),
    ];
    let mut settings = settings("auto", &[]);
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        settings.paths.push(folder.path().join(name));
        compare_files(&settings);
    }
}

#[test]
fn parts_of_recorded_files_equal_the_plain_way() {
    for name in [
        "lean_us_equity",
        "binance_ws",
        "polygon_fixtures",
        "kraken_xbtusdt",
    ] {
        let Some(folder) = shared(name) else { return };
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let settings = FileFeedSettings {
                paths: vec![path],
                ..settings("auto", &[])
            };
            if settings.paths[0].is_file()
                && TradeReader::new(settings.clone())
                    .format()
                    .is_ok_and(|format| format.is_some())
                && TradeReader::new(settings.clone())
                    .next()
                    .is_some_and(|batch| batch.is_ok())
            {
                compare_files(&settings);
            }
        }
    }
}
