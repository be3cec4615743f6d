//! Claims about the reader, on the embedded store.

use super::{BarReader, ReadError};
use crate::embedded::EmbeddedStore;
use crate::key_store::command::Command;
use crate::key_store::port::KeyStore;
use crate::layout::settings::{ValueForm, ViewKind, ViewSettings};
use crate::layout::stored::StoredBar;
use crate::layout::view::View;
use crate::testing::{FakeClock, manifest, update};
use crate::write::ViewSink;
use barmill_core::model::{BarSpec, Symbol};
use barmill_core::port::{BarSink, WriteItem};
use bytes::Bytes;
use jiff::civil::{Date, date, time};
use jiff::tz::TimeZone;
use std::sync::Arc;

struct Fixture {
    _folder: tempfile::TempDir,
    store: Arc<EmbeddedStore>,
    sink: ViewSink,
    reader: BarReader,
}

fn fixture(kind: ViewKind, value: ValueForm) -> Fixture {
    let mut settings = ViewSettings::new(kind, TimeZone::get("America/New_York").unwrap()).unwrap();
    settings.value = value;
    let view = Arc::new(View::new(settings, &[]).unwrap());
    let clock = Arc::new(FakeClock::at("2025-11-03T12:00:00Z"));
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), false, Arc::clone(&clock) as _);
    let store = Arc::new(store.unwrap());
    let sink = ViewSink::new(
        Arc::clone(&store) as _,
        Arc::clone(&view),
        Arc::clone(&clock) as _,
    );
    let reader = BarReader::new(Arc::clone(&store) as _, view, clock);
    Fixture {
        _folder: folder,
        store,
        sink,
        reader,
    }
}

fn symbol(name: &str) -> Symbol {
    name.parse().unwrap()
}

fn minute() -> BarSpec {
    "1m".parse().unwrap()
}

const FALL_BACK: Date = date(2025, 11, 2);
const STARTS: [&str; 4] = [
    "2025-11-02T04:00:00Z",
    "2025-11-02T05:30:00Z",
    "2025-11-02T06:30:00Z",
    "2025-11-03T04:59:00Z",
];

async fn write(fixture: &Fixture, spec: &str, starts: &[&str]) -> Vec<StoredBar> {
    let mut items = Vec::new();
    for start in starts {
        items.push(update("A", spec, start));
        items.push(update("B", spec, start));
    }
    let bars = items
        .iter()
        .map(|one| StoredBar::of(&one.bar, one.state, one.revision))
        .collect();
    let items: Vec<WriteItem> = items.into_iter().map(WriteItem::Bar).collect();
    assert!(
        fixture
            .sink
            .write(&items)
            .await
            .unwrap()
            .iter()
            .all(Result::is_ok)
    );
    bars
}

const KINDS: [ViewKind; 4] = [
    ViewKind::SymbolDay,
    ViewKind::Minute,
    ViewKind::KeyPerBar,
    ViewKind::Stream,
];

#[tokio::test]
async fn every_view_and_form_gives_back_a_day_with_a_repeated_hour_in_one_round_trip() {
    for kind in KINDS {
        for form in [ValueForm::JsonFull, ValueForm::JsonSix, ValueForm::Csv] {
            let fixture = fixture(kind, form);
            let mut expected = write(&fixture, "1m", &STARTS).await;
            if form != ValueForm::JsonFull {
                for bar in &mut expected {
                    bar.detail = None;
                }
            }
            let before = fixture.store.stats().requests;
            let found = fixture
                .reader
                .days(&[symbol("B"), symbol("A")], minute(), FALL_BACK)
                .await
                .unwrap();
            assert_eq!(found, expected, "{kind} {form:?}");
            assert_eq!(fixture.store.stats().requests, before + 1);
        }
    }
}

