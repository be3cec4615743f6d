//! What batches cost at a server, told without one: the commands it bills, and the bytes of the request.
//!
//! Makes the same commands as the sinks do, and sends none. Deliberately knows no price.

use super::batch::encode;
use super::cost::{cost, keepalive_commands};
use super::counters::resp_len;
use super::encoded_len::SizeEstimator;
use super::fence::{Fence, Guard};
use super::final_batch;
use super::view::View;
use super::{commands, rest};
use barmill_core::model::Timestamp;
use barmill_core::port::{Cost, WriteItem};
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
    view: Arc<View>,
    scales: SizeEstimator,
    fence: Option<Fence>,
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
        let fence = guard.fence(&view.settings().namespace);
        let scales = SizeEstimator::new(Arc::clone(&view));
        CostEstimator {
            view,
            scales,
            fence,
            form,
            idle_max: idle_max.filter(|_| form == WireForm::Resp),
        }
    }

    /// Requests and commands of a batch.
    pub fn cost(&self, items: &[WriteItem]) -> Cost {
        cost(&self.view, items, self.fence.is_some())
    }

    /// Bytes that an item adds to a request at most, by which batches are closed.
    pub fn weight(&self, item: &WriteItem) -> usize {
        self.scales.weigh(item)
    }

    /// Whether a batch may end with manifests behind its bars.
    pub fn joins_manifests(&self) -> bool {
        final_batch::joins(&self.view, self.fence.is_some())
    }

    /// Bytes of the body of a batch's request.
    pub fn bytes(&self, items: &[WriteItem]) -> usize {
        let is_guarded = self.fence.is_some();
        let batch = encode(&self.view, items, Timestamp::EPOCH, is_guarded);
        let commands = if let Some(fence) = &self.fence {
            vec![
                fence
                    .call_of(u64::MAX, false, &self.view, &batch)
                    .take_command(),
            ]
        } else {
            let plan = commands::plan(&self.view, batch);
            let call =
                final_batch::manifests(items).and_then(|first| final_batch::call(&plan, first));
            call.map_or(plan.commands, |call| vec![call])
        };
        match self.form {
            WireForm::Resp => resp_len(&commands),
            // Keys and values are made of texts, so the body is never refused.
            WireForm::Rest => rest::encode(&commands).map_or(0, |body| body.len()),
        }
    }

    /// After how long without a write a sign of life is sent, and its commands.
    pub fn keepalive(&self) -> Option<(Duration, u32)> {
        let renewal = self.fence.as_ref().map(Fence::renewal);
        let interval = [renewal, self.idle_max].into_iter().flatten().min()?;
        Some((interval, keepalive_commands(self.fence.is_some())))
    }
}
