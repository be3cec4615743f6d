//! The Upstash test server speaks the protocol that the vendor documents.

use hyper::Version;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::flow::Flow;
use crate::support::http::{Got, client, client_h2c, post};
use crate::support::redis::{RedisOptions, RedisServer};
use crate::support::upstash::{Protocols, READ_ONLY_TOKEN, TOKEN, UpstashOptions, UpstashServer};

/// Sends a request as it is told and reads status and text.
async fn raw(
    server: &UpstashServer,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> (u16, String) {
    let mut request = client(server)
        .request(method, format!("{}{path}", server.url()))
        .body(body.to_owned());
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn got(server: &UpstashServer, path: &str, body: Value) -> (u16, Value) {
    let Got { status, json, .. } = post(&client(server), server, path, &body).await.unwrap();
    (status, json)
}

#[tokio::test]
async fn a_single_command_answers_with_its_result() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    assert_eq!(
        got(&server, "/", json!(["SET", "foo", "bar", "EX", 100])).await,
        (200, json!({"result": "OK"}))
    );
    assert_eq!(
        got(&server, "/", json!(["GET", "foo"])).await,
        (200, json!({"result": "bar"}))
    );
    assert_eq!(
        got(&server, "/", json!(["TTL", "foo"])).await,
        (200, json!({"result": 100}))
    );
    assert_eq!(
        got(&server, "/", json!(["GET", "none"])).await,
        (200, json!({"result": null}))
    );
}

#[tokio::test]
async fn a_failed_single_command_is_a_bad_request() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    got(&server, "/", json!(["SET", "k", "text"])).await;
    let error = "WRONGTYPE Operation against a key holding the wrong kind of value";
    assert_eq!(
        got(&server, "/", json!(["HSET", "k", "f", "v"])).await,
        (400, json!({ "error": error }))
    );
}

#[tokio::test]
async fn a_pipeline_answers_command_by_command_inside_two_hundred() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let body = json!([
        ["HSET", "h", "a", "1", "b", 2],
        ["INCR", "h"],
        [],
        ["HGETALL", "h"],
        ["SELECT", 1]
    ]);
    let (status, answer) = got(&server, "/pipeline", body).await;
    assert_eq!(status, 200);
    assert_eq!(
        answer,
        json!([
            {"result": 2},
            {"error": "WRONGTYPE Operation against a key holding the wrong kind of value"},
            {"error": "ERR empty pipeline command"},
            {"result": ["a", "1", "b", "2"]},
            {"error": "ERR Command is not available: 'select'"},
        ])
    );
}

#[tokio::test]
async fn a_transaction_answers_with_an_array_or_one_error() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let (status, answer) = got(
        &server,
        "/multi-exec",
        json!([["SET", "k", "v"], ["INCR", "k"], ["GET", "k"]]),
    )
    .await;
    assert_eq!(status, 200);
    let error = "ERR value is not an integer or out of range";
    assert_eq!(
        answer,
        json!([{"result": "OK"}, {"error": error}, {"result": "v"}])
    );
    let (status, answer) = got(
        &server,
        "/multi-exec",
        json!([["SET", "k", "w"], ["NONSENSE"]]),
    )
    .await;
    assert_eq!(status, 400);
    assert_eq!(
        answer,
        json!({"error": "EXECABORT Transaction discarded because of previous errors."})
    );
    assert_eq!(
        redis.command(&["GET", "k"]),
        redis::Value::BulkString(b"v".to_vec())
    );
}

#[tokio::test]
async fn bad_bodies_are_refused_with_the_documented_texts() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    for (path, body, error) in [
        ("/", "{", "ERR failed to parse command"),
        ("/", "[[1]]", "ERR failed to parse command"),
        ("/", "[]", "ERR empty command"),
        ("/pipeline", "[1]", "ERR failed to parse pipeline request"),
        ("/pipeline", "[]", "ERR empty pipeline request"),
        ("/multi-exec", "[]", "ERR empty pipeline request"),
    ] {
        let (status, text) = raw(&server, Method::POST, path, Some(TOKEN), body).await;
        assert_eq!(
            (status, text),
            (400, json!({ "error": error }).to_string()),
            "{path} {body}"
        );
    }
}

