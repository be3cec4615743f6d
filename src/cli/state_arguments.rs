//! The arguments of the commands that work on the state folder: reconcile and spool.

use super::arguments::Shared;
use crate::config::Flag;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What puts a store right that lost what it had acked.
#[derive(Debug, Clone, Args)]
pub struct ReconcileArguments {
    /// The store to compare, and to write to [sink.url]
    #[arg(long, value_name = "URL")]
    pub sink: Option<String>,
    /// Fence out the writer that holds the lease.
    #[arg(
        long,
        help = "Fence out another writer of the namespace that holds the lease [writer.take_over]"
    )]
    pub take_over: bool,
    /// Print one JSON object with all counts at the end.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub(super) shared: Shared,
}

/// What to do with the state folder of a barmill that is not running.
#[derive(Debug, Clone, Args)]
pub struct SpoolArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: SpoolAction,
}

/// What to do with the spool.
#[derive(Debug, Clone, Subcommand)]
pub enum SpoolAction {
    /// Say what waits, what was refused and what is kept besides, with the first rows.
    Ls(LsArguments),
    /// Verify every value; the exit code is 1 when something is damaged.
    Check(CheckStateArguments),
    /// Write rows out as JSON lines; what is damaged becomes a line that names the fault.
    Export(ExportArguments),
    /// Send what waits to the sink, and with --dead-letters what was refused once more.
    Redeliver(RedeliverArguments),
}

/// Which rows of the state.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
pub struct TableArguments {
    /// What the store refused, instead of what waits for it.
    #[arg(long)]
    pub dead_letters: bool,
    /// The closed bars that the store acked lately, instead of what waits for it.
    #[arg(long)]
    pub recent: bool,
}

/// What to list.
#[derive(Debug, Clone, Args)]
pub struct LsArguments {
    /// Which rows.
    #[command(flatten)]
    pub table: TableArguments,
    /// Rows to show.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub rows: usize,
    /// Print one JSON object instead.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    shared: Shared,
}

/// What to verify.
#[derive(Debug, Clone, Args)]
pub struct CheckStateArguments {
    /// Another file of the state folder, such as one that was set aside.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print one JSON object instead.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    shared: Shared,
}

/// What to write out.
#[derive(Debug, Clone, Args)]
pub struct ExportArguments {
    /// Which rows.
    #[command(flatten)]
    pub table: TableArguments,
    /// Another file of the state folder, such as one that was set aside.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Write to this file, which must not exist, instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    shared: Shared,
}

/// What to send.
#[derive(Debug, Clone, Args)]
pub struct RedeliverArguments {
    /// Send the dead letters as well, but for bars that the sink holds in this or a newer version.
    #[arg(long)]
    pub dead_letters: bool,
    /// The store to send to, with the view of the config [sink.url]
    #[arg(long, visible_alias = "sink", value_name = "URL")]
    pub to: Option<String>,
    /// Send what waits for another store, named by its id in `barmill spool ls`, as when a store has moved.
    #[arg(long, value_name = "ID")]
    pub from: Option<String>,
    /// Fence out the writer that holds the lease.
    #[arg(
        long,
        help = "Fence out another writer of the namespace that holds the lease [writer.take_over]"
    )]
    pub take_over: bool,
    /// Print one JSON object with all counts at the end.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    shared: Shared,
}

impl SpoolArguments {
    pub(super) fn shared(&self) -> &Shared {
        match &self.action {
            SpoolAction::Ls(ls) => &ls.shared,
            SpoolAction::Check(check) => &check.shared,
            SpoolAction::Export(export) => &export.shared,
            SpoolAction::Redeliver(redeliver) => &redeliver.shared,
        }
    }

    /// The flags that stand for a key of the config.
    pub(super) fn flags(&self) -> Vec<Flag> {
        match &self.action {
            SpoolAction::Redeliver(redeliver) => {
                flags("--to", redeliver.to.as_ref(), redeliver.take_over)
            }
            SpoolAction::Ls(_) | SpoolAction::Check(_) | SpoolAction::Export(_) => Vec::new(),
        }
    }
}

impl ReconcileArguments {
    /// The flags that stand for a key of the config.
    pub(super) fn flags(&self) -> Vec<Flag> {
        flags("--sink", self.sink.as_ref(), self.take_over)
    }
}

fn flags(name: &'static str, sink: Option<&String>, take_over: bool) -> Vec<Flag> {
    let sink = sink.map(|url| Flag {
        name,
        key: "sink.url",
        value: url.clone(),
    });
    let take_over = take_over.then(|| Flag {
        name: "--take-over",
        key: "writer.take_over",
        value: "yes".to_owned(),
    });
    sink.into_iter().chain(take_over).collect()
}
