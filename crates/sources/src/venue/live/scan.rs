//! A cursor over JSON text that hands out numbers and strings as their bytes.
//!
//! Owns the walk through objects and arrays (RFC 8259) without building a tree and without floats. It is as strict as
//! is needed to find the fields: literals and numbers are not checked here but by whoever parses their text.
//! Deliberately knows no venue.

/// Levels of arrays and objects in one frame.
const DEPTH_MAX: usize = 64;

/// Where a frame stops being JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset} of the frame is not {expected}")]
pub struct ScanError {
    /// Bytes before the offending one.
    pub offset: usize,
    /// What should stand there.
    pub expected: &'static str,
}

/// A place in JSON text.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    /// The next byte that is no white space, which stays unread.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Walks an array; `each` reads exactly one value.
    pub(crate) fn array<E: From<ScanError>>(
        &mut self,
        mut each: impl FnMut(&mut Cursor<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'[', "the start of an array")?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            each(self)?;
            if self.take(b']') {
                return Ok(());
            }
            self.expect(b',', "a comma or the end of an array")?;
        }
    }

    /// Walks an object; `each` gets a key and reads exactly one value.
    pub(crate) fn object<E: From<ScanError>>(
        &mut self,
        mut each: impl FnMut(&'a [u8], &mut Cursor<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'{', "the start of an object")?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':', "a colon")?;
            each(key, self)?;
            if self.take(b'}') {
                return Ok(());
            }
            self.expect(b',', "a comma or the end of an object")?;
        }
    }

    /// The text of a string without its quotes, escapes left as they are, or of a number or literal.
    pub(crate) fn scalar(&mut self) -> Result<&'a [u8], ScanError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{' | b'[' | b'}' | b']' | b',' | b':') | None => {
                Err(self.fault("a string or a number"))
            }
            Some(_) => Ok(self.word()),
        }
    }

    /// Passes one value and gives its text.
    pub(crate) fn skip(&mut self) -> Result<&'a [u8], ScanError> {
        self.peek();
        let start = self.at;
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
                return Ok(self.text.get(start..self.at).unwrap_or_default());
            }
            if depth > DEPTH_MAX {
                return Err(self.fault("less than 64 levels deep"));
            }
        }
    }

    /// Claims that nothing follows.
    pub(crate) fn end(&mut self) -> Result<(), ScanError> {
        if self.peek().is_none() {
            Ok(())
        } else {
            Err(self.fault("the end"))
        }
    }

    fn string(&mut self) -> Result<&'a [u8], ScanError> {
        self.expect(b'"', "the start of a string")?;
        let start = self.at;
        loop {
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err(self.fault("the end of a string")),
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        Ok(text)
    }

    fn word(&mut self) -> &'a [u8] {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_end = |byte: &u8| {
            matches!(
                byte,
                b',' | b'}' | b']' | b':' | b'"' | b' ' | b'\t' | b'\n' | b'\r' | b'{' | b'['
            )
        };
        let len = rest.iter().position(is_end).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), ScanError> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.fault(expected))
        }
    }

    fn fault(&self, expected: &'static str) -> ScanError {
        ScanError {
            offset: self.at.min(self.text.len()),
            expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, ScanError};
    use proptest::prelude::*;

    fn pairs(text: &str) -> Result<Vec<(String, String)>, ScanError> {
        let mut pairs = Vec::new();
        let mut cursor = Cursor::new(text.as_bytes());
        cursor.object(|key, cursor| {
            let value = cursor.skip()?;
            pairs.push((
                String::from_utf8_lossy(key).into(),
                String::from_utf8_lossy(value).into(),
            ));
            Ok::<(), ScanError>(())
        })?;
        cursor.end()?;
        Ok(pairs)
    }

    #[test]
    fn values_are_passed_whole_whatever_they_hold() {
        let found =
            pairs(r#" {"a" : 1.50, "b":"x\"},{", "c":[{"d":[1,2]},null] ,"e":true} "#).unwrap();
        let values: Vec<&str> = found.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(
            values,
            ["1.50", r#""x\"},{""#, r#"[{"d":[1,2]},null]"#, "true"]
        );
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
            r#"{"a":}"#,
        ] {
            assert!(pairs(text).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(pairs(&format!(r#"{{"a":{}"#, "[".repeat(1_000))).is_err());
    }

    proptest! {
        #[test]
        fn whole_json_is_passed_whole(value in r"[a-z0-9 ]{0,8}", number in 0u64..1_000_000) {
            let text = format!(r#"{{"k":{{"x":["{value}",{number}]}},"n":{number}}}"#);
            let found = pairs(&text).unwrap();
            prop_assert_eq!(&found[1].1, &number.to_string());
        }

        #[test]
        fn any_bytes_are_answered_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _verdict = Cursor::new(&bytes).skip();
        }
    }
}
