//! The process environment as a value; only this module reads it, and tests pass a map.

use std::collections::BTreeMap;
use std::fmt;

/// The environment variables of one run. Its `Debug` form shows names only, as values may be secrets.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// Takes the variables of this process; a name or value that is no Unicode is left out.
    pub fn from_process() -> Environment {
        let pairs = std::env::vars_os();
        let texts = pairs.filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Environment {
            variables: texts.collect(),
        }
    }

    /// Takes the given variables; of two with one name the later counts.
    #[cfg(any(test, feature = "internals"))]
    pub fn from_pairs<N: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Environment {
        Environment {
            variables: pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }

    /// The value of a variable; `None` when it is not set or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The variables whose names start with `prefix`, by name, empty values included.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        all.filter(move |(name, _)| name.starts_with(prefix))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Environment;

    #[test]
    fn debug_shows_names_and_no_value() {
        let environment = Environment::from_pairs([("REDIS_URL", "redis://:hunter2@host")]);
        assert_eq!(format!("{environment:?}"), r#"{"REDIS_URL"}"#);
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        assert_eq!(
            Environment::from_pairs([("REDIS_URL", "")]).get("REDIS_URL"),
            None
        );
    }
}
