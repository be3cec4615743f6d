//! Massive `/v3/trades` REST answer, also inside `data`, where a proxy wraps it.
//!
//! The rows, in the array `results`, are those of the venue's `wire.rs`; they do not name their symbol.

use super::super::wire::Row;
use crate::file::error::RecordError;
use crate::file::format::{Descriptor, Open, Sample, column};
use crate::file::json_rows::Rows;
use crate::file::row_decoder::{RowLayout, read};
use barmill_core::model::{Symbol, Trade};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "massive-json",
    summary: "Massive `/v3/trades` REST answer, also inside `data`",
    columns: &[
        column(
            "sip_timestamp",
            "event time, ns since the Unix epoch; else `participant_timestamp`",
        ),
        column("price", "exact decimal"),
        column("decimal_size", "exact decimal; else `size`"),
        column(
            "sequence_number",
            "order within the symbol; else the place in the input",
        ),
        column("id", "identity, with `exchange` and `trf_id`"),
        column("conditions", "array of sale conditions, 0 to 127"),
        column("correction", "correction code, 0 to 255"),
    ],
    vendor: Some("massive"),
    is_us_equity: true,
    needs_symbol: true,
    is_like,
    open: Open::Rows(RowLayout {
        rows: Rows::ResultsArray,
        decode,
    }),
};

fn is_like(sample: &Sample<'_>) -> bool {
    sample.has_member("\"results\"")
}

fn decode(row: &[u8], symbol: Symbol, ordinal: u64) -> Result<Option<Trade>, RecordError> {
    let trade = |mut row: Row<'_>| {
        row.sip_timestamp = row.sip_timestamp.or(row.participant_timestamp);
        Some(row.trade(symbol))
    };
    let mut trade = read(row, trade)?;
    if let Some(trade) = trade.as_mut().filter(|trade| !trade.sequenced) {
        trade.sequence = ordinal;
    }
    Ok(trade)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn massive_row_prefers_the_decimal_size() {
        let row = br#"{"conditions":[12,37],"exchange":4,"id":"71","price":156.43,"sequence_number":9,
            "participant_timestamp":1,"sip_timestamp":1651181822461979400,"size":0,"decimal_size":"0.25","trf_id":3}"#;
        let trade = decode(row, "AAPL".parse().unwrap(), 0).unwrap().unwrap();
        assert_eq!(
            (trade.size.to_string(), trade.price.to_string()),
            ("0.25".into(), "156.43".into())
        );
        assert_eq!(
            (trade.venue, trade.sequence, trade.id.raw()),
            (4 | 3 << 8, 9, 71)
        );
        assert_eq!(
            (trade.time.as_nanos(), trade.conditions.bits()),
            (1_651_181_822_461_979_400, 1 << 12 | 1 << 37)
        );
    }
}
