//! CSV layouts, read with the csv crate, field by field.

use super::decimal::{instant, instant_by_digits, price, scaled, size, whole};
use barmill::{Conditions, Price, Side, Symbol, Trade, TradeId};

/// The non-blank lines of a text; `None` when one is quoted in a way on which readers differ.
///
/// Alike are lines in which a quote only opens or closes a whole field, and that hold no carriage return inside.
pub fn lines(text: &[u8]) -> Option<Vec<Vec<Vec<u8>>>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines = text
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.is_empty()).map(fields).collect()
}

fn fields(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(line);
    let mut record = csv::ByteRecord::new();
    if line.contains(&b'\r') || !reader.read_byte_record(&mut record).ok()? {
        return None;
    }
    let fields: Vec<Vec<u8>> = record.iter().map(<[u8]>::to_vec).collect();
    // What the reader made of it, written again, is the same line: nothing in it was a matter of taste.
    let quoted = |field: &Vec<u8>| field.contains(&b',');
    let needs_quotes = fields.iter().any(|field| field.contains(&b'"'));
    let bare: usize = fields.iter().map(|field| field.len() + 1).sum::<usize>() - 1;
    let quotes = line.iter().filter(|byte| **byte == b'"').count();
    let is_exact = !needs_quotes
        && bare + quotes == line.len()
        && quotes >= 2 * fields.iter().filter(|f| quoted(f)).count();
    (is_exact && is_wrapped(line)).then_some(fields)
}

/// Whether each quote stands at the start or end of its field.
fn is_wrapped(line: &[u8]) -> bool {
    let mut open = false;
    (0..line.len()).filter(|at| line[*at] == b'"').all(|at| {
        open = !open;
        if open {
            at == 0 || line[at - 1] == b','
        } else {
            at + 1 == line.len() || line[at + 1] == b','
        }
    }) && !open
}

/// Rows as trades; `None` for a row that is none.
pub type Rows = Vec<Option<Trade>>;

fn find(header: &[Vec<u8>], names: &[&str]) -> Option<usize> {
    let mut found = header.iter().map(|field| field.trim_ascii());
    found.position(|field| names.iter().any(|name| field == name.as_bytes()))
}

/// Massive flat files; `None` when the header is not enough.
pub fn massive(lines: &[Vec<Vec<u8>>]) -> Option<Rows> {
    let (header, rows) = lines.split_first()?;
    let ticker = find(header, &["ticker"])?;
    let time =
        find(header, &["sip_timestamp"]).or_else(|| find(header, &["participant_timestamp"]))?;
    let amount = find(header, &["decimal_size"]).or_else(|| find(header, &["size"]))?;
    let cost = find(header, &["price"])?;
    let number = find(header, &["sequence_number"]);
    let optional = |name| find(header, &[name]);
    let [codes, correction, exchange, id, facility] =
        ["conditions", "correction", "exchange", "id", "trf_id"].map(optional);
    let row = |(place, row): (usize, &Vec<Vec<u8>>)| {
        let text = |index: Option<usize>| index.map_or(&b""[..], |index| &row[index]);
        let small = |index| match text(index) {
            b"" => Some(0u8),
            digits => whole(digits)?.try_into().ok(),
        };
        if row.len() != header.len() {
            return None;
        }
        Some(Trade {
            symbol: Symbol::intern(&row[ticker]).ok()?,
            time: instant(u128::from(whole(&row[time])?))?,
            sequence: number.map_or(Some(place as u64), |number| whole(&row[number]))?,
            id: identity(text(id)),
            price: price(&row[cost])?,
            size: size(&row[amount])?,
            // Those of options are of another list.
            conditions: conditions(text(codes))
                .or_else(|| row[ticker].starts_with(b"O:").then_some(Conditions::NONE))?,
            venue: match (text(exchange), small(facility)?) {
                (b"", facility) => 256 * u16::from(facility),
                (exchange, 0) => whole(exchange)?.try_into().ok()?,
                (exchange, facility) => {
                    u16::from(u8::try_from(whole(exchange)?).ok()?) + 256 * u16::from(facility)
                }
            },
            correction: small(correction)?,
            side: Side::Unknown,
            sequenced: number.is_some(),
        })
    };
    Some(rows.iter().enumerate().map(row).collect())
}

