//! Binance's layouts of files: public data, and recorded frames.

mod aggtrades;
mod frames;
mod trades;

use crate::file::format::Descriptor;

/// Binance's layouts of files.
pub(in crate::venue) static FORMATS: [&Descriptor; 3] = [
    &trades::DESCRIPTOR,
    &aggtrades::DESCRIPTOR,
    &frames::DESCRIPTOR,
];
