//! The frame decoder of a venue.

use super::event::Event;
use crate::json::DecodeError;

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
pub struct Decoder(Box<dyn Decode>);

/// What a venue's decoder does.
pub(crate) trait Decode: std::fmt::Debug + Send + Sync {
    /// Appends what the frame says; see [`Decoder::decode`].
    fn decode(&mut self, frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError>;
}

/// A decoder that keeps nothing from one frame to the next.
type Stateless = fn(&[u8], &mut Vec<Event>) -> Result<(), DecodeError>;

impl Decode for Stateless {
    fn decode(&mut self, frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
        self(frame, events)
    }
}

impl Decoder {
    pub(crate) fn new(decode: impl Decode + 'static) -> Decoder {
        Decoder(Box::new(decode))
    }

    pub(crate) fn stateless(decode: Stateless) -> Decoder {
        Decoder::new(decode)
    }

    /// Appends what the frame says.
    ///
    /// # Errors
    /// [`DecodeError`] when the frame as a whole is not of the venue's shape; events before the fault are kept.
    pub fn decode(&mut self, frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeError> {
        self.0.decode(frame, events)
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
