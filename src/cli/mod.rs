//! The command line: arguments in, exit code out; data on stdout, everything else on stderr.
//!
//! `arguments` turns a line into a command with a checked config; `commands` carries it out, one file for each, with its
//! arguments and what it prints. Holds no rule of the domain.

mod arguments;
mod commands;
mod exit;
mod flags;
mod log;
mod output;
mod progress;
mod summary;

use crate::config::Environment;
use arguments::prepare;
use exit::{Exit, complain};
use std::io::{stderr, stdout};
use std::process::ExitCode;
use std::time::Duration;

/// Time for a blocking read, as of an idle pipe, to be left behind at the end.
const LEAVE: Duration = Duration::from_millis(100);

/// Carries out the command line of this process: the whole of the binary.
pub fn main() -> ExitCode {
    let environment = Environment::from_process();
    let arguments = std::env::args_os();
    let prepared = match prepare(arguments, &environment, &mut stdout(), &mut stderr()) {
        Ok(prepared) => prepared,
        Err(exit) => return exit.into(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return complain("start the runtime", &error, Exit::Fault).into(),
    };
    let exit = runtime.block_on(commands::carry_out(prepared, &environment));
    runtime.shutdown_timeout(LEAVE);
    exit.into()
}
