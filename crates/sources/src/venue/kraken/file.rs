//! Kraken `/0/public/Trades` REST answer.
//!
//! The rows, in arrays named by their pair inside `result`, are those of the venue's `wire.rs`.

use super::wire::Row;
use crate::file::error::{FileError, RecordError, ValueError};
use crate::file::format::{Descriptor, Open, Sample, TextDecoder, column};
use crate::file::json_rows::{JsonRows, Rows};
use crate::file::row_decoder::{Response, RowDecoder, read};
use crate::file::text::TextInput;
use crate::file::values::SymbolCache;
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
    open: Open::Text(open),
};

fn is_like(sample: &Sample<'_>) -> bool {
    sample.has_member("\"result\"")
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "some layouts look at the start of the text, and refuse it"
)]
fn open(_text: &mut TextInput) -> Result<Option<TextDecoder>, FileError> {
    Ok(Some(TextDecoder::Rows(Response {
        rows: JsonRows::new(Rows::InnerArrays),
        decoder: Box::<KrakenJson>::default(),
    })))
}

/// Decodes rows of `/0/public/Trades`.
#[derive(Debug, Default)]
struct KrakenJson {
    symbols: SymbolCache,
    symbol: Option<Symbol>,
}

impl RowDecoder for KrakenJson {
    /// Names the pair of the rows that follow.
    fn set_key(&mut self, pair: &[u8]) -> Result<(), RecordError> {
        self.symbol = Some(self.symbols.get("pair", pair)?);
        Ok(())
    }

    fn decode(&mut self, record: &[u8], _ordinal: u64) -> Result<Option<Trade>, RecordError> {
        let symbol = self.symbol.ok_or_else(|| {
            RecordError::new("pair", b"", ValueError::Shape { expected: "there" })
        })?;
        read(record, |row: Row<'_>| Some(row.row(symbol)))
    }
}

#[cfg(test)]
mod tests {
    use super::KrakenJson;
    use crate::file::error::RecordError;
    use crate::file::row_decoder::RowDecoder;
    use barmill_core::model::{Side, Trade};

    fn text(result: Result<Option<Trade>, RecordError>) -> Result<Option<Trade>, String> {
        result.map_err(|error| error.to_string())
    }

    #[test]
    fn kraken_time_is_exact_to_the_nanosecond() {
        let mut decoder = KrakenJson::default();
        decoder.set_key(b"XBTUSDT").unwrap();
        let row = br#"["105433.60000","0.00027625",1762820035.982277754,"s","l","",10218208]"#;
        let trade = text(decoder.decode(row, 0)).unwrap().unwrap();
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
        let mut decoder = KrakenJson::default();
        decoder.set_key(b"XBTUSDT").unwrap();
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
            assert_eq!(text(decoder.decode(row.as_bytes(), 0)), Err(want.into()));
        }
        assert!(
            text(decoder.decode(b"[1]", 0))
                .unwrap_err()
                .contains("is not the expected JSON")
        );
    }
}
