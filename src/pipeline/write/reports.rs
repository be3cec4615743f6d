//! Handles reports in the writer: counts, log lines, and the results for `Delivery`.

use super::actor::Writer;
use super::attempt::Report;
use super::log::{self, Failed};
use crate::engine::delivery::{Completion, OutgoingBatch, Verdict, bar_of};
use crate::model::{BarState, BarUpdate};
use crate::pipeline::error::{Failure, RunError};
use crate::port::{Committed, Remedy, SinkError, StateError};

impl Writer {
    pub(super) fn on_report(&mut self, report: Report) -> Result<(), RunError> {
        match report {
            Report::Completion(batch, completion, error) => {
                self.on_completion(&batch, completion, error.as_ref());
                match error.filter(SinkError::is_owned) {
                    Some(error) => Err(RunError::Owned(error)),
                    None => Ok(()),
                }
            }
            Report::Committed(result) => self.on_committed(result),
            Report::Loaded(Ok(items)) => {
                self.delivery.loaded(items);
                Ok(())
            }
            Report::Loaded(Err(error)) => Err(RunError::State(error)),
            Report::Keepalive(result) => {
                self.on_keepalive(result);
                Ok(())
            }
            Report::Rechecked(result) => {
                self.on_rechecked(result);
                Ok(())
            }
            Report::Repaired(mended, result) => self.on_mended(&mended, result),
            Report::BudgetSaved(result) => self.on_budget_saved(result),
        }
    }

    fn on_completion(
        &mut self,
        batch: &OutgoingBatch,
        completion: Completion,
        error: Option<&SinkError>,
    ) {
        let cause = log::cause(&completion, error);
        self.suspect(error);
        if let Some((remedy, _)) = completion.worst() {
            let remedy = *remedy;
            self.counts
                .send_modify(|counts| counts.failures.add(remedy));
        }
        if completion.failures.iter().any(Option::is_none) {
            self.progress = self.origin.elapsed();
            let now = self.ports.clock.now();
            self.counts
                .send_modify(|counts| counts.acked_at = Some(now));
        }
        let acked = batch
            .items
            .iter()
            .zip(&completion.failures)
            .filter(|(_, failure)| failure.is_none());
        self.on_acked(acked.filter_map(|(item, _)| bar_of(item)));
        for verdict in self.delivery.completed(completion, self.origin.elapsed()) {
            let (sink, attempts_max) = (
                self.ports.sink.name(),
                self.settings.delivery.retry.attempts_max,
            );
            log::verdict(
                &verdict,
                Failed {
                    sink,
                    batch,
                    attempts_max,
                    cause: &cause,
                },
            );
            match verdict {
                Verdict::Dead { items } => {
                    let items = u64::try_from(items).unwrap_or(u64::MAX);
                    self.counts
                        .send_modify(|counts| counts.dead_letters += items);
                }
                Verdict::Halted => {
                    let cause = cause.clone();
                    self.failure.get_or_insert(Failure {
                        attempts: batch.attempts,
                        cause,
                    });
                }
                Verdict::Again { .. } | Verdict::Spooled { .. } => {}
            }
        }
    }

    fn on_acked<'a>(&mut self, updates: impl Iterator<Item = &'a BarUpdate>) {
        let (mut bars, mut revised) = (0, 0);
        let is_heard = self.acked.receiver_count() > 0;
        for update in updates {
            match update.state {
                BarState::Forming => {}
                BarState::Final => bars += 1,
                BarState::Revised => revised += 1,
            }
            if is_heard {
                // The update is in the store already, so a listener that has just left loses nothing.
                let _listeners = self.acked.send(*update);
            }
        }
        self.counts.send_modify(|counts| {
            counts.bars += bars;
            counts.revised += revised;
        });
    }

    fn on_committed(&mut self, result: Result<Committed, StateError>) -> Result<(), RunError> {
        let now = self.origin.elapsed();
        match result {
            Ok(committed) => {
                self.counts
                    .send_modify(|counts| counts.spool_bytes = committed.spool_bytes);
                if let Some(transition) = self.delivery.committed(committed.spool_items, now) {
                    log::transition(transition, self.ports.sink.name(), "");
                }
                Ok(())
            }
            Err(error) => match error.remedy() {
                Remedy::Retry { .. } => {
                    self.full_told.tell(&error, now);
                    self.delivery.commit_failed(now);
                    Ok(())
                }
                Remedy::Reconnect | Remedy::Pause | Remedy::Refuse | Remedy::Fatal => {
                    Err(RunError::State(error))
                }
            },
        }
    }
}
