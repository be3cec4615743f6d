//! Addresses of the REST API.

use crate::url::SinkUrlError;
use reqwest::Url;
use std::fmt;
use std::net::IpAddr;

/// A checked `https://` URL, or `http://` of this machine; without credentials, query and fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct RestUrl(Url);

impl RestUrl {
    /// Parses a URL of either scheme.
    pub(crate) fn parse(text: &str) -> Result<RestUrl, SinkUrlError> {
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

fn is_loopback(host: &str) -> bool {
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for RestUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for RestUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
