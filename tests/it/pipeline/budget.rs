//! The command budget: counted over restarts, finals first, and spent it means the spool and no request.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use barmill::internals::pipeline::{End, Finished, PipelineSettings, State, WriterPorts};
use barmill::{Pipeline, Timestamp};
use barmill_core::engine::budget::BudgetLimits;
use barmill_core::port::{Clock, StateStore};
use barmill_stores::state::{StateDb, StateSettings};

use super::fakes::{BatchFeed, FakeSink, Last, OPEN_NS, minutes};

/// A day that does not pass.
#[derive(Debug, Clone, Copy)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(OPEN_NS).expect("a time")
    }
}

/// Writes so many bars of a symbol with a day's budget, one command each, ten in a batch.
async fn run(
    folder: &Path,
    sink: &Arc<FakeSink>,
    symbol: &str,
    bars: i64,
    per_day: u64,
) -> (Finished, State) {
    let state: Arc<dyn StateStore> =
        Arc::new(StateDb::new(StateSettings::new(folder), Arc::new(Noon)));
    let ports = WriterPorts {
        sink: sink.clone(),
        state: Some(state),
        clock: Arc::new(Noon),
    };
    let feed = BatchFeed::new(&minutes(symbol, bars), 10, Last::End);
    let running = Pipeline::new(vec![Box::new(feed)], ports, settings(per_day)).start();
    let handle = running.handle();
    let finished = running.join().await;
    (finished, handle.state())
}

fn settings(per_day: u64) -> PipelineSettings {
    let mut settings = None;
    let _builder = Pipeline::builder().settings(|defaults| settings = Some(defaults.clone()));
    let mut settings = settings.expect("they were shown");
    settings.writer.budget = BudgetLimits {
        per_day: Some(per_day),
        per_month: None,
    };
    settings.writer.delivery.batch.len_max = 10;
    settings.writer.delivery.in_flight_max = 1;
    settings.writer.drain_timeout = Duration::from_secs(1);
    settings
}

fn sent(sink: &FakeSink) -> usize {
    sink.attempts()
        .iter()
        .map(|attempt| attempt.items.len())
        .sum()
}

#[tokio::test]
async fn commands_are_counted_over_restarts_and_a_spent_budget_sends_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = FakeSink::default().shared();
    let (finished, state) = run(folder.path(), &sink, "AAPL", 30, 45).await;
    assert!(matches!(finished.end, End::Drained), "{finished:?}");
    assert_eq!(
        (sent(&sink), state.writer.day_commands),
        (31, 31),
        "thirty bars and a manifest"
    );
    let (finished, state) = run(folder.path(), &sink, "MSFT", 30, 45).await;
    assert!(matches!(finished.end, End::Aborted), "{finished:?}");
    assert_eq!(
        (sent(&sink), state.writer.day_commands),
        (41, 41),
        "ten more fit, the next ten do not"
    );
    assert_eq!(finished.summary.bars, 10);
    assert!(finished.summary.spooled >= 20, "{finished:?}");
    assert!(state.writer.failures.pause >= 1, "{state:?}");
    let attempts = sink.attempts().len();
    let (finished, _) = run(folder.path(), &sink, "IBM", 30, 45).await;
    assert!(matches!(finished.end, End::Aborted), "{finished:?}");
    assert_eq!(sink.attempts().len(), attempts, "not one request");
    let (finished, state) = run(folder.path(), &sink, "KO", 1, 1_000).await;
    assert!(matches!(finished.end, End::Drained), "{finished:?}");
    assert_eq!(state.writer.spooled, 0);
    // 90 bars and their manifests, and one more; some manifests may have gone with the spool.
    let bars: usize = sink
        .attempts()
        .iter()
        .map(|attempt| attempt.bars().len())
        .sum();
    assert_eq!(bars, 91, "every bar, once");
}

#[tokio::test]
async fn counts_survive_a_writer_that_never_closes() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = FakeSink::default().shared();
    let state: Arc<dyn StateStore> = Arc::new(StateDb::new(
        StateSettings::new(folder.path()),
        Arc::new(Noon),
    ));
    let ports = WriterPorts {
        sink: sink.clone(),
        state: Some(Arc::clone(&state)),
        clock: Arc::new(Noon),
    };
    let feed = BatchFeed::new(&minutes("AAPL", 21), 10, Last::Silence);
    let mut settings = settings(1_000);
    settings.writer.delivery.batch.linger = Duration::from_millis(1);
    let running = Pipeline::new(vec![Box::new(feed)], ports, settings).start();
    let saved = async {
        loop {
            if let Some(used) = state.budget_load().await.expect("a state") {
                break used;
            }
            tokio::task::yield_now().await;
        }
    };
    let used = tokio::time::timeout(Duration::from_secs(30), saved)
        .await
        .expect("the counts are saved");
    assert_eq!(used.day_commands, 20);
    drop(running);
}
