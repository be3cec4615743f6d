//! A reader of JSON text (RFC 8259) that is a deserializer of `serde`, and hands out strings and numbers as their bytes.
//!
//! Builds no tree and makes no floats. It is as strict as is needed to find the members: numbers and literals are
//! checked by whoever parses their text, and escapes stay as they are. [`Reader::is_plain`] tells whether everything
//! read so far is beyond such doubt. Runs of plain bytes are passed eight at a time; a test compares that with one byte
//! after another.

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt;

/// Levels of arrays and objects in what is skipped.
const DEPTH_MAX: usize = 64;

/// Why a text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The text stops being JSON.
    #[error("byte {offset} of the text is not {expected}")]
    Syntax {
        /// Bytes before the offending one.
        offset: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// It is JSON of another shape.
    #[error("{0}")]
    Shape(String),
}

impl de::Error for JsonError {
    fn custom<T: fmt::Display>(message: T) -> JsonError {
        JsonError::Shape(message.to_string())
    }
}

/// Reads a whole text.
pub(crate) fn from_slice<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, JsonError> {
    let mut reader = Reader::new(text, 0);
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// A place in JSON text.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    is_odd: bool,
}

impl<'a> Reader<'a> {
    /// Starts behind so many bytes.
    pub(crate) fn new(text: &'a [u8], at: usize) -> Reader<'a> {
        Reader {
            text,
            at,
            is_odd: false,
        }
    }

    /// Bytes before the place.
    pub(crate) fn at(&self) -> usize {
        self.at.min(self.text.len())
    }

    /// Whether all strings so far are printable ASCII without escapes, and all other scalars numbers without sign and
    /// exponent: then any JSON reader takes the text, and finds the same in it.
    pub(crate) fn is_plain(&self) -> bool {
        !self.is_odd
    }

    /// The next byte that is no white space, which stays unread.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Passes these bytes if they come next, without white space before them.
    #[inline]
    pub(crate) fn past<const LEN: usize>(&mut self, bytes: &[u8; LEN]) -> Option<()> {
        let next = self.text.get(self.at..)?.first_chunk::<LEN>()?;
        (next == bytes).then(|| self.at += LEN)
    }

    /// Walks an array; `each` reads exactly one value.
    pub(crate) fn array<E: From<JsonError>>(
        &mut self,
        mut each: impl FnMut(&mut Reader<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'[', "the start of an array")?;
        let mut is_first = true;
        while self.next_item(b']', &mut is_first)? {
            each(self)?;
        }
        Ok(())
    }

    /// Passes one value.
    pub(crate) fn skip(&mut self) -> Result<(), JsonError> {
        let mut depth = 0usize;
        loop {
            match self.peek() {
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b',' | b':') if depth > 0 => self.at += 1,
                _ => _ = self.scalar()?,
            }
            if depth == 0 {
                return Ok(());
            }
            // What nests is passed, not read.
            self.is_odd = true;
            if depth > DEPTH_MAX {
                return Err(self.fault("less than 64 levels deep"));
            }
        }
    }

    /// Claims that nothing follows.
    pub(crate) fn end(&mut self) -> Result<(), JsonError> {
        if self.peek().is_none() {
            Ok(())
        } else {
            Err(self.fault("the end"))
        }
    }

    /// The text of a string without its quotes, or of a number or literal.
    #[inline]
    pub(crate) fn scalar(&mut self) -> Result<&'a [u8], JsonError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{' | b'[' | b'}' | b']' | b',' | b':') | None => {
                Err(self.fault("a string or a number"))
            }
            Some(_) => Ok(self.word()),
        }
    }

    fn string(&mut self) -> Result<&'a [u8], JsonError> {
        self.expect(b'"', "the start of a string")?;
        let start = self.at;
        loop {
            self.pass(special);
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.is_odd = true;
                    self.at += 2;
                }
                Some(byte) => {
                    self.is_odd |= !matches!(byte, b' '..=b'~');
                    self.at += 1;
                }
                None => return Err(self.fault("the end of a string")),
            }
        }
        let text = &self.text[start..self.at];
        self.at += 1;
        Ok(text)
    }

    /// A number or literal: whatever stands before the next mark of JSON.
    fn word(&mut self) -> &'a [u8] {
        let start = self.at;
        let len = self.digits();
        self.is_odd |= len == 0 || len > 1 && self.text[start] == b'0';
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.is_odd |= self.digits() == 0;
        }
        while let Some(byte) = self.text.get(self.at)
            && !is_mark(*byte)
        {
            self.is_odd = true;
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    /// Passes digits and tells how many.
    fn digits(&mut self) -> usize {
        let start = self.at;
        self.pass(no_digit);
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - start
    }

    /// Passes eight bytes at a time up to the first that is marked, or nearly to the end of the text.
    #[inline]
    fn pass(&mut self, marks: impl Fn(u64) -> u64) {
        while let Some(word) = self.text.get(self.at..).and_then(<[u8]>::first_chunk) {
            let marked = marks(u64::from_le_bytes(*word));
            self.at += (marked.trailing_zeros() / 8) as usize;
            if marked != 0 {
                return;
            }
        }
    }

    /// Goes to the next item of an array or object; `false` behind its end.
    #[inline]
    fn next_item(&mut self, end: u8, is_first: &mut bool) -> Result<bool, JsonError> {
        let found = self.peek();
        if found == Some(end) {
            self.at += 1;
            return Ok(false);
        }
        if !std::mem::take(is_first) {
            if found != Some(b',') {
                return Err(self.fault("a comma or an end"));
            }
            self.at += 1;
        }
        Ok(true)
    }

    #[inline]
    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.fault(expected))
        }
    }

    #[cold]
    fn fault(&self, expected: &'static str) -> JsonError {
        JsonError::Syntax {
            offset: self.at(),
            expected,
        }
    }
}

