//! JSON that venues share: exact numbers from their text, and error messages instead of trades.

use super::error::{PageError, RowError};
use super::page_stream::PageStream;
use barmill_core::model::{Price, Size, Timestamp, Trade};
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;
use std::fmt::Display;

/// Characters of a venue's message, or of a refused value, that are kept.
const TEXT_LEN_MAX: usize = 200;

/// Reads JSON; what is cut off or no JSON at all may be whole the next time.
pub(crate) fn parse<'a, T: Deserialize<'a>>(
    text: &'a [u8],
    expected: &'static str,
) -> Result<T, PageError> {
    serde_json::from_slice(text).map_err(|source| match source.classify() {
        Category::Io | Category::Syntax | Category::Eof => PageError::Json(source),
        Category::Data => PageError::Shape { expected, source },
    })
}

/// Reads one row.
pub(crate) fn parse_row<'a, T: Deserialize<'a>>(row: &'a str) -> Result<T, RowError> {
    serde_json::from_str(row).map_err(RowError::Shape)
}

/// The text of a JSON string without its quotes, or of any other value as it is.
pub(crate) fn text_of(raw: &RawValue) -> &str {
    let text = raw.get();
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text)
}

/// A price above zero.
pub(crate) fn price(field: &'static str, text: &str) -> Result<Price, RowError> {
    let price = Price::parse(text.as_bytes()).map_err(|error| refused(field, text, error))?;
    if price == Price::ZERO {
        return Err(refused(field, text, "price is zero"));
    }
    Ok(price)
}

/// A size.
pub(crate) fn size(field: &'static str, text: &str) -> Result<Size, RowError> {
    Size::parse(text.as_bytes()).map_err(|error| refused(field, text, error))
}

/// An instant in RFC 3339.
pub(crate) fn rfc3339(field: &'static str, text: &str) -> Result<Timestamp, RowError> {
    text.parse().map_err(|error| refused(field, text, error))
}

/// An instant in integer nanoseconds.
pub(crate) fn nanos(field: &'static str, nanos: i64) -> Result<Timestamp, RowError> {
    Timestamp::from_nanos(nanos)
        .ok_or_else(|| refused(field, &nanos.to_string(), "time is before 1970"))
}

/// The fault of one field.
pub(crate) fn refused(field: &'static str, value: &str, reason: impl Display) -> RowError {
    RowError::Field {
        field,
        value: shorten(value),
        reason: reason.to_string(),
    }
}

/// The rows of one page, decoded one by one.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// The trades, in event time order.
    pub(crate) trades: Vec<Trade>,
    /// Rows on the wire.
    pub(crate) read: usize,
    /// Rows left out because they are no trades.
    pub(crate) malformed: u64,
    /// Whether such rows are left out instead of ending the symbol.
    pub(crate) skip_malformed: bool,
    /// What was read of the page while it arrived.
    pub(crate) stream: Option<PageStream>,
}

impl Rows {
    /// Decodes every row.
    pub(crate) fn read<'a>(
        &mut self,
        raws: &[&'a RawValue],
        mut decode: impl FnMut(&'a str) -> Result<Trade, RowError>,
    ) -> Result<(), PageError> {
        self.read = raws.len();
        self.trades.reserve(raws.len());
        for (row, raw) in raws.iter().enumerate() {
            match decode(raw.get()) {
                Ok(trade) => self.trades.push(trade),
                Err(_) if self.skip_malformed => self.malformed += 1,
                Err(source) => return Err(PageError::Row { row, source }),
            }
        }
        Ok(())
    }
}

/// The venue's words in a reply that is no page: its message if it has one, else the start of the text.
pub(crate) fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        error: Option<serde_json::Value>,
        message: Option<serde_json::Value>,
        msg: Option<serde_json::Value>,
    }
    let said = serde_json::from_slice::<Said>(body).ok();
    let words = said.and_then(|said| said.message.or(said.msg).or(said.error));
    match words {
        Some(serde_json::Value::String(text)) => shorten(&text),
        Some(other) => shorten(&other.to_string()),
        None if body.is_empty() => "nothing".into(),
        None => shorten(&String::from_utf8_lossy(body)),
    }
}

/// At most 200 characters on one line.
pub(crate) fn shorten(text: &str) -> String {
    let line = text
        .trim()
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char });
    line.take(TEXT_LEN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::{PageError, message, parse, price, shorten};
    use std::collections::HashMap;

    #[test]
    fn messages_are_found_where_the_venues_put_them() {
        for (body, want) in [
            (
                r#"{"status":"ERROR","error":"Unknown API Key"}"#,
                "Unknown API Key",
            ),
            (
                r#"{"status":"NOT_AUTHORIZED","message":"You are not entitled"}"#,
                "You are not entitled",
            ),
            (
                r#"{"code":-1121,"msg":"Invalid symbol."}"#,
                "Invalid symbol.",
            ),
            (
                r#"{"error":["EQuery:Unknown asset pair"]}"#,
                r#"["EQuery:Unknown asset pair"]"#,
            ),
            ("<html>\n<h1>502</h1>", "<html> <h1>502</h1>"),
            ("", "nothing"),
        ] {
            assert_eq!(message(body.as_bytes()), want);
        }
        assert_eq!(shorten(&"x".repeat(1_000)).len(), 200);
    }

    #[test]
    fn cut_off_json_may_be_whole_next_time_and_another_shape_may_not() {
        type Map = HashMap<String, u32>;
        assert!(matches!(
            parse::<Map>(b"{\"a\":1", "x"),
            Err(PageError::Json(_))
        ));
        assert!(matches!(
            parse::<Map>(b"<html>", "x"),
            Err(PageError::Json(_))
        ));
        assert!(matches!(
            parse::<Map>(b"{\"a\":\"b\"}", "x"),
            Err(PageError::Shape { .. })
        ));
    }

    #[test]
    fn prices_no_trade_has_are_refused() {
        for text in ["0", "-1", "NaN", "1e308", "0.0000000001", ""] {
            assert!(price("p", text).is_err(), "{text}");
        }
    }
}
