//! The symbols of the daemon: names with or without their source, from lists and from files.

use super::ValueError;
use super::section::list;
use super::source::SourceName;
use super::value::{Setting, Value, not_allowed, quoted};
use crate::model::Symbol;
use barmill_sources::venue::Venue;
use std::collections::BTreeMap;

/// The name of a symbol, with `source:` before it or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveName {
    text: String,
    source: Option<SourceName>,
    symbol: Symbol,
}

list! {
    /// Names of symbols; none twice, may be empty.
    LiveNames of LiveName, 0..
}

/// Why names do not become the symbols of sources.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LiveNamesError {
    /// A name without a source where there are several.
    #[error("symbol {name:?} has no source; with several sources write SOURCE:{name}")]
    Sourceless {
        /// The name.
        name: String,
    },
    /// A source that is not listened to.
    #[error("symbol {name:?} names the source {source_name}, which live.sources does not list")]
    Unlisted {
        /// The name.
        name: String,
        /// The source.
        source_name: SourceName,
    },
    /// A symbol of two sources: its bars would count the trades of both.
    #[error("symbol {symbol} is requested from two sources; each symbol has one")]
    Shared {
        /// The symbol.
        symbol: Symbol,
    },
    /// A source without symbols.
    #[error(
        "source {source_name} has no symbol; give some with --symbol, --symbols-file or live.symbols"
    )]
    Empty {
        /// The source.
        source_name: SourceName,
    },
    /// A line that is no symbol.
    #[error("line {line} of the symbols file: {text:?} is not a symbol")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// The line.
        text: String,
    },
}

impl LiveNames {
    /// Reads a file of names, one a line; what follows `#` is a comment.
    ///
    /// # Errors
    /// [`LiveNamesError::Line`] names the first line that is no symbol.
    pub fn from_lines(text: &str) -> Result<LiveNames, LiveNamesError> {
        let mut names = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let text = line.split('#').next().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            let name = LiveName::parse(text).ok_or_else(|| LiveNamesError::Line {
                line: index + 1,
                text: text.to_owned(),
            })?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(LiveNames(names))
    }

    /// Deals the names of several lists to the sources; each source gets at least one symbol, each symbol one source.
    ///
    /// # Errors
    /// [`LiveNamesError`] names the first name or source that does not fit.
    pub fn deal(
        lists: &[LiveNames],
        sources: &[SourceName],
    ) -> Result<BTreeMap<SourceName, Vec<Symbol>>, LiveNamesError> {
        let mut dealt: BTreeMap<SourceName, Vec<Symbol>> = BTreeMap::new();
        for LiveName {
            text,
            source,
            symbol,
        } in lists.iter().flat_map(LiveNames::as_slice)
        {
            let (name, symbol) = (text.clone(), *symbol);
            let source = match (source, sources) {
                (Some(source), _) => *source,
                (None, [only]) => *only,
                (None, _) => return Err(LiveNamesError::Sourceless { name }),
            };
            if !sources.contains(&source) {
                return Err(LiveNamesError::Unlisted {
                    name,
                    source_name: source,
                });
            }
            match dealt.iter().find(|(_, symbols)| symbols.contains(&symbol)) {
                Some((known, _)) if *known == source => {}
                Some(_) => return Err(LiveNamesError::Shared { symbol }),
                None => dealt.entry(source).or_default().push(symbol),
            }
        }
        match sources.iter().find(|source| !dealt.contains_key(*source)) {
            Some(source) => Err(LiveNamesError::Empty {
                source_name: source,
            }),
            None => Ok(dealt),
        }
    }
}

impl LiveName {
    /// A symbol may hold a colon itself; a source's name before it decides.
    fn parse(text: &str) -> Option<LiveName> {
        let split = text.split_once(':');
        let split = split.and_then(|(name, rest)| Some((Venue::by_name(name)?, rest)));
        let (source, symbol) = match split {
            Some((source, rest)) => (Some(source), rest),
            None => (None, text),
        };
        Some(LiveName {
            text: text.to_owned(),
            source,
            symbol: symbol.parse().ok()?,
        })
    }
}

impl Setting for LiveName {
    fn read(value: &Value) -> Result<LiveName, ValueError> {
        let text = value.text()?;
        LiveName::parse(text).ok_or_else(|| not_allowed(text, "SYMBOL or SOURCE:SYMBOL"))
    }

    fn show(&self) -> String {
        quoted(&self.text)
    }
}

#[cfg(test)]
mod tests;
