//! Plain decoders, as simple as they can be written, that ours are compared with.

pub mod csv;
pub mod decimal;
pub mod json;
