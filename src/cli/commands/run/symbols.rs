//! The symbols of a run, from the config and the symbols file.

use super::super::source;
use crate::Symbol;
use crate::cli::exit::CommandError;
use crate::config::{Config, Environment, LiveNames, SourceName};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// Bytes of the longest symbols file.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// The symbols file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("symbols file {file} cannot be read")]
struct Unreadable {
    file: String,
    #[source]
    source: std::io::Error,
}

/// Reads the symbols of every source.
pub(in super::super) fn read(
    config: &Config,
) -> Result<BTreeMap<SourceName, Vec<Symbol>>, CommandError> {
    let mut lists = vec![config.live.symbols.clone()];
    if let Some(path) = &config.live.symbols_file {
        let text = read_file(path).map_err(|source| Unreadable {
            file: path.display().to_string(),
            source,
        })?;
        lists.push(LiveNames::from_lines(&text)?);
    }
    Ok(LiveNames::deal(&lists, config.live.sources.as_slice())?)
}

/// A symbol that a venue does not list.
#[derive(Debug, thiserror::Error)]
#[error("{venue} does not list the symbol {symbol}{}", .nearest.as_ref().map(|name| format!(", did you mean {name}?")).unwrap_or_default())]
pub(super) struct UnlistedError {
    venue: SourceName,
    symbol: Symbol,
    nearest: Option<String>,
}

/// Longest wait for a venue's list of symbols.
const LIST_WAIT: Duration = Duration::from_secs(5);

/// Holds the symbols against the lists of the venues that give theirs in one answer; a venue that does not answer is told,
/// and checks them itself when they are subscribed to.
pub(super) async fn check(
    config: &Config,
    symbols: &BTreeMap<SourceName, Vec<Symbol>>,
    environment: &Environment,
) -> Result<(), CommandError> {
    for (&venue, symbols) in symbols {
        let source = source::open(config, venue, environment)?;
        let listed = match tokio::time::timeout(LIST_WAIT, source.listed()).await {
            Ok(Ok(listed)) => listed.unwrap_or_default(),
            Ok(Err(error)) => {
                let cause: &dyn std::error::Error = &error;
                tracing::warn!(%venue, cause, "the venue's symbol list cannot be fetched; symbols are not checked");
                continue;
            }
            Err(_) => {
                tracing::warn!(%venue, "the venue's symbol list timed out; symbols are not checked");
                continue;
            }
        };
        let known: HashSet<&str> = listed.iter().map(String::as_str).collect();
        if known.is_empty() {
            continue;
        }
        let unlisted = |symbol: &&Symbol| !known.contains(symbol.as_str());
        if let Some(&symbol) = symbols.iter().find(unlisted) {
            let distance = |name: &&String| strsim::levenshtein(name, symbol.as_str());
            let upper = symbol.as_str().to_uppercase();
            let nearest = listed.iter().find(|name| **name == upper);
            let nearest = nearest.or_else(|| listed.iter().min_by_key(distance));
            let error = UnlistedError {
                venue,
                symbol,
                nearest: nearest.cloned(),
            };
            return Err(error.into());
        }
    }
    Ok(())
}

fn read_file(path: &std::path::Path) -> std::io::Result<String> {
    let length = std::fs::metadata(path)?.len();
    if FILE_BYTES_MAX < length {
        return Err(std::io::Error::other(format!(
            "{length} bytes are more than {FILE_BYTES_MAX}"
        )));
    }
    std::fs::read_to_string(path)
}
