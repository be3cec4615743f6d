//! The HTTP client of one source: bounded in time and bytes, no redirects, keys in sensitive headers only.
//!
//! Bodies are decompressed here and not by the client library, because the bound must hold after
//! decompression. Errors never carry the URL.

use super::body::Body;
use super::error::PageError;
use super::json::{message, shorten};
use super::link::is_loopback;
use super::page::Reply;
use super::page_stream::PageStream;
use super::settings::HistorySettings;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, DATE, HeaderMap, HeaderValue, RETRY_AFTER,
};
use reqwest::{Response, StatusCode, Url, redirect};
use rustls::crypto::{CryptoProvider, ring};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes kept of one page at most, for the next one.
const SPARE_LEN_MAX: usize = 16 << 20;
/// Bytes read of a reply that is no page.
const REFUSAL_LEN_MAX: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    page_bytes_max: usize,
    /// The memory of the last page, for the next one: fresh memory costs as much as reading what is in it.
    spare: Mutex<Vec<u8>>,
    secrets: Vec<HeaderValue>,
}

impl Client {
    /// Builds the client; `headers` go with every request.
    pub(crate) fn new(
        settings: &HistorySettings,
        base: &Url,
        mut headers: HeaderMap,
    ) -> Result<Client, reqwest::Error> {
        install_tls_provider();
        let secrets = headers
            .values()
            .filter(|value| value.is_sensitive())
            .cloned()
            .collect();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("barmill/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .referer(false)
            .https_only(base.scheme() == "https")
            .connect_timeout(settings.connect_timeout)
            .read_timeout(settings.read_timeout)
            .timeout(settings.total_timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .http2_keep_alive_interval(Duration::from_secs(15))
            .http2_keep_alive_timeout(Duration::from_secs(5))
            .http2_keep_alive_while_idle(true);
        if is_loopback(base) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(reqwest::Error::without_url)?;
        Ok(Client {
            http,
            page_bytes_max: settings.page_bytes_max,
            spare: Mutex::default(),
            secrets,
        })
    }

    /// Sends one request and collects its page; `stream` reads it meanwhile.
    pub(crate) async fn get(
        &self,
        url: Url,
        mut stream: Option<PageStream>,
    ) -> Result<Reply, PageError> {
        let response = self.http.get(url).send().await.map_err(transport)?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response).await);
        }
        let encoding = response
            .headers()
            .get(CONTENT_ENCODING)
            .map(HeaderValue::as_bytes);
        let mut bytes = std::mem::take(&mut *self.spare());
        let announced = response
            .content_length()
            .and_then(|len| usize::try_from(len).ok());
        bytes.clear();
        bytes.reserve_exact(announced.unwrap_or(0).min(self.page_bytes_max));
        let body = Body::reusing(bytes, encoding, self.page_bytes_max)?;
        let body = collect(response, body, stream.as_mut()).await?;
        Ok(Reply { body, stream })
    }

    /// Takes back the memory of a page that is read.
    pub(crate) fn reuse(&self, body: Vec<u8>) {
        if body.capacity() <= SPARE_LEN_MAX {
            *self.spare() = body;
        }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<u8>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the keys out of a text of the venue.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            let secret = String::from_utf8_lossy(secret.as_bytes());
            let key = secret.strip_prefix("Bearer ").unwrap_or(&secret);
            if !key.is_empty() {
                text = text.replace(key, "[key]");
            }
        }
        text
    }

    async fn refusal(&self, response: Response) -> PageError {
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let encoding = response
            .headers()
            .get(CONTENT_ENCODING)
            .map(HeaderValue::as_bytes);
        // A refusal whose text cannot be read is a refusal all the same.
        let text = match Body::new(encoding, REFUSAL_LEN_MAX) {
            Ok(body) => collect(response, body, None).await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let message = shorten(&self.redact(&message(&text)));
        match status {
            401 | 403 => PageError::Denied { status, message },
            _ => PageError::Status {
                status,
                message,
                retry_after,
            },
        }
    }
}

async fn collect(
    mut response: Response,
    mut body: Body,
    mut stream: Option<&mut PageStream>,
) -> Result<Vec<u8>, PageError> {
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        body.push(&chunk)?;
        if let Some(stream) = &mut stream {
            stream.read(body.so_far());
        }
    }
    let body = body.finish()?;
    if let Some(stream) = stream {
        stream.read(&body);
    }
    Ok(body)
}

fn transport(error: reqwest::Error) -> PageError {
    PageError::Transport(error.without_url())
}

/// How long the venue asks to wait: seconds, or a date as seen by the venue's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = |text: &str| {
        jiff::fmt::rfc2822::parse(text)
            .ok()
            .map(|zoned| zoned.timestamp())
    };
    let now = date(headers.get(DATE)?.to_str().ok()?)?;
    Duration::try_from(date(text)?.duration_since(now)).ok()
}

fn install_tls_provider() {
    if CryptoProvider::get_default().is_none()
        && ring::default_provider().install_default().is_err()
    {
        tracing::debug!("another client has installed the TLS provider meanwhile");
    }
}

#[cfg(test)]
mod tests {
    use super::{DATE, Duration, HeaderMap, HeaderValue, RETRY_AFTER, retry_after};

    fn asked(text: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        retry_after(&headers)
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_nonsense_is_nothing() {
        let date = Some("Wed, 21 Oct 2026 07:28:00 GMT");
        for (text, date, want) in [
            ("7", None, Some(7)),
            (" 0 ", None, Some(0)),
            ("1000000000", None, Some(1_000_000_000)),
            ("99999999999999999999999", None, Some(u64::MAX)),
            ("Wed, 21 Oct 2026 07:28:30 GMT", date, Some(30)),
            ("Wed, 21 Oct 2026 07:27:30 GMT", date, None),
            ("Wed, 21 Oct 2026 07:28:30 GMT", None, None),
            ("-5", date, None),
            ("soon", date, None),
        ] {
            assert_eq!(asked(text, date), want.map(Duration::from_secs), "{text}");
        }
    }
}
