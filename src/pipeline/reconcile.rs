//! Reconciliation and redelivery: runs without feeds that repair a store from the state store.

use super::{Pipeline, PipelineSettings};
use crate::pipeline::{ReconcileSettings, WriterPorts};

/// A run that reads the state store was given none.
#[derive(Debug, thiserror::Error)]
#[error("run has no state store")]
pub struct NoStateError;

impl Pipeline {
    /// A run that sends what the spool holds, then compares the recent bars of the state store with the sink by version
    /// and writes back what the sink lost; `ReconcileSettings::within` says how recent. It ends by itself.
    ///
    /// # Errors
    /// `NoStateError` when the ports have no state store.
    pub fn reconcile(
        ports: WriterPorts,
        settings: PipelineSettings,
    ) -> Result<Pipeline, NoStateError> {
        with_purpose(ports, settings, |reconcile| reconcile.on_start = true)
    }

    /// The same with the ports and settings of this pipeline; its feeds are left out.
    pub(crate) fn reconciling(self) -> Result<Pipeline, NoStateError> {
        Pipeline::reconcile(self.ports, self.settings)
    }

    /// A run that sends what the spool holds, and the dead letters once more when `dead_letters` is set; of these,
    /// bars that the sink holds in this or a newer version are dropped. It ends by itself.
    ///
    /// # Errors
    /// `NoStateError` when the ports have no state store.
    pub fn redeliver(
        ports: WriterPorts,
        settings: PipelineSettings,
        dead_letters: bool,
    ) -> Result<Pipeline, NoStateError> {
        with_purpose(ports, settings, |reconcile| {
            reconcile.redeliver = dead_letters;
        })
    }
}

fn with_purpose(
    ports: WriterPorts,
    mut settings: PipelineSettings,
    ask: impl FnOnce(&mut ReconcileSettings),
) -> Result<Pipeline, NoStateError> {
    if ports.state.is_none() {
        return Err(NoStateError);
    }
    ask(&mut settings.writer.reconcile);
    Ok(Pipeline::new(Vec::new(), ports, settings))
}
