//! The symbols of a run: those of the config and those of the file beside it.

use super::super::dispatch::CommandError;
use crate::Symbol;
use crate::config::{Config, LiveNames, SourceName};
use std::collections::BTreeMap;

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

fn read_file(path: &std::path::Path) -> std::io::Result<String> {
    let length = std::fs::metadata(path)?.len();
    if FILE_BYTES_MAX < length {
        return Err(std::io::Error::other(format!(
            "{length} bytes are more than {FILE_BYTES_MAX}"
        )));
    }
    std::fs::read_to_string(path)
}
