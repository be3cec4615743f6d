//! Containers: what is cut or damaged is never taken for a whole file, and what unpacks to a lot stays bounded.

use super::pack::{self, put};
use super::read::{Outcome, Way, drain, read};
use crate::entropy::Entropy;
use barmill_sources::file::{FileFeedSettings, OnBadRow, TradeReader};
use zip::CompressionMethod;

const HEADER: &str = "ticker,price,sip_timestamp,size\n";
const WAY: Way = Way {
    format: "massive-csv",
    on_bad_row: OnBadRow::Stop,
    chunk_len: 1 << 16,
    batch_len_max: 4096,
    start: 0,
};

/// Packs rows, then cuts the result or flips bits in it.
///
/// The input says how; the rows are made, so that every input is one of many rows that are right.
pub fn container(input: &[u8]) {
    let mut entropy = Entropy::new(input);
    let (kind, damage, rows) = (entropy.below(5), entropy.below(2), entropy.u64() % 200 + 1);
    let mut text = HEADER.to_owned();
    for row in 0..rows {
        let time = 1_760_535_000_000_000_000 + row * 1_000_000 + entropy.u64() % 1_000;
        text.push_str(&format!(
            "A,{},{time},{}\n",
            1 + entropy.u64() % 1_000_000,
            row + 1
        ));
    }
    let whole = read_packed(text.as_bytes(), 4);
    assert_eq!(
        (whole.trades.len() as u64, &whole.error),
        (rows, &None),
        "the rows themselves"
    );
    let packed = match kind {
        0 => pack::gzip(text.as_bytes()),
        1 => [
            pack::gzip(text[..40].as_bytes()),
            pack::gzip(text[40..].as_bytes()),
        ]
        .concat(),
        2 => pack::zstd(text.as_bytes()),
        3 => pack::zip(text.as_bytes(), CompressionMethod::Deflated),
        _ => pack::zip(text.as_bytes(), CompressionMethod::Stored),
    };
    let at = usize::try_from(entropy.u64() % packed.len() as u64).unwrap_or(0);
    let mut damaged = packed.clone();
    match damage {
        0 => damaged.truncate(at.max(1)),
        _ => damaged[at] ^= 1 << entropy.below(8),
    }
    let found = read_packed(&damaged, kind);
    // A cut between two members leaves a whole file of the first one.
    let is_boundary = kind == 1 && damage == 0 && at == pack::gzip(text[..40].as_bytes()).len();
    // A checksum comes last, so that trades of a changed file may be out before the error.
    assert!(
        damage == 1 || whole.trades.starts_with(&found.trades),
        "kind {kind}, cut at {at}: other trades"
    );
    assert!(
        is_boundary || found.error.is_some() || found.trades == whole.trades,
        "kind {kind}, damage {damage} at {at} of {}: {} of {rows} trades and no error",
        packed.len(),
        found.trades.len()
    );
}

fn read_packed(bytes: &[u8], kind: usize) -> Outcome {
    if bytes.starts_with(b"PK") && kind >= 3 {
        read_file(bytes)
    } else {
        read(bytes, WAY)
    }
}

/// Reads a file, which a zip needs to be.
fn read_file(bytes: &[u8]) -> Outcome {
    let mut settings = FileFeedSettings::new(vec![put("packed.zip", bytes)]);
    settings.time_max = barmill::Timestamp::MAX;
    settings.format = Some("massive-csv".parse().expect("a layout"));
    drain(TradeReader::new(settings), 4096)
}

/// Any bytes as a zip file.
pub fn zip(input: &[u8]) {
    let first = read_file(input);
    assert_eq!(
        read_file(input),
        first,
        "reading again gives something else"
    );
}

/// One for each kind and damage.
pub fn container_seeds() -> Vec<Vec<u8>> {
    (0..10)
        .map(|kind| {
            (0u8..200)
                .map(|byte| byte.wrapping_mul(37).wrapping_add(kind))
                .collect::<Vec<u8>>()
        })
        .map(|mut seed: Vec<u8>| {
            (seed[0], seed[1]) = (seed[0] % 5, seed[1] % 2);
            seed
        })
        .collect()
}

/// Stored, deflated, without entries, and one that unpacks to a thousand times its size.
pub fn zip_seeds() -> Vec<Vec<u8>> {
    let text = format!("{HEADER}A,1.5,1760535000000000001,1\n{HEADER}A,1.5,1760535000000000002,1");
    let bomb = "\n".repeat(1 << 20);
    vec![
        pack::zip(text.as_bytes(), CompressionMethod::Stored),
        pack::zip(text.as_bytes(), CompressionMethod::Deflated),
        pack::zip(bomb.as_bytes(), CompressionMethod::Deflated),
        b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
    ]
}
