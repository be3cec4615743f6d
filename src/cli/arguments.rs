//! From the command line and the environment to a command with a checked config, or to the right complaint.
//!
//! Each command's own arguments stand in its file. Their names are fixed, since scripts rely on them.

use super::commands::backfill::BackfillArguments;
use super::commands::bars::BarsArguments;
use super::commands::check::CheckArguments;
use super::commands::plan::PlanArguments;
use super::commands::reconcile::ReconcileArguments;
use super::commands::record::RecordArguments;
use super::commands::replay::ReplayArguments;
use super::commands::run::RunArguments;
use super::commands::simulate::SimulateArguments;
use super::commands::spool::SpoolArguments;
use super::exit::{Exit, print_error};
use super::flags::{ConfigFlags, Shared};
use crate::config::{ConfigError, Environment, Layers, Loaded, load, read_file};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::io::Write;

/// Trades in, bars in Redis: every trade counted once, every bar written once.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "barmill",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(flatten)]
    shared: Shared,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Command {
    /// Turn recorded trades into bars.
    Replay(ReplayArguments),
    /// Turn a venue's past trades into bars.
    Backfill(BackfillArguments),
    /// Run as a daemon: catch up from history, then follow live trades until SIGTERM.
    Run(RunArguments),
    /// Save a venue's past or live trades in a recording, to replay them later.
    Record(RecordArguments),
    /// Serve a recording as a venue's REST and WebSocket API, optionally with faults.
    Simulate(SimulateArguments),
    /// Print bars from the sink.
    Bars(BarsArguments),
    /// Check the config and the connection to the sink; write nothing.
    Check(CheckArguments),
    /// Estimate the requests and the cost of a day; connect to nothing.
    Plan(PlanArguments),
    /// Compare recent bars with the sink and write back lost ones.
    Reconcile(ReconcileArguments),
    /// Show, verify, export or send the spool and the dead letters.
    Spool(SpoolArguments),
}

/// A command with the config to carry it out.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// What to do.
    pub(super) command: Command,
    /// The config, and where its values came from.
    pub(super) loaded: Loaded,
}

