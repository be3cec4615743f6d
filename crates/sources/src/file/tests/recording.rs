//! The recording keeps every trade, and every whole block of a crashed writer.

use super::{all, read, reader, settings, stock_file};
use crate::file::{FileError, RecordingWriter};
use barmill_core::model::{Conditions, Price, Side, Size, Symbol, Timestamp, Trade, TradeId};
use proptest::prelude::*;
use std::path::Path;

/// The recording of a stock file, in blocks of seven trades, without the mark of an orderly end.
pub(super) fn recorded(text: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("day.rec");
    let mut writer = RecordingWriter::create(&path).unwrap();
    for block in read(text, "massive-csv", &[]).unwrap().chunks(7) {
        writer.write(block).unwrap();
        writer.flush().unwrap();
    }
    std::fs::read(path).unwrap()
}

fn write(path: &Path, trades: &[Trade]) {
    let mut writer = RecordingWriter::append(path).unwrap();
    writer.write(trades).unwrap();
    writer.finish().unwrap();
}

fn any_trade() -> impl Strategy<Value = Trade> {
    let numbers = (
        0..=i64::MAX,
        any::<u64>(),
        any::<u64>(),
        any::<u64>(),
        0..=Size::MAX.raw(),
        any::<u128>(),
    );
    let marks = (
        "[A-Z]{1,3}[.:/_+=^$#-]?",
        any::<u16>(),
        any::<u8>(),
        0u8..3,
        any::<bool>(),
    );
    (numbers, marks).prop_map(|((time, sequence, id, price, size, conditions), marks)| {
        let (symbol, venue, correction, side, sequenced) = marks;
        Trade {
            symbol: Symbol::intern(symbol.as_bytes()).unwrap(),
            time: Timestamp::from_nanos(time).unwrap(),
            sequence,
            id: TradeId::from_raw(id),
            price: Price::from_raw(price),
            size: Size::from_raw(size).unwrap(),
            conditions: Conditions::from_bits(conditions),
            venue,
            correction,
            side: [Side::Unknown, Side::Buy, Side::Sell][usize::from(side)],
            sequenced,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn round_trip_is_the_identity(trades in proptest::collection::vec(any_trade(), 0..60), cut in 0usize..60) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("any.rec");
        let (first, second) = trades.split_at(cut.min(trades.len()));
        write(&path, first);
        write(&path, second);
        prop_assert_eq!(read(&std::fs::read(path).unwrap(), "auto", &[]).unwrap(), trades);
    }
}

#[test]
fn long_recording_is_cut_into_blocks_and_batches() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.rec");
    let trades = read(&stock_file(10_000), "auto", &[]).unwrap();
    write(&path, &trades);
    let mut odd = settings("recording", &[]);
    odd.batch_len_max = 999;
    odd.paths = vec![path];
    assert_eq!(all(crate::file::TradeReader::new(odd)).unwrap(), trades);
}

#[test]
fn crash_at_any_byte_keeps_every_whole_block() {
    let text = stock_file(21);
    let trades = read(&text, "auto", &[]).unwrap();
    let bytes = recorded(&text);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("torn.rec");
    for len in 1..=bytes.len() {
        let mut reader = reader(&bytes[..len], settings("recording", &[]));
        let kept: Vec<Trade> = reader.by_ref().flat_map(Result::unwrap).collect();
        assert!(
            trades.starts_with(&kept) && kept.len().is_multiple_of(7),
            "cut at {len}"
        );
        let torn = reader.stats().torn_bytes;
        assert_eq!(kept.len() == 21, len == bytes.len());
        // Another writer goes on behind the last whole block.
        std::fs::write(&path, &bytes[..len]).unwrap();
        let mut writer = RecordingWriter::append(&path).unwrap();
        assert_eq!(writer.torn_bytes(), torn, "cut at {len}");
        writer.write(&trades[kept.len()..]).unwrap();
        writer.flush().unwrap();
        drop(writer);
        assert_eq!(
            read(&std::fs::read(&path).unwrap(), "auto", &[]).unwrap(),
            trades,
            "cut at {len}"
        );
    }
}

#[test]
fn tail_of_zeros_is_torn() {
    let text = stock_file(14);
    let mut bytes = recorded(&text);
    bytes.extend_from_slice(&[0; 5000]);
    let mut reader = reader(&bytes, settings("recording", &[]));
    let kept: usize = reader.by_ref().map(|batch| batch.unwrap().len()).sum();
    assert_eq!((kept, reader.stats().torn_bytes), (14, 5000));
}

#[test]
fn damage_in_the_middle_is_an_error_that_names_the_byte() {
    let bytes = recorded(&stock_file(21));
    // The second block starts behind the header and the first block.
    let first = 16 + 20 + u32::from_le_bytes(*bytes[16..].first_chunk().unwrap()) as usize;
    let second = first + 20 + u32::from_le_bytes(*bytes[first..].first_chunk().unwrap()) as usize;
    for at in 0..second {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let mut reader = reader(&damaged, settings("recording", &[]));
        let error = reader.find_map(Result::err);
        let Some(FileError::Corrupt { offset, .. }) = error else {
            panic!("byte {at}: {error:?}")
        };
        let want = match at {
            0..16 => 0,
            _ if at < first => 16,
            _ => first,
        };
        assert_eq!(offset, want as u64, "byte {at}");
    }
}

#[test]
fn after_an_orderly_end_damage_in_the_last_block_shows_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("done.rec");
    write(&path, &read(&stock_file(5), "auto", &[]).unwrap());
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.len() - 25;
    bytes[at] ^= 1;
    assert!(matches!(
        read(&bytes, "auto", &[]),
        Err(FileError::Corrupt { offset: 16, .. })
    ));
}

#[test]
fn newer_layout_is_refused() {
    let mut bytes = recorded(&stock_file(3));
    bytes[8] = 2;
    let crc = crc32c::crc32c(&bytes[..12]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(
        read(&bytes, "auto", &[]),
        Err(FileError::Version {
            version: 2,
            known: 1,
            ..
        })
    ));
}

#[test]
fn second_writer_and_existing_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.rec");
    let _first = RecordingWriter::create(&path).unwrap();
    assert!(matches!(
        RecordingWriter::append(&path),
        Err(FileError::Locked { .. })
    ));
    assert!(matches!(
        RecordingWriter::create(&path),
        Err(FileError::Exists { .. })
    ));
    let other = folder.path().join("trades.csv");
    std::fs::write(&other, stock_file(3)).unwrap();
    assert!(matches!(
        RecordingWriter::append(&other),
        Err(FileError::Corrupt { .. })
    ));
    assert_eq!(
        std::fs::read(&other).unwrap(),
        stock_file(3),
        "a file that is no recording stays as it is"
    );
}