#[tokio::test]
async fn a_command_may_be_a_path_with_body_and_query() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let ok = (200, r#"{"result":"OK"}"#.to_owned());
    assert_eq!(
        raw(&server, Method::GET, "/set/a%2Fb/v/EX/100", Some(TOKEN), "").await,
        ok
    );
    assert_eq!(
        raw(
            &server,
            Method::PUT,
            "/set/k?EX=50",
            Some(TOKEN),
            "from the body"
        )
        .await,
        ok
    );
    assert_eq!(
        redis.command(&["GET", "a/b"]),
        redis::Value::BulkString(b"v".to_vec())
    );
    assert_eq!(
        redis.command(&["GET", "k"]),
        redis::Value::BulkString(b"from the body".to_vec())
    );
    assert_eq!(redis.command(&["TTL", "k"]), redis::Value::Int(50));
    let by_query = raw(
        &server,
        Method::GET,
        &format!("/get/k?_token={TOKEN}"),
        None,
        "",
    )
    .await;
    assert_eq!(by_query, (200, r#"{"result":"from the body"}"#.to_owned()));
    assert_eq!(
        raw(&server, Method::HEAD, "/get/k", Some(TOKEN), "").await,
        (200, String::new())
    );
}

#[tokio::test]
async fn a_wrong_or_missing_token_is_unauthorized() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let refused = (
        401,
        r#"{"error":"WRONGPASS invalid or missing auth token"}"#.to_owned(),
    );
    assert_eq!(
        raw(&server, Method::POST, "/", None, r#"["PING"]"#).await,
        refused
    );
    assert_eq!(
        raw(
            &server,
            Method::POST,
            "/pipeline",
            Some("other"),
            r#"[["PING"]]"#
        )
        .await,
        refused
    );
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    assert_eq!(
        raw(&server, Method::DELETE, "/get/k", Some(TOKEN), "").await,
        (405, String::new())
    );
}

#[tokio::test]
async fn the_read_only_token_reads_and_neither_writes_nor_scans() {
    let redis = RedisOptions::default().password("hush").start();
    let server = UpstashServer::start(&redis);
    redis.command(&["SET", "k", "v"]);
    let body = r#"[["GET","k"],["SET","k","w"],["SCAN","0"]]"#;
    let (status, text) = raw(
        &server,
        Method::POST,
        "/pipeline",
        Some(READ_ONLY_TOKEN),
        body,
    )
    .await;
    let refused = |name| {
        format!("NOPERM this user has no permissions to run the '{name}' command or its subcommand")
    };
    let expected = json!([{"result": "v"}, {"error": refused("set")}, {"error": refused("scan")}]);
    assert_eq!((status, text), (200, expected.to_string()));
}

#[tokio::test]
async fn base64_wraps_every_text_but_ok() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    redis.command(&["RPUSH", "list", "a", "OK"]);
    let request = client(&server)
        .post(format!("{}/pipeline", server.url()))
        .bearer_auth(TOKEN);
    let body = r#"[["SET","k","v"],["LRANGE","list",0,-1],["NOPE"]]"#;
    let response = request
        .header("Upstash-Encoding", "base64")
        .body(body)
        .send()
        .await
        .unwrap();
    assert!(response.headers().contains_key("upstash-sync-token"));
    let text = response.text().await.unwrap();
    assert!(
        text.starts_with(
            r#"[{"result":"OK"},{"result":["YQ==","OK"]},{"error":"ERR unknown command"#
        ),
        "{text}"
    );
}

#[tokio::test]
async fn one_command_past_the_size_limit_is_too_large_whatever_the_body_weighs() {
    let redis = RedisServer::start();
    let server = UpstashOptions::default()
        .request_bytes_max(1000)
        .start(&redis);
    let small = "x".repeat(400);
    let many = json!([
        ["SET", "a", small],
        ["SET", "b", small],
        ["SET", "c", small]
    ]);
    assert_eq!(got(&server, "/pipeline", many).await.0, 200);
    let (status, answer) = got(
        &server,
        "/pipeline",
        json!([["SET", "a", "x".repeat(1000)]]),
    )
    .await;
    assert_eq!(status, 413);
    let error = answer["error"].as_str().unwrap();
    assert!(
        error.starts_with("ERR max request size exceeded. Limit: 1000, Actual: 10"),
        "{error}"
    );
    let (status, answer) = got(&server, "/", json!(["MGET", "a", "b", "c"])).await;
    assert_eq!(status, 200);
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .starts_with("ERR max request size exceeded"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_used_up_quota_is_a_bad_request() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    server.set_commands_max(Some(2));
    assert_eq!(
        got(
            &server,
            "/pipeline",
            json!([["SET", "a", 1], ["SET", "b", 1]])
        )
        .await
        .0,
        200
    );
    let (status, answer) = got(&server, "/", json!(["GET", "a"])).await;
    let error = answer["error"].as_str().unwrap();
    assert_eq!(status, 400);
    assert!(
        error.starts_with(
            "ERR max requests limit exceeded. Limit: 2, Usage: 2. See https://upstash.com/"
        ),
        "{error}"
    );
    assert_eq!(server.stats().commands, 2);
}

#[tokio::test]
async fn tls_gives_the_http_version_that_alpn_agrees_on() {
    let redis = RedisServer::start();
    for (protocols, version) in [
        (Protocols::Http1AndHttp2, Version::HTTP_2),
        (Protocols::Http2, Version::HTTP_2),
        (Protocols::Http1, Version::HTTP_11),
    ] {
        let server = UpstashOptions::default()
            .tls()
            .protocols(protocols)
            .start(&redis);
        let client = client(&server);
        for _ in 0..3 {
            let got = post(&client, &server, "/", &json!(["PING"])).await.unwrap();
            assert_eq!(
                (got.status, got.version, got.json),
                (200, version, json!({"result": "PONG"}))
            );
        }
        let stats = server.stats();
        assert_eq!(
            (stats.connections, stats.handshakes, stats.requests()),
            (1, 1, 3),
            "{protocols:?}"
        );
        assert_eq!(
            stats.requests_http2,
            if version == Version::HTTP_2 { 3 } else { 0 }
        );
    }
}

#[tokio::test]
async fn plain_http_two_works_by_prior_knowledge() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let got = post(&client_h2c(&server), &server, "/", &json!(["PING"]))
        .await
        .unwrap();
    assert_eq!((got.status, got.version), (200, Version::HTTP_2));
    assert_eq!(server.stats().handshakes, 0);
}

#[tokio::test]
async fn commands_bytes_and_recorded_requests_are_counted() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    server.record();
    got(
        &server,
        "/pipeline",
        json!([["SET", "a", 1], ["SET", "b", "x".repeat(5000)]]),
    )
    .await;
    let stats = server.stats();
    assert_eq!(
        (stats.commands, stats.applied, stats.in_flight_max),
        (2, 2, 1)
    );
    assert!(
        stats.bytes_read > 5000 && stats.bytes_written > 50,
        "{stats:?}"
    );
    let recorded = server.recorded();
    assert_eq!(recorded.len(), 1);
    assert_eq!(
        recorded[0][0],
        crate::support::resp::command(&["SET", "a", "1"])
    );
}

