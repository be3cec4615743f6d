//! The commands: each turns config and arguments into a pipeline or a reader.

pub(super) mod backfill;
pub(super) mod bars;
pub(super) mod check;
mod dispatch;
mod fetch_report;
pub(super) mod plan;
pub(super) mod reconcile;
pub(super) mod record;
pub(super) mod replay;
pub(super) mod run;
mod settings;
mod signals;
pub(super) mod simulate;
mod source;
pub(super) mod spool;

pub(super) use dispatch::carry_out;
