//! `barmill spool`: what waits in the state folder, and what the store refused.

use super::dispatch::CommandError;
use super::{reconcile, wire};
use crate::cli::{
    BudgetUsed, CheckStateArguments, Exit, ExportArguments, LsArguments, RedeliverArguments,
    SpoolAction, SpoolArguments, StateListing, TableArguments,
};
use crate::config::{Config, Environment, SinkTarget};
use crate::pipeline::Pipeline;
use crate::port::{SpoolStats, StateError};
use barmill_stores::state::{Inspector, STATE_FILE, StateCheck, StateSummary, StateTable};
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

/// Opens the state file, or another file of its folder; `None` when nothing was ever kept there.
fn open(config: &Config, file: Option<&Path>) -> Result<Option<Inspector>, CommandError> {
    let settings = wire::state_settings(config);
    if file.is_none() && !settings.folder.join(STATE_FILE).exists() {
        return Ok(None);
    }
    let file = file.map(|file| {
        if file.exists() {
            file.to_owned()
        } else {
            settings.folder.join(file)
        }
    });
    Ok(Some(Inspector::open(&settings, file.as_deref())?))
}

/// What waits in the state folder, in a few words.
pub(super) fn standing(config: &Config) -> Result<String, CommandError> {
    let folder = config.run.state_dir.display();
    let settings = wire::state_settings(config);
    if !settings.folder.join(STATE_FILE).exists() {
        return Ok(format!("spool {folder} is empty"));
    }
    let mut inspector = match Inspector::open(&settings, None) {
        Err(StateError::Locked { .. }) => {
            return Ok(format!("spool {folder} is in use by a barmill that runs"));
        }
        opened => opened?,
    };
    let SpoolStats {
        items,
        dead_letters,
        ..
    } = inspector.summary()?.spool;
    Ok(format!(
        "spool {folder} holds {items} items and {dead_letters} dead letters"
    ))
}

const fn table(asked: TableArguments) -> StateTable {
    match (asked.dead_letters, asked.recent) {
        (true, _) => StateTable::DeadLetters,
        (false, true) => StateTable::Recent,
        (false, false) => StateTable::Spool,
    }
}

fn list(arguments: &LsArguments, config: &Config) -> Result<Exit, CommandError> {
    let listing = match open(config, None)? {
        Some(mut inspector) => {
            let rows = inspector.first(table(arguments.table), arguments.rows)?;
            listing(inspector.summary()?, rows)
        }
        None => StateListing::default(),
    };
    let bytes_max = wire::state_settings(config).bounds.spool_bytes_max;
    let listing = StateListing {
        bytes_max,
        ..listing
    };
    if arguments.json {
        listing.write_json(&mut stdout())?;
    } else {
        listing.write_text(&mut stdout())?;
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
    let inspector = open(config, arguments.file.as_deref())?;
    let checked = inspector
        .map(|mut inspector| inspector.check())
        .transpose()?;
    let StateCheck {
        intact,
        faults,
        shown,
    } = checked.unwrap_or_default();
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
    let dead_letters = arguments.dead_letters;
    let build = |ports, settings| Pipeline::redeliver(ports, settings, dead_letters);
    let finished = reconcile::send(config, &target, build).await?;
    let summary = reconcile::sent(&finished.summary);
    if arguments.json {
        summary.write_json(&mut stdout())?;
    } else {
        summary.write_sent(&mut stderr())?;
    }
    Ok(reconcile::exit("redeliver", finished))
}
