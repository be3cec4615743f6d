//! The frame decoder of a venue.

use super::event::Event;
use crate::json::{DecodeError, Reader};
use serde::Deserialize;

/// The wire format of one connection.
///
/// ```
/// use barmill_sources::venue::VENUES;
/// for venue in VENUES {
///     let mut events = Vec::new();
///     assert!(venue.decoder().decode(b"no frame", &mut events).is_err());
///     assert!(events.is_empty());
/// }
/// ```
#[derive(Debug)]
pub struct Decoder {
    decode: DecodeFrame,
    count: MessageCount,
}

/// How a venue reads a frame: appends what it says, and counts the messages where the venue numbers them.
pub(crate) type DecodeFrame =
    fn(&[u8], &mut MessageCount, &mut Vec<Event>) -> Result<(), DecodeError>;

/// The count of one connection's messages.
#[derive(Debug, Default)]
pub(crate) struct MessageCount {
    next: Option<u64>,
}

impl MessageCount {
    /// Takes the number of a message; answers how many before it did not come.
    pub(crate) fn note(&mut self, number: u64) -> u64 {
        let expected = self.next.unwrap_or(number);
        self.next = Some(expected.max(number + 1));
        number.saturating_sub(expected)
    }
}

/// Reads a frame that is an array of records.
pub(crate) fn each_record<'a, T: Deserialize<'a>>(
    frame: &'a [u8],
    mut each: impl FnMut(T),
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(frame, 0);
    reader.array(|reader| {
        each(T::deserialize(reader)?);
        Ok::<(), DecodeError>(())
    })?;
    Ok(reader.end()?)
}

impl Decoder {
    pub(crate) fn new(decode: DecodeFrame) -> Decoder {
        Decoder {
            decode,
            count: MessageCount::default(),
        }
    }

    /// Appends what the frame says.
    ///
    /// # Errors
    /// [`DecodeError`] when the frame as a whole is not of the venue's shape; events before the fault are kept.
    pub fn decode(&mut self, frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
        (self.decode)(frame, &mut self.count, events)
    }
}

#[cfg(test)]
mod tests {
    use super::Decoder;
    use crate::venue::VENUES;
    use proptest::prelude::*;

    fn all() -> impl Iterator<Item = Decoder> {
        VENUES.iter().map(|venue| venue.decoder())
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for mut decoder in all() {
                let _verdict = decoder.decode(&bytes, &mut Vec::new());
            }
        }

        #[test]
        fn json_of_any_shape_is_answered_without_a_panic(
            text in r#"(\[|\{|\}|\]|,|:|"(ev|T|t|e|data|trades|events|channel|sym|S|c|x|i|trade_id|type|result)"|"T"|"trade"|"[a-z]{0,3}"|[0-9.e-]{1,20}|null|true){0,60}"#
        ) {
            for mut decoder in all() {
                let _verdict = decoder.decode(text.as_bytes(), &mut Vec::new());
            }
        }
    }
}
