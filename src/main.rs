//! The barmill command.

use std::process::ExitCode;

fn main() -> ExitCode {
    barmill::main()
}
