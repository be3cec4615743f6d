//! Estimates the cost of batches without a server: billed commands, and bytes of the request.
//!
//! Makes the same commands as the sinks do, and sends none. Deliberately knows no price.

use super::cost::{WriteRules, with_claims};
use crate::batch::commands;
use crate::batch::final_batch;
use crate::batch::groups::encode;
use crate::fence::lease::Guard;
use crate::key_store::command::Command;
use crate::key_store::counters::resp_len;
use crate::layout::view::View;
use crate::owner::Owner;
use crate::upstash;
use barmill_core::model::{BarUpdate, Timestamp};
use barmill_core::port::{Cost, WriteItem};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// The wire form of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireForm {
    /// Redis' own protocol.
    Resp,
    /// The bodies of Upstash REST.
    Rest,
}

/// Tells what batches of one view would cost.
#[derive(Debug)]
pub struct CostEstimator {
    rules: WriteRules,
    form: WireForm,
    idle_max: Option<Duration>,
}

impl CostEstimator {
    /// Measures writes through `view`; `idle_max` is after how long a RESP connection without a write is asked for a
    /// sign of life.
    pub fn new(
        view: Arc<View>,
        guard: Guard,
        form: WireForm,
        idle_max: Option<Duration>,
    ) -> CostEstimator {
        let mut rules = WriteRules::new(view, true);
        rules.guard(guard);
        CostEstimator {
            rules,
            form,
            idle_max: idle_max.filter(|_| form == WireForm::Resp),
        }
    }

    /// Counts the claims of an owner, too.
    #[must_use]
    pub fn owned_by(mut self, owner: Owner) -> CostEstimator {
        self.rules.own(owner);
        self
    }

    /// What a run costs before its first batch, which claims the bars of the owner's symbols on the date of a bar.
    pub fn open(&self, start: Timestamp, now: Duration) -> (Cost, usize) {
        let Some(claims) = &self.rules.claims else {
            return (Cost::default(), 0);
        };
        let due = claims.at_open(start);
        if due.is_empty() {
            return (Cost::default(), 0);
        }
        claims.tracker.granted(&due, since_epoch(now));
        let call = final_batch::claim_call(claims.arguments(&due), false);
        let cost = with_claims(Cost::default(), claims, &due, true);
        (cost, self.len(&[call]))
    }

    /// What a batch that is sent next, at a time since the start, costs: requests, commands, and bytes of the bodies.
    pub fn send(&self, items: &[WriteItem], now: Duration) -> (Cost, usize) {
        let now = since_epoch(now);
        let (cost, due) = self.rules.cost(items, now);
        if let Some(claims) = &self.rules.claims {
            claims.tracker.granted(&due, now);
        }
        (cost, self.bytes(items, self.rules.arguments(&due)))
    }

    /// Notes an item that comes with the next ones, before it is weighed.
    pub fn note(&self, update: &BarUpdate) {
        self.rules.note(&WriteItem::Bar(*update));
    }

    /// Bytes that an item adds to a request at most, by which batches are closed.
    pub fn weight(&self, item: &WriteItem) -> usize {
        self.rules.weight(item)
    }

    /// Whether a batch may end with manifests behind its bars.
    pub fn joins_manifests(&self) -> bool {
        self.rules.joins_manifests()
    }

    /// Bytes of the bodies of a batch's requests, with its claims.
    fn bytes(&self, items: &[WriteItem], claims: Vec<(Bytes, Vec<Bytes>)>) -> usize {
        let view = &self.rules.view;
        let batch = encode(view, items, Timestamp::EPOCH, self.rules.is_guarded());
        let apart =
            |claims: Vec<_>| (!claims.is_empty()).then(|| final_batch::claim_call(claims, false));
        let (claim, commands) = if let Some(fence) = &self.rules.fence {
            let (command, _) = fence.call_of(u64::MAX, false, view, &batch);
            (apart(claims), vec![command])
        } else {
            let plan = commands::plan(view, batch);
            let call = final_batch::manifests(items)
                .and_then(|first| final_batch::call(&plan, first, claims.clone()));
            match call {
                Some(call) => (None, vec![call]),
                None => (apart(claims), plan.commands),
            }
        };
        self.len(&commands) + claim.map_or(0, |claim| self.len(&[claim]))
    }

    fn len(&self, commands: &[Command]) -> usize {
        match self.form {
            WireForm::Resp => resp_len(commands),
            // Keys and values are made of texts, so the body is never refused.
            WireForm::Rest => upstash::store::encode(commands).map_or(0, |body| body.len()),
        }
    }

    /// After how long without a write a sign of life is sent, and its commands.
    pub fn keepalive(&self) -> Option<(Duration, u32)> {
        let interval = self.rules.keepalive_interval(self.idle_max)?;
        Some((interval, self.rules.keepalive_commands()))
    }
}

fn since_epoch(now: Duration) -> Timestamp {
    Timestamp::EPOCH.saturating_add(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))
}