#[tokio::test]
async fn a_civil_minute_gives_both_passes_of_a_repeated_hour() {
    for kind in KINDS {
        let fixture = fixture(kind, ValueForm::Csv);
        write(&fixture, "1m", &STARTS).await;
        let symbols = [symbol("A"), symbol("B")];
        let at = |hour| {
            fixture
                .reader
                .minute(&symbols, minute(), FALL_BACK, time(hour, 30, 0, 0))
        };
        assert_eq!(at(1).await.unwrap().len(), 4, "{kind}");
        assert_eq!(at(2).await.unwrap().len(), 0, "{kind}");
    }
}

#[tokio::test]
async fn the_latest_bar_is_found_on_an_earlier_day() {
    for kind in KINDS {
        let fixture = fixture(kind, ValueForm::Csv);
        write(&fixture, "1m", &STARTS[..3]).await;
        let latest = fixture
            .reader
            .latest(symbol("A"), minute())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(latest.start.to_string(), STARTS[2], "{kind}");
        assert_eq!(
            fixture
                .reader
                .latest(symbol("NONE"), minute())
                .await
                .unwrap(),
            None
        );
    }
}

#[tokio::test]
async fn bars_cut_by_trades_are_read_by_day_from_a_hash_only() {
    let starts = [
        "2025-11-02T05:30:00.000000001Z",
        "2025-11-02T06:30:00.000000001Z",
    ];
    let hash = fixture(ViewKind::SymbolDay, ValueForm::Csv);
    write(&hash, "tick:10", &starts).await;
    let ticks: BarSpec = "tick:10".parse().unwrap();
    let found = hash
        .reader
        .day(symbol("A"), ticks, FALL_BACK)
        .await
        .unwrap();
    assert_eq!(
        found
            .iter()
            .map(|bar| bar.start.to_string())
            .collect::<Vec<_>>(),
        starts
    );
    let strings = fixture(ViewKind::KeyPerBar, ValueForm::Csv);
    let error = strings
        .reader
        .day(symbol("A"), ticks, FALL_BACK)
        .await
        .unwrap_err();
    assert!(matches!(error, ReadError::Unlisted(_)), "{error}");
}

#[tokio::test]
async fn day_and_session_bars_are_found_in_every_view() {
    for kind in KINDS {
        for (spec, start) in [
            ("1d", "2025-11-02T04:00:00Z"),
            ("session", "2025-11-02T14:30:00Z"),
        ] {
            let fixture = fixture(kind, ValueForm::Csv);
            write(&fixture, spec, &[start]).await;
            let found = fixture
                .reader
                .day(symbol("A"), spec.parse().unwrap(), FALL_BACK)
                .await
                .unwrap();
            assert_eq!(found.len(), 1, "{kind} {spec}");
        }
    }
}

#[tokio::test]
async fn a_value_that_does_not_decode_is_named() {
    let fixture = fixture(ViewKind::SymbolDay, ValueForm::Csv);
    let bytes = Bytes::from_static;
    let fields = [("09:30", "1,2")].into_iter().collect();
    let broken = Command::HashSet {
        key: bytes(b"bars:1m:2025-11-02:A"),
        fields,
    };
    fixture
        .store
        .run(&[broken])
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    let error = fixture
        .reader
        .day(symbol("A"), minute(), FALL_BACK)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "value of key bars:1m:2025-11-02:A field \"09:30\" does not decode"
    );
}

#[tokio::test]
async fn manifests_of_a_date_come_by_symbol_with_their_time() {
    let fixture = fixture(ViewKind::Minute, ValueForm::Csv);
    let items = ["B", "A"].map(|name| WriteItem::Manifest(manifest(name, "1m")));
    fixture.sink.write(&items).await.unwrap();
    let found = fixture
        .reader
        .manifests(minute(), date(2025, 10, 15))
        .await
        .unwrap();
    assert_eq!(
        found
            .iter()
            .map(|one| one.manifest.symbol)
            .collect::<Vec<_>>(),
        [symbol("A"), symbol("B")]
    );
    assert_eq!(found[0].manifest, manifest("A", "1m"));
    assert_eq!(found[0].updated_at.to_string(), "2025-11-03T12:00:00Z");
}