/// Whether a number or literal ends before this byte.
fn is_mark(byte: u8) -> bool {
    matches!(
        byte,
        b',' | b'}' | b']' | b':' | b'"' | b' ' | b'\t' | b'\n' | b'\r' | b'{' | b'['
    )
}

/// The highest bit of each of eight bytes.
const TOPS: u64 = 0x8080_8080_8080_8080;
/// The lowest bit of each.
const ONES: u64 = 0x0101_0101_0101_0101;
/// Eight times the digit 0.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// Marks the bytes that end a string or are not plain; above the first mark there may be wrong ones.
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

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = JsonError;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                let mut items = Items::new(self, b'}');
                visitor.visit_map(&mut items)
            }
            Some(b'[') => {
                self.at += 1;
                let mut items = Items::new(self, b']');
                let value = visitor.visit_seq(&mut items)?;
                // A row may grow by members at its end.
                while items.next()? {
                    items.reader.skip()?;
                }
                Ok(value)
            }
            Some(b'n') if self.scalar()? == b"null" => visitor.visit_unit(),
            Some(b'n') => Err(self.fault("null")),
            _ => visitor.visit_borrowed_bytes(self.scalar()?),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        if self.peek() == Some(b'n') {
            self.scalar()?;
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.skip()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

/// The items of an array or the members of an object.
struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    end: u8,
    is_first: bool,
    is_done: bool,
}

impl<'r, 'de> Items<'r, 'de> {
    fn new(reader: &'r mut Reader<'de>, end: u8) -> Items<'r, 'de> {
        Items {
            reader,
            end,
            is_first: true,
            is_done: false,
        }
    }

    /// Goes to the next item; `false` behind the last one.
    #[inline]
    fn next(&mut self) -> Result<bool, JsonError> {
        self.is_done = self.is_done || !self.reader.next_item(self.end, &mut self.is_first)?;
        Ok(!self.is_done)
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = JsonError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, JsonError> {
        if self.next()? {
            seed.deserialize(&mut *self.reader).map(Some)
        } else {
            Ok(None)
        }
    }
}

impl<'de> MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = JsonError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, JsonError> {
        if !self.next()? {
            return Ok(None);
        }
        let key = self.reader.string()?;
        self.reader.expect(b':', "a colon")?;
        seed.deserialize(de::value::BorrowedBytesDeserializer::new(key))
            .map(Some)
    }

    #[inline]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, JsonError> {
        seed.deserialize(&mut *self.reader)
    }
}

#[cfg(test)]
mod tests {
    use super::{JsonError, Reader, is_mark};
    use proptest::prelude::*;

    fn skipped(text: &str) -> Result<&str, JsonError> {
        let mut reader = Reader::new(text.as_bytes(), 0);
        reader.skip()?;
        let value = &text[..reader.at()];
        reader.end()?;
        Ok(value)
    }

    #[test]
    fn values_are_passed_whole_whatever_they_hold() {
        for text in [
            "1.50",
            r#""x\"},{""#,
            r#"[{"d":[1,2]},null]"#,
            "true",
            r#"{"a" : 1.50, "b":"x\"},{", "c":[{"d":[1,2]},null] ,"e":true}"#,
        ] {
            assert_eq!(skipped(text), Ok(text));
        }
    }

    #[test]
    fn text_that_is_cut_off_or_goes_on_is_refused() {
        for text in [
            "",
            "{",
            r#"{"a"#,
            r#"{"a":"#,
            r#"{"a":1"#,
            r#"{"a":1}x"#,
            r#"{"a":"b\"#,
        ] {
            assert!(skipped(text).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(skipped(&format!(r#"{{"a":{}"#, "[".repeat(1_000))).is_err());
    }

    #[test]
    fn odd_scalars_are_told() {
        for (text, is_plain) in [
            ("12", true),
            ("0.5", true),
            (r#""a b""#, true),
            ("012", false),
            ("1.", false),
            ("-1", false),
            ("1e3", false),
            ("null", false),
            ("\"\u{e9}\"", false),
            (r#""\u0041""#, false),
            ("\"\t\"", false),
            ("[1]", false),
        ] {
            let mut reader = Reader::new(text.as_bytes(), 0);
            reader.skip().unwrap();
            assert_eq!(reader.is_plain(), is_plain, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _verdict = Reader::new(&bytes, 0).skip();
        }

        #[test]
        fn scalars_equal_those_read_byte_by_byte(
            text in prop::collection::vec(prop_oneof![20 => b' '..=b'~', 20 => b'0'..=b'9', 1 => any::<u8>()], 0..60),
        ) {
            let quoted = [b"\"", text.as_slice()].concat();
            let mut is_escaped = false;
            let end = text.iter().position(|byte| {
                let is_end = !is_escaped && *byte == b'"';
                is_escaped = !is_escaped && *byte == b'\\';
                is_end
            });
            prop_assert_eq!(Reader::new(&quoted, 0).scalar().ok(), end.map(|end| &text[..end]));
            let end = text.iter().position(|byte| is_mark(*byte)).unwrap_or(text.len());
            prop_assert_eq!(Reader::new(&text, 0).word(), &text[..end]);
        }
    }
}
