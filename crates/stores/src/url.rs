//! The URL of a store.
//!
//! Owns the schemes and what is allowed in each. No credential leaves it by `Display` or `Debug`.

#[cfg(feature = "redis")]
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
#[cfg(feature = "upstash")]
use reqwest::Url;
use std::fmt;
#[cfg(feature = "upstash")]
use std::net::IpAddr;
#[cfg(feature = "embedded")]
use std::path::PathBuf;
use std::str::FromStr;

/// Why a text is no sink URL. No variant repeats the text, since it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkUrlError {
    /// No known scheme.
    #[error(
        "sink scheme {scheme:?} is not one of redis:// rediss:// https:// http:// embedded:DIR stdout: null:"
    )]
    Scheme {
        /// What stands before the first colon, at most 16 characters.
        scheme: String,
    },
    /// A Redis URL that does not parse.
    #[error("sink is no redis URL such as redis://user:password@host:6379/0")]
    Redis,
    /// Certificates that would not be verified.
    #[error("sink URL must not say #insecure; name the private CA file instead")]
    Insecure,
    /// A REST URL that does not parse, or has more than scheme, host, port and path.
    #[error(
        "sink is no REST URL such as https://name.upstash.io; the token goes into UPSTASH_REDIS_REST_TOKEN"
    )]
    Rest,
    /// Plain text over a network.
    #[error(
        "sink host {host} is not this machine, so https:// is needed; plain http:// would show the token"
    )]
    Plain {
        /// The host.
        host: String,
    },
    /// A store that this build was made without.
    #[error("sink needs the Cargo feature {name:?}, which this build of barmill was made without")]
    Feature {
        /// The feature.
        name: &'static str,
    },
    /// No folder.
    #[error("sink embedded: needs a folder, such as embedded:./bars")]
    Folder,
    /// Something after `stdout:` or `null:`.
    #[error("sink {scheme}: takes nothing after the colon")]
    Extra {
        /// The scheme.
        scheme: &'static str,
    },
}

/// A parsed sink URL.
///
/// ```
/// use barmill_stores::SinkUrl;
/// let url: SinkUrl = "rediss://default:secret@eu1.upstash.io:6379".parse()?;
/// assert_eq!(url.to_string(), "rediss://***@eu1.upstash.io:6379/0");
/// # Ok::<(), barmill_stores::SinkUrlError>(())
/// ```
#[derive(Clone)]
pub enum SinkUrl {
    /// A Redis server over RESP.
    #[cfg(feature = "redis")]
    Redis(RedisUrl),
    /// The Upstash REST API.
    #[cfg(feature = "upstash")]
    Rest(RestUrl),
    /// A store in a local folder.
    #[cfg(feature = "embedded")]
    Embedded(PathBuf),
    /// JSON lines on standard output.
    Stdout,
    /// Nowhere; counts only.
    Null,
}

/// A checked `redis://` or `rediss://` URL.
#[cfg(feature = "redis")]
#[derive(Clone)]
pub struct RedisUrl(ConnectionInfo);

/// A checked `https://` URL, or `http://` of this machine; without credentials, query and fragment.
#[cfg(feature = "upstash")]
#[derive(Clone, PartialEq, Eq)]
pub struct RestUrl(Url);

impl SinkUrl {
    /// Whether it is on this machine, so that no plan of a server limits it.
    pub fn is_local(&self) -> bool {
        match self {
            #[cfg(feature = "redis")]
            SinkUrl::Redis(_) => false,
            #[cfg(feature = "upstash")]
            SinkUrl::Rest(_) => false,
            #[cfg(feature = "embedded")]
            SinkUrl::Embedded(_) => true,
            SinkUrl::Stdout | SinkUrl::Null => true,
        }
    }

    /// The URL without user and password: the same store has the same text, whoever logs in.
    pub fn without_login(&self) -> String {
        self.to_string().replace("***@", "")
    }
}

#[cfg(feature = "redis")]
impl RedisUrl {
    pub(crate) fn info(&self) -> &ConnectionInfo {
        &self.0
    }
}

#[cfg(feature = "upstash")]
impl RestUrl {
    /// The address of pipelines.
    pub(crate) fn pipeline(&self) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/pipeline", self.0.path().trim_end_matches('/')));
        url
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }
}

impl FromStr for SinkUrl {
    type Err = SinkUrlError;

    fn from_str(text: &str) -> Result<SinkUrl, SinkUrlError> {
        let unknown = |scheme: &str| SinkUrlError::Scheme {
            scheme: scheme.chars().take(16).collect(),
        };
        let (scheme, rest) = text.split_once(':').ok_or_else(|| unknown(text))?;
        match scheme {
            #[cfg(feature = "redis")]
            "redis" | "rediss" => parse_redis(text).map(SinkUrl::Redis),
            #[cfg(feature = "upstash")]
            "https" | "http" => parse_rest(text).map(SinkUrl::Rest),
            #[cfg(feature = "embedded")]
            "embedded" if rest.is_empty() => Err(SinkUrlError::Folder),
            #[cfg(feature = "embedded")]
            "embedded" => Ok(SinkUrl::Embedded(PathBuf::from(rest))),
            "stdout" if rest.is_empty() => Ok(SinkUrl::Stdout),
            "stdout" => Err(SinkUrlError::Extra { scheme: "stdout" }),
            "null" if rest.is_empty() => Ok(SinkUrl::Null),
            "null" => Err(SinkUrlError::Extra { scheme: "null" }),
            #[cfg(not(feature = "redis"))]
            "redis" | "rediss" => Err(SinkUrlError::Feature { name: "redis" }),
            #[cfg(not(feature = "upstash"))]
            "https" | "http" => Err(SinkUrlError::Feature { name: "upstash" }),
            #[cfg(not(feature = "embedded"))]
            "embedded" => Err(SinkUrlError::Feature { name: "embedded" }),
            other => Err(unknown(other)),
        }
    }
}

