//! The official Upstash clients take the test server for the real one.

use serde_json::{Value, json};

use crate::support::oracle::{Language, Oracle};
use crate::support::redis::RedisServer;
use crate::support::upstash::{Protocols, UpstashOptions, UpstashServer};

/// `hset` takes an object in JavaScript and keyword arguments in Python; both are the last argument here.
fn fields(language: Language, fields: Value) -> Value {
    match language {
        Language::JavaScript => fields,
        Language::Python => json!({ "values": fields }),
    }
}

/// Runs the calls against a server over TLS, where the client is there.
fn ask(language: Language, calls: &Value) -> Option<Value> {
    let oracle = Oracle::find(language)?;
    let redis = RedisServer::start();
    let server = UpstashOptions::default()
        .tls()
        .protocols(Protocols::Http1AndHttp2)
        .start(&redis);
    let answers = oracle.run(&server, calls);
    assert!(server.stats().handshakes > 0, "{language:?} came over TLS");
    Some(answers)
}

fn values_are_read_back(language: Language) {
    let calls = json!([
        {"call": "set", "args": ["k", "v \u{e9} 1.50"]},
        {"call": "get", "args": ["k"]},
        {"call": "get", "args": ["none"]},
        {"call": "hset", "args": ["h", fields(language, json!({"09:30": "1,2", "09:31": "3,4"}))]},
        {"call": "hgetall", "args": ["h"]},
        {"call": "expire", "args": ["h", 7200]},
        {"call": "ttl", "args": ["h"]},
    ]);
    let Some(answers) = ask(language, &calls) else {
        return;
    };
    // The Python client makes booleans of the replies to EXPIRE and SET.
    let (ok, one) = match language {
        Language::JavaScript => (json!("OK"), json!(1)),
        Language::Python => (json!(true), json!(true)),
    };
    let expected = json!([
        {"result": ok},
        {"result": "v \u{e9} 1.50"},
        {"result": null},
        {"result": 2},
        {"result": {"09:30": "1,2", "09:31": "3,4"}},
        {"result": one},
        {"result": 7200},
    ]);
    assert_eq!(answers, expected);
}

fn batches_and_their_errors_are_understood(language: Language) {
    let batch = json!([
        {"call": "set", "args": ["k", "v"]},
        {"call": "incr", "args": ["k"]},
        {"call": "get", "args": ["k"]},
    ]);
    let fine = json!([{"call": "rpush", "args": ["l", "a", "b"]}, {"call": "lrange", "args": ["l", 0, -1]}]);
    let calls = json!([
        {"pipeline": fine}, {"multi": fine}, {"pipeline": batch}, {"multi": batch},
        {"call": "incr", "args": ["k"]},
    ]);
    let Some(answers) = ask(language, &calls) else {
        return;
    };
    assert_eq!(answers[0], json!({"result": [2, ["a", "b"]]}));
    assert_eq!(answers[1], json!({"result": [4, ["a", "b", "a", "b"]]}));
    for place in 2..5 {
        let error = answers[place]["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{place}: {answers}"));
        assert!(
            error.contains("ERR value is not an integer or out of range"),
            "{place}: {error}"
        );
    }
}

#[test]
fn the_javascript_client_reads_values_back() {
    values_are_read_back(Language::JavaScript);
}

#[test]
fn the_python_client_reads_values_back() {
    values_are_read_back(Language::Python);
}

#[test]
fn the_javascript_client_understands_batches_and_their_errors() {
    batches_and_their_errors_are_understood(Language::JavaScript);
}

#[test]
fn the_python_client_understands_batches_and_their_errors() {
    batches_and_their_errors_are_understood(Language::Python);
}

#[test]
fn a_used_up_quota_reaches_the_users_of_both_clients() {
    for language in [Language::JavaScript, Language::Python] {
        let Some(oracle) = Oracle::find(language) else {
            continue;
        };
        let redis = RedisServer::start();
        let server = UpstashServer::start(&redis);
        server.set_commands_max(Some(1));
        let calls = json!([{"call": "set", "args": ["a", "1"]}, {"call": "get", "args": ["a"]}]);
        let answers = oracle.run(&server, &calls);
        let error = answers[1]["error"].as_str().unwrap();
        assert!(
            error.contains("ERR max requests limit exceeded. Limit: 1, Usage: 1."),
            "{language:?}: {error}"
        );
    }
}
