//! The slowness of a store reaches the feeds, and an abort ends them all the same.

use std::sync::atomic::Ordering;
use std::time::Duration;

use barmill::internals::pipeline::End;
use barmill::{Pipeline, PipelineBuilder, Running, Trade};

use super::fakes::{Answer, BatchFeed, FakeSink, Last, trade};

/// Trades that each close a bar: one a minute, of ten symbols in turn.
fn flood() -> Vec<Trade> {
    (0..60_000)
        .map(|minute| trade(&format!("S{}", minute % 10), minute * 60))
        .collect()
}

/// A pipeline with narrow queues before a store that never answers.
fn narrow(feed: BatchFeed) -> PipelineBuilder {
    Pipeline::builder()
        .feed(feed)
        .sink(FakeSink::new(vec![Answer::Hangs; 100]))
        .settings(|settings| {
            settings.feed_queue_len_max = 2;
            settings.writer_queue_len_max = 1;
            settings.writer.delivery.queue_len_max = 50;
            settings.writer.delivery.batch.len_max = 10;
            settings.writer.delivery.in_flight_max = 2;
            settings.writer.delivery.retry.attempts_max = 100;
        })
}

async fn start(last: Last) -> (Running, std::sync::Arc<std::sync::atomic::AtomicU64>) {
    let feed = BatchFeed::new(&flood(), 20, last);
    let delivered = feed.delivered();
    (narrow(feed).start().await.unwrap(), delivered)
}

/// Lets every actor run until none can go on.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_stops_the_feed_at_the_sum_of_the_bounds() {
    let (running, delivered) = start(Last::End).await;
    settle().await;
    let held = delivered.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(
        delivered.load(Ordering::Relaxed),
        held,
        "nothing moves before the write times out"
    );
    // In flight 20; waiting 50, passed by at most a message; two messages; and a batch in the hands of each actor.
    assert!((100..=240).contains(&held), "{held} trades were taken in");
    let state = running.handle().state();
    assert!(state.writer.queued <= 70, "{state:?}");
    assert_eq!(state.writer.in_flight, 2);
}

#[tokio::test(start_paused = true)]
async fn an_abort_with_full_queues_is_an_abort_and_counts_what_is_not_written() {
    let (running, _) = start(Last::Silence).await;
    settle().await;
    running.handle().abort();
    let finished = running.join().await;
    assert!(matches!(finished.end, End::Aborted), "{finished:?}");
    assert!(finished.summary.unwritten >= 50, "{finished:?}");
    assert_eq!(finished.summary.bars, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_with_full_queues_ends_at_the_drain_deadline() {
    let (running, delivered) = start(Last::Silence).await;
    settle().await;
    let (start, held) = (
        tokio::time::Instant::now(),
        delivered.load(Ordering::Relaxed),
    );
    running.handle().stop();
    let finished = running.join().await;
    assert!(matches!(finished.end, End::Aborted), "{finished:?}");
    assert_eq!(start.elapsed().as_secs(), 25);
    assert_eq!(
        delivered.load(Ordering::Relaxed),
        held,
        "a stopped feed is not asked again"
    );
}
