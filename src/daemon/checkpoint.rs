//! Where a run resumes: the names of its checkpoints, and what an earlier run saved under them.

use crate::port::{StateError, StateStore};
use crate::{Symbol, Timestamp};
use std::fmt::Write;
use std::sync::Arc;

/// The name of a source's checkpoint. `run` says whatever else decides the bars: another set of symbols, other bars or
/// another store begin anew.
pub(crate) fn checkpoint_name(run: &str, source: &str, symbols: &[Symbol]) -> String {
    let mut text = run.to_owned();
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

/// The event time that an earlier run saved.
pub(super) async fn load(
    state: Option<&Arc<dyn StateStore>>,
    name: Option<&String>,
) -> Result<Option<Timestamp>, StateError> {
    let (Some(state), Some(name)) = (state, name) else {
        return Ok(None);
    };
    let saved = state.checkpoint_load(name).await?;
    Ok(saved
        .and_then(|saved| i64::try_from(saved.0).ok())
        .filter(|nanos| 0 < *nanos)
        .and_then(Timestamp::from_nanos))
}