/// An identity as text; none where it is empty.
pub fn identity(text: &[u8]) -> TradeId {
    if text.is_empty() {
        TradeId::NONE
    } else {
        TradeId::from_text(text)
    }
}

fn conditions(text: &[u8]) -> Option<Conditions> {
    if text.is_empty() {
        return Some(Conditions::NONE);
    }
    let text = std::str::from_utf8(text).ok()?;
    text.split(',').try_fold(Conditions::NONE, |set, code| {
        let code = code.trim_start_matches(' ');
        if code.len() > 3 {
            None
        } else {
            set.with(u32::try_from(whole(code.as_bytes())?).ok()?)
        }
    })
}

/// Binance files of trades or aggregated trades of one symbol; `None` when the header is not enough.
pub fn binance(lines: &[Vec<Vec<u8>>], is_aggregated: bool, symbol: Symbol) -> Option<Rows> {
    let first = lines.first()?;
    let has_header = !first[0].first().is_some_and(u8::is_ascii_digit);
    let [id, cost, amount, time, maker] = match (has_header, is_aggregated) {
        (false, false) => [0, 1, 2, 4, 5],
        (false, true) => [0, 1, 2, 5, 6],
        (true, _) => [
            find(
                first,
                if is_aggregated {
                    &["agg_trade_id", "a"]
                } else {
                    &["id", "trade_id"]
                },
            )?,
            find(first, &["price", "p"])?,
            find(first, &["qty", "quantity", "q"])?,
            find(first, &["time", "transact_time", "timestamp", "T"])?,
            find(first, &["is_buyer_maker", "isBuyerMaker", "m"])?,
        ],
    };
    let row = |row: &Vec<Vec<u8>>| {
        let text = |index: usize| row.get(index).map_or(&b""[..], Vec::as_slice);
        if row.len() != first.len() {
            return None;
        }
        let number = whole(text(id))?;
        Some(Trade {
            symbol,
            time: instant_by_digits(whole(text(time))?)?,
            sequence: number,
            id: TradeId::from_number(number),
            price: price(text(cost))?,
            size: size(text(amount))?,
            conditions: Conditions::NONE,
            venue: 0,
            correction: 0,
            side: match text(maker) {
                b"true" | b"True" | b"TRUE" | b"1" => Side::Sell,
                b"false" | b"False" | b"FALSE" | b"0" => Side::Buy,
                _ => return None,
            },
            sequenced: true,
        })
    };
    Some(lines[usize::from(has_header)..].iter().map(row).collect())
}

/// LEAN ticks of a day whose midnight is `midnight` nanoseconds after the epoch, and that has no clock change.
pub fn lean(lines: &[Vec<Vec<u8>>], symbol: Symbol, midnight: u64) -> Rows {
    let row = |(place, row): (usize, &Vec<Vec<u8>>)| {
        let [time, cost, amount, exchange, flags, suspicious] = row.as_slice() else {
            return None;
        };
        let nanos = scaled(time, 6).filter(|nanos| *nanos < 86_400_000_000_000)?;
        // Ten thousandths are read as a price themselves, so that a price of two million does not fit.
        let cost = u64::try_from(scaled(cost, 5)?)
            .ok()
            .filter(|cost| 0 < *cost && *cost <= u64::MAX / 10_000)?;
        let is_word = flags.len() <= 4096 && flags.iter().all(u8::is_ascii_hexdigit);
        let bits = match std::str::from_utf8(flags).ok().filter(|_| is_word)? {
            "" => 0,
            word => u64::from_str_radix(word, 16).ok()?,
        };
        let mark = match suspicious.as_slice() {
            b"0" => 0,
            b"1" => 1u128 << 127,
            _ => return None,
        };
        Some(Trade {
            symbol,
            time: instant(u128::from(midnight) + nanos)?,
            sequence: place as u64,
            id: TradeId::NONE,
            price: Price::from_raw(cost),
            size: size(amount)?,
            conditions: Conditions::from_bits(u128::from(bits) | mark),
            venue: match exchange.as_slice() {
                [letter] => u16::from(*letter),
                [first, second] => u16::from(*first) * 256 + u16::from(*second),
                _ => 0,
            },
            correction: 0,
            side: Side::Unknown,
            sequenced: false,
        })
    };
    lines.iter().enumerate().map(row).collect()
}
