//! The feed over files.

use super::{read, reader, settings, stock_file};
use crate::file::{FileFeed, FileFeedSettings, OnBadRow};
use barmill_core::model::Trade;
use barmill_core::port::{Position, TradeFeed};
use futures::FutureExt;

fn stock_settings(folder: &tempfile::TempDir, text: &[u8]) -> FileFeedSettings {
    let path = folder.path().join("day.csv");
    std::fs::write(&path, text).unwrap();
    let mut settings = settings("auto", &[]);
    settings.paths = vec![path];
    settings.batch_len_max = 64;
    settings
}

async fn drain(feed: &mut FileFeed) -> Vec<Trade> {
    let mut trades = Vec::new();
    let mut position = None;
    while let Some(batch) = feed.next_batch().await.unwrap() {
        assert!(!batch.trades.is_empty() && batch.trades.len() <= 64);
        trades.extend(batch.trades);
        assert!(position < Some(batch.position));
        position = Some(batch.position);
    }
    trades
}

#[tokio::test]
async fn feed_gives_every_trade_and_then_none_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let text = stock_file(1000);
    let mut feed = FileFeed::new(stock_settings(&folder, &text));
    assert_eq!(drain(&mut feed).await, read(&text, "auto", &[]).unwrap());
    assert_eq!(feed.next_batch().await.unwrap(), None);
    assert_eq!(feed.file_stats().trades, 1000);
}

#[tokio::test]
async fn dropped_calls_lose_no_trade() {
    let folder = tempfile::tempdir().unwrap();
    let text = stock_file(1000);
    let mut feed = FileFeed::new(stock_settings(&folder, &text));
    let mut trades = Vec::new();
    loop {
        // The first poll starts a batch or finds one; a pending future is dropped at once.
        match feed.next_batch().now_or_never() {
            None => tokio::task::yield_now().await,
            Some(batch) => match batch.unwrap() {
                Some(batch) => trades.extend(batch.trades),
                None => break,
            },
        }
    }
    assert_eq!(trades, read(&text, "auto", &[]).unwrap());
}

#[tokio::test]
async fn restart_goes_on_behind_the_position() {
    let folder = tempfile::tempdir().unwrap();
    let text = stock_file(500);
    let mut feed = FileFeed::new(stock_settings(&folder, &text));
    let first = feed.next_batch().await.unwrap().unwrap();
    assert_eq!(first.position, Position(64));
    let mut settings = stock_settings(&folder, &text);
    settings.start = first.position;
    let mut rest = FileFeed::new(settings);
    let second = rest.next_batch().await.unwrap().unwrap();
    assert_eq!(
        (second.position, second.trades[0].sequence),
        (Position(128), 64)
    );
}

#[tokio::test]
async fn error_ends_the_feed_and_names_the_row() {
    let folder = tempfile::tempdir().unwrap();
    let text = [stock_file(10), b"broken\n".to_vec()].concat();
    let mut feed = FileFeed::new(stock_settings(&folder, &text));
    assert_eq!(feed.next_batch().await.unwrap().unwrap().trades.len(), 10);
    let error = feed.next_batch().await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.contains("line 12: row \"broken\": has 1 fields instead of 13"),
        "{cause}"
    );
    assert_eq!(feed.next_batch().await.unwrap(), None);
}

#[tokio::test]
async fn skipped_rows_reach_the_stats() {
    let folder = tempfile::tempdir().unwrap();
    let text = [b"\n".to_vec(), stock_file(10), b"broken\n".to_vec()].concat();
    let mut settings = stock_settings(&folder, &text);
    settings.on_bad_row = OnBadRow::Skip;
    let mut feed = FileFeed::new(settings);
    assert_eq!(drain(&mut feed).await.len(), 10);
    assert_eq!((feed.stats().malformed, feed.bad_rows().len()), (1, 1));
}

#[tokio::test]
async fn stream_is_a_feed_too() {
    let mut piped = settings("auto", &[]);
    piped.batch_len_max = 64;
    let mut feed = FileFeed::from_reader(Position(0), reader(&stock_file(200), piped));
    assert_eq!(drain(&mut feed).await.len(), 200);
}
