//! Venues: all that is known of one lies in its folder; what venues share lies in `history`, `live` and `simulate`.
//!
//! A venue knows no other venue.

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
    VENUES, Venue, VenueSettings,
};