#[cfg(feature = "redis")]
fn parse_redis(text: &str) -> Result<RedisUrl, SinkUrlError> {
    let info = text
        .into_connection_info()
        .map_err(|_| SinkUrlError::Redis)?;
    let is_tcp = matches!(
        info.addr(),
        ConnectionAddr::Tcp(_, _) | ConnectionAddr::TcpTls { .. }
    );
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return Err(SinkUrlError::Insecure);
    }
    if is_tcp {
        Ok(RedisUrl(info))
    } else {
        Err(SinkUrlError::Redis)
    }
}

#[cfg(feature = "upstash")]
fn parse_rest(text: &str) -> Result<RestUrl, SinkUrlError> {
    let url = Url::parse(text).map_err(|_| SinkUrlError::Rest)?;
    let has_extra = !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some();
    let host = url.host_str().unwrap_or_default();
    if has_extra || host.is_empty() {
        return Err(SinkUrlError::Rest);
    }
    if url.scheme() == "http" && !is_loopback(host) {
        return Err(SinkUrlError::Plain {
            host: host.to_owned(),
        });
    }
    Ok(RestUrl(url))
}

#[cfg(feature = "upstash")]
fn is_loopback(host: &str) -> bool {
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for SinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "redis")]
            SinkUrl::Redis(url) => fmt::Display::fmt(url, f),
            #[cfg(feature = "upstash")]
            SinkUrl::Rest(url) => fmt::Display::fmt(url, f),
            #[cfg(feature = "embedded")]
            SinkUrl::Embedded(folder) => write!(f, "embedded:{}", folder.display()),
            SinkUrl::Stdout => f.write_str("stdout:"),
            SinkUrl::Null => f.write_str("null:"),
        }
    }
}

#[cfg(feature = "redis")]
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.0.redis_settings();
        let scheme = if matches!(self.0.addr(), ConnectionAddr::TcpTls { .. }) {
            "rediss"
        } else {
            "redis"
        };
        let hidden = if settings.password().is_some() || settings.username().is_some() {
            "***@"
        } else {
            ""
        };
        // The own colons of an IPv6 address would hide where the port begins.
        let address = if let ConnectionAddr::Tcp(host, port)
        | ConnectionAddr::TcpTls { host, port, .. } = self.0.addr()
            && host.contains(':')
        {
            format!("[{host}]:{port}")
        } else {
            self.0.addr().to_string()
        };
        write!(f, "{scheme}://{hidden}{address}/{}", settings.db())
    }
}

#[cfg(feature = "upstash")]
impl fmt::Display for RestUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for SinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "redis")]
impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "upstash")]
impl fmt::Debug for RestUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{SinkUrl, SinkUrlError};

    #[test]
    fn every_scheme_prints_without_its_credentials() {
        for (text, printed) in [
            ("redis://localhost", "redis://localhost:6379/0"),
            (
                "redis://:canary@127.0.0.1:7000/3",
                "redis://***@127.0.0.1:7000/3",
            ),
            ("redis://[::1]:7000/1", "redis://[::1]:7000/1"),
            ("rediss://user:can%40ary@host", "rediss://***@host:6379/0"),
            ("https://name.upstash.io", "https://name.upstash.io"),
            (
                "https://proxy.example/redis/",
                "https://proxy.example/redis",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("embedded:./bars", "embedded:./bars"),
            ("stdout:", "stdout:"),
            ("null:", "null:"),
        ] {
            let url: SinkUrl = text.parse().unwrap();
            assert_eq!(
                (url.to_string(), format!("{url:?}")),
                (printed.to_owned(), printed.to_owned())
            );
        }
    }

    #[test]
    fn what_is_not_allowed_is_refused_without_repeating_it() {
        let error = |text: &str| text.parse::<SinkUrl>().unwrap_err();
        assert!(matches!(error("ftp://x"), SinkUrlError::Scheme { .. }));
        assert!(matches!(error("bars"), SinkUrlError::Scheme { .. }));
        assert_eq!(error("embedded:"), SinkUrlError::Folder);
        assert_eq!(error("null:x"), SinkUrlError::Extra { scheme: "null" });
        assert_eq!(
            error("rediss://host:6379/#insecure"),
            SinkUrlError::Insecure
        );
        assert_eq!(
            error("http://example.com"),
            SinkUrlError::Plain {
                host: "example.com".to_owned()
            }
        );
        for text in [
            "https://canary@host",
            "https://h?_token=canary",
            "https://",
            "redis://:canary@:99999/",
        ] {
            assert!(!error(text).to_string().contains("canary"), "{text}");
        }
    }
}
