//! The HTTP client of one source, and how it is asked for a page: at the venue's pace, with as many attempts as the
//! settings allow.
//!
//! Bounded in time and bytes, no redirects, keys in sensitive headers only.
//! Bodies are decompressed here and not by the client library, because the bound must hold after
//! decompression. Errors never carry the URL.

use super::body::Body;
use super::error::PageError;
use super::json::Rows;
use super::json::{message, shorten};
use super::link::is_loopback;
use super::pace::Pace;
use super::page::{Next, Reply, Request, Walk};
use super::page_stream::PageStream;
use super::settings::HistorySettings;
use barmill_core::engine::retry::{Backoff, RetryPolicy};
use barmill_core::port::Remedy;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, DATE, HeaderMap, HeaderValue, RETRY_AFTER,
};
use reqwest::{Response, StatusCode, Url, redirect};
use rustls::crypto::{CryptoProvider, ring};
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes kept of one page at most, for the next one.
const SPARE_LEN_MAX: usize = 16 << 20;
/// Bytes read of a reply that is no page.
const REFUSAL_LEN_MAX: usize = 16 << 10;

/// The way out of one source, shared by all its symbols and feeds.
#[derive(Debug)]
pub(crate) struct RateLimitedClient {
    pub(crate) client: Client,
    pub(crate) pace: Pace,
    pub(crate) retry: RequestRetry,
}

/// When to try again.
#[derive(Debug)]
pub(crate) struct RequestRetry {
    policy: RetryPolicy,
    retry_after_max: Duration,
}

/// What one feed counts and notes, shared by its symbols.
#[derive(Debug, Default)]
pub(crate) struct RequestCounts {
    /// Requests sent, retries included.
    pub(crate) requests: AtomicU64,
    /// Rows left out because they are no trades.
    pub(crate) malformed: AtomicU64,
    /// Times the feed was left alone so long that a timeout may be its own.
    pub(crate) stalls: AtomicU64,
}

/// The last fault of a page, and the attempts made.
pub(crate) type FailedPage = (u32, PageError);

impl RateLimitedClient {
    /// The waits of one walk.
    pub(crate) fn backoff(&self, seed: u64) -> Backoff {
        Backoff::new(self.retry.policy, seed)
    }

    /// Fetches one page, until it decodes or the attempts are used up.
    pub(crate) async fn page(
        &self,
        request: &Request,
        counts: &RequestCounts,
        backoff: &mut Backoff,
        walk: &mut Walk,
    ) -> Result<(Rows, Next), FailedPage> {
        let mut attempts = 0;
        loop {
            self.pace.ready(request.weight).await;
            counts.requests.fetch_add(1, Ordering::Relaxed);
            let stalls = counts.stalls.load(Ordering::Relaxed);
            let stream = walk.protocol.stream(&walk.asked);
            let reply = self.client.get(request.url.clone(), stream).await;
            let page = reply.and_then(|mut reply| {
                let page = walk.decode(&mut reply);
                self.client.reuse(reply.body);
                page
            });
            let fault = match page {
                Ok(page) => return Ok(page),
                Err(fault) => self.redact(fault),
            };
            // A reply that timed out while nobody was waiting for trades says nothing of the venue.
            let is_own = matches!(fault, PageError::Transport(_))
                && stalls != counts.stalls.load(Ordering::Relaxed);
            attempts += u32::from(!is_own);
            let Some(pause) = self.retry.pause(&fault, attempts, backoff) else {
                return Err((attempts, fault));
            };
            self.retry.warn(&fault, attempts, pause);
            if fault.is_throttle() {
                self.pace.hold(pause);
            } else {
                tokio::time::sleep(pause).await;
            }
        }
    }

    fn redact(&self, mut fault: PageError) -> PageError {
        if let PageError::Busy { message } | PageError::Status { message, .. } = &mut fault {
            *message = self.client.redact(message);
        }
        fault
    }
}

impl RequestRetry {
    pub(crate) fn new(settings: &HistorySettings) -> RequestRetry {
        let policy = RetryPolicy {
            attempts_max: settings.attempts_max,
            backoff: settings.backoff_base,
            backoff_max: settings.backoff_max,
        };
        RequestRetry {
            policy,
            retry_after_max: settings.retry_after_max,
        }
    }

    fn warn(&self, fault: &PageError, attempts: u32, pause: Duration) {
        let cause: &(dyn Error + 'static) = fault;
        tracing::warn!(
            cause,
            attempts,
            attempts_max = self.policy.attempts_max,
            ?pause,
            "page request failed; retrying"
        );
    }

    /// The wait before the next attempt; `None` when there is none.
    fn pause(&self, fault: &PageError, attempts: u32, backoff: &mut Backoff) -> Option<Duration> {
        let Remedy::Retry { after } = fault.remedy() else {
            return None;
        };
        let pause = backoff.next(attempts, None)?;
        Some(after.map_or(pause, |after| after.min(self.retry_after_max)))
    }
}

#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    page_bytes_max: usize,
    retry_after_max: Duration,
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
            retry_after_max: settings.retry_after_max,
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
        refused(status, message, retry_after, self.retry_after_max)
    }
}

