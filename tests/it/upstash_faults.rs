//! The Upstash test server is faulty exactly as it is told to be.

use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use crate::support::fault::{Choice, ConnectionFault, Fault, RetryAfter, Rule, Stage, StoreError};
use crate::support::http::{Got, builder, client, client_h2c, post};
use crate::support::redis::RedisServer;
use crate::support::resp::command;
use crate::support::upstash::{Protocols, TOKEN, UpstashOptions, UpstashServer};

/// Shorter than any patience, longer than a round trip on loopback.
const IMPATIENT: Duration = Duration::from_millis(500);

struct Bench {
    redis: RedisServer,
    server: UpstashServer,
    client: Client,
}

/// One bench for HTTP/1.1 and one for HTTP/2.
fn benches() -> [Bench; 2] {
    [Protocols::Http1, Protocols::Http2].map(|protocols| {
        let redis = RedisServer::start();
        let server = UpstashOptions::default().protocols(protocols).start(&redis);
        let client = if protocols == Protocols::Http2 {
            client_h2c(&server)
        } else {
            client(&server)
        };
        Bench {
            redis,
            server,
            client,
        }
    })
}

impl Bench {
    /// Sends a pipeline of two writes.
    async fn write_two(&self) -> reqwest::Result<Got> {
        let body = json!([["SET", "a", 1], ["SET", "b", 2]]);
        post(&self.client, &self.server, "/pipeline", &body).await
    }

    fn keys(&self) -> redis::Value {
        self.redis.command(&["DBSIZE"])
    }
}

fn two_ok() -> Value {
    json!([{"result": "OK"}, {"result": "OK"}])
}

#[tokio::test]
async fn a_lost_answer_leaves_as_much_applied_as_the_stage_says() {
    for bench in benches() {
        for (stage, applied) in [
            (Stage::BeforeApply, 0),
            (Stage::Midway, 1),
            (Stage::AfterApply, 2),
        ] {
            for fault in [Fault::Reset, Fault::GoAwayAbrupt { code: 2 }] {
                bench.redis.command(&["FLUSHALL"]);
                bench.server.inject(Rule::next(fault.clone()).at(stage));
                let error = bench.write_two().await.unwrap_err();
                assert!(!error.is_timeout(), "{error:?}");
                assert_eq!(
                    bench.keys(),
                    redis::Value::Int(applied),
                    "{fault:?} {stage:?}"
                );
            }
        }
        assert_eq!(bench.write_two().await.unwrap().json, two_ok());
        assert_eq!(bench.server.stats().connections, 7);
    }
}

