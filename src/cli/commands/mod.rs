//! The commands: each turns config and arguments into a pipeline or a reader.

mod backfill;
mod banner;
mod bars;
mod check;
mod dispatch;
mod dry_run;
mod forecast;
mod plan;
mod reconcile;
mod record;
mod record_live;
mod replay;
mod run;
mod settings;
mod signals;
mod simulate;
mod source;
mod spool;

pub(crate) use dispatch::carry_out;
