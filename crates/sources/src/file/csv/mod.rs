//! Lines of fields: the plain reader, and the fast one for the rows of Massive.

pub(super) mod fast;
mod fields;
mod simd;

pub(in crate::file) use fields::Fields;
