//! The faulty server of a wire, or none.

use super::rows::Wire;
use crate::support::fault::{ConnectionFault, Rule};
use crate::support::redis::RedisServer;
use crate::support::resp::Command;
use crate::support::resp_server::RespServer;
use crate::support::upstash::{Protocols, UpstashOptions, UpstashServer};

/// What stands between the program and Redis.
#[derive(Debug)]
pub(super) enum Server {
    Rest(UpstashServer),
    Resp(RespServer),
    /// The program speaks to Redis itself.
    None,
}

impl Server {
    pub(super) fn start(wire: Wire, redis: &RedisServer) -> Server {
        let server = match wire {
            Wire::Resp => return Server::Resp(RespServer::start(redis)),
            Wire::Http1 => UpstashOptions::default()
                .protocols(Protocols::Http1)
                .start(redis),
            Wire::Http2 => UpstashOptions::default()
                .protocols(Protocols::Http2)
                .tls()
                .start(redis),
        };
        server.record();
        Server::Rest(server)
    }

    pub(super) fn url(&self, redis: &RedisServer) -> String {
        match self {
            Server::Rest(server) => server.url(),
            Server::Resp(server) => format!("redis://{}", server.address()),
            Server::None => redis.url(),
        }
    }

    pub(super) fn ca_pem(&self) -> Option<&str> {
        match self {
            Server::Rest(server) => server.ca_pem(),
            Server::Resp(_) | Server::None => None,
        }
    }

    /// Requests so far, where a server counts them.
    pub(super) fn requests(&self) -> Option<u64> {
        match self {
            Server::Rest(server) => Some(server.stats().requests()),
            Server::Resp(server) => Some(server.requests()),
            Server::None => None,
        }
    }

    /// The commands of each request since this was last called.
    pub(super) fn take_recorded(&self) -> Vec<Vec<Command>> {
        match self {
            Server::Rest(server) => {
                let recorded = server.recorded();
                server.record();
                recorded
            }
            Server::Resp(server) => server.take_recorded(),
            Server::None => Vec::new(),
        }
    }

    pub(super) fn inject(&self, rule: Rule) {
        match self {
            Server::Rest(server) => server.inject(rule),
            Server::Resp(server) => server.inject(rule),
            Server::None => panic!("no server that could be faulty"),
        }
    }

    pub(super) fn inject_connections(&self, fault: ConnectionFault, times: usize) {
        match self {
            Server::Rest(server) => server.inject_connections(fault, times),
            Server::Resp(server) => server.inject_connections(fault, times),
            Server::None => panic!("no server that could be faulty"),
        }
    }

    pub(super) fn refuse(&self) {
        match self {
            Server::Rest(server) => server.refuse(),
            Server::Resp(server) => server.refuse(),
            Server::None => panic!("no server that could be faulty"),
        }
    }

    /// Accepts connections and spoils nothing.
    pub(super) fn clear_faults(&self) {
        match self {
            Server::Rest(server) => {
                server.clear_faults();
                server.listen();
            }
            Server::Resp(server) => {
                server.clear_faults();
                server.listen();
            }
            Server::None => {}
        }
    }
}
