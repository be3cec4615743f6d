//! An idle store is asked for a sign of life, and its wish to wait holds for every request.

use std::time::Duration;

use barmill::internals::pipeline::End;
use barmill::{Pipeline, RunError, Running};
use barmill_core::port::Remedy;

use super::fakes::{Answer, BatchFeed, FakeSink, Last, minutes};

const EVERY: Duration = Duration::from_secs(10);

/// Five bars, of which four are written, and then silence.
async fn start(sink: &std::sync::Arc<FakeSink>) -> Running {
    let feed = BatchFeed::new(&minutes("AAPL", 5), 5, Last::Silence);
    let pipeline = Pipeline::builder().feed(feed).sink(sink.clone());
    pipeline
        .settings(|settings| settings.writer.delivery.batch.eager = true)
        .start()
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_idle_store_is_asked_for_a_sign_of_life_once_an_interval() {
    let sink = FakeSink::default().beat_every(EVERY, []).shared();
    let running = start(&sink).await;
    tokio::time::sleep(Duration::from_secs(65)).await;
    let beats = sink.beats();
    assert_eq!(beats.len(), 6, "{beats:?}");
    for pair in beats.windows(2) {
        assert_eq!(pair[1] - pair[0], EVERY);
    }
    running.handle().stop();
    assert!(matches!(running.join().await.end, End::Drained));
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_gets_a_fresh_connection_before_anything_is_written() {
    let sink = FakeSink::default()
        .beat_every(EVERY, [Remedy::Retry { after: None }])
        .shared();
    let running = start(&sink).await;
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert_eq!((sink.reconnects(), sink.beats().len()), (1, 2));
    assert_eq!(running.handle().state().writer.failures.retry, 1);
    running.handle().stop();
    assert!(matches!(running.join().await.end, End::Drained));
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_is_fenced_out_while_idle_ends_with_a_fault() {
    let sink = FakeSink::default()
        .beat_every(EVERY, [Remedy::Fatal])
        .shared();
    let finished = start(&sink).await.join().await;
    let End::Failed(RunError::Unwritten { failure, .. }) = finished.end else {
        panic!("{finished:?}")
    };
    assert!(
        failure.to_string().contains("fenced") || format!("{failure:?}").contains("fenced"),
        "{failure:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_wait_that_one_batch_hears_holds_for_all() {
    let after = Some(Duration::from_secs(20));
    let sink = FakeSink::new([Answer::Fails(Remedy::Retry { after })]).shared();
    let feed = BatchFeed::new(&minutes("AAPL", 100), 5, Last::End);
    let pipeline = Pipeline::builder()
        .feed(feed)
        .sink(sink.clone())
        .settings(|settings| {
            settings.writer.delivery.batch.len_max = 5;
            settings.writer.delivery.in_flight_max = 2;
        });
    let summary = pipeline.run().await.unwrap();
    assert_eq!(summary.bars, 100);
    let attempts = sink.attempts();
    let waited = |at: tokio::time::Instant| at - attempts[0].at;
    // What was under way when the store spoke is past recall.
    for attempt in attempts
        .iter()
        .filter(|attempt| waited(attempt.at) > Duration::from_millis(5))
    {
        assert!(
            waited(attempt.at) >= Duration::from_secs(20),
            "{:?}",
            waited(attempt.at)
        );
    }
    assert!(
        attempts
            .iter()
            .filter(|attempt| waited(attempt.at) < Duration::from_secs(20))
            .count()
            <= 2
    );
}
