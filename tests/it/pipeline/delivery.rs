//! How bars reach a store that fails, hangs or is slow.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use barmill::internals::pipeline::{PaceSettings, PipelineSettings};
use barmill::{Pipeline, PipelineError, RunError, Summary, Trade};
use barmill_core::port::{Remedy, WriteItem};

use super::fakes::{Answer, FakeSink, SECOND_NS, minutes, trade};

const AGAIN: Remedy = Remedy::Retry { after: None };

/// Runs the trades into the sink, with bounds as the test sets them.
async fn run(
    sink: &std::sync::Arc<FakeSink>,
    trades: Vec<Trade>,
    change: impl FnOnce(&mut PipelineSettings),
) -> Result<Summary, RunError> {
    let pipeline = Pipeline::builder()
        .trades("test", futures::stream::iter(trades))
        .sink(sink.clone())
        .settings(change);
    match pipeline.run().await {
        Ok(summary) => Ok(summary),
        Err(PipelineError::Run(fault)) => Err(fault),
        Err(error) => panic!("{error}"),
    }
}

/// The store's words about the last cause, with the causes below it.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[tokio::test(start_paused = true)]
async fn only_the_items_that_failed_are_sent_again() {
    let sink = FakeSink::new([Answer::Without(vec![1, 3], AGAIN)]).shared();
    let summary = run(&sink, minutes("AAPL", 5), |_| {}).await.unwrap();
    let attempts = sink.attempts();
    let first: Vec<i64> = attempts[0]
        .bars()
        .iter()
        .map(|update| update.bar.start.as_nanos())
        .collect();
    let second: Vec<i64> = attempts[1]
        .bars()
        .iter()
        .map(|update| update.bar.start.as_nanos())
        .collect();
    assert_eq!((first.len(), second), (5, vec![first[1], first[3]]));
    assert_eq!(
        (summary.bars, summary.retries, summary.unwritten),
        (5, 1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn the_manifest_comes_after_every_bar_is_acked() {
    let sink = FakeSink::new([Answer::Without(vec![4], AGAIN)]).shared();
    run(&sink, minutes("AAPL", 5), |_| {}).await.unwrap();
    let attempts = sink.attempts();
    assert_eq!(attempts.len(), 3);
    let has_manifest = |items: &[WriteItem]| {
        items
            .iter()
            .any(|item| matches!(item, WriteItem::Manifest(_)))
    };
    assert!(!has_manifest(&attempts[0].items) && !has_manifest(&attempts[1].items));
    let WriteItem::Manifest(manifest) = &attempts[2].items[0] else {
        panic!("a manifest")
    };
    assert_eq!(
        (manifest.complete, manifest.bars, manifest.trades),
        (true, 5, 5)
    );
    assert!(attempts[1].until.unwrap() <= attempts[2].at);
}

#[tokio::test(start_paused = true)]
async fn three_attempts_back_off_and_then_the_run_fails_with_its_cause_and_count() {
    let sink = FakeSink::new(vec![Answer::Fails(AGAIN); 3]).shared();
    let fault = run(&sink, minutes("AAPL", 7), |_| {}).await.unwrap_err();
    let cause = "gave up after 3 attempts: fake write failed: on purpose";
    assert_eq!(
        told(&fault),
        format!("7 bars are not written and 0 items wait in the spool: {cause}")
    );
    let at: Vec<_> = sink.attempts().iter().map(|attempt| attempt.at).collect();
    assert_eq!(at.len(), 3);
    let gaps = [at[1] - at[0], at[2] - at[1]].map(|gap| gap.as_millis());
    assert!(
        (250..=501).contains(&gaps[0]) && (500..=1_001).contains(&gaps[1]),
        "{gaps:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_s_wish_to_wait_is_kept() {
    let after = Some(Duration::from_secs(42));
    let sink = FakeSink::new([Answer::Fails(Remedy::Retry { after })]).shared();
    run(&sink, minutes("AAPL", 1), |_| {}).await.unwrap();
    let attempts = sink.attempts();
    assert_eq!((attempts[1].at - attempts[0].at).as_secs(), 42);
}

#[tokio::test(start_paused = true)]
async fn what_no_retry_helps_is_not_tried_again() {
    for remedy in [Remedy::Fatal, Remedy::Pause] {
        let sink = FakeSink::new([Answer::Fails(remedy)]).shared();
        let fault = run(&sink, minutes("AAPL", 3), |_| {}).await.unwrap_err();
        assert!(
            matches!(
                fault,
                RunError::Unwritten {
                    bars: 3,
                    spooled: 0,
                    ..
                }
            ),
            "{fault:?}"
        );
        assert_eq!(sink.attempts().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_timed_out_and_sent_over_a_fresh_connection() {
    let sink = FakeSink::new([Answer::Hangs]).shared();
    let summary = run(&sink, minutes("AAPL", 3), |_| {}).await.unwrap();
    let attempts = sink.attempts();
    assert_eq!(
        (summary.bars, summary.retries, sink.reconnects()),
        (3, 1, 1)
    );
    assert!((attempts[1].at - attempts[0].at).as_secs() >= 30);
}

#[tokio::test(start_paused = true)]
async fn an_answer_for_fewer_items_is_no_success() {
    let sink = FakeSink::new([Answer::Short]).shared();
    let summary = run(&sink, minutes("AAPL", 3), |_| {}).await.unwrap();
    assert_eq!(summary.bars, 3);
    assert_eq!(
        sink.attempts()[1].bars().len(),
        3,
        "which items the answer speaks of is unknown"
    );
    let sink = FakeSink::new(vec![Answer::Short; 3]).shared();
    let fault = run(&sink, minutes("AAPL", 3), |_| {}).await.unwrap_err();
    assert_eq!(
        told(&fault),
        "3 bars are not written and 0 items wait in the spool: gave up after 3 attempts: write to fake failed: \
         2 results for 3 items"
    );
}

#[tokio::test(start_paused = true)]
async fn the_pace_is_never_exceeded_retries_included() {
    let sink = FakeSink::new(vec![Answer::Fails(AGAIN); 2]).shared();
    let summary = run(&sink, minutes("AAPL", 400), |settings| {
        settings.writer.delivery.batch.len_max = 4;
        settings.writer.delivery.in_flight_max = 16;
        let rate = NonZeroU32::new;
        settings.writer.pace = PaceSettings {
            commands_per_second: rate(40),
            requests_per_second: rate(20),
        };
    });
    assert_eq!(summary.await.unwrap().bars, 400);
    let attempts = sink.attempts();
    assert_eq!(attempts.len(), 100 + 2 + 1);
    // A full burst at the start, then no more than the rate: 40 commands a second are 10 such requests.
    for (index, attempt) in attempts.iter().enumerate() {
        let sent: usize = attempts[..=index]
            .iter()
            .map(|attempt| attempt.items.len())
            .sum();
        let allowed = 40.0 + 40.0 * (attempt.at - attempts[0].at).as_secs_f64() + 0.5;
        assert!(
            f64::from(u32::try_from(sent).unwrap()) <= allowed,
            "attempt {index}: {sent} > {allowed}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_bound_is_in_flight() {
    for bound in [1, 3] {
        let sink = FakeSink::default()
            .latency(Duration::from_millis(50))
            .shared();
        run(&sink, minutes("AAPL", 200), |settings| {
            settings.writer.delivery.batch.len_max = 5;
            settings.writer.delivery.in_flight_max = bound;
        })
        .await
        .unwrap();
        assert_eq!(sink.in_flight_max(), bound);
    }
}

#[tokio::test(start_paused = true)]
async fn a_revision_never_overtakes_the_bar_it_revises() {
    let mut trades = Vec::new();
    for minute in 0..40 {
        trades.push(trade("AAPL", minute * 60 + 10));
        // Ten seconds late for the minute before: a revision of a bar that may still be in flight.
        trades.push(trade("AAPL", minute * 60 - 10));
        trades.push(trade("AAPL", minute * 60 - 20));
    }
    let script = (0..60).map(|index| {
        if index % 3 == 0 {
            Answer::Fails(AGAIN)
        } else {
            Answer::Written
        }
    });
    let sink = FakeSink::new(script)
        .latency(Duration::from_millis(70))
        .shared();
    let pipeline = Pipeline::builder().trades("test", futures::stream::iter(trades));
    let pipeline = pipeline.sink(sink.clone()).settings(|settings| {
        settings.writer.delivery.batch.len_max = 2;
        settings.writer.delivery.retry.attempts_max = 20;
    });
    let summary = pipeline.run().await.unwrap();
    assert!(summary.revised >= 39, "{summary:?}");
    let mut written = BTreeMap::new();
    for attempt in sink.attempts() {
        for update in attempt.bars() {
            let last = written.insert(update.bar.key(), (update.revision, attempt.until.unwrap()));
            if let Some((revision, until)) = last {
                assert!(
                    revision <= update.revision,
                    "{update:?} after revision {revision}"
                );
                assert!(
                    until <= attempt.at,
                    "{update:?} while its bar was in flight"
                );
            }
        }
    }
    let late = written
        .values()
        .filter(|(revision, _)| *revision > 0)
        .count();
    assert!(late >= 39, "{late} bars were revised");
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_its_age_and_no_longer() {
    let (early, late) = (trade("AAPL", 0), trade("AAPL", 65));
    let next = futures::stream::once(async move {
        tokio::time::sleep(Duration::from_nanos(SECOND_NS.unsigned_abs())).await;
        late
    });
    let silence = futures::stream::pending();
    let trades = futures::StreamExt::chain(futures::stream::iter([early]), next);
    let sink = FakeSink::default().shared();
    let start = tokio::time::Instant::now();
    let running = Pipeline::builder()
        .trades("test", futures::StreamExt::chain(trades, silence))
        .sink(sink.clone())
        .start()
        .await
        .unwrap();
    let mut bars = std::pin::pin!(running.handle().bars());
    futures::StreamExt::next(&mut bars).await.unwrap().unwrap();
    let age = sink.attempts()[0].at - start;
    assert_eq!(
        age.as_secs(),
        6,
        "a second until the bar is final, and five that it may wait: {age:?}"
    );
}
