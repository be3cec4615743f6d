//! The barmill command: arguments in, exit code out.

mod commands;

use barmill::cli::{self, Exit};
use barmill::config::Environment;
use std::io::{stderr, stdout};
use std::process::ExitCode;
use std::time::Duration;

/// Time for a blocking read, as of an idle pipe, to be left behind at the end.
const LEAVE: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let environment = Environment::from_process();
    let prepared = match cli::prepare(
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
            let _closed = cli::print_error(&mut stderr(), "start the runtime", &error);
            return Exit::Fault.into();
        }
    };
    let exit = runtime.block_on(commands::carry_out(prepared, &environment));
    runtime.shutdown_timeout(LEAVE);
    exit.into()
}
