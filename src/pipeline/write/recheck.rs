//! Recheck after a resume: compares the bars of an earlier run with the store before they count as done.
//!
//! A checkpoint says that a store acked some updates; it does not say that the store still has them (a flush, an
//! eviction, the end of their TTL). A manifest must speak of bars that are there. So updates that the checkpoint claims
//! are compared with the store by version, a bounded number at a time, and those it lacks are sent again. Until that is
//! known nothing behind them is taken in, so that updates of one bar keep their order. Where nothing can be read back
//! (see `BarSink::missing_or_stale`) the claim is believed. While the store is out it is believed too, since what was not acked
//! waits in the spool; but then no manifest of the run says that its day is complete, and the next run looks again.

use crate::model::BarUpdate;
use crate::pipeline::error::chain;
use crate::pipeline::message::ShardMessage;
use crate::port::SinkError;
use std::collections::VecDeque;

/// Updates whose delivery is claimed, and what waits behind them.
#[derive(Debug)]
pub(super) struct Recheck {
    /// Updates compared at a time: bounds the memory.
    len_max: usize,
    claims: Vec<BarUpdate>,
    /// Messages of the shards that came behind the claims, the end of the input included.
    held: VecDeque<Option<ShardMessage>>,
    /// Whether the claims are to be compared before anything else is taken in.
    is_due: bool,
    is_under_way: bool,
    /// Whether the run ends, so that nothing is compared any more.
    is_leaving: bool,
}

impl Recheck {
    pub(super) fn new(len_max: usize) -> Recheck {
        Recheck {
            len_max,
            claims: Vec::new(),
            held: VecDeque::new(),
            is_due: false,
            is_under_way: false,
            is_leaving: false,
        }
    }

    /// How many claims may be taken now.
    pub(super) fn room(&self) -> usize {
        if self.is_leaving {
            usize::MAX
        } else {
            self.len_max.saturating_sub(self.claims.len())
        }
    }

    /// Takes claims; those of a run that ends come back, to be believed.
    pub(super) fn claim(&mut self, updates: Vec<BarUpdate>) -> Vec<BarUpdate> {
        if self.is_leaving {
            return updates;
        }
        self.claims.extend(updates);
        self.is_due = self.len_max <= self.claims.len();
        Vec::new()
    }

    /// Keeps a message until the claims before it are compared.
    pub(super) fn hold(&mut self, message: Option<ShardMessage>) {
        self.held.push_back(message);
        self.is_due = true;
    }

    /// Whether nothing may be taken in.
    pub(super) fn holds_back(&self) -> bool {
        self.is_due
    }

    /// Whether there are claims that nothing was compared with yet.
    pub(super) fn has_claims(&self) -> bool {
        !self.claims.is_empty()
    }

    /// Whether the claims wait to be compared.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_due && !self.is_under_way
    }

    /// Begins to compare the claims.
    pub(super) fn begin(&mut self) -> Vec<BarUpdate> {
        self.is_under_way = true;
        self.claims.clone()
    }

    /// Ends the comparison, and hands over the claims, each with whether the store lacks it; `None` leaves them, since the
    /// store cannot answer.
    pub(super) fn answered(
        &mut self,
        result: Result<Option<Vec<usize>>, SinkError>,
        sink: &str,
    ) -> Option<Vec<(BarUpdate, bool)>> {
        let missing = match result {
            Ok(missing) => missing.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(
                    cause = %chain(&error),
                    "bars of an earlier run cannot be read back; the day is not marked complete"
                );
                return None;
            }
        };
        if !missing.is_empty() {
            tracing::warn!(
                sink,
                lacking = missing.len(),
                "the store has lost bars of an earlier run; writing them again"
            );
        }
        let claims = self.end().into_iter().enumerate();
        let lacked = |(index, update)| (update, missing.contains(&index));
        Some(claims.map(lacked).collect())
    }

    /// Ends the comparison, if one is under way, and hands the claims over.
    pub(super) fn end(&mut self) -> Vec<BarUpdate> {
        (self.is_under_way, self.is_due) = (false, false);
        std::mem::take(&mut self.claims)
    }

    /// Says that the run ends: nothing is compared any more.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
    }

    /// The messages behind the claims, now that these are compared.
    pub(super) fn take_held(&mut self) -> VecDeque<Option<ShardMessage>> {
        std::mem::take(&mut self.held)
    }
}
