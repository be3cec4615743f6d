//! Dispatches a prepared command to its code.

use super::bars::KeepsNothing;
use super::plan::MixedBarsError;
use super::settings::SettingsError;
use super::source::{AskError, Unusable};
use super::{backfill, bars, check, forecast, reconcile, record, replay, run, simulate, spool};
use crate::cli::{self, Command, Exit, Prepared, Progress};
use crate::config::{Environment, SecretError};
use crate::period::PeriodError;
use crate::pipeline::RunError;
use crate::port::SinkError;
use std::error::Error;
use std::io::stderr;

/// Why a command failed, and the exit code that says so.
pub(super) type CommandError = Box<dyn Error + Send + Sync>;

/// Carries out a command; whatever goes wrong is on stderr and in the exit code.
pub(crate) async fn carry_out(prepared: Prepared, environment: &Environment) -> Exit {
    let progress = Progress::on_stderr();
    let config = &prepared.loaded.config;
    if let Err(error) = cli::init_log(&config.log, environment, &progress) {
        return complain("start the log", &error, Exit::Usage);
    }
    match &prepared.command {
        Command::Replay(arguments) => {
            match replay::run(arguments, config, environment, &progress).await {
                Ok(exit) => exit,
                Err(error) => complain("replay", error.as_ref(), exit_of(&error)),
            }
        }
        Command::Backfill(arguments) => {
            match backfill::run(arguments, config, environment, &progress).await {
                Ok(exit) => exit,
                Err(error) => complain("backfill", error.as_ref(), exit_of(&error)),
            }
        }
        Command::Run(arguments) => match run::run(arguments, config, environment).await {
            Ok(exit) => exit,
            Err(error) => complain("run", error.as_ref(), exit_of(&error)),
        },
        Command::Record(arguments) => {
            match record::run(arguments, config, environment, &progress).await {
                Ok(exit) => exit,
                Err(error) => complain("record", error.as_ref(), exit_of(&error)),
            }
        }
        Command::Simulate(arguments) => match simulate::run(arguments, config).await {
            Ok(exit) => exit,
            Err(error) => complain("simulate", error.as_ref(), exit_of(&error)),
        },
        Command::Bars(arguments) => match bars::run(arguments, config, environment).await {
            Ok(()) => Exit::Drained,
            Err(error) => complain("read bars", error.as_ref(), exit_of(&error)),
        },
        Command::Check(_) => match check::run(&prepared.loaded, environment).await {
            Ok(()) => Exit::Drained,
            Err(error) => complain("check", error.as_ref(), exit_of(&error)),
        },
        Command::Plan(arguments) => match forecast::run(arguments, config) {
            Ok(exit) => exit,
            Err(error) => complain("plan", error.as_ref(), exit_of(&error)),
        },
        Command::Reconcile(arguments) => match reconcile::run(arguments, config, environment).await
        {
            Ok(exit) => exit,
            Err(error) => complain("reconcile", error.as_ref(), exit_of(&error)),
        },
        Command::Spool(arguments) => match spool::run(arguments, config, environment).await {
            Ok(exit) => exit,
            Err(error) => complain("look after the spool", error.as_ref(), exit_of(&error)),
        },
    }
}

/// A config that only the parts themselves find wrong is a wrong config all the same.
fn exit_of(error: &CommandError) -> Exit {
    let is_usage = error.is::<MixedBarsError>()
        || error.is::<AskError>()
        || error.is::<PeriodError>()
        || error.is::<Unusable>()
        || error.is::<SecretError>()
        || error.is::<KeepsNothing>();
    if is_usage {
        return Exit::Usage;
    }
    if error
        .downcast_ref::<SinkError>()
        .is_some_and(SinkError::is_owned)
    {
        return Exit::Usage;
    }
    match error.downcast_ref::<SettingsError>() {
        Some(
            SettingsError::Url(_)
            | SettingsError::Template(_)
            | SettingsError::View(_)
            | SettingsError::UnknownZone
            | SettingsError::Hours { .. },
        ) => Exit::Usage,
        Some(SettingsError::Open(_) | SettingsError::Rules(_) | SettingsError::Zone(_)) | None => {
            Exit::Fault
        }
    }
}

/// Prints the fault that ended a run and returns the exit code.
pub(super) fn complain_of_run(action: &str, fault: &RunError) -> Exit {
    let exit = match fault {
        RunError::Owned(_) => Exit::Usage,
        RunError::Feed(_)
        | RunError::Unwritten { .. }
        | RunError::State(_)
        | RunError::Close(_)
        | RunError::Panicked { .. }
        | RunError::Downstream { .. } => Exit::Fault,
    };
    complain(action, fault, exit)
}

/// Prints an error with its causes and returns the exit code.
pub(super) fn complain(action: &str, error: &(dyn Error + 'static), exit: Exit) -> Exit {
    // The exit code tells it as well.
    let _closed = cli::print_error(&mut stderr(), action, error);
    exit
}
