//! What the venues' pages have in common: the rows, and messages in place of trades.

use super::error::PageError;
use super::page_stream::PageStream;
use crate::json::{self, DecodeError};
use barmill_core::model::Trade;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

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

/// The text of a JSON string without its quotes, or of any other value as it is.
pub(crate) fn text_of(raw: &RawValue) -> &str {
    let text = raw.get();
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text)
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
    pub(crate) fn read<'a, R: Deserialize<'a>>(
        &mut self,
        raws: &[&'a RawValue],
        mut decode: impl FnMut(R) -> Result<Trade, DecodeError>,
    ) -> Result<(), PageError> {
        self.read = raws.len();
        self.trades.reserve(raws.len());
        for (row, raw) in raws.iter().enumerate() {
            let read = json::from_slice(raw.get().as_bytes()).map_err(DecodeError::from);
            match read.and_then(&mut decode) {
                Ok(trade) => self.trades.push(trade),
                Err(_) if self.skip_malformed => self.malformed += 1,
                Err(error) => {
                    let source = error.into();
                    return Err(PageError::Row { row, source });
                }
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
    use super::{PageError, message, parse, shorten};
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
}
