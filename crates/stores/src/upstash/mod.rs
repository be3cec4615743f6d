//! Redis of Upstash over REST.

mod client;
pub(crate) mod reply;
pub(crate) mod store;
mod url;

pub use client::{RestError, RestSettings};
pub use store::RestStore;
pub use url::RestUrl;
