//! History by REST against local servers that speak each venue's protocol, with and without faults.

mod clean;
mod paging;
mod patience;
mod recorded;
mod safety;
pub(crate) mod server;
pub(crate) mod speak;
pub(crate) mod tape;
