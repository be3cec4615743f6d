//! URL building, and the checks of a `next_url`.
//!
//! A link from a reply is followed with the key, so it must stay on the scheme, host, port and path that
//! were asked (CWE-918, CWE-522).

use super::error::PageError;
use crate::venue::VENUES;
use barmill_core::model::Symbol;
use reqwest::Url;
use std::net::IpAddr;

/// Bytes of the longest `next_url`.
const LINK_LEN_MAX: usize = 8 << 10;

/// Why a base URL is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// No absolute URL with a host.
    #[error("not an absolute URL, such as {}", VENUES[0].history.base_url)]
    NotAbsolute,
    /// Plain text over a network.
    #[error("scheme must be https; http is for loopback only")]
    NotHttps,
    /// User, password, query or fragment in it.
    #[error("user, password, query and fragment are not allowed in it")]
    Extras,
}

/// Checks a base URL.
pub(crate) fn parse_base(text: &str) -> Result<Url, BaseUrlError> {
    let url = Url::parse(text).map_err(|_| BaseUrlError::NotAbsolute)?;
    if url.host_str().is_none_or(str::is_empty) || url.cannot_be_a_base() {
        return Err(BaseUrlError::NotAbsolute);
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    if has_user || url.query().is_some() || url.fragment().is_some() {
        return Err(BaseUrlError::Extras);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err(BaseUrlError::NotHttps),
    }
}

/// Whether the host is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Appends `path` to the base; `{ticker}` in it stands for the symbol.
pub(crate) fn join(base: &Url, path: &str, symbol: Symbol) -> Result<Url, PageError> {
    let mut url = base.clone();
    let mut segments = url.path_segments_mut().map_err(|()| PageError::Symbol)?;
    segments.pop_if_empty();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let segment = segment.replace("{ticker}", symbol.as_str());
        // These two would climb in the path instead of naming something in it.
        if segment == "." || segment == ".." {
            return Err(PageError::Symbol);
        }
        segments.push(&segment);
    }
    drop(segments);
    Ok(url)
}

/// Takes a link from a reply, relative or absolute, if it stays on `asked`; key parameters are left out.
pub(crate) fn follow(asked: &Url, link: &str) -> Result<Url, PageError> {
    if link.len() > LINK_LEN_MAX {
        return Err(PageError::Link {
            reason: "is longer than 8 KiB",
        });
    }
    let mut url = asked.join(link).map_err(|_| PageError::Link {
        reason: "is no URL",
    })?;
    let leaves = |reason| Err(PageError::Link { reason });
    if !url.username().is_empty() || url.password().is_some() {
        return leaves("carries a user or password");
    }
    if url.scheme() != asked.scheme() {
        return leaves("leaves the configured scheme");
    }
    if url.host_str() != asked.host_str() {
        return leaves("leaves the configured host");
    }
    if url.port_or_known_default() != asked.port_or_known_default() {
        return leaves("leaves the configured port");
    }
    if url.path() != asked.path() {
        return leaves("leaves the path that was asked");
    }
    url.set_fragment(None);
    let is_key = |name: &str| name.eq_ignore_ascii_case("apikey");
    if url.query_pairs().any(|(name, _)| is_key(&name)) {
        let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        pairs.retain(|(name, _)| !is_key(name));
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::{BaseUrlError, PageError, follow, join, parse_base};

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in [
            "https://a.example/x",
            "http://127.0.0.1:80",
            "http://[::1]:9",
            "http://localhost:1/p",
        ] {
            assert!(parse_base(good).is_ok(), "{good}");
        }
        for (bad, want) in [
            ("http://api.example.com", BaseUrlError::NotHttps),
            ("http://127.0.0.1.example", BaseUrlError::NotHttps),
            ("ftp://127.0.0.1", BaseUrlError::NotHttps),
            ("https://user@api.example.com", BaseUrlError::Extras),
            ("https://api.example.com/?apiKey=x", BaseUrlError::Extras),
            ("api.example.com", BaseUrlError::NotAbsolute),
        ] {
            assert_eq!(parse_base(bad), Err(want), "{bad}");
        }
    }

    #[test]
    fn link_that_leaves_is_refused_and_one_that_stays_loses_its_key() {
        let asked = parse_base("https://a.example/v3/trades/AAPL").unwrap();
        let long = format!(
            "https://a.example/v3/trades/AAPL?cursor={}",
            "x".repeat(8 << 10)
        );
        for (link, want) in [
            (
                "https://b.example/v3/trades/AAPL?cursor=1",
                "leaves the configured host",
            ),
            (
                "//b.example/v3/trades/AAPL?cursor=1",
                "leaves the configured host",
            ),
            (
                "http://a.example/v3/trades/AAPL?cursor=1",
                "leaves the configured scheme",
            ),
            (
                "https://a.example:8443/v3/trades/AAPL?cursor=1",
                "leaves the configured port",
            ),
            (
                "https://a.example@b.example/v3/trades/AAPL",
                "carries a user or password",
            ),
            (
                "https://a.example/v3/trades/MSFT?cursor=1",
                "leaves the path that was asked",
            ),
            (
                "https://a.example/v3/trades/AAPL/../../../admin",
                "leaves the path that was asked",
            ),
            (long.as_str(), "is longer than 8 KiB"),
        ] {
            match follow(&asked, link) {
                Err(PageError::Link { reason }) => assert_eq!(reason, want, "{link}"),
                other => panic!("{link}: {other:?}"),
            }
        }
        let kept = follow(
            &asked,
            "https://a.example:443/v3/trades/AAPL?cursor=a%2Bb&apiKey=secret",
        )
        .unwrap();
        assert_eq!(
            kept.as_str(),
            "https://a.example/v3/trades/AAPL?cursor=a%2Bb"
        );
        assert_eq!(
            follow(&asked, "?cursor=1").unwrap().query(),
            Some("cursor=1")
        );
    }

    #[test]
    fn symbol_is_one_segment_of_the_path() {
        let base = parse_base("https://a.example/proxy/").unwrap();
        let url = |symbol: &str| join(&base, "/v3/trades/{ticker}", symbol.parse().unwrap());
        assert_eq!(url("BTC/USD").unwrap().path(), "/proxy/v3/trades/BTC%2FUSD");
        assert_eq!(url("BRK.B").unwrap().path(), "/proxy/v3/trades/BRK.B");
        assert!(matches!(url(".."), Err(PageError::Symbol)));
    }
}
