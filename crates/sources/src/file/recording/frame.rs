//! The file header and the frames around the blocks.

use crate::file::FileError;
use std::io::{self, Read};
use std::sync::Arc;

/// The first bytes: a name, and line ends that a text-mode copy would change.
pub(crate) const MAGIC: &[u8; 8] = b"BMREC\r\n\x1a";
/// The layout this program writes.
pub(super) const VERSION: u16 = 1;
/// Bytes of the file header.
pub(super) const FILE_HEADER_LEN: usize = 16;
/// Bytes of a block's header.
pub(super) const BLOCK_HEADER_LEN: usize = 20;
/// Bytes of the largest block, packed or not; above it a header is damaged.
pub(super) const BLOCK_LEN_MAX: u32 = 16 << 20;

/// The file header.
pub(super) fn file_header() -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&[0; 2]);
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    header
}

/// The header of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHeader {
    /// Bytes of the payload.
    pub(super) packed_len: u32,
    /// Bytes of the unpacked payload.
    pub(super) len: u32,
    /// Trades in it.
    pub(super) trades: u32,
    /// CRC-32C of the payload.
    pub(super) crc: u32,
}

impl BlockHeader {
    /// The mark of an orderly end.
    pub(super) const END: BlockHeader = BlockHeader {
        packed_len: 0,
        len: 0,
        trades: 0,
        crc: 0,
    };

    /// Appends the header's bytes.
    pub(super) fn push(self, out: &mut Vec<u8>) {
        let start = out.len();
        for number in [self.packed_len, self.len, self.trades] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&self.crc.to_le_bytes());
    }

    fn parse(text: &[u8]) -> Option<BlockHeader> {
        let (words, _) = text.as_chunks::<4>();
        let [packed_len, len, trades, header_crc, crc] = *words else {
            return None;
        };
        let number = u32::from_le_bytes;
        if crc32c::crc32c(&text[..12]) != number(header_crc) {
            return None;
        }
        let header = BlockHeader {
            packed_len: number(packed_len),
            len: number(len),
            trades: number(trades),
            crc: number(crc),
        };
        (header.packed_len <= BLOCK_LEN_MAX && header.len <= BLOCK_LEN_MAX).then_some(header)
    }
}

/// Reads block after block up to the last whole one.
#[derive(Debug)]
pub(super) struct FrameReader<R> {
    file: Arc<str>,
    source: R,
    /// Bytes up to the end of the last whole block.
    whole_len: u64,
    /// Bytes behind it that a crash left.
    torn_len: u64,
    ended: bool,
}

impl<R: Read> FrameReader<R> {
    pub(super) fn new(file: Arc<str>, source: R) -> Result<FrameReader<R>, FileError> {
        let mut reader = FrameReader {
            file,
            source,
            whole_len: 0,
            torn_len: 0,
            ended: false,
        };
        let header = reader.read_up_to(FILE_HEADER_LEN)?;
        let expected = file_header();
        if header.len() < FILE_HEADER_LEN && expected.starts_with(&header) {
            reader.end_torn(header.len() as u64)?;
            return Ok(reader);
        }
        if header.len() < FILE_HEADER_LEN || header[..8] != *MAGIC {
            return Err(reader.corrupt("the file does not start as a recording"));
        }
        if header[12..] != crc32c::crc32c(&header[..12]).to_le_bytes() {
            return Err(reader.corrupt("the file header does not match its checksum"));
        }
        let version = u16::from_le_bytes([header[8], header[9]]);
        if version != VERSION {
            return Err(FileError::Version {
                file: reader.file,
                version,
                known: VERSION,
            });
        }
        reader.whole_len = FILE_HEADER_LEN as u64;
        Ok(reader)
    }

    /// Bytes up to the end of the last whole block read so far.
    pub(super) fn whole_len(&self) -> u64 {
        self.whole_len
    }

    /// Bytes behind the last whole block; known at the end.
    pub(super) fn torn_len(&self) -> u64 {
        self.torn_len
    }

    /// An error at the block read last.
    pub(super) fn corrupt(&self, reason: &'static str) -> FileError {
        FileError::Corrupt {
            file: Arc::clone(&self.file),
            offset: self.whole_len,
            reason,
        }
    }

    /// Replaces `payload` by that of the next block with trades; `None` at the end.
    ///
    /// The caller [accepts](FrameReader::accept) the block once it is sure of it.
    pub(super) fn next(&mut self, payload: &mut Vec<u8>) -> Result<Option<BlockHeader>, FileError> {
        while !self.ended {
            let text = self.read_up_to(BLOCK_HEADER_LEN)?;
            if text.len() < BLOCK_HEADER_LEN {
                self.end_torn(text.len() as u64)?;
                break;
            }
            let Some(header) = BlockHeader::parse(&text) else {
                return self.end_of_zeros(&text).map(|()| None);
            };
            payload.clear();
            let wanted = u64::from(header.packed_len);
            let read = (&mut self.source).take(wanted).read_to_end(payload);
            let len = read.map_err(|source| self.read_error(source))? as u64;
            if len < wanted {
                self.end_torn(BLOCK_HEADER_LEN as u64 + len)?;
                break;
            }
            if crc32c::crc32c(payload) != header.crc {
                let behind = self.skip_rest()?;
                if behind > 0 {
                    return Err(self.corrupt("the block does not match its checksum"));
                }
                self.end_torn(BLOCK_HEADER_LEN as u64 + len)?;
                break;
            }
            if header == BlockHeader::END {
                self.accept(header);
                continue;
            }
            return Ok(Some(header));
        }
        Ok(None)
    }

    /// Counts a block as whole.
    pub(super) fn accept(&mut self, header: BlockHeader) {
        self.whole_len += BLOCK_HEADER_LEN as u64 + u64::from(header.packed_len);
    }

    fn end_torn(&mut self, len: u64) -> Result<(), FileError> {
        self.ended = true;
        self.torn_len = len + self.skip_rest()?;
        Ok(())
    }

    /// Ends at a block header that does not fit: torn when nothing but zeros follow, damaged otherwise.
    fn end_of_zeros(&mut self, header: &[u8]) -> Result<(), FileError> {
        let mut zeros = header.iter().all(|&byte| byte == 0);
        let mut len = header.len() as u64;
        while zeros {
            let text = self.read_up_to(4096)?;
            if text.is_empty() {
                break;
            }
            len += text.len() as u64;
            zeros = text.iter().all(|&byte| byte == 0);
        }
        if !zeros {
            self.ended = true;
            return Err(self.corrupt("the block's header does not match its checksum"));
        }
        self.end_torn(len)
    }

    fn read_up_to(&mut self, len: usize) -> Result<Vec<u8>, FileError> {
        let mut text = Vec::with_capacity(len);
        let read = (&mut self.source).take(len as u64).read_to_end(&mut text);
        read.map_err(|source| self.read_error(source))?;
        Ok(text)
    }

    fn skip_rest(&mut self) -> Result<u64, FileError> {
        io::copy(&mut self.source, &mut io::sink()).map_err(|source| self.read_error(source))
    }

    fn read_error(&self, source: io::Error) -> FileError {
        FileError::read(&self.file, self.whole_len)(source)
    }
}
