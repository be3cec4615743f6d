//! One decoder of any venue.

use super::event::Event;
use super::value::DecodeFault;
use crate::venue::alpaca::live as alpaca;
use crate::venue::binance::live as binance;
use crate::venue::coinbase::live::Coinbase;
use crate::venue::kraken::live as kraken;
use crate::venue::massive::live as massive;

/// The wire format of one connection.
///
/// ```
/// use barmill_sources::live::{Decoder, Event};
/// let frame = br#"{"e":"trade","s":"BTCUSDT","t":7,"p":"61837.63","q":"0.02","T":1723161255342,"m":true}"#;
/// let mut events = Vec::new();
/// Decoder::binance().decode(frame, &mut events)?;
/// assert!(matches!(&events[..], [Event::Trade(trade)] if trade.price.to_string() == "61837.63"));
/// # Ok::<(), barmill_sources::live::DecodeFault>(())
/// ```
#[derive(Debug, Clone)]
pub struct Decoder(Wire);

#[derive(Debug, Clone)]
enum Wire {
    Massive,
    Alpaca,
    Binance,
    Coinbase(Coinbase),
    Kraken,
}

impl Decoder {
    /// Massive's stocks cluster.
    pub fn massive() -> Decoder {
        Decoder(Wire::Massive)
    }

    /// Alpaca's v2 stock feeds, as JSON.
    pub fn alpaca() -> Decoder {
        Decoder(Wire::Alpaca)
    }

    /// Binance spot, raw and combined streams.
    pub fn binance() -> Decoder {
        Decoder(Wire::Binance)
    }

    /// Coinbase, both Advanced Trade and Exchange; a new connection takes a new decoder, as messages are counted.
    pub fn coinbase() -> Decoder {
        Decoder(Wire::Coinbase(Coinbase::default()))
    }

    /// Kraken v2.
    pub fn kraken() -> Decoder {
        Decoder(Wire::Kraken)
    }

    /// Appends what the frame says.
    ///
    /// # Errors
    /// [`DecodeFault`] when the frame as a whole is not of the venue's shape; events before the fault are kept.
    pub fn decode(&mut self, frame: &[u8], events: &mut Vec<Event>) -> Result<(), DecodeFault> {
        match &mut self.0 {
            Wire::Massive => massive::decode(frame, events),
            Wire::Alpaca => alpaca::decode(frame, events),
            Wire::Binance => binance::decode(frame, events),
            Wire::Coinbase(coinbase) => coinbase.decode(frame, events),
            Wire::Kraken => kraken::decode(frame, events),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Decoder;
    use proptest::prelude::*;

    fn all() -> [Decoder; 5] {
        [
            Decoder::massive(),
            Decoder::alpaca(),
            Decoder::binance(),
            Decoder::coinbase(),
            Decoder::kraken(),
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for mut decoder in all() {
                let _verdict = decoder.decode(&bytes, &mut Vec::new());
            }
        }

        #[test]
        fn json_of_any_shape_is_answered_without_a_panic(
            text in r#"(\[|\{|\}|\]|,|:|"(ev|T|t|e|data|trades|events|channel|sym|S|c|x|i|trade_id|type|result)"|"T"|"trade"|"[a-z]{0,3}"|[0-9.e-]{1,20}|null|true){0,60}"#
        ) {
            for mut decoder in all() {
                let _verdict = decoder.decode(text.as_bytes(), &mut Vec::new());
            }
        }
    }
}
