//! Venues, each in a folder of its own; `history`, `live` and `simulate` hold what they share.
//!
//! A venue knows no other venue. This file is their list: a venue is a line of `mod` and a line of [`VENUES`], and a
//! line of `FORMATS` where it has layouts of files. Without the feature `venues`, only those and their rows are here.

#[cfg(feature = "venues")]
pub mod alpaca;
#[cfg(feature = "venues")]
pub mod binance;
#[cfg(not(feature = "venues"))]
#[expect(dead_code, reason = "files have fewer rows than venues")]
mod binance {
    pub(super) mod file;
    mod wire;
}
#[cfg(feature = "venues")]
pub mod coinbase;
#[cfg(feature = "venues")]
mod descriptor;
#[cfg(all(test, feature = "venues"))]
mod descriptor_tests;
#[cfg(feature = "venues")]
pub mod history;
#[cfg(feature = "venues")]
pub mod kraken;
#[cfg(not(feature = "venues"))]
#[expect(dead_code, reason = "files have fewer rows than venues")]
mod kraken {
    pub(super) mod file;
    mod wire;
}
#[cfg(feature = "venues")]
pub mod live;
#[cfg(feature = "venues")]
pub mod massive;
#[cfg(not(feature = "venues"))]
#[expect(dead_code, reason = "files have fewer rows than venues")]
mod massive {
    pub(super) mod file;
    mod wire;
}
#[cfg(feature = "venues")]
pub mod simulate;

#[cfg(feature = "files")]
use crate::file::format::Descriptor;
#[cfg(feature = "venues")]
pub use descriptor::{
    HistoryDefaults, LiveDefaults, Market, Secret, Setting, SettingKind, UnknownSettingError,
    Venue, VenueSettings,
};

/// Every venue, in the order of help texts.
#[cfg(feature = "venues")]
pub static VENUES: [&Venue; 5] = [
    &massive::VENUE,
    &alpaca::VENUE,
    &binance::VENUE,
    &coinbase::VENUE,
    &kraken::VENUE,
];

/// The layouts of the venues' files, in the order of their documentation, in which the start of a file is compared with
/// them too.
#[cfg(feature = "files")]
pub(crate) static FORMATS: [&[&Descriptor]; 3] = [
    &massive::file::FORMATS,
    &binance::file::FORMATS,
    &kraken::file::FORMATS,
];
