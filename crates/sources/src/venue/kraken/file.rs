//! Kraken `/0/public/Trades` REST answer.
//!
//! The rows, in arrays named by their pair inside `result`, are those of the venue's `wire.rs`.

use super::wire::Row;
use crate::file::error::RecordError;
use crate::file::format::{Descriptor, Open, Sample, column};
use crate::file::json_rows::Rows;
use crate::file::row_decoder::{RowLayout, read};
use barmill_core::model::{Symbol, Trade};

/// Kraken's layouts of files.
pub(in crate::venue) static FORMATS: [&Descriptor; 1] = [&DESCRIPTOR];

static DESCRIPTOR: Descriptor = Descriptor {
    name: "kraken-json",
    summary: "Kraken `/0/public/Trades` REST answer",
    columns: &[
        column("price", "exact decimal"),
        column("volume", "exact decimal"),
        column(
            "time",
            "event time, seconds since the Unix epoch with up to 9 places",
        ),
        column("side", "`b` or `s`, of the taker"),
        column("trade id", "identity and order"),
    ],
    vendor: Some("kraken"),
    is_us_equity: false,
    needs_symbol: false,
    is_like,
    open: Open::Rows(RowLayout {
        rows: Rows::InnerArrays,
        decode,
    }),
};

fn is_like(sample: &Sample<'_>) -> bool {
    sample.has_member("\"result\"")
}

fn decode(row: &[u8], symbol: Symbol, _ordinal: u64) -> Result<Option<Trade>, RecordError> {
    read(row, |row: Row<'_>| Some(row.row(symbol)))
}

#[cfg(test)]
mod tests {
    use barmill_core::model::{Side, Trade};

    fn decode(row: &str) -> Result<Option<Trade>, String> {
        let symbol = "XBTUSDT".parse().unwrap();
        super::decode(row.as_bytes(), symbol, 0).map_err(|error| error.to_string())
    }

    #[test]
    fn kraken_time_is_exact_to_the_nanosecond() {
        let row = r#"["105433.60000","0.00027625",1762820035.982277754,"s","l","",10218208]"#;
        let trade = decode(row).unwrap().unwrap();
        assert_eq!(trade.time.as_nanos(), 1_762_820_035_982_277_754);
        assert_eq!(
            (trade.id.raw(), trade.side, trade.symbol.as_str()),
            (10_218_208, Side::Sell, "XBTUSDT")
        );
        assert_eq!(
            (trade.price.to_string(), trade.size.to_string()),
            ("105433.6".into(), "0.00027625".into())
        );
    }

    #[test]
    fn kraken_faults_name_their_field() {
        for (row, want) in [
            (
                r#"["1","1",1762820035.1234567891,"s","l","",1]"#,
                "time \"1762820035.1234567891\" more than 9 decimal places",
            ),
            (
                r#"["1","1",1762820035,"x","l","",1]"#,
                "side \"x\" is neither b nor s",
            ),
            (
                r#"["0","1",1762820035,"b","l","",1]"#,
                "price \"0\" price is zero",
            ),
            (
                r#"["1","1",1762820035,"b","l","",null]"#,
                "trade_id \"\" is not a whole number of 1 to 19 digits",
            ),
        ] {
            assert_eq!(decode(row), Err(want.into()));
        }
        assert!(
            decode("[1]")
                .unwrap_err()
                .contains("is not the expected JSON")
        );
    }
}
