//! Lines of fields, and what a processor does with many of their bytes at once.

mod fields;
pub(super) mod simd;

pub(in crate::file) use fields::Fields;
