//! A reply's body, bounded also after decompression.
//!
//! Compressed bytes are expanded as they arrive and counted as they leave the decoder, so that a small
//! bomb is refused at the bound and not in exhausted memory.

use super::error::PageError;
use flate2::write::MultiGzDecoder;
use std::io::{self, Write};

/// Collects one body.
pub(crate) enum Body {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

/// Bytes up to a bound.
pub(crate) struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
    is_over: bool,
}

impl Body {
    /// Starts a body of at most `bytes_max` bytes as the reply's `content-encoding` says.
    pub(crate) fn new(encoding: Option<&[u8]>, bytes_max: usize) -> Result<Body, PageError> {
        Body::reusing(Vec::new(), encoding, bytes_max)
    }

    /// Starts a body in the memory of an earlier one.
    pub(crate) fn reusing(
        mut bytes: Vec<u8>,
        encoding: Option<&[u8]>,
        bytes_max: usize,
    ) -> Result<Body, PageError> {
        bytes.clear();
        let bounded = Bounded {
            bytes,
            bytes_max,
            is_over: false,
        };
        match encoding {
            None | Some(b"" | b"identity") => Ok(Body::Plain(bounded)),
            Some(b"gzip" | b"x-gzip") => Ok(Body::Gzip(Box::new(MultiGzDecoder::new(bounded)))),
            Some(other) => Err(PageError::Encoding {
                encoding: String::from_utf8_lossy(other).into_owned(),
            }),
        }
    }

    /// Adds the next bytes from the wire.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), PageError> {
        let written = match self {
            Body::Plain(bounded) => bounded.write_all(chunk),
            Body::Gzip(decoder) => decoder.write_all(chunk),
        };
        written.map_err(|error| self.fault(error))
    }

    /// What has left the decoder.
    pub(crate) fn so_far(&self) -> &[u8] {
        match self {
            Body::Plain(bounded) => &bounded.bytes,
            Body::Gzip(decoder) => &decoder.get_ref().bytes,
        }
    }

    /// Takes the whole body.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, PageError> {
        if let Body::Gzip(decoder) = &mut self
            && let Err(error) = decoder.try_finish()
        {
            return Err(self.fault(error));
        }
        Ok(match self {
            Body::Plain(bounded) => bounded.bytes,
            Body::Gzip(mut decoder) => std::mem::take(&mut decoder.get_mut().bytes),
        })
    }

    fn fault(&self, error: io::Error) -> PageError {
        let bounded = match self {
            Body::Plain(bounded) => bounded,
            Body::Gzip(decoder) => decoder.get_ref(),
        };
        if bounded.is_over {
            PageError::TooLarge {
                bytes_max: bounded.bytes_max,
            }
        } else {
            PageError::Gzip(error)
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        if chunk.len() > self.bytes_max - self.bytes.len() {
            self.is_over = true;
            return Err(io::Error::other("too many bytes"));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Body, PageError};
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn expand(wire: &[u8], bytes_max: usize) -> Result<Vec<u8>, PageError> {
        let mut body = Body::new(Some(b"gzip"), bytes_max)?;
        for chunk in wire.chunks(7) {
            body.push(chunk)?;
        }
        body.finish()
    }

    #[test]
    fn bomb_is_refused_at_the_bound() {
        let wire = gzip(&vec![0; 4 << 20]);
        assert!(wire.len() < 8 << 10);
        assert!(matches!(
            expand(&wire, 1 << 20),
            Err(PageError::TooLarge {
                bytes_max: 1_048_576
            })
        ));
        assert_eq!(expand(&wire, 4 << 20).unwrap().len(), 4 << 20);
    }

    #[test]
    fn cut_off_or_damaged_stream_is_an_error() {
        let wire = gzip(b"{\"results\":[]}");
        assert_eq!(expand(&wire, 100).unwrap(), b"{\"results\":[]}");
        for len in [1, 9, wire.len() / 2, wire.len() - 1] {
            assert!(
                matches!(expand(&wire[..len], 100), Err(PageError::Gzip(_))),
                "{len} bytes"
            );
        }
        let mut damaged = wire.clone();
        damaged[14] ^= 0xff;
        assert!(matches!(expand(&damaged, 100), Err(PageError::Gzip(_))));
    }

    #[test]
    fn other_encodings_are_named() {
        assert!(matches!(
            Body::new(Some(b"br"), 1),
            Err(PageError::Encoding { .. })
        ));
    }
}