/// Parses the arguments, the program's name first, and loads the config.
///
/// # Errors
/// The exit code, after the complaint is on `err`; [`Exit::Drained`] after help or version is on `out`.
pub(super) fn prepare(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Prepared, Exit> {
    let (command, flags) = match parse(arguments) {
        Ok(parsed) => parsed,
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
    match load_config(&flags, environment) {
        Ok(loaded) => Ok(Prepared { command, loaded }),
        Err(error) => {
            // The exit code tells it as well.
            let _closed = print_error(err, "load the config", &error);
            Err(Exit::Usage)
        }
    }
}

fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(Command, ConfigFlags), clap::Error> {
    let mut program = Arguments::command();
    let matches = program.try_get_matches_from_mut(arguments)?;
    let flags = ConfigFlags::of(&program, &matches);
    let parsed = Arguments::from_arg_matches(&matches);
    let parsed = parsed.map_err(|error| error.format(&mut program))?;
    Ok((parsed.command, flags))
}

fn load_config(flags: &ConfigFlags, environment: &Environment) -> Result<Loaded, ConfigError> {
    let file = match &flags.file {
        Some(path) => Some((path.display().to_string(), read_file(path)?)),
        None => None,
    };
    load(&Layers {
        file: file
            .as_ref()
            .map(|(path, bytes)| (path.as_str(), bytes.as_slice())),
        environment,
        set: &flags.set,
        flags: &flags.keys,
    })
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Command, ConfigFlags, Exit, Prepared, prepare};
    use crate::config::Environment;
    use crate::period::{Moment, Period};
    use clap::CommandFactory;
    use std::ffi::OsString;

    fn parse(line: &str) -> Result<(Command, ConfigFlags), String> {
        let words = line.split(' ').map(OsString::from);
        super::parse(words).map_err(|error| error.to_string())
    }

    fn help(of: Option<&str>) -> String {
        let mut command = Arguments::command().term_width(100);
        command.build();
        match of {
            Some(name) => command
                .find_subcommand_mut(name)
                .unwrap()
                .render_help()
                .to_string(),
            None => command.render_help().to_string(),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_help_is_the_manual_of_the_commands() {
        let names = [
            "replay",
            "backfill",
            "run",
            "record",
            "simulate",
            "bars",
            "check",
            "plan",
            "reconcile",
            "spool",
        ];
        let all: Vec<String> = std::iter::once(None)
            .chain(names.map(Some))
            .map(help)
            .collect();
        insta::assert_snapshot!("help", all.join("----\n"));
    }

    #[test]
    fn every_flag_of_the_design_is_understood() {
        let line = "barmill --config c.toml --set a.b=1 --set c.d=2 replay x.csv - --format auto --symbol A,B \
                    --bars 1m,5m --rules all --session regular --sink null: --speed 60x --on-bad-row skip \
                    --shards 4 --take-over --json";
        let (command, flags) =
            parse(&line.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap();
        assert_eq!(flags.set, ["a.b=1", "c.d=2"]);
        let mut keys: Vec<String> = flags
            .keys
            .iter()
            .map(|flag| format!("{} {}={}", flag.name, flag.key, flag.value))
            .collect();
        keys.sort();
        insta::assert_snapshot!(keys.join("\n"), @r"
        --bars bars.specs=1m,5m
        --format replay.format=auto
        --on-bad-row replay.on_bad_row=skip
        --rules bars.rules=all
        --session bars.session=regular
        --shards aggregate.shards=4
        --sink sink.url=null:
        --speed replay.speed=60x
        --take-over writer.take_over=yes
        ");
        assert!(matches!(command, Command::Replay(_)));
        let asked = format!("{command:?}");
        assert!(asked.contains("json: true") && asked.contains(r#"files: ["x.csv", "-"]"#));
    }

    #[test]
    fn set_after_the_command_adds_to_set_before_it() {
        let line = "barmill --set a.b=1 --config y.toml check --set c.d=2 --config x.toml";
        let (_, flags) = parse(line).unwrap();
        assert_eq!(flags.set, ["a.b=1", "c.d=2"]);
        assert_eq!(flags.file, Some("x.toml".into()));
    }

    #[test]
    fn bars_needs_a_day_or_both_ends_of_an_interval() {
        let period = |when: &str| match parse(&format!("barmill bars --symbol A {when}"))?.0 {
            Command::Bars(bars) => Ok(bars.period()),
            Command::Replay(_)
            | Command::Backfill(_)
            | Command::Run(_)
            | Command::Record(_)
            | Command::Simulate(_)
            | Command::Check(_)
            | Command::Plan(_)
            | Command::Reconcile(_)
            | Command::Spool(_) => Err("another command".to_owned()),
        };
        let day = jiff::civil::date(2025, 10, 15);
        assert_eq!(period("--date 2025-10-15"), Ok(Period::Day(day)));
        let between = Period::Between {
            from: Moment::Day(day),
            to: Moment::Instant("2025-10-15T20:00:00Z".parse().unwrap()),
        };
        assert_eq!(
            period("--from 2025-10-15 --to 2025-10-15T20:00:00Z"),
            Ok(between)
        );
        for wrong in [
            "--from 2025-10-15",
            "--date 2025-10-15 --from 2025-10-15 --to 2025-10-16",
            "--spec 1m",
        ] {
            assert!(period(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bad_symbol_spec_or_time_is_refused_with_its_reason() {
        let errors = [
            parse("barmill bars --symbol A{B} --date 2025-10-15"),
            parse("barmill bars --symbol A --spec 7m --date 2025-10-15"),
            parse("barmill bars --symbol A --from yesterday --to 2025-10-15"),
            parse("barmill replay x.csv --sybmol A"),
        ];
        let shown: Vec<String> = errors
            .map(|error| error.unwrap_err().lines().next().unwrap().to_owned())
            .into();
        insta::assert_snapshot!(shown.join("\n"), @r#"
    error: invalid value 'A{B}' for '--symbol <A,B>': byte 1 of the symbol is not a letter, a digit or one of .:/_-+=^$#
    error: invalid value '7m' for '--spec <SPEC>': bar spec "7m" does not divide a day
    error: invalid value 'yesterday' for '--from <TIME>': "yesterday" is neither a day such as 2025-10-15 nor an instant such as 2025-10-15T13:30:00Z
    error: unexpected argument '--sybmol' found
    "#);
    }

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
    --sink: sink.url: the text is not a sink, allowed is redis, upstash, redis://HOST, rediss://HOST, https://HOST, embedded:DIR, stdout: or null:
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
