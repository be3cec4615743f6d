//! The public API as a program uses it.

use std::time::Duration;

use barmill::internals::pipeline::End;
use barmill::internals::pipeline::channel::ChannelSink;
use barmill::internals::pipeline::stream::StreamFeed;
use barmill::{BarState, Pipeline, PipelineError, Redis, VenueSource};
use barmill_core::engine::aggregate::Fill;
use barmill_sources::file::FileFeed;
use barmill_sources::file::FileFeedSettings;
use futures::StreamExt;

use super::fakes::{BatchFeed, FakeSink, Last, minutes, trade};

const SAMPLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/data/sample-trades.csv"
);

#[tokio::test(start_paused = true)]
async fn a_custom_feed_and_a_custom_sink_join_to_a_pipeline() {
    let sink = FakeSink::default().shared();
    let feed = BatchFeed::new(&minutes("AAPL", 10), 3, Last::End);
    let summary = Pipeline::builder()
        .feed(feed)
        .bars("1m,5m")
        .sink(sink.clone())
        .run()
        .await
        .unwrap();
    assert_eq!((summary.trades, summary.bars, summary.late), (10, 12, 0));
    assert_eq!(sink.attempts()[0].bars().len(), 12);
}

#[tokio::test(start_paused = true)]
async fn two_feeds_of_one_symbol_and_two_of_others_end_in_one_store() {
    let bars = Pipeline::builder()
        .trades("stream", futures::stream::iter(minutes("MSFT", 4)))
        .feed(BatchFeed::new(&minutes("AAPL", 3), 1, Last::End))
        .shards(3)
        .collect()
        .await
        .unwrap();
    let of = |symbol: &str| {
        bars.iter()
            .filter(|update| update.bar.symbol.as_str() == symbol)
            .count()
    };
    assert_eq!((of("MSFT"), of("AAPL"), bars.len()), (4, 3, 7));
}

