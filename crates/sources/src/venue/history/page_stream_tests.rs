//! Tests of the streaming parser against `serde_json`: equal trades, next pages and errors for any page and chunks.

use super::error::PageError;
use super::json::Rows;
use super::page::{Asked, HistoryProtocol, Next};
use super::page_stream::PageStream;
use super::progress::SymbolRange;
use crate::venue::VenueSettings;
use crate::venue::massive::VENUE;
use crate::venue::massive::history::Massive;
use barmill_core::model::{Timestamp, Trade};
use proptest::prelude::*;

fn massive(wrap: &str) -> Massive {
    let mut settings = VenueSettings::new(&VENUE);
    settings.set("wrap", wrap).unwrap();
    Massive::new(&settings)
}

fn asked() -> Asked {
    Asked {
        base: "https://venue.example".parse().unwrap(),
        range: SymbolRange {
            symbol: "EARLY".parse().unwrap(),
            from: Timestamp::EPOCH,
            to: Timestamp::MAX,
        },
        page_len: 3,
    }
}

/// How the next page follows and where it begins; and the rows of this one.
type Decoded = (Result<(Next, String), String>, Vec<Trade>, usize, u64);

fn decode(wrap: &str, text: &[u8], skip_malformed: bool, stream: Option<PageStream>) -> Decoded {
    let mut venue = massive(wrap);
    let mut rows = Rows {
        skip_malformed,
        stream,
        ..Rows::default()
    };
    let next = venue.decode(&asked(), text, &mut rows);
    let place = venue.request(&asked()).unwrap().url.to_string();
    let next = next.map(|next| (next, place));
    let next = next.map_err(|fault: PageError| format!("{fault:?}"));
    (next, rows.trades, rows.read, rows.malformed)
}

/// Reads the text in pieces of this length, as the wire may bring it.
fn stream(venue: &Massive, text: &[u8], piece_len: usize) -> PageStream {
    let mut stream = venue.stream(&asked()).unwrap();
    for end in (0..text.len()).step_by(piece_len).chain([text.len()]) {
        stream.read(&text[..end]);
    }
    stream
}

fn assert_same(wrap: &str, text: &[u8], piece_len: usize) {
    let venue = massive(wrap);
    for skip in [false, true] {
        let read = stream(&venue, text, piece_len);
        let same = decode(wrap, text, skip, Some(read)) == decode(wrap, text, skip, None);
        assert!(
            same,
            "wrap {wrap:?}, skip {skip}: {}",
            String::from_utf8_lossy(text)
        );
    }
}

/// A member of a row: mostly what the vendor writes, sometimes anything.
fn member() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        8 => (0u64..300).prop_map(|number| number.to_string()),
        4 => (1u64..400, 0u32..10_000).prop_map(|(whole, part)| format!("{whole}.{part:04}")),
        4 => "[A-Za-z0-9-]{0,8}".prop_map(|text| format!("\"{text}\"")),
        2 => prop::collection::vec(0u32..140, 0..4).prop_map(|ids| format!("{ids:?}")),
        1 => prop::sample::select(vec![
            "null", "true", "-1", "1e3", "01", "1.", "{}", "[[]]", "\"\\u0041\"", "\"\u{e9}\"", "18446744073709551616", "",
        ]).prop_map(str::to_owned),
    ];
    let names = vec![
        "conditions",
        "correction",
        "decimal_size",
        "exchange",
        "id",
        "price",
        "size",
        "tape",
        "trf_id",
        "results",
    ];
    (prop::sample::select(names), value).prop_map(|(name, value)| format!("\"{name}\":{value}"))
}

/// A row whose needed fields are well formed, with a few more members that may be anything.
fn row() -> impl Strategy<Value = String> {
    let needed = (1u64..1_000_000, 0u64..9_999).prop_map(|(time, part)| {
        format!(
            "{{\"conditions\":[12,37],\"exchange\":4,\"id\":\"{time}\",\"price\":255.{part:04},\
             \"sequence_number\":{time},\"sip_timestamp\":{time},\"size\":100,\"tape\":3}}"
        )
    });
    let more = prop::collection::vec(member(), 0..3).prop_map(|members| {
        let more = [String::new()]
            .into_iter()
            .chain(members)
            .collect::<Vec<_>>()
            .join(", ");
        format!("{{\"exchange\":4,\"sequence_number\":7,\"sip_timestamp\": 9{more}}}")
    });
    prop_oneof![6 => needed, 2 => more]
}

fn page() -> impl Strategy<Value = String> {
    let tails = vec![
        ",\"status\":\"OK\",\"count\":3}",
        ",\"status\":\"OK\",\"next_url\":\"https://venue.example/v3/trades/EARLY?cursor=a\"}",
        ",\"next_url\":\"https:\\/\\/venue.example\\/v3\\/trades\\/EARLY?cursor=b\"}\n",
        ",\"next_url\":\"https://elsewhere.example/x\"}",
        ",\"status\":\"ERROR\"}",
        ",\"results\":[]}",
        ",\"status\":\"OK\",\"next_url\":7}",
        "}",
        "",
        "}}",
    ];
    let heads = vec![
        "{\"results\":",
        "{\"status\":\"OK\",\"results\" : ",
        "{\"x\":{\"results\":[]},\"results\":",
        "{\"x\":[\"\\\"results\\\":[\"],\"results\":",
    ];
    let rows = prop::collection::vec(row(), 0..6);
    (
        prop::sample::select(heads),
        rows,
        prop::sample::select(tails),
    )
        .prop_map(|(head, rows, tail)| format!("{head}[{}]{tail}", rows.join(",")))
}

proptest! {
    #[test]
    fn early_pages_equal_plain_ones(text in page(), piece_len in 1usize..200) {
        assert_same("results", text.as_bytes(), piece_len);
        let wrapped = format!("{{\"data\":{text},\"status\":\"OK\"}}");
        assert_same("data.results", wrapped.as_bytes(), piece_len);
    }

    #[test]
    fn damaged_pages_fail_alike(
        text in page(),
        piece_len in 1usize..200,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..4),
    ) {
        let mut bytes = text.into_bytes();
        for (place, byte, kind) in damage {
            let at = place.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        assert_same("results", &bytes, piece_len);
    }
}

#[test]
fn a_page_as_the_vendor_writes_it_is_read_early() {
    let venue = massive("results");
    let row = r#"{"conditions":[14],"exchange":11,"id":"5","participant_timestamp":3,"price":1.5,"sequence_number":2,"sip_timestamp":4,"size":9,"tape":3,"trf_id":201,"trf_timestamp":3}"#;
    let text = format!(r#"{{"results":[{row},{row}],"status":"OK","request_id":"a"}}"#);
    let whole = stream(&venue, text.as_bytes(), 10)
        .finish(text.as_bytes())
        .expect("the subset");
    assert_eq!(whole.trades.len(), 2);
    assert_eq!(
        whole.frame,
        br#"{"results":[],"status":"OK","request_id":"a"}"#
    );
    assert_same("results", text.as_bytes(), 7);
}

#[test]
fn rows_of_another_array_of_that_name_are_left_to_the_plain_reader() {
    let row = r#"{"exchange":4,"sequence_number":1,"sip_timestamp":2,"price":3,"size":4}"#;
    for text in [
        format!(r#"{{"other":{{"results":[{row}]}},"results":[{row},{row}],"status":"OK"}}"#),
        format!(r#"{{"results":[{row}],"results":[{row},{row}],"status":"OK"}}"#),
        format!(r#"{{"other":{{"results":[{row}]}},"status":"OK"}}"#),
    ] {
        assert_same("results", text.as_bytes(), 16);
    }
}
