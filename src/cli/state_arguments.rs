//! The arguments of the commands that work on the state folder: reconcile and spool.

use super::arguments::Shared;
use crate::config::Flag;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What puts a store right that lost what it had acked.
#[derive(Debug, Clone, Args)]
pub struct ReconcileArguments {
    /// The store to compare and repair [sink.url]
    #[arg(long, value_name = "URL")]
    pub sink: Option<String>,
    /// Take over the lease of another writer.
    #[arg(
        long,
        help = "Take over the lease of another writer of the namespace [writer.take_over]"
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
    /// List spooled items, dead letters, recent bars and counts, with the first rows.
    Ls(LsArguments),
    /// Verify every value; the exit code is 1 if something is damaged.
    Check(CheckStateArguments),
    /// Export rows as JSON lines; a damaged row becomes a line that names the error.
    Export(ExportArguments),
    /// Send spooled items to the sink; with --dead-letters, also retry dead letters.
    Redeliver(RedeliverArguments),
}

/// Which rows of the state.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
pub struct TableArguments {
    /// Dead letters, instead of spooled items.
    #[arg(long)]
    pub dead_letters: bool,
    /// Recently acked closed bars, instead of spooled items.
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
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    shared: Shared,
}

/// What to verify.
#[derive(Debug, Clone, Args)]
pub struct CheckStateArguments {
    /// Another file of the state folder, such as a damaged one that was moved aside.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print one JSON object instead of text.
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
    /// Another file of the state folder, such as a damaged one that was moved aside.
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
    /// Send dead letters too, except bars that the sink has in this or a newer version.
    #[arg(long)]
    pub dead_letters: bool,
    /// The store to send to, with the view of the config [sink.url]
    #[arg(long, visible_alias = "sink", value_name = "URL")]
    pub to: Option<String>,
    /// Send the items of another store, by its id in `barmill spool ls`, such as a store that has moved.
    #[arg(long, value_name = "ID")]
    pub from: Option<String>,
    /// Take over the lease of another writer.
    #[arg(
        long,
        help = "Take over the lease of another writer of the namespace [writer.take_over]"
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
