//! barmill's own recording of trades: exact, checksummed, append-only.
//!
//! Owns the layout below. All numbers are little-endian.
//!
//! ```text
//! file    "BMREC\r\n\x1a"  u16 version = 1  u16 reserved = 0  u32 crc32c of the 12 bytes before
//!         block*
//! block   u32 payload bytes  u32 unpacked bytes  u32 trades  u32 crc32c of the 12 bytes before
//!         u32 crc32c of the payload
//!         payload: one zstd frame
//! unpacked, n = trades, each column n times:
//!         u32 symbols, then per symbol: u8 bytes, name
//!         u32 symbol index | u64 time, sequence, id, each as the difference to the trade before, modulo 2^64
//!         u64 price in 10^-9 | u128 size in 10^-10 | u128 conditions | u16 venue
//!         u8 correction | u8 side (0 unknown, 1 buy, 2 sell) | u8 sequenced
//! end     a block of zero bytes and zero trades: the writer finished; more blocks may follow
//! ```
//!
//! A crash can only leave the last block unfinished. The reader gives everything before it, and reports the
//! torn bytes. What counts as torn: a block that is cut off, a last block whose payload does not match its
//! checksum, and a tail of zero bytes (a file system may extend a file before it writes the data). Every
//! other mismatch is damage and an error that names the byte. After [`RecordingWriter::finish`] the end mark
//! makes any damage visible. The symbol table is per block, so that a block needs nothing but itself.

mod codec;
mod frame;
mod reader;
mod writer;

pub(super) use frame::MAGIC;
pub(super) use reader::RecordingReader;
pub use writer::RecordingWriter;
