//! Owners of bars: pipelines of another namespace, source, rules, session or zone never write among each other's bars.

pub(crate) mod claim_tracker;
pub(crate) mod claims;

pub use claims::{Owner, SymbolSources};
