//! The recording: round trips, damaged bytes, and damaged blocks whose checksums are right.

use super::pack::put;
use super::read::{agree, drain};
use crate::entropy::Entropy;
use barmill::{Conditions, Side, Timestamp, Trade, TradeId};
use barmill_sources::file::{FileFeedSettings, RecordingWriter, TradeReader};

/// The first knob chooses: trades to write and read, bytes to read, or columns to pack into a right block.
pub fn recording(input: &[u8]) {
    let Some((&knobs, rest)) = input.split_first() else {
        return;
    };
    match knobs % 3 {
        0 => round_trip(rest),
        1 => drop(agree(rest, "recording", knobs, 0)),
        _ => drop(agree(&block(rest), "recording", knobs, 0)),
    }
}

fn round_trip(input: &[u8]) {
    let mut entropy = Entropy::new(input);
    let mut trades = Vec::new();
    while entropy.has_more() {
        trades.push(trade(&mut entropy));
    }
    let path = put("trades.rec", b"");
    let cut = trades.len() / 3;
    for part in [&trades[..cut], &trades[cut..]] {
        let mut writer = RecordingWriter::append(&path).expect("open the recording");
        writer.write(part).expect("write the trades");
        writer.finish().expect("finish the recording");
    }
    let found = drain(
        TradeReader::new(FileFeedSettings {
            time_max: Timestamp::MAX,
            ..FileFeedSettings::new(vec![path])
        }),
        4096,
    );
    assert_eq!(
        (found.trades, found.error),
        (trades, None),
        "what was written comes back"
    );
}

fn trade(entropy: &mut Entropy<'_>) -> Trade {
    Trade {
        symbol: entropy.symbol(),
        time: entropy.time(),
        sequence: entropy.u64(),
        id: TradeId::from_raw(entropy.u64()),
        price: entropy.price(),
        size: entropy.size(),
        conditions: Conditions::from_bits(entropy.u128()),
        venue: u16::from(entropy.byte()) << 8 | u16::from(entropy.byte()),
        correction: entropy.byte(),
        side: [Side::Unknown, Side::Buy, Side::Sell][entropy.below(3)],
        sequenced: entropy.below(2) == 1,
    }
}

/// A file of one block with these columns; the first two bytes are its count of trades.
fn block(input: &[u8]) -> Vec<u8> {
    let count = u32::from_le_bytes([
        input.first().copied().unwrap_or(0),
        input.get(1).copied().unwrap_or(0),
        0,
        0,
    ]);
    let columns = input.get(2..).unwrap_or_default();
    let payload = zstd::encode_all(columns, 1).expect("pack into memory");
    let mut file = b"BMREC\r\n\x1a\x01\0\0\0".to_vec();
    file.extend_from_slice(&crc32c::crc32c(&file).to_le_bytes());
    let numbers = [payload.len(), columns.len(), count as usize]
        .map(|number| u32::try_from(number).unwrap_or(0).to_le_bytes());
    let header = numbers.concat();
    for part in [
        &header[..],
        &crc32c::crc32c(&header).to_le_bytes(),
        &crc32c::crc32c(&payload).to_le_bytes(),
        &payload,
    ] {
        file.extend_from_slice(part);
    }
    file
}

/// Entropy for trades, a whole file, and the columns of one trade.
pub fn recording_seeds() -> Vec<Vec<u8>> {
    let mut columns = vec![1, 0];
    columns.extend_from_slice(b"\x01\0\0\0\x04AAPL");
    columns.extend_from_slice(&[0; 4]);
    columns.extend_from_slice(&1_760_535_000_000_000_000u64.to_le_bytes());
    columns.extend_from_slice(&[1; 16]);
    columns.extend_from_slice(&255_120_000_000u64.to_le_bytes());
    columns.extend_from_slice(&[0; 14]);
    columns.extend_from_slice(&[0; 23]);
    vec![
        (0..=255)
            .map(|byte: u8| byte.wrapping_mul(91))
            .map(|byte| byte / 3 * 3)
            .collect(),
        [&[1], block(&columns).as_slice()].concat(),
        [&[2], columns.as_slice()].concat(),
    ]
}
