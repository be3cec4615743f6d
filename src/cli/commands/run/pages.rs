//! The status pages of a run.

use super::metrics;
use crate::daemon::{Health, HealthStatus};
use crate::engine::budget::BudgetLimits;
use crate::pipeline::clock::SystemClock;
use crate::port::Clock;
use crate::status::server::Pages;
use std::sync::Arc;

/// Shows the health of a run, and its metrics.
#[derive(Debug)]
pub(super) struct RunPages {
    pub(super) health: Arc<HealthStatus>,
    pub(super) budget: BudgetLimits,
}

impl Pages for RunPages {
    fn health(&self) -> Health {
        self.health.liveness()
    }

    fn readiness(&self) -> Health {
        self.health.readiness()
    }

    fn metrics(&self) -> String {
        metrics::render(
            &self.health.handle().state(),
            self.health.sources(),
            &self.budget,
            SystemClock.now(),
        )
    }
}
