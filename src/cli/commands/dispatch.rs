//! Dispatches a prepared command to its code.

use super::{backfill, bars, check, plan, reconcile, record, replay, run, simulate, spool};
use crate::cli::arguments::{Command, Prepared};
use crate::cli::exit::{CommandError, Exit, UsageError, complain};
use crate::cli::log;
use crate::cli::progress::Progress;
use crate::config::{Environment, SecretError};
use crate::period::PeriodError;
use crate::pipeline::RunError;
use crate::port::SinkError;

/// Carries out a command; whatever goes wrong is on stderr and in the exit code.
pub(in crate::cli) async fn carry_out(prepared: Prepared, environment: &Environment) -> Exit {
    let progress = &Progress::on_stderr();
    let config = &prepared.loaded.config;
    if let Err(error) = log::init(&config.log, environment, progress) {
        return complain("start the log", &error, Exit::Usage);
    }
    let (action, result) = match &prepared.command {
        Command::Replay(arguments) => (
            "replay",
            replay::run(arguments, config, environment, progress).await,
        ),
        Command::Backfill(arguments) => (
            "backfill",
            backfill::run(arguments, config, environment, progress).await,
        ),
        Command::Run(arguments) => ("run", run::run(arguments, config, environment).await),
        Command::Record(arguments) => (
            "record",
            record::run(arguments, config, environment, progress).await,
        ),
        Command::Simulate(arguments) => ("simulate", simulate::run(arguments, config).await),
        Command::Bars(arguments) => ("read bars", bars::run(arguments, config, environment).await),
        Command::Check(_) => ("check", check::run(&prepared.loaded, environment).await),
        Command::Plan(arguments) => ("plan", plan::run(arguments, config)),
        Command::Reconcile(arguments) => (
            "reconcile",
            reconcile::run(arguments, config, environment).await,
        ),
        Command::Spool(arguments) => (
            "look after the spool",
            spool::run(arguments, config, environment).await,
        ),
    };
    result.unwrap_or_else(|error| complain(action, error.as_ref(), exit_of(&error)))
}

/// A config that only the parts themselves find wrong is a wrong config all the same.
fn exit_of(error: &CommandError) -> Exit {
    let is_usage = error.is::<UsageError>()
        || error.is::<PeriodError>()
        || error.is::<SecretError>()
        || matches!(error.downcast_ref(), Some(RunError::Owned(_)))
        || error.downcast_ref().is_some_and(SinkError::is_owned);
    if is_usage { Exit::Usage } else { Exit::Fault }
}
