//! A Massive page read while it arrives: one walk over the bytes, no tree, exact numbers from the digits.
//!
//! Owns the rows as the vendor writes them and nothing else. What it takes is a subset of JSON (RFC 8259): objects of
//! known shape, ASCII strings without escapes, numbers without sign and exponent. Anything beyond, malformed or only
//! unusual, makes it give up, and the page is decoded by `serde_json` as if this did not exist: so every error, and
//! every choice between errors, is that one's. A test holds the two against each other.

use crate::model::{Conditions, Price, Side, Size, Symbol, Timestamp, Trade, TradeId};
use std::ops::Range;

/// Bytes before the rows in which they must be found.
const HEAD_LEN_MAX: usize = 16 << 10;

/// Why the walk does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// More bytes may help.
    Short,
    /// The text is not of the subset.
    Odd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The array of rows has not begun.
    Head,
    /// A row, or the end of an array without any, comes next.
    First,
    /// A comma and a row, or the end of the array, comes next.
    Rows,
    /// The array has ended.
    Tail,
    /// Left to the plain way.
    Odd,
}

/// The rows of a page, as far as its bytes are there.
#[derive(Debug)]
pub(super) struct Early {
    symbol: Symbol,
    /// The name of the array with its quotes.
    name: Vec<u8>,
    stage: Stage,
    /// The text between the brackets of the array.
    rows: Range<usize>,
    trades: Vec<Trade>,
}

/// A page whose rows are read.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) trades: Vec<Trade>,
    /// The page without the text of its rows.
    pub(super) frame: Vec<u8>,
    /// The place of the emptied array in it.
    pub(super) array: Range<usize>,
}

impl Early {
    /// Starts a page of one symbol's trades in the array of this name.
    pub(super) fn new(symbol: Symbol, name: &str) -> Early {
        let name = format!("\"{name}\"").into_bytes();
        Early { symbol, name, stage: Stage::Head, rows: 0..0, trades: Vec::new() }
    }

    /// Reads on; `text` is the page from its start, as far as it is there.
    pub(super) fn read(&mut self, text: &[u8]) {
        loop {
            let step = match self.stage {
                Stage::Head => self.find(text),
                Stage::First | Stage::Rows => self.row(text),
                Stage::Tail | Stage::Odd => return,
            };
            match step {
                Ok(()) => {}
                Err(Stop::Short) => return,
                Err(Stop::Odd) => self.stage = Stage::Odd,
            }
        }
    }

    /// The rows, if all of the page was of the subset.
    pub(super) fn finish(self, text: &[u8]) -> Option<Whole> {
        if self.stage != Stage::Tail {
            return None;
        }
        let Range { start, end } = self.rows;
        let frame = [text.get(..start)?, text.get(end..)?].concat();
        Some(Whole { trades: self.trades, frame, array: start - 1..start + 1 })
    }

    /// Finds the array by its name; whether it is the one that counts, the frame tells later.
    fn find(&mut self, text: &[u8]) -> Result<(), Stop> {
        let head = text.get(..HEAD_LEN_MAX).unwrap_or(text);
        let stop = if head.len() == HEAD_LEN_MAX { Stop::Odd } else { Stop::Short };
        let name = memchr::memmem::find(head, &self.name).ok_or(stop)?;
        let mut walk = Walk { text, at: name + self.name.len() };
        walk.expect(b':')?;
        walk.expect(b'[')?;
        self.rows = walk.at..walk.at;
        self.stage = Stage::First;
        Ok(())
    }

    fn row(&mut self, text: &[u8]) -> Result<(), Stop> {
        let mut walk = Walk { text, at: self.rows.end };
        match walk.peek()? {
            b']' => {
                self.rows.end = walk.at;
                self.stage = Stage::Tail;
                return Ok(());
            }
            b',' if self.stage == Stage::Rows => walk.at += 1,
            _ if self.stage == Stage::First => {}
            _ => return Err(Stop::Odd),
        }
        let trade = Row::read(&mut walk)?.trade(self.symbol).ok_or(Stop::Odd)?;
        self.trades.push(trade);
        self.rows.end = walk.at;
        self.stage = Stage::Rows;
        Ok(())
    }
}

/// The fields of one row that a trade needs; `None` where the row has none.
#[derive(Default)]
struct Row<'a> {
    conditions: Option<Conditions>,
    correction: Option<u64>,
    decimal_size: Option<&'a [u8]>,
    exchange: Option<u64>,
    id: Option<&'a [u8]>,
    price: Option<&'a [u8]>,
    sequence_number: Option<u64>,
    sip_timestamp: Option<u64>,
    size: Option<&'a [u8]>,
    trf_id: Option<u64>,
}

