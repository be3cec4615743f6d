//! `[sink]`: where bars go, as one URL.
//!
//! The URL alone decides: a variable such as `REDIS_URL` that happens to be set never moves the bars.
//! The short names `redis` and `upstash` say that the URL is to be taken from the environment.

use super::section::section;
use super::value::{Setting, SinkUrlError, Value, ValueError, quoted};
use barmill_stores as store;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;

section! {
    /// Where bars go.
    Sink, "sink" {
        /// The store.
        url: SinkUrl = SinkUrl::folder("barmill-data");
    }
}

/// Where bars go, as the config says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkUrl {
    /// The store of this URL.
    Given(Box<StoreUrl>),
    /// Redis over RESP, by the URL in the environment.
    RedisFromEnvironment,
    /// Upstash over REST, by the URL in the environment.
    UpstashFromEnvironment,
}

/// The URL of a store, which may hold a password and therefore does not print as it was given.
#[derive(Clone)]
pub struct StoreUrl {
    text: SecretString,
    url: store::SinkUrl,
    address: String,
}

impl StoreUrl {
    /// The store of a folder on this machine.
    pub fn folder(dir: &str) -> StoreUrl {
        StoreUrl::new(
            &format!("embedded:{dir}"),
            store::SinkUrl::Embedded(dir.into()),
        )
    }

    fn new(text: &str, url: store::SinkUrl) -> StoreUrl {
        let whole = url.without_login();
        // The first database is told where it was written.
        let short = whole.strip_suffix("/0").filter(|_| !text.ends_with("/0"));
        StoreUrl {
            address: short.unwrap_or(&whole).to_owned(),
            text: SecretString::from(text),
            url,
        }
    }

    /// The URL for the client.
    pub const fn url(&self) -> &store::SinkUrl {
        &self.url
    }

    /// The URL without user and password, for people.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the URL holds a password.
    pub fn has_password(&self) -> bool {
        let after = self.text.expose_secret().split_once("://");
        let login = after.and_then(|(_, rest)| rest.split('/').next()?.rsplit_once('@'));
        login.is_some_and(|(login, _)| login.contains(':'))
    }
}

impl PartialEq for StoreUrl {
    fn eq(&self, other: &StoreUrl) -> bool {
        self.text.expose_secret() == other.text.expose_secret()
    }
}

impl Eq for StoreUrl {}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

impl SinkUrl {
    /// Parses one of the forms that the config allows.
    ///
    /// # Errors
    /// [`SinkUrlError`], which never repeats the text.
    pub fn parse(text: &str) -> Result<SinkUrl, SinkUrlError> {
        match text {
            "redis" => return Ok(SinkUrl::RedisFromEnvironment),
            "upstash" => return Ok(SinkUrl::UpstashFromEnvironment),
            _ => {}
        }
        match text.parse() {
            Ok(url) => Ok(SinkUrl::Given(Box::new(StoreUrl::new(text, url)))),
            Err(store::SinkUrlError::Scheme { .. }) => Err(SinkUrlError::Unknown),
            Err(error) => Err(SinkUrlError::Url(error)),
        }
    }

    fn folder(dir: &str) -> SinkUrl {
        SinkUrl::Given(Box::new(StoreUrl::folder(dir)))
    }

    /// Whether it is on this machine, so that no plan of a server limits it.
    pub fn is_local(&self) -> bool {
        match self {
            SinkUrl::Given(store) => store.url.is_local(),
            SinkUrl::RedisFromEnvironment | SinkUrl::UpstashFromEnvironment => false,
        }
    }
}

impl fmt::Display for SinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SinkUrl::Given(store) => &store.address,
            SinkUrl::RedisFromEnvironment => "redis",
            SinkUrl::UpstashFromEnvironment => "upstash",
        })
    }
}

impl Setting for SinkUrl {
    fn read(value: &Value) -> Result<SinkUrl, ValueError> {
        Ok(SinkUrl::parse(value.text()?)?)
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::{SinkUrl, SinkUrlError};

    #[test]
    fn every_form_of_the_design_is_understood() {
        for (text, shown) in [
            ("embedded:barmill-data", "embedded:barmill-data"),
            ("redis://localhost", "redis://localhost:6379"),
            (
                "rediss://user:pw@db.example.com:6380/3",
                "rediss://db.example.com:6380/3",
            ),
            ("https://eu1-x.upstash.io/", "https://eu1-x.upstash.io"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("redis", "redis"),
            ("upstash", "upstash"),
            ("stdout:", "stdout:"),
            ("null:", "null:"),
        ] {
            assert_eq!(SinkUrl::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_would_leak_or_mislead_is_refused() {
        assert_eq!(SinkUrl::parse("kafka://host"), Err(SinkUrlError::Unknown));
        for (text, why) in [
            ("http://example.com", "https:// is needed"),
            ("http://localhost.example.com", "https:// is needed"),
            ("https://user:pw@host", "the token goes into"),
            ("embedded:", "needs a folder"),
            ("redis://", "not a redis URL"),
            ("redis://host:99999", "not a redis URL"),
            ("redis://host/db", "not a redis URL"),
            ("rediss://host/#insecure", "must not contain #insecure"),
        ] {
            let error = SinkUrl::parse(text).unwrap_err();
            assert!(matches!(error, SinkUrlError::Url(_)), "{text}");
            assert!(error.to_string().contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_password_appears_in_no_text_form() {
        let url = SinkUrl::parse("redis://:hunter2@host/1").unwrap();
        assert_eq!(
            format!("{url:?} {url}"),
            "Given(redis://host:6379/1) redis://host:6379/1"
        );
        let error = SinkUrl::parse("redis://:hunter2@host:99999").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}
