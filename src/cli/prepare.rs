//! Builds a checked config from arguments and environment, or reports the errors.

use super::arguments::{Arguments, Command};
use super::exit::{Exit, print_error};
use crate::config::{ConfigError, Environment, Layers, Loaded, load, read_file};
use clap::Parser;
use std::ffi::OsString;
use std::io::Write;

/// A command with the config to carry it out.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// What to do.
    pub command: Command,
    /// The config, and where its values came from.
    pub loaded: Loaded,
}

/// Parses the arguments, the program's name first, and loads the config.
///
/// # Errors
/// The exit code, after the complaint is on `err`; [`Exit::Drained`] after help or version is on `out`.
pub fn prepare(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Prepared, Exit> {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Whoever closed the pipe does not want to read the help.
            if error.use_stderr() {
                let _closed = write!(err, "{}", error.render());
                return Err(Exit::Usage);
            }
            let _closed = write!(out, "{}", error.render());
            return Err(Exit::Drained);
        }
    };
    match load_config(&arguments, environment) {
        Ok(loaded) => Ok(Prepared {
            command: arguments.command,
            loaded,
        }),
        Err(error) => {
            // The exit code tells it as well.
            let _closed = print_error(err, "load the config", &error);
            Err(Exit::Usage)
        }
    }
}

fn load_config(arguments: &Arguments, environment: &Environment) -> Result<Loaded, ConfigError> {
    let flags = arguments.command.flags();
    let file = match arguments.config() {
        Some(path) => Some((path.display().to_string(), read_file(path)?)),
        None => None,
    };
    load(&Layers {
        file: file
            .as_ref()
            .map(|(path, bytes)| (path.as_str(), bytes.as_slice())),
        environment,
        set: &arguments.set(),
        flags: &flags,
    })
}

#[cfg(test)]
mod tests {
    use super::{Exit, Prepared, prepare};
    use crate::config::Environment;
    use std::ffi::OsString;

    fn run(arguments: &[&str]) -> (Result<Prepared, Exit>, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let given = std::iter::once("barmill")
            .chain(arguments.iter().copied())
            .map(OsString::from);
        let result = prepare(given, &Environment::default(), &mut out, &mut err);
        (
            result,
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    #[test]
    fn flags_lie_over_set_and_set_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(
            &path,
            "[bars]\nspecs = [\"1h\"]\n[aggregate]\nshards = 2\n[view]\nttl_s = 9\n",
        )
        .unwrap();
        let path = path.to_str().unwrap();
        let (result, _, _) = run(&[
            "--config",
            path,
            "--set",
            "aggregate.shards=3",
            "--set",
            "bars.specs=1d",
            "replay",
            "x",
            "--bars",
            "5m",
        ]);
        let config = result.unwrap().loaded.config;
        assert_eq!(config.bars.specs.as_slice(), ["5m".parse().unwrap()]);
        assert_eq!((config.aggregate.shards, config.view.ttl_s), (3, 9));
    }

    #[test]
    fn help_and_version_are_data_and_no_fault() {
        for flag in ["--help", "--version"] {
            let (result, out, err) = run(&[flag]);
            assert_eq!(result.err(), Some(Exit::Drained));
            assert!(!out.is_empty() && err.is_empty());
        }
    }

    #[test]
    fn a_wrong_command_line_is_told_on_stderr_with_the_usage_code() {
        let (result, out, err) = run(&["replay"]);
        assert_eq!(result.err(), Some(Exit::Usage));
        assert!(out.is_empty() && err.contains("<FILE>"), "{err}");
    }

    #[test]
    fn a_wrong_config_is_told_by_the_flag_that_is_wrong() {
        let (result, _, err) = run(&[
            "replay",
            "x.csv",
            "--speed",
            "fast",
            "--shards",
            "0",
            "--sink",
            "kafka://x",
        ]);
        assert_eq!(result.err(), Some(Exit::Usage));
        insta::assert_snapshot!(err, @r#"
    barmill: failed to load the config: 3 faults
    --shards: aggregate.shards: 0 is out of range, allowed is 1 to 64
    --sink: sink.url: the text names no sink, allowed is redis, upstash, redis://HOST, rediss://HOST, https://HOST, embedded:DIR, stdout: or null:
    --speed: replay.speed: "fast" is not known, allowed is max or a multiple from 0.001x to 1000000x, such as 1x or 60x
    "#);
    }

    #[test]
    fn a_missing_config_file_is_named() {
        let (result, _, err) = run(&["--config", "no/such.toml", "check"]);
        assert_eq!(result.err(), Some(Exit::Usage));
        insta::assert_snapshot!(err, @"barmill: failed to load the config: no/such.toml: cannot be read: No such file or directory (os error 2)");
    }
}
