//! Cursor over the JSON tokens of a page that is parsed while it arrives.
//!
//! Runs of plain bytes and of digits are passed eight at a time; a test compares that with one byte after another.

use barmill_core::model::Conditions;

/// Why the walk does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// More bytes may help.
    Short,
    /// The text is not of the subset.
    Unsupported,
}

/// The highest bit of each of eight bytes.
const TOPS: u64 = 0x8080_8080_8080_8080;
/// The lowest bit of each.
const ONES: u64 = 0x0101_0101_0101_0101;
/// Eight times the digit 0.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// A place in the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a [u8], at: usize) -> Cursor<'a> {
        Cursor { text, at }
    }

    /// Bytes before the place.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Passes these bytes if they come next.
    #[inline]
    pub(crate) fn passes<const LEN: usize>(&mut self, bytes: &[u8; LEN]) -> bool {
        let comes = self
            .text
            .get(self.at..)
            .and_then(<[u8]>::first_chunk::<LEN>)
            == Some(bytes);
        self.at += if comes { LEN } else { 0 };
        comes
    }

    /// Goes past these bytes, which must come next.
    #[inline]
    pub(crate) fn past<const LEN: usize>(&mut self, bytes: &[u8; LEN]) -> Option<&mut Cursor<'a>> {
        self.passes(bytes).then_some(self)
    }

    /// The next eight bytes, the first one lowest; `None` near the end of the text.
    #[inline]
    fn word(&self) -> Option<u64> {
        self.text
            .get(self.at..)?
            .first_chunk()
            .map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// The next byte that is no white space, which stays unread.
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<u8, Stop> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Stop::Short),
            }
        }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Result<u8, Stop> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    pub(crate) fn expect(&mut self, wanted: u8) -> Result<(), Stop> {
        if self.next()? == wanted {
            Ok(())
        } else {
            Err(Stop::Unsupported)
        }
    }

    /// The text of a string, which has neither escapes nor anything but printable ASCII.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], Stop> {
        self.expect(b'"')?;
        let start = self.at;
        self.pass_while(special);
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'"' => {
                    self.at += 1;
                    return Ok(&self.text[start..self.at - 1]);
                }
                b'\\' | ..0x20 | 0x7f.. => return Err(Stop::Unsupported),
                _ => self.at += 1,
            }
        }
        Err(Stop::Short)
    }

    /// The text of a string, or of a number.
    pub(crate) fn scalar(&mut self) -> Result<&'a [u8], Stop> {
        if self.peek()? == b'"' {
            self.string()
        } else {
            self.number()
        }
    }

    /// The text of a number: digits without a leading zero, and perhaps a point and more digits.
    pub(crate) fn number(&mut self) -> Result<&'a [u8], Stop> {
        let start = self.at;
        let whole_len = self.digits()?;
        let is_padded = whole_len > 1 && self.text.get(start) == Some(&b'0');
        if whole_len == 0 || is_padded {
            return Err(Stop::Unsupported);
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            if self.digits()? == 0 {
                return Err(Stop::Unsupported);
            }
        }
        Ok(&self.text[start..self.at])
    }

    /// Passes digits and tells how many; what ends them must be there.
    fn digits(&mut self) -> Result<usize, Stop> {
        let start = self.at;
        self.pass_while(no_digit);
        while self.text.get(self.at).ok_or(Stop::Short)?.is_ascii_digit() {
            self.at += 1;
        }
        Ok(self.at - start)
    }

    /// Passes eight bytes at a time up to the first that is marked, or nearly to the end of the text.
    #[inline]
    fn pass_while(&mut self, marks: impl Fn(u64) -> u64) {
        while let Some(word) = self.word() {
            let marked = marks(word);
            self.at += (marked.trailing_zeros() / 8) as usize;
            if marked != 0 {
                return;
            }
        }
    }

    /// A number without a point that 64 bits hold.
    pub(crate) fn whole(&mut self) -> Result<u64, Stop> {
        self.peek()?;
        let start = self.at;
        let len = self.digits()?;
        let digits = &self.text[start..self.at];
        let is_padded = len > 1 && digits[0] == b'0';
        if len == 0 || is_padded || self.text.get(self.at) == Some(&b'.') {
            return Err(Stop::Unsupported);
        }
        value(digits).ok_or(Stop::Unsupported)
    }

    pub(crate) fn conditions(&mut self) -> Result<Conditions, Stop> {
        self.expect(b'[')?;
        let mut conditions = Conditions::NONE;
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(conditions);
        }
        loop {
            let condition = u32::try_from(self.whole()?).map_err(|_| Stop::Unsupported)?;
            conditions = conditions.with(condition).ok_or(Stop::Unsupported)?;
            match self.next()? {
                b',' => {}
                b']' => return Ok(conditions),
                _ => return Err(Stop::Unsupported),
            }
        }
    }
}

