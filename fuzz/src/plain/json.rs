//! JSON layouts of files, read as plain trees.

use super::csv::{Rows, identity};
use super::decimal::{instant, instant_by_digits, price, scaled, size, whole};
use crate::tree::Tree;
use barmill::{Conditions, Side, Symbol, Trade, TradeId};

/// The digits of a number, also where it is written as a string; empty for null.
pub fn digits(value: Option<&Tree>) -> &[u8] {
    match value.and_then(Tree::scalar).unwrap_or_default() {
        "null" => b"",
        text => text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(text)
            .as_bytes(),
    }
}

fn is_null(value: Option<&Tree>) -> bool {
    value.is_none_or(|value| value.scalar() == Some("null"))
}

/// An unsigned JSON number without point and exponent.
fn number(value: &Tree) -> Option<u64> {
    value
        .scalar()
        .filter(|text| text.as_bytes().iter().all(u8::is_ascii_digit))?
        .parse()
        .ok()
}

/// The rows of all arrays `results`, at the top or inside objects named `data`.
pub fn massive(tree: &Tree, symbol: Symbol) -> Rows {
    let mut rows = Vec::new();
    let mut level = Some(tree);
    while let Some(Tree::Object(members)) = level {
        level = None;
        for (key, value) in members {
            match (key.as_str(), value) {
                ("results", Tree::Array(found)) => {
                    for row in found {
                        let ordinal = rows.len() as u64;
                        rows.push(massive_row(row, symbol, ordinal));
                    }
                }
                ("data", value) => level = Some(value),
                _ => {}
            }
        }
    }
    rows
}

fn massive_row(row: &Tree, symbol: Symbol, ordinal: u64) -> Option<Trade> {
    let Tree::Object(_) = row else { return None };
    // A number, or null, or nothing; anything else is no row.
    let optional = |name| match row.get(name) {
        value if is_null(value) => Some(None),
        value => number(value?).map(Some),
    };
    // Here null is no number either.
    let small = |name| match row.get(name) {
        None => Some(0u8),
        Some(value) => number(value)?.try_into().ok(),
    };
    let any = |name| row.get(name).filter(|value| !is_null(Some(value)));
    let conditions = match row.get("conditions") {
        value if is_null(value) => Conditions::NONE,
        value => value?
            .elements()?
            .iter()
            .try_fold(Conditions::NONE, |set, code| {
                set.with(u32::try_from(number(code)?).ok()?)
            })?,
    };
    let (sip, participant) = (
        optional("sip_timestamp")?,
        optional("participant_timestamp")?,
    );
    let sequence = optional("sequence_number")?;
    Some(Trade {
        symbol,
        time: instant(u128::from(sip.or(participant)?))?,
        sequence: sequence.unwrap_or(ordinal),
        id: identity(digits(row.get("id"))),
        price: price(digits(row.get("price")))?,
        size: size(digits(any("decimal_size").or(any("size"))))?,
        conditions,
        venue: u16::from(small("exchange")?) + 256 * u16::from(small("trf_id")?),
        correction: small("correction")?,
        side: Side::Unknown,
        sequenced: sequence.is_some(),
    })
}

/// The rows of every array in `result`; the key is the symbol.
pub fn kraken(tree: &Tree) -> Rows {
    let Some(Tree::Object(pairs)) = tree.get("result") else {
        return Vec::new();
    };
    let rows = pairs
        .iter()
        .filter_map(|(pair, rows)| Some((pair, rows.elements()?)));
    rows.flat_map(|(pair, rows)| rows.iter().map(move |row| kraken_row(pair, row)))
        .collect()
}

fn kraken_row(pair: &str, row: &Tree) -> Option<Trade> {
    let [cost, amount, time, side, _, _, id] = row.elements()? else {
        return None;
    };
    let number = whole(digits(Some(id)))?;
    Some(Trade {
        symbol: Symbol::intern(pair.as_bytes()).ok()?,
        time: instant(scaled(digits(Some(time)), 9)?)?,
        sequence: number,
        id: TradeId::from_number(number),
        price: price(digits(Some(cost)))?,
        size: size(digits(Some(amount)))?,
        conditions: Conditions::NONE,
        venue: 0,
        correction: 0,
        side: match side.scalar()? {
            r#""b""# => Side::Buy,
            r#""s""# => Side::Sell,
            _ => return None,
        },
        sequenced: true,
    })
}

/// What a recorded Binance frame is: a trade, something else, or no frame.
pub fn binance_frame(frame: &Tree) -> Option<Option<Trade>> {
    let Tree::Object(_) = frame else { return None };
    let event = match frame.get("data") {
        data if is_null(data) => frame,
        data => data?,
    };
    let Tree::Object(_) = event else { return None };
    let text = |name| {
        event
            .get(name)?
            .scalar()?
            .strip_prefix('"')?
            .strip_suffix('"')
    };
    match event.get("e") {
        kind if is_null(kind) => return Some(None),
        kind => match kind?.scalar()?.strip_prefix('"')? {
            "trade\"" => {}
            _ => return Some(None),
        },
    }
    let number_of = |name| number(event.get(name)?);
    Some(Some(Trade {
        symbol: Symbol::intern(text("s")?.as_bytes()).ok()?,
        time: instant_by_digits(number_of("T")?)?,
        sequence: number_of("t")?,
        id: TradeId::from_number(number_of("t")?),
        price: price(text("p")?.as_bytes())?,
        size: size(text("q")?.as_bytes())?,
        conditions: Conditions::NONE,
        venue: 0,
        correction: 0,
        side: match event.get("m")?.scalar()? {
            "true" => Side::Sell,
            "false" => Side::Buy,
            _ => return None,
        },
        sequenced: true,
    }))
}
