//! `barmill check`: prints the config and the spool, and connects to the store without writing.

use super::dispatch::CommandError;
use super::{settings, spool};
use crate::config::{Environment, Loaded, SinkTarget};
use crate::daemon::LatencyMode;
use jiff::tz::TimeZone;
use std::io::{Write, stdout};

const MEBIBYTE: u64 = 1 << 20;

/// Prints the config in force with the origin of each value, then connects.
pub(super) async fn run(loaded: &Loaded, environment: &Environment) -> Result<(), CommandError> {
    let config = &loaded.config;
    let target = SinkTarget::resolve(config, environment)?;
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
    let opened = match settings::store(
        config,
        &target,
        (&zone, config.bars.specs.as_slice()),
        false,
        None,
    )
    .await
    {
        Err(error) if error.is_missing_store() => {
            writeln!(
                out,
                "# sink {} is made by the first write",
                target.address()
            )?;
            return Ok(());
        }
        opened => opened?,
    };
    opened.sink.ping().await?;
    opened.sink.close().await?;
    writeln!(out, "# sink {} answers", target.address())?;
    Ok(())
}
