//! `[sink]`: where bars go, as one URL.
//!
//! The URL alone decides: a variable such as `REDIS_URL` that happens to be set never moves the bars.
//! The short names `redis` and `upstash` say that the URL is to be taken from the environment.

use super::ValueError;
use super::section::section;
use super::value::{Setting, Show, Value, quoted};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

section! {
    /// Where bars go.
    Sink, "sink" {
        /// The store.
        url: SinkUrl = SinkUrl::Embedded(PathBuf::from("barmill-data"));
    }
}

const ALLOWED: &str =
    "redis, upstash, redis://HOST, rediss://HOST, https://HOST, embedded:DIR, stdout: or null:";

/// Why a text names no sink. The text is never repeated, as it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkUrlError {
    /// No known form.
    #[error("the text names no sink, allowed is {ALLOWED}")]
    Unknown,
    /// No folder after `embedded:`.
    #[error("embedded: needs a folder, such as embedded:barmill-data")]
    NoFolder,
    /// A URL that cannot be taken apart.
    #[error("the {scheme} URL is not valid: {reason}")]
    Malformed {
        /// The scheme.
        scheme: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Plain HTTP to a place that is not this machine.
    #[error("plain http:// is allowed to this machine only, use https://")]
    PlainHttp,
    /// A user or password in a REST URL.
    #[error("a REST URL carries no user or password, its token comes from the environment")]
    UserInfo,
}

/// Where bars go, as the config says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkUrl {
    /// A store in a local folder.
    Embedded(PathBuf),
    /// Redis over RESP.
    Redis(RedisUrl),
    /// Redis over RESP, by the URL in the environment.
    RedisFromEnvironment,
    /// Upstash over REST; scheme, host, port and path.
    Upstash(String),
    /// Upstash over REST, by the URL in the environment.
    UpstashFromEnvironment,
    /// JSON lines on standard output.
    Stdout,
    /// Counts only.
    Null,
}

/// A `redis://` or `rediss://` URL, which may hold a password and therefore does not print.
#[derive(Clone)]
pub struct RedisUrl {
    url: SecretString,
    address: String,
    has_password: bool,
}

impl RedisUrl {
    /// The whole URL with its password, for the client.
    pub fn secret(&self) -> &SecretString {
        &self.url
    }

    /// Scheme, host, port and database, for people.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the URL holds a password.
    pub const fn has_password(&self) -> bool {
        self.has_password
    }
}

impl PartialEq for RedisUrl {
    fn eq(&self, other: &RedisUrl) -> bool {
        self.url.expose_secret() == other.url.expose_secret()
    }
}

impl Eq for RedisUrl {}

impl fmt::Debug for RedisUrl {
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
            "stdout:" => return Ok(SinkUrl::Stdout),
            "null:" => return Ok(SinkUrl::Null),
            "embedded:" => return Err(SinkUrlError::NoFolder),
            _ => {}
        }
        if let Some(folder) = text.strip_prefix("embedded:") {
            return Ok(SinkUrl::Embedded(PathBuf::from(folder)));
        }
        match text.split_once("://") {
            Some(("redis", _)) => parse_redis(text, "redis://").map(SinkUrl::Redis),
            Some(("rediss", _)) => parse_redis(text, "rediss://").map(SinkUrl::Redis),
            Some(("https", _)) => parse_rest(text, "https://").map(SinkUrl::Upstash),
            Some(("http", _)) => parse_rest(text, "http://").map(SinkUrl::Upstash),
            Some(_) | None => Err(SinkUrlError::Unknown),
        }
    }
}

fn parse_url(text: &str, scheme: &'static str) -> Result<Url, SinkUrlError> {
    let malformed = |reason| SinkUrlError::Malformed { scheme, reason };
    let url = Url::parse(text).map_err(|_| malformed("host or port cannot be read"))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(malformed("it has no host"));
    }
    if url.fragment().is_some() {
        return Err(malformed("it has a #fragment"));
    }
    Ok(url)
}

fn parse_redis(text: &str, scheme: &'static str) -> Result<RedisUrl, SinkUrlError> {
    let url = parse_url(text, scheme)?;
    let database = url.path().trim_start_matches('/');
    if !database.is_empty() && database.parse::<u32>().is_err() {
        return Err(SinkUrlError::Malformed {
            scheme,
            reason: "the database after the host is no number",
        });
    }
    let host = url.host_str().unwrap_or_default();
    let mut address = format!("{scheme}{host}:{}", url.port().unwrap_or(6379));
    if !database.is_empty() {
        address = format!("{address}/{database}");
    }
    Ok(RedisUrl {
        has_password: url.password().is_some(),
        url: SecretString::from(text),
        address,
    })
}

fn parse_rest(text: &str, scheme: &'static str) -> Result<String, SinkUrlError> {
    let url = parse_url(text, scheme)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SinkUrlError::UserInfo);
    }
    if url.query().is_some() {
        return Err(SinkUrlError::Malformed {
            scheme,
            reason: "it has a ?query",
        });
    }
    if url.scheme() == "http" && !is_loopback(url.host_str().unwrap_or_default()) {
        return Err(SinkUrlError::PlainHttp);
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for SinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SinkUrl::Embedded(folder) => write!(f, "embedded:{}", folder.display()),
            SinkUrl::Redis(url) => f.write_str(url.address()),
            SinkUrl::RedisFromEnvironment => f.write_str("redis"),
            SinkUrl::Upstash(url) => f.write_str(url),
            SinkUrl::UpstashFromEnvironment => f.write_str("upstash"),
            SinkUrl::Stdout => f.write_str("stdout:"),
            SinkUrl::Null => f.write_str("null:"),
        }
    }
}

impl Show for SinkUrl {
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for SinkUrl {
    fn read(value: &Value) -> Result<SinkUrl, ValueError> {
        Ok(SinkUrl::parse(value.text()?)?)
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
        assert_eq!(
            SinkUrl::parse("http://example.com"),
            Err(SinkUrlError::PlainHttp)
        );
        assert_eq!(
            SinkUrl::parse("http://localhost.example.com"),
            Err(SinkUrlError::PlainHttp)
        );
        assert_eq!(
            SinkUrl::parse("https://user:pw@host"),
            Err(SinkUrlError::UserInfo)
        );
        assert_eq!(SinkUrl::parse("embedded:"), Err(SinkUrlError::NoFolder));
        assert_eq!(SinkUrl::parse("kafka://host"), Err(SinkUrlError::Unknown));
        for text in [
            "redis://",
            "redis://host:99999",
            "redis://host/db",
            "rediss://host/#insecure",
        ] {
            assert!(
                matches!(SinkUrl::parse(text), Err(SinkUrlError::Malformed { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn a_password_appears_in_no_text_form() {
        let url = SinkUrl::parse("redis://:hunter2@host/1").unwrap();
        assert_eq!(
            format!("{url:?} {url}"),
            "Redis(redis://host:6379/1) redis://host:6379/1"
        );
        let error = SinkUrl::parse("redis://:hunter2@host:99999").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}
