//! `barmill check`: prints the config and the spool, and connects to the store without writing.

use super::settings::{self, Assembly};
use super::spool;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::flags::Shared;
use crate::config::{Environment, Loaded};
use crate::daemon::LatencyMode;
use barmill_stores::{EmbeddedError, OpenError};
use clap::Args;
use jiff::tz::TimeZone;
use std::io::{Write, stdout};

const MEBIBYTE: u64 = 1 << 20;

/// What to check: the config as it stands.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct CheckArguments {
    #[command(flatten)]
    shared: Shared,
}

/// Prints the config in force with the origin of each value, then connects.
pub(super) async fn run(loaded: &Loaded, environment: &Environment) -> Result<Exit, CommandError> {
    let config = &loaded.config;
    let target = config.target(environment)?;
    let mut out = stdout();
    write!(out, "{}", loaded.to_toml())?;
    let queues = config.memory_ceiling_bytes().div_ceil(MEBIBYTE);
    writeln!(
        out,
        "\n# queues hold at most {queues} MiB of the {} MiB allowed",
        config.run.memory_max_mb
    )?;
    let zone = settings::zone(config, false).unwrap_or(TimeZone::UTC);
    settings::pipeline(config, &zone, LatencyMode::Throughput)?;
    writeln!(out, "# {}", spool::standing(config)?)?;
    let run = Assembly {
        config,
        target,
        zone,
    };
    let address = run.target.address();
    let opened = match run.store(false, None).await {
        Err(error) if is_missing_store(&error) => {
            writeln!(out, "# sink {address} is made by the first write")?;
            return Ok(Exit::Drained);
        }
        opened => opened?,
    };
    opened.sink.ping().await?;
    opened.sink.close().await?;
    writeln!(out, "# sink {address} answers")?;
    Ok(Exit::Drained)
}

/// Whether all that is wrong is that the embedded store was never written to.
fn is_missing_store(error: &CommandError) -> bool {
    let found = error.downcast_ref();
    matches!(
        found,
        Some(OpenError::Embedded(EmbeddedError::Missing { .. }))
    )
}
