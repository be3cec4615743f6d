//! The sink with its secrets, read from the environment when the run starts.
//!
//! A secret comes from a variable, or from the file that the variable's `..._FILE` twin names.

use super::{Config, Environment, RedisUrl, SinkUrl, SinkUrlError};
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
pub enum SinkTarget {
    /// A store in a local folder.
    Embedded {
        /// The folder.
        dir: PathBuf,
    },
    /// Redis over RESP.
    Redis {
        /// The URL, password included.
        url: RedisUrl,
    },
    /// Upstash over REST.
    Upstash {
        /// Scheme, host, port and path; no slash at the end.
        url: String,
        /// The bearer token.
        token: SecretString,
    },
    /// JSON lines on standard output.
    Stdout,
    /// Counts only.
    Null,
}

impl SinkTarget {
    /// Completes the sink of a config from the environment.
    ///
    /// # Errors
    /// [`SecretError`] when a variable is missing, doubled or useless.
    pub fn resolve(config: &Config, environment: &Environment) -> Result<SinkTarget, SecretError> {
        let token = || secret(environment, config.redis.rest_token_env.as_str());
        match &config.sink.url {
            SinkUrl::Embedded(dir) => Ok(SinkTarget::Embedded { dir: dir.clone() }),
            SinkUrl::Redis(url) => Ok(SinkTarget::Redis { url: url.clone() }),
            SinkUrl::RedisFromEnvironment => {
                let name = config.redis.url_env.as_str();
                match SinkUrl::parse(&secret(environment, name)?) {
                    Ok(SinkUrl::Redis(url)) => Ok(SinkTarget::Redis { url }),
                    other => Err(useless(name, other)),
                }
            }
            SinkUrl::Upstash(url) => Ok(SinkTarget::Upstash {
                url: url.clone(),
                token: token()?.into(),
            }),
            SinkUrl::UpstashFromEnvironment => {
                let name = config.redis.rest_url_env.as_str();
                match SinkUrl::parse(&secret(environment, name)?) {
                    Ok(SinkUrl::Upstash(url)) => Ok(SinkTarget::Upstash {
                        url,
                        token: token()?.into(),
                    }),
                    other => Err(useless(name, other)),
                }
            }
            SinkUrl::Stdout => Ok(SinkTarget::Stdout),
            SinkUrl::Null => Ok(SinkTarget::Null),
        }
    }

    /// The store's address without secrets, for logs and the closing line.
    pub fn address(&self) -> String {
        match self {
            SinkTarget::Embedded { dir } => format!("embedded:{}", dir.display()),
            SinkTarget::Redis { url } => url.address().to_owned(),
            SinkTarget::Upstash { url, .. } => url.clone(),
            SinkTarget::Stdout => "stdout:".to_owned(),
            SinkTarget::Null => "null:".to_owned(),
        }
    }
}

impl fmt::Debug for SinkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SinkTarget({})", self.address())
    }
}

fn useless(name: &str, parsed: Result<SinkUrl, SinkUrlError>) -> SecretError {
    SecretError::Url {
        name: name.to_owned(),
        source: parsed.err().unwrap_or(SinkUrlError::Unknown),
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
    use super::{SecretError, SinkTarget};
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
        let target = SinkTarget::resolve(&Config::default(), &environment).unwrap();
        assert_eq!(target.address(), "embedded:barmill-data");
    }

    #[test]
    fn the_short_names_take_url_and_token_from_the_environment() {
        let environment = Environment::from_pairs([
            ("REDIS_URL", "rediss://:hunter2@host"),
            ("UPSTASH_REDIS_REST_URL", "https://x.upstash.io"),
            ("UPSTASH_REDIS_REST_TOKEN", "hunter2"),
        ]);
        let redis = SinkTarget::resolve(&config("redis"), &environment).unwrap();
        let upstash = SinkTarget::resolve(&config("upstash"), &environment).unwrap();
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
        let target = SinkTarget::resolve(&config("https://x.upstash.io"), &environment).unwrap();
        assert!(
            matches!(target, SinkTarget::Upstash { token, .. } if token.expose_secret() == "hunter2")
        );
        let both = Environment::from_pairs([("REDIS_URL", "redis://h"), ("REDIS_URL_FILE", path)]);
        let error = SinkTarget::resolve(&config("redis"), &both).unwrap_err();
        assert!(matches!(error, SecretError::Both { .. }));
    }

    #[test]
    fn a_missing_secret_names_the_variable_to_set() {
        let error = SinkTarget::resolve(&config("upstash"), &Environment::default()).unwrap_err();
        insta::assert_snapshot!(error, @"the sink needs the environment variable UPSTASH_REDIS_REST_URL, or UPSTASH_REDIS_REST_URL_FILE naming a file that holds its value");
    }

    #[test]
    fn a_useless_url_in_the_environment_is_not_repeated() {
        let environment = Environment::from_pairs([("REDIS_URL", "hunter2@host")]);
        let error = SinkTarget::resolve(&config("redis"), &environment).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}
