//! Tells the layout of a file from its first block.

use super::Format;
use super::fields::Fields;
use super::recording::MAGIC;
use memchr::memmem;

/// Whether the window is enough to tell: a JSON response may name its rows late, lines tell at once.
pub(super) fn is_enough(window: &[u8]) -> bool {
    let text = window.trim_ascii_start();
    MAGIC.len() <= text.len() && text[0] != b'{' && memchr::memchr(b'\n', text).is_some()
}

/// The layout, or `None` when it is no known one. The window is not blank.
pub(super) fn tell(window: &[u8]) -> Option<Format> {
    if window.starts_with(MAGIC) || MAGIC.starts_with(window) {
        return Some(Format::Recording);
    }
    let text = window.trim_ascii_start();
    if text.starts_with(b"{") {
        return tell_json(text);
    }
    let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
    let line = text[..end].trim_ascii_end();
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 0 && line[digits..].starts_with(b" {") {
        return Some(Format::BinanceWs);
    }
    let mut fields = Fields::default();
    fields.split(line).ok()?;
    let fields: Vec<&[u8]> = (0..fields.count())
        .map(|index| fields.get(line, index).trim_ascii())
        .collect();
    if digits == 0 {
        tell_header(&fields)
    } else {
        tell_row(&fields)
    }
}

fn tell_json(text: &[u8]) -> Option<Format> {
    let has = |key: &[u8]| memmem::find(text, key).is_some();
    if has(b"\"results\"") {
        Some(Format::MassiveJson)
    } else if has(b"\"result\"") {
        Some(Format::KrakenJson)
    } else {
        None
    }
}

fn tell_header(names: &[&[u8]]) -> Option<Format> {
    let has = |wanted: &[&str]| {
        wanted
            .iter()
            .any(|wanted| names.contains(&wanted.as_bytes()))
    };
    if has(&["sip_timestamp", "participant_timestamp"]) {
        Some(Format::MassiveCsv)
    } else if has(&["agg_trade_id", "first_trade_id"]) {
        Some(Format::BinanceAggTrades)
    } else if has(&["is_buyer_maker", "isBuyerMaker"]) {
        Some(Format::BinanceTrades)
    } else {
        None
    }
}

fn tell_row(fields: &[&[u8]]) -> Option<Format> {
    let is_word = |index: usize| {
        fields.get(index).is_some_and(|field| {
            field.eq_ignore_ascii_case(b"true") || field.eq_ignore_ascii_case(b"false")
        })
    };
    if is_word(5) {
        Some(Format::BinanceTrades)
    } else if is_word(6) {
        Some(Format::BinanceAggTrades)
    } else if fields.len() == 6 && matches!(fields[5], b"0" | b"1") {
        Some(Format::LeanTick)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::tell;
    use crate::file::Format;

    #[test]
    fn each_layout_is_told_from_its_start() {
        for (text, want) in [
            ("BMREC\r\n\u{1a}\u{1}", Some(Format::Recording)),
            ("BMR", Some(Format::Recording)),
            (
                "size,price,sip_timestamp,ticker\r\n",
                Some(Format::MassiveCsv),
            ),
            (
                "ticker,price,size,participant_timestamp",
                Some(Format::MassiveCsv),
            ),
            (
                r#"{"status":"OK","data":{"results":["#,
                Some(Format::MassiveJson),
            ),
            (r#" {"error":[],"result":{"#, Some(Format::KrakenJson)),
            (r#"1723161253937085768 {"stream":"#, Some(Format::BinanceWs)),
            (
                "1,2.5,3,7.5,1735689600012345,True,True\n",
                Some(Format::BinanceTrades),
            ),
            (
                "id,price,qty,quote_qty,time,is_buyer_maker\n",
                Some(Format::BinanceTrades),
            ),
            (
                "26129,0.01633102,4.7,27781,27781,1498793709153,true,true\n",
                Some(Format::BinanceAggTrades),
            ),
            (
                "agg_trade_id,price,quantity,first_trade_id,last_trade_id",
                Some(Format::BinanceAggTrades),
            ),
            (
                "14400464,1674100,100,P,20002000,0\r\n",
                Some(Format::LeanTick),
            ),
            ("date,open,high,low,close\n", None),
            ("{}", None),
            ("[1,2]", None),
            ("\u{0}\u{1}", None),
        ] {
            assert_eq!(tell(text.as_bytes()), want, "{text}");
        }
    }
}