/// Marks the bytes that end a string or have no place in one; above the first mark there may be wrong ones.
#[inline]
fn special(word: u64) -> u64 {
    let is = |byte: u8| {
        let rest = word ^ (ONES * u64::from(byte));
        rest.wrapping_sub(ONES) & !rest
    };
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (is(b'"') | is(b'\\') | is(0x7f) | control | word) & TOPS
}

/// Marks the bytes that are no digits.
#[inline]
fn no_digit(word: u64) -> u64 {
    let rest = word ^ ZEROS;
    // Adding 0x76 to seven bits sets the eighth exactly when they are above 9.
    ((rest & !TOPS).wrapping_add(ONES * 0x76) | rest) & TOPS
}

/// The value of digits, if 64 bits hold it.
fn value(digits: &[u8]) -> Option<u64> {
    if digits.len() > 19 {
        let push =
            |value: u64, digit: &u8| value.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
        return digits.iter().try_fold(0, push);
    }
    // Nineteen digits stay below 2^64, so nothing wraps.
    let (lead, words) = digits.as_rchunks::<8>();
    let lead = lead
        .iter()
        .fold(0, |value: u64, digit| value * 10 + u64::from(digit - b'0'));
    Some(words.iter().fold(lead, |value, word| {
        value
            .wrapping_mul(100_000_000)
            .wrapping_add(eight_digits(*word))
    }))
}

/// The value of eight digits, by pairs, quads and halves.
#[inline]
fn eight_digits(word: [u8; 8]) -> u64 {
    let digits = u64::from_le_bytes(word) ^ ZEROS;
    let pairs = (digits.wrapping_mul(10) + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (quads.wrapping_mul(10_000) + (quads >> 32)) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Stop, value};
    use proptest::prelude::*;

    /// The plain form of a string: one byte after another.
    fn string(text: &[u8]) -> Result<&[u8], Stop> {
        for (len, byte) in text.iter().enumerate() {
            match byte {
                b'"' => return Ok(&text[..len]),
                b'\\' | ..0x20 | 0x7f.. => return Err(Stop::Unsupported),
                _ => {}
            }
        }
        Err(Stop::Short)
    }

    proptest! {
        #[test]
        fn strings_equal_those_read_byte_by_byte(
            text in prop::collection::vec(prop_oneof![20 => b' '..=b'~', 1 => any::<u8>()], 0..60),
        ) {
            let quoted = [b"\"", text.as_slice()].concat();
            prop_assert_eq!(Cursor::new(&quoted, 0).string(), string(&text));
        }

        #[test]
        fn digits_end_where_the_first_other_byte_is(text in prop::collection::vec(prop_oneof![30 => b'0'..=b'9', 1 => any::<u8>()], 0..60)) {
            let len = text.iter().position(|byte| !byte.is_ascii_digit()).ok_or(Stop::Short);
            prop_assert_eq!(Cursor::new(&text, 0).digits(), len);
        }

        #[test]
        fn values_equal_the_standard_parser(text in "[0-9]{1,22}") {
            prop_assert_eq!(value(text.as_bytes()), text.parse().ok());
        }
    }
}
