//! The commands, carried out: config and arguments become a pipeline or a reader.

mod bars;
mod check;
mod dispatch;
mod replay;
mod signals;
mod wire;

pub(crate) use dispatch::run;
