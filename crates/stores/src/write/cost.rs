//! What decides how items are written, and what that costs at the store: requests and billed commands.

use crate::batch::encoded_len::SizeEstimator;
use crate::batch::final_batch;
use crate::batch::groups::count_commands;
use crate::fence::lease::{Fence, Guard, RENEWAL_COMMANDS};
use crate::layout::view::View;
use crate::owner::Owner;
use crate::owner::claim_tracker::Claim;
use crate::owner::claims::Claims;
use barmill_core::model::Timestamp;
use barmill_core::port::{Cost, WriteItem};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// The rules of a writer: view, fence and owner.
#[derive(Debug, Clone)]
pub(super) struct WriteRules {
    pub(super) view: Arc<View>,
    pub(super) fence: Option<Arc<Fence>>,
    pub(super) claims: Option<Arc<Claims>>,
    sizes: SizeEstimator,
    runs_scripts: bool,
}

impl WriteRules {
    /// Neither guarded nor owned; `runs_scripts` tells whether the store does.
    pub(super) fn new(view: Arc<View>, runs_scripts: bool) -> WriteRules {
        WriteRules {
            sizes: SizeEstimator::new(Arc::clone(&view)),
            view,
            fence: None,
            claims: None,
            runs_scripts,
        }
    }

    pub(super) fn guard(&mut self, guard: Guard) {
        let fence = guard.fence(&self.view.settings().namespace);
        self.fence = fence.map(Arc::new);
    }

    pub(super) fn own(&mut self, owner: Owner) {
        self.claims = Claims::new(Arc::clone(&self.view), owner).map(Arc::new);
    }

    /// Requests and commands of a batch that is sent next, and what it claims.
    pub(super) fn cost(&self, items: &[WriteItem], now: Timestamp) -> (Cost, Vec<Claim>) {
        let (is_guarded, is_final) = (self.is_guarded(), final_batch::manifests(items).is_some());
        let script = usize::from(!is_guarded && is_final);
        let commands = script + count_commands(&self.view, items, is_guarded);
        let cost = Cost {
            requests: u32::from(commands > 0),
            commands: u32::try_from(commands).unwrap_or(u32::MAX),
        };
        let Some(claims) = &self.claims else {
            return (cost, Vec::new());
        };
        let due = claims.tracker.pay(items, now);
        let is_apart = !(is_final && self.joins_manifests());
        (with_claims(cost, claims, &due, is_apart), due)
    }

    /// Bytes that an item adds to a request at most; it is noted, so that what it needs is claimed with the next batch.
    pub(super) fn weight(&self, item: &WriteItem) -> usize {
        self.note(item);
        self.sizes.weigh(item)
    }

    pub(super) fn note(&self, item: &WriteItem) {
        if let Some(claims) = &self.claims {
            claims.tracker.note(item);
        }
    }

    /// The claims as the script takes them.
    pub(super) fn arguments(&self, due: &[Claim]) -> Vec<(Bytes, Vec<Bytes>)> {
        let claims = self.claims.as_ref();
        claims.map_or_else(Vec::new, |claims| claims.arguments(due))
    }

    pub(super) fn is_guarded(&self) -> bool {
        self.fence.is_some()
    }

    /// Whether a batch may end with manifests behind its bars.
    pub(super) fn joins_manifests(&self) -> bool {
        final_batch::joins(&self.view, self.is_guarded()) && self.runs_scripts
    }

    /// After how long without a write a sign of life is sent; `idle_max` is that of the connection.
    pub(super) fn keepalive_interval(&self, idle_max: Option<Duration>) -> Option<Duration> {
        let renewal = self.fence.as_ref().map(|fence| fence.renewal());
        [renewal, idle_max].into_iter().flatten().min()
    }

    /// Commands of one sign of life.
    pub(super) fn keepalive_commands(&self) -> u32 {
        if self.is_guarded() {
            RENEWAL_COMMANDS
        } else {
            1
        }
    }
}

/// Adds what claims on bars cost: nothing but their commands where one script claims and writes.
pub(super) fn with_claims(cost: Cost, claims: &Claims, due: &[Claim], is_apart: bool) -> Cost {
    let calls = if is_apart {
        Claims::calls(due).len()
    } else {
        0
    };
    let limited = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Cost {
        requests: cost.requests + limited(calls),
        commands: cost
            .commands
            .saturating_add(limited(claims.commands(due) + calls)),
    }
}
