//! The TCP fault proxy does to RESP connections what it is told.

use std::time::Duration;

use redis::{Connection, RedisResult, Value};

use crate::support::proxy::{Cut, Direction, FaultProxy, ProxyFault};
use crate::support::redis::RedisServer;

/// For what never comes.
const IMPATIENT: Duration = Duration::from_millis(200);
/// For what comes, on a busy machine too.
const PATIENT: Duration = Duration::from_secs(20);

fn bench() -> (RedisServer, FaultProxy) {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port());
    (redis, proxy)
}

fn connect(proxy: &FaultProxy) -> RedisResult<Connection> {
    connect_within(proxy, PATIENT)
}

fn connect_within(proxy: &FaultProxy, timeout: Duration) -> RedisResult<Connection> {
    let client = redis::Client::open(format!("redis://{}/", proxy.address()))?;
    let connection = client.get_connection_with_timeout(timeout)?;
    connection.set_read_timeout(Some(timeout))?;
    Ok(connection)
}

fn set(connection: &mut Connection, key: &str) -> RedisResult<Value> {
    redis::cmd("SET").arg(key).arg("v").query(connection)
}

#[test]
fn bytes_pass_and_connections_are_counted() {
    let (redis, proxy) = bench();
    for key in ["a", "b"] {
        assert_eq!(set(&mut connect(&proxy).unwrap(), key), Ok(Value::Okay));
    }
    assert_eq!(redis.command(&["DBSIZE"]), Value::Int(2));
    assert_eq!(proxy.connections(), 2);
}

#[test]
fn a_cut_before_the_first_byte_of_the_answer_loses_it_after_the_write() {
    for cut in [Cut::Close, Cut::Reset] {
        let (redis, proxy) = bench();
        let mut connection = connect(&proxy).unwrap();
        proxy.set(ProxyFault::CutAfter {
            direction: Direction::ToClient,
            bytes: 0,
            cut,
        });
        let error = set(&mut connection, "a").unwrap_err();
        assert!(
            error.is_connection_dropped() || error.is_io_error(),
            "{error:?}"
        );
        assert_eq!(redis.command(&["DBSIZE"]), Value::Int(1), "{cut:?}");
    }
}

#[test]
fn a_cut_within_the_command_applies_nothing() {
    let (redis, proxy) = bench();
    let mut connection = connect(&proxy).unwrap();
    proxy.set(ProxyFault::CutAfter {
        direction: Direction::ToServer,
        bytes: 10,
        cut: Cut::Close,
    });
    assert!(set(&mut connection, "a").is_err());
    assert_eq!(redis.command(&["DBSIZE"]), Value::Int(0));
    proxy.set(ProxyFault::None);
    assert_eq!(set(&mut connect(&proxy).unwrap(), "a"), Ok(Value::Okay));
}

#[test]
fn a_black_hole_is_silent_and_loses_nothing() {
    let (redis, proxy) = bench();
    let mut connection = connect(&proxy).unwrap();
    proxy.set(ProxyFault::BlackHole);
    connection.set_read_timeout(Some(IMPATIENT)).unwrap();
    assert!(set(&mut connection, "a").unwrap_err().is_timeout());
    assert_eq!(redis.command(&["DBSIZE"]), Value::Int(0));
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn a_delay_holds_back_what_passes() {
    let (_redis, proxy) = bench();
    let mut connection = connect(&proxy).unwrap();
    let long = Duration::from_mins(1);
    proxy.set(ProxyFault::Delay {
        to_server: Duration::ZERO,
        to_client: long,
    });
    connection.set_read_timeout(Some(IMPATIENT)).unwrap();
    assert!(set(&mut connection, "a").unwrap_err().is_timeout());
    let short = Duration::from_millis(5);
    proxy.set(ProxyFault::Delay {
        to_server: short,
        to_client: short,
    });
    assert_eq!(set(&mut connect(&proxy).unwrap(), "b"), Ok(Value::Okay));
}

#[test]
fn a_hang_and_a_reset_meet_new_connections() {
    let (_redis, proxy) = bench();
    proxy.set(ProxyFault::HangAtConnect);
    let hung =
        connect_within(&proxy, IMPATIENT).and_then(|mut connection| set(&mut connection, "a"));
    assert!(hung.unwrap_err().is_timeout());
    proxy.set(ProxyFault::ResetAtConnect);
    assert!(
        connect(&proxy)
            .and_then(|mut connection| set(&mut connection, "a"))
            .is_err()
    );
    proxy.set(ProxyFault::None);
    assert_eq!(set(&mut connect(&proxy).unwrap(), "a"), Ok(Value::Okay));
}

#[test]
fn a_closed_port_refuses_and_an_opened_one_serves() {
    let (_redis, proxy) = bench();
    let mut standing = connect(&proxy).unwrap();
    proxy.refuse();
    assert!(connect(&proxy).err().unwrap().is_connection_refusal());
    assert_eq!(set(&mut standing, "a"), Ok(Value::Okay));
    proxy.listen();
    assert_eq!(set(&mut connect(&proxy).unwrap(), "a"), Ok(Value::Okay));
}
