//! Shapes of text files.

use super::{HEADER, all, read, reader, settings, stock_file};
use crate::file::text::RECORD_LEN_MAX;
use crate::file::{FileError, Format, OnBadRow};
use barmill_core::port::Position;

#[test]
fn line_ends_do_not_change_the_trades() {
    let plain = stock_file(50);
    let trades = read(&plain, "massive-csv", &[]).unwrap();
    let text = String::from_utf8(plain).unwrap();
    for variant in [
        text.replace('\n', "\r\n"),
        text.trim_end().to_owned(),
        format!("\u{feff}{text}"),
        format!("\n\r\n{text}\n\n"),
        text.replace('\n', "\n\n"),
    ] {
        assert_eq!(read(variant.as_bytes(), "auto", &[]).unwrap(), trades);
    }
}

#[test]
fn files_without_rows_have_no_trades() {
    for text in [
        "",
        "\n",
        " \n\n",
        "\u{feff}",
        HEADER,
        &format!("{HEADER}\r\n"),
    ] {
        assert_eq!(read(text.as_bytes(), "auto", &[]).unwrap(), [], "{text:?}");
    }
    for format in Format::all().map(Format::name) {
        assert_eq!(read(b"", format, &["A"]).unwrap(), [], "{format}");
    }
}

#[test]
fn very_long_line_is_an_error() {
    let mut text = stock_file(3);
    text.extend(std::iter::repeat_n(b'9', 1 << 22));
    let error = read(&text, "massive-csv", &[]).unwrap_err();
    assert!(matches!(error, FileError::RecordTooLong { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("read test, line 5: longer than 262144 bytes"),
        "{error}"
    );
    // As long as a record may be, it is a row like others.
    text.truncate(text.len() - (1 << 22) + RECORD_LEN_MAX);
    let error = read(&text, "massive-csv", &[]).unwrap_err();
    assert!(matches!(error, FileError::BadRow(_)), "{error}");
    let error = read(&vec![b'x'; 1 << 22], "massive-csv", &[]).unwrap_err();
    assert!(matches!(error, FileError::RecordTooLong { .. }), "{error}");
    let rows = format!("{{\"results\":[\"{}\"]}}", "x".repeat(1 << 22));
    let error = read(rows.as_bytes(), "massive-json", &["A"]).unwrap_err();
    assert!(matches!(error, FileError::RecordTooLong { .. }), "{error}");
}

#[test]
fn unknown_layout_says_what_to_pass() {
    let error = read(b"date,open,close\n", "auto", &[]).unwrap_err();
    assert!(matches!(error, FileError::UnknownFormat { .. }));
    assert!(
        error
            .to_string()
            .contains("pass --format with one of auto, massive-csv"),
        "{error}"
    );
    // However much of the file has arrived, its first line is what is shown.
    let error = read(b"\n date,open\n1,2\n", "auto", &[]).unwrap_err();
    assert!(
        error.to_string().contains("starts with \"date,open\";"),
        "{error}"
    );
}

#[test]
fn symbol_that_nothing_tells_is_asked_for() {
    for (format, text) in [
        ("binance-trades", "1,2.5,3,7.5,1735689600012345,True,True\n"),
        ("massive-json", "{\"results\":[]}"),
        ("lean-tick", "1,1,1,P,0,0\n"),
        ("massive-csv", "price,size,sip_timestamp\n"),
    ] {
        let error = read(text.as_bytes(), format, &[]).unwrap_err();
        assert!(
            error.to_string().ends_with("pass exactly one --symbol"),
            "{error}"
        );
    }
}

#[test]
fn row_of_a_time_that_has_not_come_is_refused_by_its_line_on_both_ways() {
    let text = b"ticker,id,price,size,sip_timestamp,sequence_number\n\
        A,1,1.5,1,1736175600000000000,1\nA,2,1.5,1,1736175601000000000,2\nA,3,1.5,1,1736175602000000000,3\n";
    let mut past = settings("auto", &[]);
    past.time_max = "2025-01-06T15:00:01Z".parse().unwrap();
    let error = all(reader(text, past.clone())).unwrap_err().to_string();
    let want =
        "line 4: time \"2025-01-06T15:00:02Z\": lies in the future: after 2025-01-06T15:00:01Z";
    assert!(error.contains(want), "{error}");
    past.on_bad_row = OnBadRow::Skip;
    let mut skipping = reader(text, past.clone());
    let kept: usize = skipping.by_ref().map(|batch| batch.unwrap().len()).sum();
    assert_eq!((kept, skipping.stats().malformed), (2, 1));
    // In chunks, by the decoder of flat files.
    let queue = std::sync::Mutex::new(reader(text, past).into_parts().0);
    let chunk = crate::file::chunk_queue::next_chunk(&queue).unwrap();
    assert_eq!((chunk.trades.len(), chunk.filter.stats.malformed), (2, 1));
}

#[test]
fn trades_get_other_names_behind_the_choice_of_symbols() {
    let mut renamed = settings("auto", &["A"]);
    renamed.renames = vec![("A".parse().unwrap(), "B".parse().unwrap())];
    let trades = all(reader(&stock_file(30), renamed)).unwrap();
    assert!(!trades.is_empty() && trades.iter().all(|trade| trade.symbol.as_str() == "B"));
}

#[test]
fn other_symbols_are_left_out_and_counted() {
    let mut kept = reader(&stock_file(30), settings("auto", &["A", "AAPL"]));
    let trades: usize = kept.by_ref().map(|batch| batch.unwrap().len()).sum();
    assert_eq!((trades, kept.stats().filtered), (20, 10));
}

#[test]
fn start_skips_what_was_delivered() {
    let text = stock_file(100);
    let whole = read(&text, "auto", &["A"]).unwrap();
    for start in [0, 1, 17, 33] {
        let mut rest = settings("auto", &["A"]);
        rest.start = Position(start);
        let rest = all(reader(&text, rest)).unwrap();
        assert_eq!(rest, whole[usize::try_from(start).unwrap()..]);
    }
    let mut beyond = settings("auto", &["A"]);
    beyond.start = Position(34);
    assert!(matches!(
        all(reader(&text, beyond)),
        Err(FileError::StartBeyondEnd {
            start: 34,
            trades: 33
        })
    ));
}

#[test]
fn batches_are_bounded_and_trades_before_an_error_come_first() {
    let mut text = stock_file(10);
    text.extend_from_slice(b"broken\n");
    let mut small = settings("auto", &[]);
    small.batch_len_max = 4;
    let lens: Vec<Option<usize>> = reader(&text, small)
        .map(|batch| batch.ok().map(|trades| trades.len()))
        .collect();
    assert_eq!(lens, [Some(4), Some(4), Some(2), None]);
}
