//! Rows of the state file: what is read, written again, is the same bytes.

use super::store::update;
use crate::entropy::Entropy;
use barmill_core::port::WriteItem;
use barmill_stores::state::codec::{decode_item, encode_item};
use barmill_stores::state::fuzzing::rows;

/// Bytes as an item and as rows of each table, with a right checksum and with that in the bytes.
pub fn row(input: &[u8]) {
    let Some((&knobs, bytes)) = input.split_first() else {
        return;
    };
    if knobs & 1 == 1 {
        let item = WriteItem::Bar(update(&mut Entropy::new(bytes)));
        let mut text = Vec::new();
        encode_item(&item, &mut text);
        assert_eq!(decode_item(&text), Ok(item), "an item reads back");
        return;
    }
    match decode_item(bytes) {
        Ok(item) => {
            let mut text = Vec::new();
            encode_item(&item, &mut text);
            assert_eq!(text, bytes, "an item is written as it was");
        }
        Err(error) => drop(super::words(&error)),
    }
    for row in rows(bytes, true).iter().flatten() {
        assert_eq!(row, bytes, "a row is written as it was");
    }
    for (bare, row) in rows(bytes, false)
        .into_iter()
        .zip(rows(bytes.get(4..).unwrap_or_default(), true))
    {
        assert!(bare.is_err() || bare == row, "a row with its checksum");
    }
}

/// A bar, a manifest, a dead letter and a budget.
pub fn row_seeds() -> Vec<Vec<u8>> {
    let mut item = Vec::new();
    encode_item(
        &WriteItem::Bar(update(&mut Entropy::new(&[3; 400]))),
        &mut item,
    );
    let timed = [&1_760_535_000_000_000_000u64.to_le_bytes(), item.as_slice()].concat();
    let dead = [b"\x02\0no".as_slice(), &timed].concat();
    let mut manifest = b"\x01\x01".to_vec();
    manifest.extend_from_slice(&[1; 1]);
    manifest.extend_from_slice(&[0; 16]);
    manifest.extend_from_slice(b"\xe9\x07\x0a\x0f\x01\0A\x03\0UTC");
    manifest.extend_from_slice(&[0; 16 + 2 + 20]);
    let budget = [b"\xe9\x07\x0a\x0f".as_slice(), &[0; 16]].concat();
    let mut seeds: Vec<Vec<u8>> = [item, timed, dead, manifest, budget]
        .map(|bytes| [&[0], bytes.as_slice()].concat())
        .to_vec();
    seeds.push((0u8..=255).map(|byte| byte.wrapping_mul(7) | 1).collect());
    seeds
}
