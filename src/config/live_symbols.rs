//! The symbols of the daemon: names with or without their source, from lists and from files.

use super::ValueError;
use super::source::SourceName;
use super::value::{Setting, Show, Value, quoted};
use crate::model::Symbol;
use std::collections::BTreeMap;

/// Names of symbols, with `source:` before them or not; none twice, may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LiveNames(Vec<String>);

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
    #[error("symbol {symbol} is asked of two sources; a symbol has one")]
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
    #[error("line {line} of the symbols file: {text:?} is no symbol")]
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
            let name = line.split('#').next().unwrap_or_default().trim();
            if name.is_empty() || names.iter().any(|known| known == name) {
                continue;
            }
            if parse(name).is_none() {
                return Err(LiveNamesError::Line {
                    line: index + 1,
                    text: name.to_owned(),
                });
            }
            names.push(name.to_owned());
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
        for name in lists.iter().flat_map(|list| &list.0) {
            let Some((source, symbol)) = parse(name) else {
                continue;
            };
            let source = match (source, sources) {
                (Some(source), _) => source,
                (None, [only]) => *only,
                (None, _) => return Err(LiveNamesError::Sourceless { name: name.clone() }),
            };
            if !sources.contains(&source) {
                return Err(LiveNamesError::Unlisted {
                    name: name.clone(),
                    source_name: source,
                });
            }
            match dealt.iter().find(|(_, symbols)| symbols.contains(&symbol)) {
                Some((known, _)) if *known == source => {}
                Some(_) => return Err(LiveNamesError::Shared { symbol }),
                None => dealt.entry(source).or_default().push(symbol),
            }
        }
        match sources.iter().find(|source| !dealt.contains_key(source)) {
            Some(source) => Err(LiveNamesError::Empty {
                source_name: *source,
            }),
            None => Ok(dealt),
        }
    }
}

/// A name as source and symbol; a symbol may hold a colon itself, a source's name before it decides.
fn parse(name: &str) -> Option<(Option<SourceName>, Symbol)> {
    let split = name.split_once(':').and_then(|(source, rest)| {
        let source = SourceName::all().find(|known| known.as_str() == source)?;
        Some((source, rest))
    });
    match split {
        Some((source, rest)) => rest.parse().ok().map(|symbol| (Some(source), symbol)),
        None => name.parse().ok().map(|symbol| (None, symbol)),
    }
}

impl Show for LiveNames {
    fn show(&self) -> String {
        let names: Vec<String> = self.0.iter().map(|name| quoted(name)).collect();
        format!("[{}]", names.join(", "))
    }
}

impl Setting for LiveNames {
    fn read(value: &Value) -> Result<LiveNames, ValueError> {
        let mut names: Vec<String> = Vec::new();
        for text in value.texts()? {
            if parse(text).is_none() {
                return Err(ValueError::NotAllowed {
                    value: text.to_owned(),
                    allowed: "SYMBOL or SOURCE:SYMBOL".to_owned(),
                    nearest: None,
                });
            }
            if names.iter().any(|name| name == text) {
                return Err(ValueError::Twice {
                    value: text.to_owned(),
                });
            }
            names.push(text.to_owned());
        }
        Ok(LiveNames(names))
    }
}

#[cfg(test)]
mod tests {
    use super::{LiveNames, Setting, SourceName, Value};

    fn names(text: &str) -> LiveNames {
        LiveNames::read(&Value::Given(text.to_owned())).unwrap()
    }

    fn deal(text: &str, sources: &[SourceName]) -> String {
        match LiveNames::deal(&[names(text)], sources) {
            Ok(dealt) => format!("{dealt:?}"),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn names_go_to_their_source_and_each_symbol_to_one() {
        let [binance, kraken] = ["binance", "kraken"].map(|name| SourceName::parse(name).unwrap());
        assert_eq!(deal("A,B:C", &[kraken]), "{kraken: [A, B:C]}");
        assert_eq!(
            deal("kraken:BTC/USD,binance:X", &[binance, kraken]),
            "{binance: [X], kraken: [BTC/USD]}"
        );
        let refusals = [
            deal("A,kraken:B", &[binance, kraken]),
            deal("binance:A", &[kraken]),
            deal("kraken:A,binance:A", &[binance, kraken]),
            deal("kraken:A", &[binance, kraken]),
        ];
        insta::assert_snapshot!(refusals.join("\n"), @r#"
        symbol "A" has no source; with several sources write SOURCE:A
        symbol "binance:A" names the source binance, which live.sources does not list
        symbol A is asked of two sources; a symbol has one
        source binance has no symbol; give some with --symbol, --symbols-file or live.symbols
        "#);
    }

    #[test]
    fn file_has_a_name_a_line_and_comments() {
        let read =
            LiveNames::from_lines("# coins\nBTCUSDT\n\n ETHUSDT # ether\nBTCUSDT\n").unwrap();
        assert_eq!(read, names("BTCUSDT,ETHUSDT"));
        let fault = LiveNames::from_lines("A\nB C\n").unwrap_err();
        assert_eq!(
            fault.to_string(),
            "line 2 of the symbols file: \"B C\" is no symbol"
        );
    }
}