#[tokio::test]
async fn a_stalled_answer_never_starts_and_the_server_serves_on() {
    for bench in benches() {
        bench
            .server
            .inject(Rule::next(Fault::StallBeforeHeaders).at(Stage::AfterApply));
        let request = bench
            .client
            .post(bench.server.url())
            .bearer_auth(TOKEN)
            .body(r#"["SET","a",1]"#);
        assert!(
            request
                .timeout(IMPATIENT)
                .send()
                .await
                .unwrap_err()
                .is_timeout()
        );
        assert_eq!(bench.keys(), redis::Value::Int(1));
        assert_eq!(bench.write_two().await.unwrap().json, two_ok());
    }
}

#[tokio::test]
async fn a_dripping_answer_is_whole_in_the_end() {
    for bench in benches() {
        bench.server.inject(
            Rule::next(Fault::Drip {
                pause: Duration::from_millis(1),
            })
            .at(Stage::AfterApply),
        );
        assert_eq!(bench.write_two().await.unwrap().json, two_ok());
    }
}

#[tokio::test]
async fn a_truncated_answer_shows_only_where_its_length_was_declared() {
    for bench in benches() {
        bench.server.inject(
            Rule::next(Fault::Truncated {
                is_length_declared: true,
            })
            .at(Stage::AfterApply),
        );
        bench.server.inject(
            Rule::next(Fault::Truncated {
                is_length_declared: false,
            })
            .at(Stage::AfterApply),
        );
        let error = bench.write_two().await.unwrap_err();
        assert!(error.is_body() || error.is_decode(), "{error:?}");
        let half = bench.write_two().await.unwrap();
        assert_eq!(
            (half.status, half.json),
            (200, json!(r#"[{"result":"OK"}"#))
        );
    }
}

#[tokio::test]
async fn short_and_long_arrays_hold_true_results() {
    for bench in benches() {
        bench
            .server
            .inject(Rule::next(Fault::ShortArray).at(Stage::AfterApply));
        bench
            .server
            .inject(Rule::next(Fault::LongArray).at(Stage::AfterApply));
        assert_eq!(
            bench.write_two().await.unwrap().json,
            json!([{"result": "OK"}])
        );
        assert_eq!(
            bench
                .write_two()
                .await
                .unwrap()
                .json
                .as_array()
                .unwrap()
                .len(),
            3
        );
        assert_eq!(bench.keys(), redis::Value::Int(2));
    }
}

#[tokio::test]
async fn statuses_come_instead_of_the_answer() {
    for bench in benches() {
        for status in [500, 503] {
            bench.server.inject(Rule::next(Fault::Status(status)));
            assert_eq!(bench.write_two().await.unwrap().status, status);
        }
        bench.server.inject(Rule::next(Fault::Unauthorized));
        assert_eq!(bench.write_two().await.unwrap().status, 401);
        bench.server.inject(Rule::next(Fault::Quota));
        let got = bench.write_two().await.unwrap();
        assert!(
            got.json["error"]
                .as_str()
                .unwrap()
                .starts_with("ERR max requests limit exceeded"),
            "{got:?}"
        );
        assert_eq!(got.status, 400);
        bench.server.inject(Rule::next(Fault::HtmlBadGateway));
        let got = bench.write_two().await.unwrap();
        assert!(got.json.as_str().unwrap().starts_with("<html>"), "{got:?}");
        assert_eq!(got.status, 502);
        assert_eq!(bench.keys(), redis::Value::Int(0));
    }
}

#[tokio::test]
async fn retry_after_comes_as_the_rule_words_it() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let at = "1994-11-06T08:49:37Z".parse().unwrap();
    for (retry_after, header) in [
        (RetryAfter::Absent, None),
        (RetryAfter::Seconds(3), Some("3")),
        (
            RetryAfter::HttpDate(at),
            Some("Sun, 06 Nov 1994 08:49:37 GMT"),
        ),
        (RetryAfter::Absurd("-1"), Some("-1")),
    ] {
        server.inject(Rule::next(Fault::TooManyRequests(retry_after)));
        let request = client(&server)
            .post(server.url())
            .bearer_auth(TOKEN)
            .body(r#"["PING"]"#);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 429);
        assert_eq!(
            response
                .headers()
                .get("retry-after")
                .map(|value| value.to_str().unwrap()),
            header
        );
    }
}

#[tokio::test]
async fn chosen_commands_fail_and_the_others_are_applied() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let body = json!([["SET", "a", 1], ["SET", "b", 2], ["SET", "c", 3]]);
    for error in StoreError::ALL {
        redis.command(&["FLUSHALL"]);
        let choice = Choice::new(|index, command| index == 2 || command[1] == b"a");
        server.inject(Rule::next(Fault::CommandErrors { choice, error }));
        let got = post(&client(&server), &server, "/pipeline", &body)
            .await
            .unwrap();
        let refused = json!({"error": error.text()});
        assert_eq!(
            (got.status, got.json),
            (200, json!([refused, {"result": "OK"}, refused]))
        );
        assert_eq!(
            redis.command(&["KEYS", "*"]),
            redis::Value::Array(vec![redis::Value::BulkString(b"b".to_vec())])
        );
    }
    server.inject(Rule::next(Fault::CommandErrors {
        choice: Choice::all(),
        error: StoreError::Loading,
    }));
    let got = post(&client(&server), &server, "/", &json!(["SET", "a", 1]))
        .await
        .unwrap();
    assert_eq!(
        (got.status, got.json),
        (400, json!({"error": StoreError::Loading.text()}))
    );
}

#[tokio::test]
async fn a_graceful_goaway_costs_a_connection_and_no_answer() {
    for bench in benches() {
        bench.server.inject(Rule::next(Fault::GoAwayGraceful));
        assert_eq!(bench.write_two().await.unwrap().json, two_ok());
        assert_eq!(bench.write_two().await.unwrap().json, two_ok());
        let stats = bench.server.stats();
        assert_eq!((stats.connections, stats.requests()), (2, 2));
    }
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_by_a_client_that_may() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    server.inject(
        Rule::next(Fault::RefusedStream)
            .at(Stage::AfterApply)
            .times(2),
    );
    assert!(
        post(&client_h2c(&server), &server, "/", &json!(["INCR", "n"]))
            .await
            .is_err()
    );
    // The default policy of the client sends a refused stream again, since nothing was applied.
    let client = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let got = post(&client, &server, "/", &json!(["INCR", "n"]))
        .await
        .unwrap();
    assert_eq!(got.json, json!({"result": 1}));
    assert_eq!(server.stats().requests(), 3);
}

#[tokio::test]
async fn a_black_hole_holds_its_connection_and_leaves_others_alone() {
    for bench in benches() {
        assert!(bench.write_two().await.is_ok());
        bench
            .server
            .inject(Rule::next(Fault::BlackHole).at(Stage::AfterApply));
        let request = bench
            .client
            .post(bench.server.url())
            .bearer_auth(TOKEN)
            .body(r#"["SET","c",1]"#);
        assert!(
            request
                .timeout(IMPATIENT)
                .send()
                .await
                .unwrap_err()
                .is_timeout()
        );
        assert_eq!(bench.keys(), redis::Value::Int(3));
        assert_eq!(bench.server.stats().connections, 1);
        let fresh = if bench.server.stats().requests_http2 > 0 {
            client_h2c(&bench.server)
        } else {
            client(&bench.server)
        };
        assert_eq!(
            post(&fresh, &bench.server, "/", &json!(["DBSIZE"]))
                .await
                .unwrap()
                .json,
            json!({"result": 3})
        );
    }
}

#[tokio::test]
async fn a_hanging_handshake_ends_by_the_connect_timeout_of_the_client() {
    let redis = RedisServer::start();
    let server = UpstashOptions::default().tls().start(&redis);
    server.inject_connections(ConnectionFault::Hang, 1);
    let hasty = builder(&server).connect_timeout(IMPATIENT).build().unwrap();
    let error = post(&hasty, &server, "/", &json!(["PING"]))
        .await
        .unwrap_err();
    assert!(error.is_connect() && error.is_timeout(), "{error:?}");
    assert_eq!(
        (server.stats().connections, server.stats().handshakes),
        (1, 0)
    );
    assert_eq!(
        post(&client(&server), &server, "/", &json!(["PING"]))
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn a_reset_connection_carries_no_request() {
    let redis = RedisServer::start();
    let server = UpstashOptions::default().tls().start(&redis);
    server.inject_connections(ConnectionFault::Reset, 2);
    for _ in 0..2 {
        assert!(
            post(&client(&server), &server, "/", &json!(["PING"]))
                .await
                .unwrap_err()
                .is_connect()
        );
    }
    assert_eq!(server.stats().requests(), 0);
    assert_eq!(
        post(&client(&server), &server, "/", &json!(["PING"]))
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn a_rule_waits_for_the_requests_it_is_meant_for() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    server.inject(
        Rule::next(Fault::Status(500))
            .times(2)
            .when(|commands| commands[0] == command(&["GET", "x"])),
    );
    let mut statuses = Vec::new();
    for key in ["a", "x", "b", "x", "x"] {
        statuses.push(
            post(&client(&server), &server, "/", &json!(["GET", key]))
                .await
                .unwrap()
                .status,
        );
    }
    assert_eq!(statuses, [200, 500, 200, 500, 200]);
    server.inject(Rule::next(Fault::Status(500)));
    server.inject_connections(ConnectionFault::Reset, 1);
    server.clear_faults();
    assert_eq!(
        post(&client(&server), &server, "/", &json!(["GET", "x"]))
            .await
            .unwrap()
            .status,
        200
    );
}
