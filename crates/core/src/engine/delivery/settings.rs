//! The bounds of delivery.

use crate::engine::batch::BatchLimits;
use crate::engine::circuit::ProbePolicy;
use crate::engine::retry::RetryPolicy;
use crate::model::Origin;

/// The bounds of delivery.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// When a batch is closed.
    pub batch: BatchLimits,
    /// Batches under way or waiting for their next attempt at most, 1 and up.
    pub in_flight_max: usize,
    /// Items waiting before no more is taken in.
    pub queue_len_max: usize,
    /// How often and how fast to try again before the circuit opens.
    pub retry: RetryPolicy,
    /// Whether acked bars are also kept in the state store for a while, against a store that forgets them.
    pub keeps_recent: bool,
    /// How often an absent store is probed.
    pub probes: ProbePolicy,
    /// Zone of the manifest's dates.
    pub zone: jiff::tz::TimeZone,
    /// What the manifests say the bars were made from; `None` says nothing.
    pub origin: Option<Origin>,
    /// Seed of the jitter.
    pub seed: u64,
}
