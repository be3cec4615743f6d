//! `barmill spool`: spooled items and dead letters in the state folder.

use super::dispatch::CommandError;
use super::{reconcile, settings};
use crate::cli::{
    BudgetUsed, CheckStateArguments, Exit, ExportArguments, FolderListing, LsArguments,
    RedeliverArguments, SpoolAction, SpoolArguments, StateListing, TableArguments, TargetListing,
};
use crate::config::{Config, Environment, SinkTarget};
use crate::pipeline::{End, Pipeline};
use crate::port::StateError;
use barmill_stores::state::{
    Inspector, StateCheck, StateSettings, StateSummary, StateTable, Target, TargetState, forget,
    state_files, targets,
};
use std::fs::File;
use std::io::{BufWriter, Write, stderr, stdout};
use std::path::Path;

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
            listing: StateListing {
                bytes_max: settings.bounds.spool_bytes_max,
                ..listing(inspector.summary()?, rows)
            },
        });
    }
    let folder = FolderListing {
        bytes_max: settings.bounds.spool_bytes_max,
        targets: listings,
    };
    if arguments.json {
        folder.write_json(&mut stdout())?;
    } else {
        folder.write_text(&mut stdout())?;
    }
    Ok(Exit::Drained)
}

fn listing(summary: StateSummary, rows: Vec<serde_json::Value>) -> StateListing {
    let StateSummary {
        spool,
        recent,
        checkpoints,
        budget,
    } = summary;
    StateListing {
        items: spool.items,
        bytes: spool.bytes,
        oldest: spool.oldest.map(|time| time.to_string()),
        dead_letters: spool.dead_letters,
        dead_bytes: spool.dead_bytes,
        recent,
        checkpoints: checkpoints
            .into_iter()
            .map(|(name, place)| (name, place.0))
            .collect(),
        budget: budget.map(|used| BudgetUsed {
            day: used.day.to_string(),
            day_commands: used.day_commands,
            month_commands: used.month_commands,
        }),
        rows,
        ..StateListing::default()
    }
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
    let target = SinkTarget::resolve(config, environment)?;
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
    let finished = reconcile::send(config, (&target, &zone), state, build).await?;
    if is_moved && matches!(finished.end, End::Drained) {
        // Its checkpoints speak of a store that did not get these items.
        forget(&chosen)?;
    }
    let summary = reconcile::sent(&finished.summary);
    if arguments.json {
        summary.write_json(&mut stdout())?;
    } else {
        summary.write_sent(&mut stderr())?;
    }
    Ok(reconcile::exit("redeliver", finished))
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
