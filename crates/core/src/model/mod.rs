//! Domain values: exact numbers, trades, bars.
//!
//! Owns what a price, a size, an instant, a symbol, a trade and a bar are, and their text forms.
//! Deliberately knows nothing of tokio, clocks, I/O, vendors or Redis.

mod bar;
mod conditions;
mod decimal;
mod manifest;
mod notional;
mod price;
mod size;
mod spec;
mod symbol;
mod time;
mod trade;

pub use bar::{Bar, BarFlags, BarKey, BarState, BarUpdate, Ohlc, WriteItem};
pub use conditions::Conditions;
pub use decimal::DecimalError;
pub use manifest::{Covered, Manifest, Origin};
pub use notional::Notional;
pub use price::Price;
pub use size::{Size, Volume};
pub use spec::{BarSpec, SpecError};
pub use symbol::{Symbol, SymbolError};
pub use time::{Timestamp, TimestampError};
pub use trade::{Side, Trade, TradeId, TradeKey};
