//! History by REST against local servers that speak each venue's protocol, with and without faults.

mod clean;
mod paging;
mod patience;
mod recorded;
pub(crate) mod recording;
mod safety;
pub(crate) mod server;
pub(crate) mod speak;
