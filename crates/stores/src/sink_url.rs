//! The URL of a store.
//!
//! Owns the schemes; what is allowed in a URL is told by its store. No credential leaves it by `Display` or `Debug`.

#[cfg(feature = "redis")]
use crate::resp::RedisUrl;
#[cfg(feature = "upstash")]
use crate::upstash::RestUrl;
use crate::url::SinkUrlError;
use std::fmt;
#[cfg(feature = "embedded")]
use std::path::PathBuf;
use std::str::FromStr;

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

impl FromStr for SinkUrl {
    type Err = SinkUrlError;

    fn from_str(text: &str) -> Result<SinkUrl, SinkUrlError> {
        let unknown = |scheme: &str| SinkUrlError::Scheme {
            scheme: scheme.chars().take(16).collect(),
        };
        let (scheme, rest) = text.split_once(':').ok_or_else(|| unknown(text))?;
        match scheme {
            #[cfg(feature = "redis")]
            "redis" | "rediss" => RedisUrl::parse(text).map(SinkUrl::Redis),
            #[cfg(feature = "upstash")]
            "https" | "http" => RestUrl::parse(text).map(SinkUrl::Rest),
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

impl fmt::Debug for SinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::SinkUrl;
    use crate::url::SinkUrlError;

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
