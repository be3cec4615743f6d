//! An HTTP/2 connection that nothing passes any more is found by pings, long before a request would time out.

use std::sync::Arc;
use std::time::Duration;

use barmill::BarSpec;
use barmill::internals::pipeline::clock::SystemClock;
use barmill_stores::{Opened, RestSettings, StoreSettings, View, ViewKind, ViewSettings, connect};
use jiff::tz::TimeZone;
use tokio::time::Instant;

use crate::support::flow::Flow;
use crate::support::redis::RedisServer;
use crate::support::upstash::{Protocols, TOKEN, UpstashOptions, UpstashServer};

/// Far above what the pings below take, far below the time-outs of a request.
const HEALED_WITHIN: Duration = Duration::from_secs(8);

async fn open(server: &UpstashServer, folder: &tempfile::TempDir) -> Opened {
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, server.ca_pem().expect("TLS")).expect("a file");
    let millis = Duration::from_millis;
    let rest = RestSettings {
        timeout: Duration::from_mins(1),
        read_timeout: Duration::from_mins(1),
        ping_interval: millis(100),
        ping_timeout: millis(300),
        ca_file: Some(ca_file),
        ..RestSettings::default()
    };
    let settings = StoreSettings {
        token: Some(TOKEN.into()),
        rest,
        ..StoreSettings::default()
    };
    let view = ViewSettings::new(ViewKind::SymbolDay, TimeZone::UTC).expect("a view");
    let view = View::new(view, &[BarSpec::MINUTE]).expect("a view");
    let url = server.url().parse().expect("a URL");
    connect(&url, view, &settings, Arc::new(SystemClock))
        .await
        .expect("a sink")
}

/// Asks until an answer comes; how many attempts failed.
async fn failures(store: &Opened) -> u32 {
    let mut failed = 0;
    while let Err(error) = store.sink.ping().await {
        assert!(failed < 3, "{error:?}");
        failed += 1;
    }
    failed
}

async fn healed(is_idle: bool) {
    let (redis, folder) = (RedisServer::start(), tempfile::tempdir().expect("a folder"));
    let server = UpstashOptions::default()
        .protocols(Protocols::Http2)
        .tls()
        .start(&redis);
    let store = open(&server, &folder).await;
    assert_eq!(failures(&store).await, 0);
    server.turn_connections(Flow::BlackHole);
    let start = Instant::now();
    if is_idle {
        // No event tells that the client has given the connection up; ten times what it takes.
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    let failed = failures(&store).await;
    assert_eq!(
        failed,
        u32::from(!is_idle),
        "failures on the dead connection"
    );
    assert!(
        start.elapsed() < HEALED_WITHIN,
        "healed after {:?}",
        start.elapsed()
    );
    assert_eq!(server.stats().connections, 2);
}

#[tokio::test]
async fn a_connection_that_died_while_idle_is_replaced_before_a_write_meets_it() {
    healed(true).await;
}

#[tokio::test]
async fn a_connection_that_dies_under_a_request_is_replaced_by_the_next_attempt() {
    healed(false).await;
}
