//! The sink with its secrets, read from the environment when the run starts.
//!
//! A secret comes from a variable, or from the file that the variable's `..._FILE` twin names.

use super::environment::Environment;
use super::redis::Redis;
use super::sink::{Sink, SinkUrl, StoreUrl};
use super::value::{SinkUrlError, VariableName};
use barmill_stores as store;
use secrecy::SecretString;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a secret could not be had. Never holds the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Neither the variable nor its `_FILE` twin is set.
    #[error(
        "the {user} needs the environment variable {name}, or {name}_FILE naming a file that holds its value"
    )]
    Missing {
        /// Who needs it.
        user: String,
        /// The variable.
        name: String,
    },
    /// Both are set, and may disagree.
    #[error("both {name} and {name}_FILE are set, keep one")]
    Both {
        /// The variable.
        name: String,
    },
    /// The file cannot be read.
    #[error("the file {} that {name}_FILE names cannot be read", path.display())]
    File {
        /// The variable.
        name: String,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The variable holds no URL of the right kind.
    #[error("the value of {name} is not a URL that can be used")]
    Url {
        /// The variable.
        name: String,
        /// What is wrong with it.
        #[source]
        source: SinkUrlError,
    },
}

/// Where bars go, with everything a client needs to connect.
#[derive(Clone)]
pub struct SinkTarget {
    /// The store.
    pub store: StoreUrl,
    /// The bearer token of a REST store.
    pub token: Option<SecretString>,
}

impl SinkTarget {
    /// Completes a sink from the environment.
    ///
    /// # Errors
    /// [`SecretError`] when a variable is missing, doubled or useless.
    pub(super) fn resolve(
        sink: &Sink,
        redis: &Redis,
        environment: &Environment,
    ) -> Result<SinkTarget, SecretError> {
        let from = |name: &VariableName, is_kind: fn(&store::SinkUrl) -> bool| {
            let name = name.as_str();
            let parsed = SinkUrl::parse(&secret(environment, name)?);
            match parsed {
                Ok(SinkUrl::Given(store)) if is_kind(store.url()) => Ok(*store),
                other => Err(SecretError::Url {
                    name: name.to_owned(),
                    source: other.err().unwrap_or(SinkUrlError::Unknown),
                }),
            }
        };
        let is_rest = |url: &store::SinkUrl| matches!(url, store::SinkUrl::Rest(_));
        let store = match &sink.url {
            SinkUrl::Given(store) => store.as_ref().clone(),
            SinkUrl::RedisFromEnvironment => from(&redis.url_env, |url| {
                matches!(url, store::SinkUrl::Redis(_))
            })?,
            SinkUrl::UpstashFromEnvironment => from(&redis.rest_url_env, is_rest)?,
        };
        let token = if is_rest(store.url()) {
            Some(secret(environment, redis.rest_token_env.as_str())?.into())
        } else {
            None
        };
        Ok(SinkTarget { store, token })
    }

    /// The URL of the store, for its client.
    pub const fn url(&self) -> &store::SinkUrl {
        self.store.url()
    }

    /// The store's address without secrets, for logs and the closing line.
    pub fn address(&self) -> &str {
        self.store.address()
    }
}

impl fmt::Debug for SinkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SinkTarget({})", self.address())
    }
}

/// The text of a variable, or of the file its twin names, without white space around it.
pub(super) fn find_secret(
    environment: &Environment,
    name: &str,
) -> Result<Option<String>, SecretError> {
    let twin = environment.get(&format!("{name}_FILE"));
    match (environment.get(name), twin) {
        (Some(_), Some(_)) => Err(SecretError::Both {
            name: name.to_owned(),
        }),
        (Some(value), None) => Ok(Some(value.trim().to_owned())),
        (None, Some(path)) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(source) => Err(SecretError::File {
                name: name.to_owned(),
                path: path.into(),
                source,
            }),
        },
        (None, None) => Ok(None),
    }
}

/// The secret of a variable that the sink needs.
fn secret(environment: &Environment, name: &str) -> Result<String, SecretError> {
    let missing = || SecretError::Missing {
        user: "sink".to_owned(),
        name: name.to_owned(),
    };
    find_secret(environment, name)?.ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::SecretError;
    use crate::config::{Config, Environment, SinkUrl};
    use secrecy::ExposeSecret;
    use std::io::Write;

    fn config(url: &str) -> Config {
        let mut config = Config::default();
        config.sink.url = SinkUrl::parse(url).unwrap();
        config
    }

    #[test]
    fn a_set_variable_alone_does_not_move_the_bars() {
        let environment = Environment::from_pairs([("REDIS_URL", "redis://host")]);
        let target = Config::default().target(&environment).unwrap();
        assert_eq!(target.address(), "embedded:barmill-data");
    }

    #[test]
    fn the_short_names_take_url_and_token_from_the_environment() {
        let environment = Environment::from_pairs([
            ("REDIS_URL", "rediss://:hunter2@host"),
            ("UPSTASH_REDIS_REST_URL", "https://x.upstash.io"),
            ("UPSTASH_REDIS_REST_TOKEN", "hunter2"),
        ]);
        let redis = config("redis").target(&environment).unwrap();
        let upstash = config("upstash").target(&environment).unwrap();
        let shown = format!("{redis:?} {upstash:?}");
        assert_eq!(
            shown,
            "SinkTarget(rediss://host:6379) SinkTarget(https://x.upstash.io)"
        );
    }

    #[test]
    fn a_secret_may_come_from_a_file_but_not_from_two_places() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "hunter2").unwrap();
        let path = file.path().to_str().unwrap();
        let environment = Environment::from_pairs([("UPSTASH_REDIS_REST_TOKEN_FILE", path)]);
        let target = config("https://x.upstash.io").target(&environment).unwrap();
        assert!(
            target
                .token
                .is_some_and(|token| token.expose_secret() == "hunter2")
        );
        let both = Environment::from_pairs([("REDIS_URL", "redis://h"), ("REDIS_URL_FILE", path)]);
        let error = config("redis").target(&both).unwrap_err();
        assert!(matches!(error, SecretError::Both { .. }));
    }

    #[test]
    fn a_missing_secret_names_the_variable_to_set() {
        let error = config("upstash")
            .target(&Environment::default())
            .unwrap_err();
        insta::assert_snapshot!(error, @"the sink needs the environment variable UPSTASH_REDIS_REST_URL, or UPSTASH_REDIS_REST_URL_FILE naming a file that holds its value");
    }

    #[test]
    fn a_useless_url_in_the_environment_is_not_repeated() {
        let environment = Environment::from_pairs([("REDIS_URL", "hunter2@host")]);
        let error = config("redis").target(&environment).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}
