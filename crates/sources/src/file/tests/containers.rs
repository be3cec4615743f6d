//! Containers, told from their first bytes.

use super::{all, read, settings, stock_file};
use crate::file::{FileError, TradeReader};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{Cursor, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zip(entries: &[(&str, &[u8], CompressionMethod)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text, method) in entries {
        writer
            .start_file(
                *name,
                SimpleFileOptions::default().compression_method(*method),
            )
            .unwrap();
        writer.write_all(text).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn read_file(
    folder: &Path,
    bytes: &[u8],
    symbols: &[&str],
) -> Result<Vec<barmill_core::model::Trade>, FileError> {
    let path = folder.join("input");
    std::fs::write(&path, bytes).unwrap();
    let mut settings = settings("auto", symbols);
    settings.paths = vec![path];
    all(TradeReader::new(settings))
}

#[test]
fn every_container_gives_the_same_trades() {
    let folder = tempfile::tempdir().unwrap();
    let text = stock_file(5_000);
    let (first, second) = text.split_at(100_001);
    let trades = read(&text, "massive-csv", &[]).unwrap();
    assert_eq!(trades.len(), 5_000);
    let members = [gzip(first), gzip(second)].concat();
    let frames = [
        zstd::encode_all(first, 3).unwrap(),
        zstd::encode_all(second, 3).unwrap(),
    ]
    .concat();
    let skippable = [b"\x50\x2a\x4d\x18\x04\0\0\0skip".as_slice(), &frames].concat();
    for (name, bytes) in [
        ("plain", text.clone()),
        ("gzip of two members", members),
        ("zstd of two frames", frames),
        ("zstd behind a skippable frame", skippable),
        (
            "zip, deflated",
            zip(&[
                ("empty", b"", CompressionMethod::Stored),
                ("a.csv", &text, CompressionMethod::Deflated),
            ]),
        ),
        (
            "zip, stored gzip",
            zip(&[("a.csv.gz", &gzip(&text), CompressionMethod::Stored)]),
        ),
    ] {
        assert_eq!(
            read_file(folder.path(), &bytes, &[]).unwrap(),
            trades,
            "{name}"
        );
        if !name.starts_with("zip") {
            assert_eq!(
                read(&bytes, "auto", &[]).unwrap(),
                trades,
                "{name} from a stream"
            );
        }
    }
}

#[test]
fn entries_of_a_zip_are_read_in_order_and_name_their_symbol() {
    let folder = tempfile::tempdir().unwrap();
    let (day, next) = (
        &b"1,2.5,3,7.5,1735689600012345,True,True\n"[..],
        &b"2,2.5,3,7.5,1735689600012345,True,True\n"[..],
    );
    let bytes = zip(&[
        (
            "BTCUSDT-trades-2025-01-01.csv",
            day,
            CompressionMethod::Deflated,
        ),
        (
            "ETHUSDT-trades-2025-01-01.csv",
            next,
            CompressionMethod::Stored,
        ),
    ]);
    let trades = read_file(folder.path(), &bytes, &[]).unwrap();
    let found: Vec<(u64, &str)> = trades
        .iter()
        .map(|trade| (trade.id.raw(), trade.symbol.as_str()))
        .collect();
    assert_eq!(found, [(1, "BTCUSDT"), (2, "ETHUSDT")]);
}

#[test]
fn damaged_containers_are_errors_after_the_trades_before() {
    let folder = tempfile::tempdir().unwrap();
    let text = stock_file(50_000);
    let packed = gzip(&text);
    let mut settings = settings("auto", &[]);
    let path = folder.path().join("cut.gz");
    std::fs::write(&path, &packed[..packed.len() / 2]).unwrap();
    settings.paths = vec![path];
    let mut reader = TradeReader::new(settings);
    let trades: usize = reader
        .by_ref()
        .map_while(Result::ok)
        .map(|batch| batch.len())
        .sum();
    assert!(10_000 < trades && trades < 40_000, "{trades}");
    let mut stored = zip(&[("a.csv", &text, CompressionMethod::Stored)]);
    let at = stored.len() / 2;
    stored[at] ^= 1;
    assert!(read_file(folder.path(), &stored, &[]).is_err());
    assert!(matches!(
        read_file(folder.path(), &stored[..at], &[]),
        Err(FileError::Zip { .. })
    ));
}

#[test]
fn zip_from_a_pipe_says_what_to_do() {
    let bytes = zip(&[("a.csv", b"x", CompressionMethod::Stored)]);
    assert!(matches!(
        read(&bytes, "auto", &[]),
        Err(FileError::ZipFromPipe { .. })
    ));
}

#[test]
fn missing_file_is_named() {
    let mut settings = settings("auto", &[]);
    settings.paths = vec!["no/such/file.csv".into()];
    let error = all(TradeReader::new(settings)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "open no/such/file.csv; check the path and its permissions"
    );
}
