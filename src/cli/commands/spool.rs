//! `barmill spool`: spooled items and dead letters in the state folder.

mod listing;

use super::reconcile;
use super::settings::{self, Assembly};
use crate::cli::exit::{CommandError, Exit, complain};
use crate::cli::flags::{LeaseFlag, Shared};
use crate::config::{Config, Environment};
use crate::pipeline::{End, Pipeline};
use crate::port::StateError;
use barmill_stores::state::{
    Inspector, StateCheck, StateSettings, StateTable, Target, TargetState, forget, state_files,
    targets,
};
use clap::{Args, Subcommand};
use listing::{FolderListing, TargetListing};
use std::fs::File;
use std::io::{BufWriter, Write, stderr, stdout};
use std::path::{Path, PathBuf};

/// What to do with the state folder of a barmill that is not running.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct SpoolArguments {
    /// What to do.
    #[command(subcommand)]
    action: SpoolAction,
}

/// What to do with the spool.
#[derive(Debug, Clone, Subcommand)]
enum SpoolAction {
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
struct TableArguments {
    /// Dead letters, instead of spooled items.
    #[arg(long)]
    dead_letters: bool,
    /// Recently acked closed bars, instead of spooled items.
    #[arg(long)]
    recent: bool,
}

/// What to list.
#[derive(Debug, Clone, Args)]
struct LsArguments {
    /// Which rows.
    #[command(flatten)]
    table: TableArguments,
    /// Rows to show.
    #[arg(long, value_name = "N", default_value_t = 10)]
    rows: usize,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shared: Shared,
}

/// What to verify.
#[derive(Debug, Clone, Args)]
struct CheckStateArguments {
    /// Another file of the state folder, such as a damaged one that was moved aside.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shared: Shared,
}

/// What to write out.
#[derive(Debug, Clone, Args)]
struct ExportArguments {
    /// Which rows.
    #[command(flatten)]
    table: TableArguments,
    /// Another file of the state folder, such as a damaged one that was moved aside.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Write to this file, which must not exist, instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    shared: Shared,
}

/// What to send.
#[derive(Debug, Clone, Args)]
struct RedeliverArguments {
    /// Send dead letters too, except bars that the sink has in this or a newer version.
    #[arg(long)]
    dead_letters: bool,
    /// The store to send to, with the view of the config [sink.url]
    #[arg(long, visible_alias = "sink", value_name = "URL")]
    to: Option<String>,
    /// Send the items of another store, by its id in `barmill spool ls`, such as a store that has moved.
    #[arg(long, value_name = "ID")]
    from: Option<String>,
    #[command(flatten)]
    lease: LeaseFlag,
    /// Print one JSON object with all counts at the end.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shared: Shared,
}

/// Carries out one action on the state folder.
pub(super) async fn run(
    arguments: &SpoolArguments,
    config: &Config,
    environment: &Environment,
) -> Result<Exit, CommandError> {
    match &arguments.action {
        SpoolAction::Ls(arguments) => list(arguments, config),
        SpoolAction::Check(arguments) => check(arguments, config),
        SpoolAction::Export(arguments) => export(arguments, config),
        SpoolAction::Redeliver(arguments) => redeliver(arguments, config, environment).await,
    }
}

/// Several stores have items in the folder, and none was named.
#[derive(Debug, thiserror::Error)]
enum TargetError {
    /// A file is to be chosen.
    #[error("the state folder holds items for several stores; choose one with --file:{0}")]
    Several(String),
    /// Nothing waits for the store that was named.
    #[error(
        "nothing waits for `{wanted}`; the state folder holds items for other stores, which `--from ID` sends to this one:{found}"
    )]
    Other { wanted: String, found: String },
    /// No such target.
    #[error("the state folder has no target {id}; it has:{found}")]
    Unknown { id: String, found: String },
}

/// A line for each target.
fn lines(targets: &[TargetState]) -> String {
    let line = |one: &TargetState| {
        let text = one
            .target
            .as_ref()
            .map_or("no store is named", Target::as_str);
        format!(
            "\n  {}: {} items and {} dead letters for {text}, in {}",
            one.id(),
            one.spool.items,
            one.spool.dead_letters,
            one.file.display()
        )
    };
    targets.iter().map(line).collect()
}

/// Opens the only state file, or the one that is named; `None` when nothing was ever kept there.
fn open(config: &Config, file: Option<&Path>) -> Result<Option<Inspector>, CommandError> {
    let settings = settings::state_settings(config);
    let file = match file {
        Some(file) if file.exists() => file.to_owned(),
        Some(file) => settings.folder.join(file),
        None => match state_files(&settings.folder).as_slice() {
            [] => return Ok(None),
            [only] => only.clone(),
            _ => {
                let targets = targets(&settings)?;
                return Err(TargetError::Several(lines(&targets)).into());
            }
        },
    };
    Ok(Some(Inspector::open(&settings, Some(&file))?))
}

/// What waits in the state folder, in a few words.
pub(super) fn standing(config: &Config) -> Result<String, CommandError> {
    let folder = config.run.state_dir.display();
    let targets = match targets(&settings::state_settings(config)) {
        Err(StateError::Locked { .. }) => {
            return Ok(format!("spool {folder} is in use by a barmill that runs"));
        }
        found => found?,
    };
    if targets.is_empty() {
        return Ok(format!("spool {folder} is empty"));
    }
    let items: u64 = targets.iter().map(|one| one.spool.items).sum();
    let letters: u64 = targets.iter().map(|one| one.spool.dead_letters).sum();
    let text = format!("spool {folder} holds {items} items and {letters} dead letters");
    let waiting = targets.iter().filter(|one| !one.is_empty()).count();
    Ok(if waiting > 1 {
        format!("{text} for {waiting} stores, see `barmill spool ls`")
    } else {
        text
    })
}

