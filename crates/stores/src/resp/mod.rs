//! Redis over RESP.

mod connection;
mod reply;
mod store;
mod url;

pub use connection::{RespError, RespSettings};
pub use store::RespStore;
pub use url::RedisUrl;