impl<'a> Row<'a> {
    fn read(walk: &mut Walk<'a>) -> Result<Row<'a>, Stop> {
        let mut row = Row::default();
        walk.expect(b'{')?;
        loop {
            let key = walk.string()?;
            walk.expect(b':')?;
            row.take(key, walk)?;
            match walk.next()? {
                b',' => {}
                b'}' => return Ok(row),
                _ => return Err(Stop::Odd),
            }
        }
    }

    fn take(&mut self, key: &[u8], walk: &mut Walk<'a>) -> Result<(), Stop> {
        match key {
            b"conditions" => set(&mut self.conditions, walk.conditions()?),
            b"correction" => set(&mut self.correction, walk.whole()?),
            b"decimal_size" => set(&mut self.decimal_size, walk.scalar()?),
            b"exchange" => set(&mut self.exchange, walk.whole()?),
            b"id" => set(&mut self.id, walk.scalar()?),
            b"price" => set(&mut self.price, walk.scalar()?),
            b"sequence_number" => set(&mut self.sequence_number, walk.whole()?),
            b"sip_timestamp" => set(&mut self.sip_timestamp, walk.whole()?),
            b"size" => set(&mut self.size, walk.scalar()?),
            b"trf_id" => set(&mut self.trf_id, walk.whole()?),
            _ => walk.scalar().map(drop),
        }
    }

    /// The trade, as `massive::decode_row` makes it; `None` where that one would refuse the row.
    fn trade(&self, symbol: Symbol) -> Option<Trade> {
        let price = Price::parse(self.price?).ok().filter(|price| *price != Price::ZERO)?;
        let exchange = u8::try_from(self.exchange?).ok()?;
        let facility = u8::try_from(self.trf_id.unwrap_or(0)).ok()?;
        Some(Trade {
            symbol,
            time: Timestamp::from_nanos(i64::try_from(self.sip_timestamp?).ok()?)?,
            sequence: self.sequence_number?,
            id: self.id.map_or(TradeId::NONE, TradeId::from_text),
            price,
            size: Size::parse(self.decimal_size.or(self.size)?).ok()?,
            conditions: self.conditions.unwrap_or_default(),
            venue: u16::from(facility) << 8 | u16::from(exchange),
            correction: u8::try_from(self.correction.unwrap_or(0)).ok()?,
            side: Side::Unknown,
            sequenced: true,
        })
    }
}

/// Sets a field that must not come twice.
fn set<T>(field: &mut Option<T>, value: T) -> Result<(), Stop> {
    if field.replace(value).is_some() { Err(Stop::Odd) } else { Ok(()) }
}

/// A place in the text.
struct Walk<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    /// The next byte that is no white space, which stays unread.
    fn peek(&mut self) -> Result<u8, Stop> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Stop::Short),
            }
        }
    }

    fn next(&mut self) -> Result<u8, Stop> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Stop> {
        if self.next()? == wanted { Ok(()) } else { Err(Stop::Odd) }
    }

    /// The text of a string, which has neither escapes nor anything but printable ASCII.
    fn string(&mut self) -> Result<&'a [u8], Stop> {
        self.expect(b'"')?;
        let rest = self.text.get(self.at..).unwrap_or_default();
        for (len, byte) in rest.iter().enumerate() {
            match byte {
                b'"' => {
                    self.at += len + 1;
                    return Ok(&rest[..len]);
                }
                b'\\' | ..0x20 | 0x7f.. => return Err(Stop::Odd),
                _ => {}
            }
        }
        Err(Stop::Short)
    }

    /// The text of a string, or of a number.
    fn scalar(&mut self) -> Result<&'a [u8], Stop> {
        if self.peek()? == b'"' { self.string() } else { self.number() }
    }

    /// The text of a number: digits without a leading zero, and perhaps a point and more digits.
    fn number(&mut self) -> Result<&'a [u8], Stop> {
        let start = self.at;
        let whole_len = self.digits()?;
        let is_padded = whole_len > 1 && self.text.get(start) == Some(&b'0');
        if whole_len == 0 || is_padded {
            return Err(Stop::Odd);
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            if self.digits()? == 0 {
                return Err(Stop::Odd);
            }
        }
        Ok(&self.text[start..self.at])
    }

    /// Passes digits and tells how many; what ends them must be there.
    fn digits(&mut self) -> Result<usize, Stop> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|byte| !byte.is_ascii_digit()).ok_or(Stop::Short)?;
        self.at += len;
        Ok(len)
    }

    /// A number without a point that 64 bits hold.
    fn whole(&mut self) -> Result<u64, Stop> {
        self.peek()?;
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut value = 0u64;
        for (len, byte) in rest.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                let is_padded = len > 1 && rest[0] == b'0';
                self.at += len;
                return if len == 0 || is_padded || *byte == b'.' { Err(Stop::Odd) } else { Ok(value) };
            }
            let next = value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit)));
            value = next.ok_or(Stop::Odd)?;
        }
        Err(Stop::Short)
    }

    fn conditions(&mut self) -> Result<Conditions, Stop> {
        self.expect(b'[')?;
        let mut conditions = Conditions::NONE;
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(conditions);
        }
        loop {
            let condition = u32::try_from(self.whole()?).map_err(|_| Stop::Odd)?;
            conditions = conditions.with(condition).ok_or(Stop::Odd)?;
            match self.next()? {
                b',' => {}
                b']' => return Ok(conditions),
                _ => return Err(Stop::Odd),
            }
        }
    }
}