fn refused(
    status: u16,
    message: String,
    retry_after: Option<Duration>,
    retry_after_max: Duration,
) -> PageError {
    match (status, retry_after) {
        (401 | 403, _) => PageError::Denied { status, message },
        // Asking again during a ban makes it longer.
        (418, Some(retry_after)) if retry_after > retry_after_max => PageError::Banned {
            retry_after,
            message,
        },
        _ => PageError::Status {
            status,
            message,
            retry_after,
        },
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
    use super::{
        Backoff, Client, DATE, Duration, HeaderMap, HeaderValue, Ordering, Pace, PageError,
        RETRY_AFTER, RateLimitedClient, Request, RequestCounts, RequestRetry, refused, retry_after,
    };
    use crate::venue::history::link::parse_base;
    use crate::venue::history::page::Walk;
    use crate::venue::history::progress::SymbolRange;
    use crate::venue::history::settings::HistorySettings;
    use crate::venue::{VENUES, VenueSettings};
    use barmill_core::model::Timestamp;
    use std::num::NonZeroU32;
    use tokio::net::TcpListener;

    fn status(status: u16, retry_after: Option<u64>) -> PageError {
        let retry_after = retry_after.map(Duration::from_secs);
        refused(status, String::new(), retry_after, Duration::from_mins(5))
    }

    fn pause(fault: &PageError, attempts: u32) -> Option<Duration> {
        let retry = RequestRetry::new(&HistorySettings::new(VenueSettings::new(VENUES[0])));
        retry.pause(fault, attempts, &mut Backoff::new(retry.policy, 7))
    }

    #[test]
    fn backoff_doubles_to_its_bound_and_half_of_it_is_random() {
        for (attempts, full_ms) in [(1, 500), (2, 1_000), (5, 8_000), (7, 32_000)] {
            let pause = pause(&status(502, None), attempts).unwrap();
            let full = Duration::from_millis(full_ms);
            assert!(
                full / 2 <= pause && pause <= full,
                "attempt {attempts}: {pause:?}"
            );
        }
        assert_eq!(
            pause(&status(502, None), 8),
            None,
            "the attempts are used up"
        );
    }

    #[test]
    fn wish_of_the_venue_is_granted_up_to_its_bound() {
        assert_eq!(
            pause(&status(429, Some(7)), 1),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            pause(&status(429, Some(1_000_000_000)), 1),
            Some(Duration::from_mins(5))
        );
        assert_eq!(pause(&status(503, Some(0)), 1), Some(Duration::ZERO));
    }

    #[test]
    fn long_ban_is_not_made_longer() {
        assert!(pause(&status(418, Some(60)), 1).is_some());
        let banned = status(418, Some(86_400));
        assert!(matches!(banned, PageError::Banned { .. }));
        assert_eq!(pause(&banned, 1), None);
    }

    #[test]
    fn refusals_are_not_repeated() {
        for code in [302, 400, 404, 422] {
            assert_eq!(pause(&status(code, None), 1), None, "{code}");
        }
    }

    #[tokio::test]
    async fn faults_while_nobody_waits_for_trades_use_up_no_attempt() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = parse_base(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let mut settings = HistorySettings::new(VenueSettings::new(VENUES[0]));
        (settings.attempts_max, settings.backoff_base) = (2, Duration::from_millis(1));
        let client = Client::new(&settings, &base, HeaderMap::new()).unwrap();
        let pace = Pace::new(NonZeroU32::MAX, NonZeroU32::MIN);
        let client = RateLimitedClient {
            client,
            pace,
            retry: RequestRetry::new(&settings),
        };
        let range = SymbolRange {
            symbol: "BTC-USD".parse().unwrap(),
            from: Timestamp::EPOCH,
            to: Timestamp::MAX,
        };
        let mut walk = Walk::new(&settings, &base, range);
        let request = Request::of(base);
        let (counts, mut backoff) = (RequestCounts::default(), client.backoff(1));
        let hang_up = async {
            for connection in 0.. {
                // The feed is left alone during the first three requests.
                let stream = listener.accept().await;
                counts
                    .stalls
                    .fetch_add(u64::from(connection < 3), Ordering::Relaxed);
                drop(stream);
            }
        };
        let (attempts, fault) = tokio::select! {
            given = client.page(&request, &counts, &mut backoff, &mut walk) => given.unwrap_err(),
            () = hang_up => panic!("the venue hangs up for ever"),
        };
        assert!(matches!(fault, PageError::Transport(_)));
        assert_eq!((attempts, counts.requests.load(Ordering::Relaxed)), (2, 5));
    }

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
