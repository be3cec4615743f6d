//! Flags that stand for a key of the config: each says so at the end of its help, as in `[bars.specs]`.
//!
//! They are found by that help, so that a flag of a key is declared once and read nowhere else.

use crate::config::Flag;
use crate::engine::rules::Rules;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command};
use std::path::PathBuf;

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

/// Which bars are made, and where they go.
#[derive(Debug, Clone, Args)]
pub(super) struct BarFlags {
    /// Bars to make, such as 1m,5m,1d [bars.specs]
    #[arg(long, value_name = "SPECS")]
    bars: Option<String>,
    #[arg(
        long,
        help = format!("Which trades may set prices: source, {} [bars.rules]", Rules::names().collect::<Vec<_>>().join(", "))
    )]
    rules: Option<String>,
    /// Time of day that counts: all-hours, pre, regular, post, all or HH:MM-HH:MM [bars.session]
    #[arg(long)]
    session: Option<String>,
    /// Where bars go: embedded:DIR, redis://..., rediss://..., https://..., redis, upstash, stdout: or null:
    /// [sink.url]
    #[arg(long, value_name = "URL")]
    sink: Option<String>,
    /// Parallel aggregators [aggregate.shards]
    #[arg(long, value_name = "N")]
    shards: Option<String>,
}

/// Whether what another writer holds is taken.
#[derive(Debug, Clone, Args)]
pub(super) struct TakeOverFlag {
    /// Take over the lease of another writer.
    #[arg(
        long,
        help = "Take over the lease of another writer, and overwrite bars of another pipeline [writer.take_over]"
    )]
    take_over: bool,
}

/// The same for a run that sends only what an earlier one made.
#[derive(Debug, Clone, Args)]
pub(super) struct LeaseFlag {
    /// Take over the lease of another writer.
    #[arg(
        long,
        help = "Take over the lease of another writer of the namespace [writer.take_over]"
    )]
    take_over: bool,
}

/// What a line says of the config.
#[derive(Debug, Default)]
pub(super) struct ConfigFlags {
    /// The file to read; one after the command counts over one before it.
    pub(super) file: Option<PathBuf>,
    /// The texts `SECTION.KEY=VALUE`, those before the command first.
    pub(super) set: Vec<String>,
    /// The flags that stand for a key.
    pub(super) keys: Vec<Flag>,
}

impl ConfigFlags {
    /// Collects them from a parsed line, from the program down to the innermost command.
    pub(super) fn of(mut command: &Command, mut matches: &ArgMatches) -> ConfigFlags {
        let mut found = ConfigFlags::default();
        loop {
            // An id that a command does not have gives none.
            if let Ok(Some(file)) = matches.try_get_one::<PathBuf>("config") {
                found.file = Some(file.clone());
            }
            if let Ok(Some(set)) = matches.try_get_many::<String>("set") {
                found.set.extend(set.cloned());
            }
            let given = command.get_arguments();
            found
                .keys
                .extend(given.filter_map(|one| key_flag(one, matches)));
            let below = matches.subcommand();
            match below.and_then(|(name, below)| Some((command.find_subcommand(name)?, below))) {
                Some(below) => (command, matches) = below,
                None => return found,
            }
        }
    }
}

/// The flag of an argument that was given and names its key.
fn key_flag(argument: &Arg, matches: &ArgMatches) -> Option<Flag> {
    let help = argument.get_help()?.to_string();
    let (_, key) = help.strip_suffix(']')?.rsplit_once('[')?;
    let id = argument.get_id().as_str();
    let is_key = key
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte));
    if !is_key || matches.value_source(id) != Some(ValueSource::CommandLine) {
        return None;
    }
    let values = matches.get_raw(id)?.map(|value| value.to_string_lossy());
    let value = if matches!(argument.get_action(), ArgAction::SetTrue) {
        "yes".to_owned()
    } else {
        values.collect::<Vec<_>>().join(",")
    };
    Some(Flag {
        name: format!("--{}", argument.get_long()?),
        key: key.to_owned(),
        value,
    })
}
