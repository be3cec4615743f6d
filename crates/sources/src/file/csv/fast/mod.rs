//! The fast reader of Massive's CSV behind one call, [`FastRows::decode`].
//!
//! Owns the common shape of a row, and no errors: whatever is of another shape, and everything that is wrong, goes to
//! the plain decoder, which is its model. The tests hold both together.

mod decode;
mod index;
mod massive;
mod row;

pub(in crate::file) use decode::{FastRows, RowFields};
