//! Live trades by WebSocket: massive, alpaca, binance, coinbase and kraken.
//!
//! Owns the wire formats, the conversations with the venues, the connections and the closing of gaps. Deliberately
//! knows no REST: what a connection missed is asked of a [`GapSource`](crate::port::GapSource).

mod decode;
mod event;
mod scan;
mod value;

pub use decode::Decoder;
pub use event::{Ack, Correction, Event, Refusal, RefusalKind};
pub use scan::ScanFault;
pub use value::{DecodeFault, ValueFault};
