//! Encodes bars and manifests as text.
//!
//! Owns the names and forms below; the way back is in `stored`. JSON numbers carry the exact decimal text,
//! so a reader that wants exact prices must not read them as floating point.
//!
//! | name | form |
//! |---|---|
//! | `timestamp` | start of the bar, whole milliseconds since the Unix epoch |
//! | `open high low close` | decimal with a point (`100.0`), or null when no trade may set a price |
//! | `volume` | decimal with a point |
//! | `vwap` | decimal with a point, or null |
//! | `trades first_sequence last_sequence revision` | integer |
//! | `buy_volume sell_volume` | decimal with a point |
//! | `start end` | RFC 3339 in UTC, with as many places of the second as needed (nanoseconds do not fit a double) |
//! | `state` | `forming`, `final` or `revised` |
//! | `flags` | array of `gap`, `partial`, `filled` |

use super::settings::ValueForm;
use barmill_core::model::{BarFlags, BarUpdate, Manifest, Price, Timestamp, Volume};

pub(crate) const FLAG_NAMES: [&str; 3] = ["gap", "partial", "filled"];

/// Appends the value of a bar.
pub(crate) fn push_value(out: &mut Vec<u8>, update: &BarUpdate, form: ValueForm) {
    match form {
        ValueForm::Csv => push_csv(out, update),
        ValueForm::JsonSix => {
            push_six(out, update);
            out.push(b'}');
        }
        ValueForm::JsonFull => {
            push_six(out, update);
            push_rest(out, update);
            out.push(b'}');
        }
    }
}

fn push_csv(out: &mut Vec<u8>, update: &BarUpdate) {
    for price in prices(update) {
        if let Some(price) = price {
            price.push_text(out);
        }
        out.push(b',');
    }
    update.bar.volume.push_text(out);
}

fn push_six(out: &mut Vec<u8>, update: &BarUpdate) {
    out.extend_from_slice(b"{\"timestamp\":");
    push_integer(out, update.bar.start.as_millis());
    let names: [&[u8]; 4] = [b",\"open\":", b",\"high\":", b",\"low\":", b",\"close\":"];
    for (name, price) in names.into_iter().zip(prices(update)) {
        out.extend_from_slice(name);
        push_price(out, price);
    }
    push_volume(out, b",\"volume\":", update.bar.volume);
}

/// Everything beyond the six names, each with a comma before it.
pub(crate) fn push_rest(out: &mut Vec<u8>, update: &BarUpdate) {
    let bar = &update.bar;
    out.extend_from_slice(b",\"vwap\":");
    push_price(out, bar.vwap());
    push_count(out, b",\"trades\":", bar.trades);
    push_volume(out, b",\"buy_volume\":", bar.buy_volume);
    push_volume(out, b",\"sell_volume\":", bar.sell_volume);
    push_count(out, b",\"first_sequence\":", bar.first_sequence);
    push_count(out, b",\"last_sequence\":", bar.last_sequence);
    push_time(out, b",\"start\":\"", bar.start);
    push_time(out, b",\"end\":\"", bar.end);
    out.extend_from_slice(b",\"state\":\"");
    out.extend_from_slice(update.state.as_str().as_bytes());
    push_count(out, b"\",\"revision\":", u64::from(update.revision));
    push_flags(out, bar.flags);
}

fn push_flags(out: &mut Vec<u8>, flags: BarFlags) {
    out.extend_from_slice(b",\"flags\":[");
    let set = FLAG_NAMES
        .iter()
        .enumerate()
        .filter(|(bit, _)| flags.bits() >> bit & 1 == 1);
    for (index, (_, name)) in set.enumerate() {
        out.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
        out.extend_from_slice(name.as_bytes());
        out.push(b'"');
    }
    out.push(b']');
}

/// Appends the value of a manifest.
pub(crate) fn push_manifest(out: &mut Vec<u8>, manifest: &Manifest, updated_at: Timestamp) {
    out.extend_from_slice(b"{\"zone\":");
    crate::key_store::command::push_json_string(out, &manifest.zone);
    push_time(out, b",\"from\":\"", manifest.from);
    push_time(out, b",\"to\":\"", manifest.to);
    out.extend_from_slice(if manifest.complete {
        b",\"complete\":true"
    } else {
        b",\"complete\":false"
    });
    if manifest.gapless {
        out.extend_from_slice(b",\"gapless\":true");
    }
    push_count(out, b",\"bars\":", manifest.bars);
    push_count(out, b",\"trades\":", manifest.trades);
    push_count(out, b",\"revision\":", u64::from(manifest.revision));
    if let Some(origin) = &manifest.origin {
        push_named(out, b",\"source\":", &origin.source);
        push_named(out, b",\"rules\":", &origin.rules);
    }
    push_time(out, b",\"updated_at\":\"", updated_at);
    out.push(b'}');
}

fn prices(update: &BarUpdate) -> [Option<Price>; 4] {
    let part = |of: fn(&barmill_core::model::Ohlc) -> Price| update.bar.prices.as_ref().map(of);
    [
        part(|ohlc| ohlc.open),
        part(|ohlc| ohlc.high),
        part(|ohlc| ohlc.low),
        part(|ohlc| ohlc.close),
    ]
}

fn push_price(out: &mut Vec<u8>, price: Option<Price>) {
    match price {
        Some(price) => push_decimal(out, |out| price.push_text(out)),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends a decimal with a point in it, also where it is whole, since readers take a column that begins with `100` for
/// one of integers, and then cannot hold `100.25`.
fn push_decimal(out: &mut Vec<u8>, push: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    push(out);
    if !out[start..].contains(&b'.') {
        out.extend_from_slice(b".0");
    }
}

fn push_volume(out: &mut Vec<u8>, name: &[u8], volume: Volume) {
    out.extend_from_slice(name);
    push_decimal(out, |out| volume.push_text(out));
}

fn push_named(out: &mut Vec<u8>, name: &[u8], text: &str) {
    out.extend_from_slice(name);
    crate::key_store::command::push_json_string(out, text);
}

fn push_count(out: &mut Vec<u8>, name: &[u8], count: u64) {
    out.extend_from_slice(name);
    push_integer(out, count);
}

fn push_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn push_time(out: &mut Vec<u8>, name: &[u8], time: Timestamp) {
    out.extend_from_slice(name);
    time.push_text(out);
    out.push(b'"');
}
