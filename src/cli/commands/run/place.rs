//! Where a run goes on after a restart: under which names its places are saved, and what is found there.

use super::super::dispatch::CommandError;
use crate::config::{Config, SourceName};
use crate::port::StateStore;
use crate::{Symbol, Timestamp};
use std::fmt::Write;
use std::sync::Arc;

/// The name of a source's place. Another set of symbols, other bars or another store begin anew.
pub(super) fn name(
    config: &Config,
    (source, symbols): (SourceName, &[Symbol]),
    address: &str,
) -> String {
    let (bars, view) = (&config.bars, &config.view);
    let mut text = format!(
        "{bars:?} {} {view:?} {address}",
        config.live.sources.as_slice().len()
    );
    let mut names: Vec<&str> = symbols.iter().map(|symbol| symbol.as_str()).collect();
    names.sort_unstable();
    for symbol in &names {
        // Writing to a text does not fail.
        let _written = write!(text, " {symbol}");
    }
    format!(
        "run {source} {} {:08x}",
        names.len(),
        crc32c::crc32c(text.as_bytes())
    )
}

/// The place an earlier run saved.
pub(super) async fn load(
    state: Option<&Arc<dyn StateStore>>,
    name: &str,
) -> Result<Option<Timestamp>, CommandError> {
    let Some(state) = state else { return Ok(None) };
    let place = state.checkpoint_load(name).await?;
    Ok(place
        .and_then(|place| i64::try_from(place.0).ok())
        .filter(|nanos| 0 < *nanos)
        .and_then(Timestamp::from_nanos))
}
