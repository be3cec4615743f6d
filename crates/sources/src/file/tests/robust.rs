//! No bytes make a decoder panic or loop.

use super::{HEADER, all, reader, settings, valid_files};
use crate::file::{Format, OnBadRow};
use proptest::prelude::*;

/// Reads to the end or the first error.
fn drain(bytes: &[u8], format: &str, symbols: &[&str]) {
    for on_bad_row in [OnBadRow::Stop, OnBadRow::Skip] {
        let mut settings = settings(format, symbols);
        settings.on_bad_row = on_bad_row;
        settings.batch_len_max = 7;
        let _outcome = all(reader(bytes, settings));
    }
}

fn mutated(mut bytes: Vec<u8>, edits: &[(usize, u8, u8)]) -> Vec<u8> {
    for &(place, value, kind) in edits {
        let at = place % bytes.len().max(1);
        match kind % 4 {
            0 if !bytes.is_empty() => bytes[at] = value,
            1 => bytes.insert(at.min(bytes.len()), value),
            2 if !bytes.is_empty() => drop(bytes.remove(at)),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for format in Format::all().map(Format::name).chain(["auto"]) {
            drain(&bytes, format, &["A"]);
        }
    }

    #[test]
    fn arbitrary_bytes_behind_a_valid_start_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let starts: [(&str, &[u8]); 4] = [
            ("massive-csv", HEADER.as_bytes()),
            ("kraken-json", b"{\"result\":{\"A\":["),
            ("massive-json", b"{\"results\":["),
            ("recording", b"BMREC\r\n\x1a\x01\0\0\0"),
        ];
        for (format, start) in starts {
            drain(&[start, b"\n", &bytes].concat(), format, &["A"]);
            drain(&[start, &bytes].concat(), "auto", &["A"]);
        }
    }

    #[test]
    fn mutated_files_are_answered(edits in proptest::collection::vec(any::<(usize, u8, u8)>(), 1..6)) {
        for (format, bytes, symbols) in valid_files() {
            let bytes = mutated(bytes, &edits);
            drain(&bytes, format, &symbols);
            drain(&bytes, "auto", &symbols);
        }
    }

    #[test]
    fn refused_numbers_are_answered(number in "[-+]?[0-9]{0,40}[.]?[0-9]{0,40}([eE][-+]?[0-9]{0,6})?|NaN|inf") {
        let row = format!("{HEADER}\nA,{number},{number},4,1,1,{number},{number},{number},{number},3,1,0\n");
        drain(row.as_bytes(), "massive-csv", &["A"]);
        let row = format!(r#"{{"result":{{"A":[[{number},"{number}",{number},"b","l","",{number}]]}}}}"#);
        drain(row.as_bytes(), "kraken-json", &["A"]);
        let row = format!("{number},{number},{number},{number},{number},true,true");
        drain(row.as_bytes(), "binance-trades", &["A"]);
    }
}
