//! The arguments of every command. Their names are fixed, since scripts rely on them.

use super::fetch_arguments::{BackfillArguments, RecordArguments};
use super::plan_arguments::PlanArguments;
use super::render::Output;
use super::run_arguments::RunArguments;
use super::simulate_arguments::SimulateArguments;
use super::state_arguments::{ReconcileArguments, SpoolArguments};
use crate::config::Flag;
use crate::model::{BarSpec, Symbol};
use crate::period::{Moment, Period};
use barmill_sources::file::Format;
use clap::{ArgGroup, Args, Parser, Subcommand};
use jiff::civil::Date;
use std::path::{Path, PathBuf};

/// Trades in, bars in Redis: every trade counted once, every bar written once.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "barmill",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Arguments {
    #[command(flatten)]
    shared: Shared,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes, before its name or after it.
#[derive(Debug, Clone, Args)]
pub(super) struct Shared {
    /// Config file; without it, only defaults and the environment apply.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one config key; overrides file and environment; may be repeated.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
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

/// Which recorded trades become which bars. Flags that stand for a key of the config say so.
#[derive(Debug, Clone, Args)]
pub struct ReplayArguments {
    /// Files of trades, plain, .gz, .zst or .zip, in order of time; - is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[arg(long, help = format!("Format of the files: {} [replay.format]", Format::choices()))]
    pub format: Option<String>,
    /// Use only these symbols; for files that name no symbol, the symbol of their trades.
    #[arg(long = "symbol", value_name = "A,B", value_delimiter = ',')]
    pub symbols: Vec<Symbol>,
    /// Rename symbol A of the files to B.
    #[arg(long = "rename", value_name = "A=B", value_delimiter = ',', value_parser = renamed)]
    pub renames: Vec<(Symbol, Symbol)>,
    /// Bars to make, such as 1m,5m,1d [bars.specs]
    #[arg(long, value_name = "SPECS")]
    pub bars: Option<String>,
    /// Which trades may set prices: source, all, massive-minute, massive-daily, alpaca-minute, alpaca-daily or lean
    /// [bars.rules]
    #[arg(long)]
    pub rules: Option<String>,
    /// Time of day that counts: all-hours, pre, regular, post, all or HH:MM-HH:MM [bars.session]
    #[arg(long)]
    pub session: Option<String>,
    /// Where bars go: embedded:DIR, redis://..., rediss://..., https://..., redis, upstash, stdout: or null:
    /// [sink.url]
    #[arg(long, value_name = "URL")]
    pub sink: Option<String>,
    /// Speed of event time: max, or a multiple of real time such as 1x or 60x [replay.speed]
    #[arg(long)]
    pub speed: Option<String>,
    /// What a row that cannot be decoded does.
    #[arg(
        long,
        value_name = "WHAT",
        help = "What to do with a row that cannot be decoded: stop or skip [replay.on_bad_row]"
    )]
    pub on_bad_row: Option<String>,
    /// Exit with code 1 if trades came too late for their bars.
    #[arg(long)]
    pub strict: bool,
    /// Parallel aggregators [aggregate.shards]
    #[arg(long, value_name = "N")]
    pub shards: Option<String>,
    /// Take over the lease of another writer.
    #[arg(
        long,
        help = "Take over the lease of another writer, and overwrite bars of another pipeline [writer.take_over]"
    )]
    pub take_over: bool,
    /// Print one JSON object with all counts at the end.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    shared: Shared,
}

/// Which bars to read, and how to print them.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("when").required(true).args(["date", "from"])))]
pub struct BarsArguments {
    /// Where the bars are [sink.url]
    #[arg(long, value_name = "URL")]
    pub sink: Option<String>,
    /// Symbols to read.
    #[arg(
        long = "symbol",
        value_name = "A,B",
        value_delimiter = ',',
        required = true
    )]
    pub symbols: Vec<Symbol>,
    /// Bars to read.
    #[arg(long, default_value = "1m")]
    pub spec: BarSpec,
    /// The day to read, in the zone of the bars.
    #[arg(long, value_name = "YYYY-MM-DD", conflicts_with_all = ["from", "to"])]
    date: Option<Date>,
    /// Start: a day, or an instant such as 2025-10-15T13:30:00Z.
    #[arg(long, value_name = "TIME", requires = "to")]
    from: Option<Moment>,
    /// End, excluded: a day, or an instant.
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<Moment>,
    /// How to print them.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Draw candles and volume instead, as wide as the terminal.
    #[arg(long, conflicts_with = "output")]
    pub chart: bool,
    #[command(flatten)]
    shared: Shared,
}

/// What to check: the config as it stands.
#[derive(Debug, Clone, Args)]
pub struct CheckArguments {
    #[command(flatten)]
    shared: Shared,
}

impl Arguments {
    /// The config file to read; one after the command counts over one before it.
    pub fn config(&self) -> Option<&Path> {
        let after = self.command.shared().config.as_deref();
        after.or(self.shared.config.as_deref())
    }

