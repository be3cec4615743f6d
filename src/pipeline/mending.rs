//! Runs without feeds, which put a store right from the state store.

use super::{BuildError, Pipeline, PipelineBuilder, PipelineSettings};
use crate::pipeline::clock::SystemClock;
use crate::pipeline::{MendingSettings, WriterPorts};
use std::sync::Arc;

impl Pipeline {
    /// A run that sends what the spool holds, then compares the recent bars of the state store with the sink by version
    /// and writes back what the sink lost; [`MendingSettings::reconcile_within`] says how recent. It ends by itself.
    ///
    /// # Errors
    /// [`BuildError::NoState`] when the ports have no state store.
    pub fn reconcile(
        ports: WriterPorts,
        settings: PipelineSettings,
    ) -> Result<Pipeline, BuildError> {
        mending(ports, settings, |mending| mending.reconcile_on_start = true)
    }

    /// A run that sends what the spool holds, and the dead letters once more when `dead_letters` is set; of these,
    /// bars that the sink holds in this or a newer version are dropped. It ends by itself.
    ///
    /// # Errors
    /// [`BuildError::NoState`] when the ports have no state store.
    pub fn redeliver(
        ports: WriterPorts,
        settings: PipelineSettings,
        dead_letters: bool,
    ) -> Result<Pipeline, BuildError> {
        mending(ports, settings, |mending| mending.redeliver = dead_letters)
    }
}

impl PipelineBuilder {
    /// Finishes the description of a run without feeds as [`Pipeline::reconcile`] does; feeds are left out.
    ///
    /// # Errors
    /// [`BuildError::NoSink`] and [`BuildError::NoState`].
    pub fn reconcile(self) -> Result<Pipeline, BuildError> {
        let sink = self.sink.ok_or(BuildError::NoSink)?;
        let ports = WriterPorts {
            sink,
            state: self.state,
            clock: Arc::new(SystemClock),
        };
        Pipeline::reconcile(ports, self.settings)
    }
}

fn mending(
    ports: WriterPorts,
    mut settings: PipelineSettings,
    ask: impl FnOnce(&mut MendingSettings),
) -> Result<Pipeline, BuildError> {
    if ports.state.is_none() {
        return Err(BuildError::NoState);
    }
    ask(&mut settings.writer.mending);
    Ok(Pipeline::new(Vec::new(), ports, settings))
}
