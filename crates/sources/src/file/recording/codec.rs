//! Trades to the columns of a block and back, exactly.

use barmill_core::model::{Conditions, Price, Side, Size, Symbol, Timestamp, Trade, TradeId};

/// Bytes of one trade over all columns.
pub(super) const TRADE_LEN: usize = 4 + 4 * 8 + 2 * 16 + 2 + 3;

/// Replaces `out` by the columns of the trades.
pub(super) fn encode(trades: &[Trade], out: &mut Vec<u8>) {
    out.clear();
    let indexes = put_symbols(trades, out);
    put(out, &indexes, |index| index.to_le_bytes());
    put_differences(out, trades, |trade| trade.time.as_nanos().cast_unsigned());
    put_differences(out, trades, |trade| trade.sequence);
    put_differences(out, trades, |trade| trade.id.raw());
    put(out, trades, |trade| trade.price.raw().to_le_bytes());
    put(out, trades, |trade| trade.size.raw().to_le_bytes());
    put(out, trades, |trade| trade.conditions.bits().to_le_bytes());
    put(out, trades, |trade| trade.venue.to_le_bytes());
    put(out, trades, |trade| [trade.correction]);
    put(out, trades, |trade| match trade.side {
        Side::Unknown => [0],
        Side::Buy => [1],
        Side::Sell => [2],
    });
    put(out, trades, |trade| [u8::from(trade.sequenced)]);
}

/// Writes the table of the block's symbols and gives each trade's place in it.
fn put_symbols(trades: &[Trade], out: &mut Vec<u8>) -> Vec<u32> {
    let mut table: Vec<Symbol> = trades.iter().map(|trade| trade.symbol).collect();
    table.sort_unstable_by_key(|symbol| symbol.index());
    table.dedup();
    out.extend_from_slice(&u32::try_from(table.len()).unwrap_or(u32::MAX).to_le_bytes());
    for symbol in &table {
        // A symbol has at most 32 bytes.
        out.push(u8::try_from(symbol.as_str().len()).unwrap_or(u8::MAX));
        out.extend_from_slice(symbol.as_str().as_bytes());
    }
    let place =
        |trade: &Trade| table.partition_point(|symbol| symbol.index() < trade.symbol.index());
    trades
        .iter()
        .map(|trade| u32::try_from(place(trade)).unwrap_or(u32::MAX))
        .collect()
}

fn put<T, const N: usize>(out: &mut Vec<u8>, rows: &[T], mut value: impl FnMut(&T) -> [u8; N]) {
    for row in rows {
        out.extend_from_slice(&value(row));
    }
}

fn put_differences(out: &mut Vec<u8>, trades: &[Trade], value: impl Fn(&Trade) -> u64) {
    let mut before = 0;
    put(out, trades, |trade| {
        let value = value(trade);
        let difference = value.wrapping_sub(before);
        before = value;
        difference.to_le_bytes()
    });
}

/// Appends the `count` trades of a block; the error says what does not fit.
pub(super) fn decode(
    text: &[u8],
    count: usize,
    trades: &mut Vec<Trade>,
) -> Result<(), &'static str> {
    let mut rest = text;
    let table = take_symbols(&mut rest)?;
    if rest.len() != count * TRADE_LEN {
        return Err("the columns have another length than the trades need");
    }
    let indexes = column::<4>(&mut rest, count);
    let times = column::<8>(&mut rest, count);
    let sequences = column::<8>(&mut rest, count);
    let ids = column::<8>(&mut rest, count);
    let prices = column::<8>(&mut rest, count);
    let sizes = column::<16>(&mut rest, count);
    let conditions = column::<16>(&mut rest, count);
    let venues = column::<2>(&mut rest, count);
    let corrections = column::<1>(&mut rest, count);
    let taker_sides = column::<1>(&mut rest, count);
    let marks = column::<1>(&mut rest, count);
    let (mut time, mut sequence, mut id) = (0u64, 0u64, 0u64);
    trades.reserve(count);
    for row in 0..count {
        time = time.wrapping_add(u64::from_le_bytes(times[row]));
        sequence = sequence.wrapping_add(u64::from_le_bytes(sequences[row]));
        id = id.wrapping_add(u64::from_le_bytes(ids[row]));
        trades.push(Trade {
            symbol: *table
                .get(u32::from_le_bytes(indexes[row]) as usize)
                .ok_or("a symbol is not in the table")?,
            time: Timestamp::from_nanos(time.cast_signed()).ok_or("a time is before 1970")?,
            sequence,
            id: TradeId::from_raw(id),
            price: Price::from_raw(u64::from_le_bytes(prices[row])),
            size: Size::from_raw(u128::from_le_bytes(sizes[row])).ok_or("a size is too large")?,
            conditions: Conditions::from_bits(u128::from_le_bytes(conditions[row])),
            venue: u16::from_le_bytes(venues[row]),
            correction: corrections[row][0],
            side: match taker_sides[row][0] {
                0 => Side::Unknown,
                1 => Side::Buy,
                2 => Side::Sell,
                _ => return Err("a side is above 2"),
            },
            sequenced: marks[row][0] == 1,
        });
    }
    Ok(())
}

fn take_symbols(rest: &mut &[u8]) -> Result<Vec<Symbol>, &'static str> {
    const CUT: &str = "the symbol table is cut";
    let (count, mut left) = rest.split_first_chunk::<4>().ok_or(CUT)?;
    let mut table = Vec::new();
    for _ in 0..u32::from_le_bytes(*count) {
        let (&len, after) = left.split_first().ok_or(CUT)?;
        let (name, after) = after.split_at_checked(usize::from(len)).ok_or(CUT)?;
        table.push(Symbol::intern(name).map_err(|_| "a name is no symbol")?);
        left = after;
    }
    *rest = left;
    Ok(table)
}

/// Takes one column; the caller has compared the length of them all.
fn column<'a, const N: usize>(rest: &mut &'a [u8], count: usize) -> &'a [[u8; N]] {
    let (values, after) = rest.split_at(count * N);
    *rest = after;
    values.as_chunks().0
}
