//! Lines of fields, and what a processor does with many of their bytes at once.

mod fields;
pub(crate) mod simd;

pub(crate) use fields::Fields;
