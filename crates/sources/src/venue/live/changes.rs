//! Corrections and cancels that wait until the trade they change is delivered.

use super::event::Correction;
use barmill_core::engine::aggregate::Original;
use barmill_core::model::Trade;
use barmill_core::port::ControlEvent;
use std::collections::VecDeque;

/// Changes that wait at most; beyond it the oldest is told early, and counted where its trade is unknown.
const WAITING_LEN_MAX: usize = 65_536;

/// Changes, each with the place of its symbol.
#[derive(Debug, Default)]
pub(crate) struct Changes(VecDeque<(usize, ControlEvent)>);

impl Changes {
    /// Takes back a trade; a venue that does not say which one changes nothing.
    pub(crate) fn cancel(&mut self, place: usize, trade: &Trade) {
        self.push(place, trade, None);
    }

    /// Replaces a trade.
    pub(crate) fn correct(&mut self, place: usize, pair: &Correction) {
        self.push(place, &pair.original, Some(pair.corrected));
    }

    /// The changes whose symbols miss nothing, so that their trades are delivered or never will be.
    pub(crate) fn take(&mut self, is_live: impl Fn(usize) -> bool) -> Vec<ControlEvent> {
        let excess = self.0.len().saturating_sub(WAITING_LEN_MAX);
        let mut ready: Vec<ControlEvent> = self.0.drain(..excess).map(|(_, aside)| aside).collect();
        self.0.retain(|(place, aside)| {
            let is_ready = is_live(*place);
            if is_ready {
                ready.push(*aside);
            }
            !is_ready
        });
        ready
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn push(&mut self, place: usize, original: &Trade, replacement: Option<Trade>) {
        if let Some(named) = Original::of(original) {
            self.0.push_back((
                place,
                ControlEvent::Change {
                    symbol: original.symbol,
                    original: named,
                    replacement,
                },
            ));
        }
    }
}
