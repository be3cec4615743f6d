//! When a part fails, the rest drains and the first cause is told.

use std::error::Error;

use barmill::internals::pipeline::End;
use barmill::{Pipeline, RunError};
use barmill_core::port::{Remedy, WriteItem};

use super::fakes::{Answer, BatchFeed, FakeSink, Last, minutes};

#[tokio::test(start_paused = true)]
async fn a_feed_that_fails_is_the_cause_and_what_was_closed_before_is_written() {
    let sink = FakeSink::default().shared();
    let feed = BatchFeed::new(&minutes("AAPL", 5), 2, Last::Failure);
    let running = Pipeline::builder()
        .feed(feed)
        .sink(sink.clone())
        .start()
        .await
        .unwrap();
    let finished = running.join().await;
    let End::Failed(fault) = finished.end else {
        panic!("{:?}", finished.end)
    };
    assert_eq!(fault.to_string(), "feed batches failed");
    assert_eq!(fault.source().unwrap().to_string(), "the venue hung up");
    assert_eq!(
        (finished.summary.trades, finished.summary.bars),
        (5, 4),
        "the last bar never closed"
    );
    let items = sink.attempts().pop().unwrap().items;
    let WriteItem::Manifest(manifest) = &items[0] else {
        panic!("{items:?}")
    };
    assert!(!manifest.complete, "a short day is not told to be whole");
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_one_feed_stops_the_others() {
    let running = Pipeline::builder()
        .feed(BatchFeed::new(&minutes("AAPL", 5), 2, Last::Silence))
        .feed(BatchFeed::new(&minutes("MSFT", 5), 2, Last::Failure))
        .sink(FakeSink::default())
        .start()
        .await
        .unwrap();
    let finished = running.join().await;
    assert!(
        matches!(finished.end, End::Failed(RunError::Feed(_))),
        "{finished:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_feed_is_a_fault_that_names_it() {
    let feed = BatchFeed::new(&minutes("AAPL", 5), 2, Last::Panic);
    let running = Pipeline::builder()
        .feed(feed)
        .sink(FakeSink::default())
        .start()
        .await
        .unwrap();
    let End::Failed(fault) = running.join().await.end else {
        panic!("no fault")
    };
    assert_eq!(fault.to_string(), "actor feed batches panicked");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_store_is_a_fault_that_names_the_writer() {
    let running = Pipeline::builder()
        .feed(BatchFeed::new(&minutes("AAPL", 5), 2, Last::Silence))
        .sink(FakeSink::new([Answer::Panics]))
        .start()
        .await
        .unwrap();
    let End::Failed(fault) = running.join().await.end else {
        panic!("no fault")
    };
    assert_eq!(fault.to_string(), "actor write panicked");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_is_the_cause_and_not_the_actors_that_lost_it() {
    let feed = BatchFeed::new(&minutes("AAPL", 50_000), 100, Last::End);
    let sink = FakeSink::new([Answer::Fails(Remedy::Fatal)]);
    let running = Pipeline::builder()
        .feed(feed)
        .sink(sink)
        .start()
        .await
        .unwrap();
    let End::Failed(fault) = running.join().await.end else {
        panic!("no fault")
    };
    assert!(matches!(fault, RunError::Unwritten { .. }), "{fault:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_close_may_have_lost_something_and_fails_the_run() {
    let feed = BatchFeed::new(&minutes("AAPL", 5), 2, Last::End);
    let sink = FakeSink::default().fails_to_close();
    let running = Pipeline::builder()
        .feed(feed)
        .sink(sink)
        .start()
        .await
        .unwrap();
    let End::Failed(fault) = running.join().await.end else {
        panic!("no fault")
    };
    assert_eq!(fault.to_string(), "failed to close the store");
}
