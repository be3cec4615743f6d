//! Delimited lines: the general reader, and the fast path for Massive's rows.

pub(super) mod fast;
mod fields;
mod simd;

pub(in crate::file) use fields::Fields;
