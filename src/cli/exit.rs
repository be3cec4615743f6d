//! Exit codes, and the printing of errors on stderr.

use std::error::Error;
use std::io::{self, Write, stderr};
use std::process::ExitCode;

/// Why a command failed.
pub(super) type CommandError = Box<dyn Error + Send + Sync>;

/// A fault of the command line or the config, which only the parts themselves find.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct UsageError(CommandError);

/// Turns a fault into one of the command line or the config.
pub(super) fn usage(error: impl Into<CommandError>) -> CommandError {
    UsageError(error.into()).into()
}

/// How a run ended. The codes are fixed, since scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    /// Everything was done and everything is written.
    Drained = 0,
    /// A fault ended the run.
    Fault = 1,
    /// The command line or the config is wrong; nothing was done.
    Usage = 2,
    /// The run was aborted; what was not written is in the spool.
    Aborted = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Prints `barmill: failed to ACTION: error: cause: cause`; a cause that its parent already tells is left out.
///
/// # Errors
/// The writer's own.
pub(super) fn print_error(out: &mut dyn Write, action: &str, error: &dyn Error) -> io::Result<()> {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        if !message.ends_with(&text) {
            message = format!("{message}: {text}");
        }
        cause = next.source();
    }
    writeln!(out, "barmill: failed to {action}: {message}")
}

/// Prints an error with its causes and returns the exit code.
pub(super) fn complain(action: &str, error: &(dyn Error + 'static), exit: Exit) -> Exit {
    // The exit code tells it as well.
    let _closed = print_error(&mut stderr(), action, error);
    exit
}

#[cfg(test)]
mod tests {
    use super::print_error;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    enum Layered {
        #[error("file {0} cannot be read")]
        File(&'static str, #[source] io::Error),
        #[error(transparent)]
        Inner(Box<Layered>),
        #[error("feed {0} failed")]
        Feed(&'static str, #[source] Box<Layered>),
    }

    #[test]
    fn the_whole_chain_is_one_line_and_no_link_is_told_twice() {
        let file = Layered::File("x.csv", io::Error::other("disk on fire"));
        let error = Layered::Feed("files", Box::new(Layered::Inner(Box::new(file))));
        let mut out = Vec::new();
        print_error(&mut out, "replay", &error).unwrap();
        let shown = String::from_utf8(out).unwrap();
        insta::assert_snapshot!(shown.trim_end(), @"barmill: failed to replay: feed files failed: file x.csv cannot be read: disk on fire");
    }
}
