//! Venues, each in a folder of its own; `history`, `live` and `simulate` hold what they share.
//!
//! A venue knows no other venue. This file is their list: a venue is a line of `mod` and a line of [`VENUES`].

pub mod alpaca;
pub mod binance;
pub mod coinbase;
mod descriptor;
pub mod history;
pub mod kraken;
pub mod live;
pub mod massive;
pub mod simulate;

pub use descriptor::{
    HistoryDefaults, LiveDefaults, Market, Secret, Setting, SettingKind, UnknownSettingError,
    Venue, VenueSettings,
};

/// Every venue, in the order of help texts.
pub static VENUES: [&Venue; 5] = [
    &massive::VENUE,
    &alpaca::VENUE,
    &binance::VENUE,
    &coinbase::VENUE,
    &kraken::VENUE,
];