#[tokio::test(start_paused = true)]
async fn collected_updates_come_in_the_order_of_the_bars() {
    let trades = futures::stream::iter(minutes("AAPL", 20_000));
    let bars = Pipeline::builder()
        .trades("test", trades)
        .collect()
        .await
        .unwrap();
    assert_eq!(bars.len(), 20_000);
    assert!(
        bars.is_sorted_by_key(|update| update.bar.start),
        "in batches, but in order"
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_of_a_bar_stream_gets_every_bar_once() {
    let (sink, mut bars) = ChannelSink::pair(1);
    let trades = futures::stream::iter(minutes("AAPL", 300));
    let pipeline = Pipeline::builder().trades("test", trades).sink(sink);
    let reading = async {
        let mut starts = Vec::new();
        while let Some(update) = bars.next().await {
            tokio::time::sleep(Duration::from_secs(7)).await;
            starts.push(update.bar.start);
        }
        starts
    };
    let (summary, starts) = futures::future::join(pipeline.run(), reading).await;
    assert_eq!(summary.unwrap().bars, 300);
    assert_eq!(starts.len(), 300);
    assert!(starts.is_sorted_by(|a, b| a < b), "in order, none twice");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_bar_stream_ends_the_run_with_its_cause() {
    let (sink, bars) = ChannelSink::pair(1);
    drop(bars);
    let trades = futures::stream::iter(minutes("AAPL", 3));
    let error = Pipeline::builder()
        .trades("test", trades)
        .sink(sink)
        .run()
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "3 bars are not written and 0 items wait in the spool"
    );
}

#[tokio::test(start_paused = true)]
async fn a_handle_stops_and_the_open_bar_is_not_published() {
    let sink = FakeSink::default().shared();
    let feed = BatchFeed::new(&minutes("AAPL", 10), 10, Last::Silence);
    let running = Pipeline::builder()
        .feed(feed)
        .sink(sink.clone())
        .start()
        .await
        .unwrap();
    let handle = running.handle();
    let mut bars = std::pin::pin!(handle.bars());
    let first = bars.next().await.unwrap().unwrap();
    assert_eq!((first.state, first.revision), (BarState::Final, 0));
    let state = handle.state();
    assert_eq!((state.feeds[0].trades, state.feeds[0].ended), (10, false));
    handle.stop();
    let finished = running.join().await;
    assert!(matches!(finished.end, End::Drained), "{finished:?}");
    assert_eq!((finished.summary.bars, finished.summary.unwritten), (9, 0));
    assert_eq!(handle.state().writer.bars, 9);
    // Eight more, and the stream of bars ends with the run.
    assert_eq!(bars.count().await, 8);
}

#[tokio::test(start_paused = true)]
async fn a_handle_aborts_at_once() {
    let feed = BatchFeed::new(&minutes("AAPL", 10), 10, Last::Silence);
    let sink = FakeSink::default().latency(Duration::from_secs(20));
    let running = Pipeline::builder()
        .feed(feed)
        .sink(sink)
        .start()
        .await
        .unwrap();
    let start = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(6)).await;
    running.handle().abort();
    let finished = running.join().await;
    assert!(matches!(finished.end, End::Aborted), "{finished:?}");
    assert_eq!((finished.summary.bars, finished.summary.unwritten), (0, 9));
    assert_eq!(start.elapsed().as_secs(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_fallible_stream_ends_the_run_by_its_error() {
    let results = minutes("AAPL", 3)
        .into_iter()
        .map(Ok)
        .chain([Err("torn frame".into())]);
    let feed = StreamFeed::fallible("socket", futures::stream::iter(results), 100);
    let error = Pipeline::builder().feed(feed).collect().await.unwrap_err();
    let PipelineError::Run(fault) = error else {
        panic!("{error:?}")
    };
    assert_eq!(fault.to_string(), "feed socket failed");
}

#[tokio::test]
async fn files_settings_and_fill_are_the_caller_s() {
    let settings = FileFeedSettings::new(vec![SAMPLE.into()]);
    let symbols = Some(vec!["SPY".parse().unwrap()]);
    let feed = FileFeed::new(FileFeedSettings {
        symbols,
        ..settings
    });
    let bars = Pipeline::builder()
        .feed(feed)
        .bars("1s")
        .fill(Fill::PreviousClose)
        .collect()
        .await
        .unwrap();
    let starts: Vec<i64> = bars
        .iter()
        .map(|update| update.bar.start.as_nanos())
        .collect();
    assert!(
        starts
            .windows(2)
            .all(|pair| pair[1] - pair[0] == 1_000_000_000),
        "a bar in every second"
    );
    assert!(bars.iter().any(|update| update.bar.flags.filled));
}

#[tokio::test(start_paused = true)]
async fn a_late_trade_is_counted_and_not_folded() {
    let trades = [trade("AAPL", 3_600), trade("AAPL", 0)];
    let pipeline = Pipeline::builder().trades("test", futures::stream::iter(trades));
    let summary = pipeline.sink(FakeSink::default()).run().await.unwrap();
    assert_eq!((summary.trades, summary.bars, summary.late), (2, 1, 1));
}

#[test]
fn every_example_runs_to_its_end() {
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_barmill")).with_file_name("examples");
    for (name, last) in [
        ("embed", "600 trades, 12 bars in embedded:"),
        ("live", " trades, "),
        ("custom_sink", "SPY closed at "),
        ("replay_test", " of 59 bars rise"),
    ] {
        let output = std::process::Command::new(folder.join(name))
            .output()
            .expect("cargo builds examples");
        let said = String::from_utf8(output.stdout).expect("text");
        assert!(
            output.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            said.lines().last().is_some_and(|line| line.contains(last)),
            "{name}: {said}"
        );
    }
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_description_is_told_at_once() {
    let nothing = Pipeline::builder().start().await.unwrap_err();
    assert_eq!(
        nothing.to_string(),
        "pipeline has no source; give one with source(); pipeline has no sink; give one with sink()"
    );
    let wrong = Pipeline::builder()
        .source(VenueSource::live("nowhere", ["no symbol"]))
        .bars("1m,7m")
        .zone("Mars/Olympus")
        .rules("none")
        .sink(Redis::at("ftp://somewhere").view("heap"))
        .start()
        .await
        .unwrap_err();
    let told: Vec<String> = wrong.faults().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    venue "nowhere" is not one of massive alpaca binance coinbase kraken
    byte 2 of the symbol is not a letter, a digit or one of .:/_-+=^$#
    bar spec "7m" does not divide a day
    zone "Mars/Olympus" is not in the IANA time zone database
    rules "none" are not one of massive-minute massive-daily alpaca-minute alpaca-daily all lean
    sink scheme "ftp" is not one of redis:// rediss:// https:// http:// embedded:DIR stdout: null:
    view "heap" is not one of symbol-day minute key-per-bar stream publish
    "#);
}