const fn table(asked: TableArguments) -> StateTable {
    match (asked.dead_letters, asked.recent) {
        (true, _) => StateTable::DeadLetters,
        (false, true) => StateTable::Recent,
        (false, false) => StateTable::Spool,
    }
}

fn list(arguments: &LsArguments, config: &Config) -> Result<Exit, CommandError> {
    let settings = settings::state_settings(config);
    let mut listings = Vec::new();
    for state in targets(&settings)? {
        let mut inspector = Inspector::open(&settings, Some(&state.file))?;
        let rows = inspector.first(table(arguments.table), arguments.rows)?;
        listings.push(TargetListing {
            id: state.id(),
            target: state.target.map(|target| target.to_string()),
            summary: inspector.summary()?,
            rows,
        });
    }
    let folder = FolderListing {
        bytes_max: settings.bounds.spool_bytes_max,
        targets: listings,
    };
    if arguments.json {
        writeln!(stdout(), "{}", folder.json())?;
    } else {
        write!(stdout(), "{}", folder.text())?;
    }
    Ok(Exit::Drained)
}

fn check(arguments: &CheckStateArguments, config: &Config) -> Result<Exit, CommandError> {
    let settings = settings::state_settings(config);
    let mut total = StateCheck::default();
    if arguments.file.is_some() {
        if let Some(mut inspector) = open(config, arguments.file.as_deref())? {
            total = inspector.check()?;
        }
    } else {
        for file in state_files(&settings.folder) {
            total.add(Inspector::open(&settings, Some(&file))?.check()?);
        }
    }
    let StateCheck {
        intact,
        faults,
        shown,
    } = total;
    let mut out = stdout();
    if arguments.json {
        writeln!(
            out,
            "{}",
            serde_json::json!({ "intact": intact, "faults": faults, "shown": shown })
        )?;
    } else {
        for fault in &shown {
            writeln!(out, "{fault}")?;
        }
        writeln!(out, "{intact} values are intact, {faults} are damaged")?;
    }
    Ok(if faults == 0 {
        Exit::Drained
    } else {
        Exit::Fault
    })
}

fn export(arguments: &ExportArguments, config: &Config) -> Result<Exit, CommandError> {
    let mut inspector = open(config, arguments.file.as_deref())?;
    let mut rows = |out: &mut dyn Write| match &mut inspector {
        Some(inspector) => inspector.export(table(arguments.table), out),
        None => Ok(0),
    };
    let count = match &arguments.out {
        Some(path) => {
            let mut out = BufWriter::new(File::create_new(path)?);
            let count = rows(&mut out)?;
            out.into_inner()
                .map_err(std::io::IntoInnerError::into_error)?
                .sync_all()?;
            count
        }
        None => rows(&mut stdout().lock())?,
    };
    writeln!(
        stderr(),
        "{count} rows written out; they stay in the state folder"
    )?;
    Ok(Exit::Drained)
}

async fn redeliver(
    arguments: &RedeliverArguments,
    config: &Config,
    environment: &Environment,
) -> Result<Exit, CommandError> {
    let target = config.target(environment)?;
    let zone = settings::zone_of_state(config)?;
    let own = settings::state_target(config, &target, &zone);
    let settings = settings::state_settings(config);
    let chosen = StateSettings {
        target: chosen(arguments.from.as_deref(), &own, &targets(&settings)?)?,
        ..settings
    };
    let is_moved = chosen.target.as_ref() != Some(&own);
    let dead_letters = arguments.dead_letters;
    let build = |ports, settings| Pipeline::redeliver(ports, settings, dead_letters);
    let state = Some(settings::lazy_state(chosen.clone()));
    let run = Assembly {
        config,
        target,
        zone,
    };
    let finished = reconcile::send(&run, state, build).await?;
    if is_moved && matches!(finished.end, End::Drained) {
        // Its checkpoints speak of a store that did not get these items.
        forget(&chosen)?;
    }
    if arguments.json {
        writeln!(stdout(), "{}", reconcile::json(&finished.summary))?;
    } else {
        writeln!(stderr(), "{}", reconcile::sent(&finished.summary))?;
    }
    let exit = reconcile::exit(finished);
    Ok(exit.unwrap_or_else(|error| complain("redeliver", error.as_ref(), Exit::Fault)))
}

/// Whose items are sent: those of the store itself, or of the target that is named by id.
fn chosen(
    from: Option<&str>,
    own: &Target,
    targets: &[TargetState],
) -> Result<Option<Target>, TargetError> {
    if let Some(id) = from {
        let found = targets.iter().find(|one| one.id() == id);
        return found
            .map(|one| one.target.clone())
            .ok_or_else(|| TargetError::Unknown {
                id: id.to_owned(),
                found: lines(targets),
            });
    }
    let has_own = targets.iter().any(|one| one.target.as_ref() == Some(own));
    let others: Vec<TargetState> = targets
        .iter()
        .filter(|one| !one.is_empty())
        .cloned()
        .collect();
    if has_own || others.is_empty() {
        return Ok(Some(own.clone()));
    }
    Err(TargetError::Other {
        wanted: own.to_string(),
        found: lines(&others),
    })
}
