//! What the integration tests stand on: real servers, fault injection, and recorded or made data.

pub(crate) mod cargo;
pub(crate) mod data;
pub(crate) mod door;
pub(crate) mod dump;
pub(crate) mod fault;
pub(crate) mod flow;
pub(crate) mod host;
pub(crate) mod http;
pub(crate) mod oracle;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod redis;
pub(crate) mod resp;
pub(crate) mod resp_server;
pub(crate) mod skip;
pub(crate) mod trades;
pub(crate) mod upstash;
pub(crate) mod venue;
