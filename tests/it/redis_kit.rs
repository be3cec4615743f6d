//! The test Redis does what the tests rely on.

use redis::Value;

use crate::support::redis::{RedisOptions, RedisServer};

fn text(value: &str) -> Value {
    Value::BulkString(value.as_bytes().to_vec())
}

#[test]
fn a_started_server_answers() {
    let server = RedisServer::start();
    assert_eq!(server.command(&["SET", "k", "v"]), Value::Okay);
    assert_eq!(server.command(&["GET", "k"]), text("v"));
}

#[test]
fn two_servers_share_nothing() {
    let (first, second) = (RedisServer::start(), RedisServer::start());
    first.command(&["SET", "k", "v"]);
    assert_ne!(first.port(), second.port());
    assert_eq!(second.command(&["GET", "k"]), Value::Nil);
}

#[test]
fn a_password_is_asked_for() {
    let server = RedisOptions::default().password("hush").start();
    assert_eq!(
        server.command(&["PING"]),
        Value::SimpleString("PONG".to_owned())
    );
    let stranger = redis::Client::open(format!("redis://127.0.0.1:{}/", server.port())).unwrap();
    let error = redis::cmd("GET")
        .arg("k")
        .query::<Value>(&mut stranger.get_connection().unwrap())
        .unwrap_err();
    assert_eq!(error.code(), Some("NOAUTH"));
}

#[test]
fn a_full_memory_refuses_writes() {
    let server = RedisOptions::default().maxmemory("2mb").start();
    let error = server
        .try_command(&["SET", "k", &"x".repeat(3_000_000)])
        .unwrap_err();
    assert_eq!(error.code(), Some("OOM"));
}

#[test]
fn a_durable_server_keeps_its_data_over_kill_nine() {
    let mut server = RedisOptions::default().durable().start();
    server.command(&["SET", "k", "v"]);
    let port = server.port();
    server.kill9();
    assert!(server.try_command(&["PING"]).is_err());
    server.restart();
    assert_eq!(server.port(), port);
    assert_eq!(server.command(&["GET", "k"]), text("v"));
}

#[test]
fn a_plain_server_forgets_over_restart() {
    let mut server = RedisServer::start();
    server.command(&["SET", "k", "v"]);
    server.restart();
    assert_eq!(server.command(&["GET", "k"]), Value::Nil);
}

#[test]
fn a_paused_server_is_silent_until_resumed() {
    let server = RedisServer::start();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    server.pause();
    connection
        .set_read_timeout(Some(std::time::Duration::from_millis(50)))
        .unwrap();
    assert!(
        redis::cmd("PING")
            .query::<Value>(&mut connection)
            .unwrap_err()
            .is_timeout()
    );
    server.resume();
    assert_eq!(
        server.command(&["PING"]),
        Value::SimpleString("PONG".to_owned())
    );
}
