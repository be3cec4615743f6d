//! The command line: arguments in, exit code out; data on stdout, everything else on stderr.
//!
//! Owns how a run is asked for and how its results look. Knows no pipeline: commands are carried out by the
//! binary, which takes a [`Prepared`] and prints through this module.

mod arguments;
mod chart;
mod commands;
mod exit;
mod fetch_arguments;
mod fetch_lines;
mod fetched;
mod log;
mod plan_arguments;
mod plan_report;
mod prepare;
mod progress;
mod render;
mod run_arguments;
mod simulate_arguments;
mod state_arguments;
mod state_listing;
mod state_report;
mod summary;
mod table;

pub(crate) use commands::carry_out;

pub use arguments::{BarsArguments, Command, ReplayArguments};
pub use chart::{Canvas, chart};
pub use exit::{Exit, print_error};
pub use fetch_arguments::{AskedArguments, BackfillArguments, RecordArguments};
pub use fetch_lines::FetchLines;
pub use fetched::{FetchSummary, FetchedDay, Status};
pub use log::init as init_log;
pub use plan_arguments::PlanArguments;
pub use plan_report::{PlanParts, PlanReport, PlanWay};
pub use prepare::{Prepared, prepare};
pub use progress::{Progress, ProgressCounts};
pub use render::{BarRow, render};
pub use run_arguments::RunArguments;
pub use simulate_arguments::SimulateArguments;
pub use state_arguments::{
    CheckStateArguments, ExportArguments, LsArguments, ReconcileArguments, RedeliverArguments,
    SpoolAction, SpoolArguments, TableArguments,
};
pub use state_listing::{BudgetUsed, FolderListing, StateListing, TargetListing};
pub use state_report::SentSummary;
pub use summary::RunSummary;

use crate::config::Environment;
use std::io::{stderr, stdout};
use std::process::ExitCode;
use std::time::Duration;

/// Time for a blocking read, as of an idle pipe, to be left behind at the end.
const LEAVE: Duration = Duration::from_millis(100);

/// Carries out the command line of this process: the whole of the binary.
pub fn main() -> ExitCode {
    let environment = Environment::from_process();
    let prepared = match prepare(
        std::env::args_os(),
        &environment,
        &mut stdout(),
        &mut stderr(),
    ) {
        Ok(prepared) => prepared,
        Err(exit) => return exit.into(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            // The exit code tells it as well.
            let _closed = print_error(&mut stderr(), "start the runtime", &error);
            return Exit::Fault.into();
        }
    };
    let exit = runtime.block_on(carry_out(prepared, &environment));
    runtime.shutdown_timeout(LEAVE);
    exit.into()
}
