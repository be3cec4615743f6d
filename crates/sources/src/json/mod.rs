//! JSON of venues, in frames, pages and files: rows are typed structs, numbers keep their digits.
//!
//! Owns one reader of borrowed bytes, which is a deserializer of `serde` ([`Reader`]), and the text of one member as exact
//! values ([`Field`]). What the members of a row are called, and what they mean, is in each venue's `wire.rs`.
//!
//! The reader is written by hand because no library gives the digits of a number without a detour. Instructions per
//! item by `valgrind --tool=callgrind`, `serde_json` 1.0.154 with a `RawValue` per number and sonic-rs 0.5 beside it:
//! frames of three venues 4,200 to 7,000, 4,100 to 10,000 and 4,400 to 5,300 (times: 1.7x, 2.7x, 1.7x); a row of the
//! history of the first 2,300 to 6,600, and 5,200 with sonic-rs. `serde_json` reads what is no row: envelopes, lists of
//! symbols, messages.

mod field;
mod reader;

pub(crate) use field::{Codes, Field, List, numbered};
pub use field::{DecodeError, FieldError};
pub use reader::JsonError;
pub(crate) use reader::{Reader, from_slice};
