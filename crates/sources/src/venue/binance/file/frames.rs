//! Recorded Binance WebSocket frames, one per line behind the receive time.
//!
//! Lines are `<receive ns> <frame>`, where a frame is a spot `@trade` event as in the venue's `wire.rs`, raw or in a
//! combined stream; frames of other events are no trades.

use super::super::wire::Frame;
use crate::file::chunk::LineDecoder;
use crate::file::error::RecordError;
use crate::file::format::{Descriptor, Open, Sample, column};
use crate::file::row_decoder::read;
use barmill_core::model::Trade;
use memchr::memmem::Finder;

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "binance-ws",
    summary: "recorded Binance WebSocket frames, one per line behind the receive time",
    columns: &[
        column("s", "symbol"),
        column("t", "identity and order"),
        column("p", "price, exact decimal"),
        column("q", "size, exact decimal"),
        column(
            "T",
            "event time, ms, us or ns since the Unix epoch by its magnitude",
        ),
        column("m", "whether the buyer is the maker"),
    ],
    vendor: Some("binance"),
    is_us_equity: false,
    needs_symbol: false,
    is_like,
    open: Open::Lines(|_| Ok(Some(Box::new(BinanceWs::new())))),
};

fn is_like(sample: &Sample<'_>) -> bool {
    sample.is_frame()
}

/// Decodes lines `<receive ns> <frame>`; frames of other events are no trades.
#[derive(Debug, Clone)]
struct BinanceWs {
    mark: Finder<'static>,
}

impl BinanceWs {
    fn new() -> BinanceWs {
        BinanceWs {
            mark: Finder::new(br#""trade""#),
        }
    }
}

impl LineDecoder for BinanceWs {
    fn boxed(&self) -> Box<dyn LineDecoder> {
        Box::new(self.clone())
    }

    fn decode(&mut self, line: &[u8], _ordinal: u64) -> Result<Option<Trade>, RecordError> {
        let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let frame = match &line[digits..] {
            [b' ', frame @ ..] if digits > 0 => frame,
            _ => {
                return Err(RecordError::shape(
                    "row",
                    line,
                    "a receive time and a frame",
                ));
            }
        };
        // Most frames are book updates; only those with this word are worth parsing.
        if self.mark.find(frame).is_none() {
            return Ok(None);
        }
        read(frame, |wrap: Frame<'_>| match wrap.event(frame) {
            Ok(event) => event.trade().filter(|_| event.e.bytes() == b"trade"),
            Err(error) => Some(Err(error.into())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::BinanceWs;
    use crate::file::chunk::LineDecoder;
    use crate::file::error::RecordError;
    use barmill_core::model::{Side, Trade};

    fn text(result: Result<Option<Trade>, RecordError>) -> Result<Option<Trade>, String> {
        result.map_err(|error| error.to_string())
    }

    #[test]
    fn frames_of_other_events_are_no_trades() {
        let mut decoder = BinanceWs::new();
        for frame in [
            r#"{"data":{"e":"depthUpdate"}}"#,
            r#"{"data":{"e":"x","a":"trade"}}"#,
            r#"{"result":null,"id":1}"#,
        ] {
            assert_eq!(
                text(decoder.decode(format!("1 {frame}").as_bytes(), 0)),
                Ok(None),
                "{frame}"
            );
        }
        let raw = r#"7 {"e":"trade","E":1,"s":"BTCUSDT","t":5,"p":"1.5","q":"2","T":1723161255342,"m":false,"M":true}"#;
        let trade = text(decoder.decode(raw.as_bytes(), 0)).unwrap().unwrap();
        assert_eq!(
            (trade.id.raw(), trade.side, trade.time.as_millis()),
            (5, Side::Buy, 1_723_161_255_342)
        );
        assert!(text(decoder.decode(b"no frame", 0)).is_err());
    }
}