    /// The texts `SECTION.KEY=VALUE`, those before the command first.
    pub fn set(&self) -> Vec<String> {
        [
            self.shared.set.as_slice(),
            self.command.shared().set.as_slice(),
        ]
        .concat()
    }
}

impl BarsArguments {
    /// The time asked for; the parser has made sure that there is one.
    pub fn period(&self) -> Period {
        match (self.date, self.from, self.to) {
            (_, Some(from), Some(to)) => Period::Between { from, to },
            (date, _, _) => Period::Day(date.unwrap_or_default()),
        }
    }
}

impl Command {
    fn shared(&self) -> &Shared {
        match self {
            Command::Replay(replay) => &replay.shared,
            Command::Backfill(backfill) => &backfill.shared,
            Command::Run(run) => &run.shared,
            Command::Record(record) => &record.shared,
            Command::Simulate(simulate) => &simulate.shared,
            Command::Bars(bars) => &bars.shared,
            Command::Check(check) => &check.shared,
            Command::Plan(plan) => &plan.shared,
            Command::Reconcile(reconcile) => &reconcile.shared,
            Command::Spool(spool) => spool.shared(),
        }
    }

    /// The flags that stand for a key of the config, as a layer of it.
    pub fn flags(&self) -> Vec<Flag> {
        let pairs = match self {
            Command::Replay(replay) => vec![
                ("--format", "replay.format", &replay.format),
                ("--bars", "bars.specs", &replay.bars),
                ("--rules", "bars.rules", &replay.rules),
                ("--session", "bars.session", &replay.session),
                ("--sink", "sink.url", &replay.sink),
                ("--speed", "replay.speed", &replay.speed),
                ("--on-bad-row", "replay.on_bad_row", &replay.on_bad_row),
                ("--shards", "aggregate.shards", &replay.shards),
            ],
            Command::Backfill(backfill) => vec![
                ("--bars", "bars.specs", &backfill.bars),
                ("--rules", "bars.rules", &backfill.rules),
                ("--session", "bars.session", &backfill.asked.session),
                ("--sink", "sink.url", &backfill.sink),
                ("--shards", "aggregate.shards", &backfill.shards),
            ],
            Command::Run(run) => return owned(run.pairs(), run.take_over),
            Command::Record(record) => vec![("--session", "bars.session", &record.asked.session)],
            Command::Bars(bars) => vec![("--sink", "sink.url", &bars.sink)],
            Command::Plan(plan) => return owned(plan.pairs(), false),
            Command::Reconcile(reconcile) => return reconcile.flags(),
            Command::Spool(spool) => return spool.flags(),
            Command::Simulate(_) | Command::Check(_) => Vec::new(),
        };
        let is_take_over = matches!(self, Command::Replay(replay) if replay.take_over);
        owned(
            pairs
                .into_iter()
                .map(|(name, key, value)| (name, key, value.clone())),
            is_take_over,
        )
    }
}

/// The flags that were given.
fn owned(
    pairs: impl IntoIterator<Item = (&'static str, &'static str, Option<String>)>,
    is_take_over: bool,
) -> Vec<Flag> {
    let flag = Flag {
        name: "--take-over",
        key: "writer.take_over",
        value: "yes".to_owned(),
    };
    let given = pairs.into_iter().filter_map(|(name, key, value)| {
        Some(Flag {
            name,
            key,
            value: value?,
        })
    });
    given.chain(is_take_over.then_some(flag)).collect()
}

/// Reads `A=B`.
fn renamed(text: &str) -> Result<(Symbol, Symbol), String> {
    let (from, to) = text.split_once('=').ok_or("it is not of the form A=B")?;
    let symbol = |name: &str| {
        name.parse()
            .map_err(|error: crate::model::SymbolError| error.to_string())
    };
    Ok((symbol(from)?, symbol(to)?))
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Command, Moment, Period};
    use clap::{CommandFactory, Parser};

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::try_parse_from(line.split(' ')).map_err(|error| error.to_string())
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
        let arguments = parse(&line.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap();
        assert_eq!(arguments.set(), ["a.b=1", "c.d=2"]);
        let keys: Vec<&str> = arguments
            .command
            .flags()
            .iter()
            .map(|flag| flag.key)
            .collect();
        assert_eq!(keys.len(), 9, "{keys:?}");
        let Command::Replay(replay) = arguments.command else {
            panic!("replay was asked for")
        };
        assert_eq!(
            (replay.files.len(), replay.symbols.len(), replay.json),
            (2, 2, true)
        );
    }

    #[test]
    fn set_after_the_command_adds_to_set_before_it() {
        let arguments = parse("barmill --set a.b=1 check --set c.d=2 --config x.toml").unwrap();
        assert_eq!(arguments.set(), ["a.b=1", "c.d=2"]);
        assert!(arguments.config().is_some());
    }

    #[test]
    fn bars_needs_a_day_or_both_ends_of_an_interval() {
        let period = |when: &str| match parse(&format!("barmill bars --symbol A {when}"))?.command {
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
}