#[tokio::test]
async fn a_delay_holds_requests_without_holding_each_other() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    server.set_delay(std::time::Duration::from_millis(50));
    let client = client_h2c(&server);
    let body = json!(["PING"]);
    let calls = (0..8).map(|_| post(&client, &server, "/", &body));
    assert!(
        futures::future::join_all(calls)
            .await
            .iter()
            .all(Result::is_ok)
    );
    let stats = server.stats();
    assert_eq!((stats.requests_http2, stats.in_flight_max), (8, 8));
}

#[tokio::test]
async fn a_store_that_is_away_is_a_server_error_until_it_is_back() {
    let mut redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    assert_eq!(got(&server, "/", json!(["PING"])).await.0, 200);
    redis.kill9();
    assert_eq!(
        got(&server, "/", json!(["PING"])).await,
        (500, json!({"error": "DB connection refused"}))
    );
    redis.restart();
    assert_eq!(got(&server, "/", json!(["PING"])).await.0, 200);
}

#[tokio::test]
async fn a_closed_port_refuses_and_an_opened_one_serves() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let address = server.address();
    server.refuse();
    let error = post(&client(&server), &server, "/", &json!(["PING"]))
        .await
        .unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    server.listen();
    assert_eq!(server.address(), address);
    assert_eq!(got(&server, "/", json!(["PING"])).await.0, 200);
}

#[tokio::test]
async fn connections_that_stand_can_be_ended_between_requests() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    let client = client_h2c(&server);
    let body = json!(["PING"]);
    for flow in [Flow::Close, Flow::Reset] {
        assert!(post(&client, &server, "/", &body).await.is_ok());
        server.turn_connections(flow);
        // Whether the client meets the dead connection or sees its end in time, a later call is well.
        drop(post(&client, &server, "/", &body).await);
    }
    assert!(post(&client, &server, "/", &body).await.is_ok());
    assert!(server.stats().connections >= 3);
}
