//! One page of history at the venue's pace, with as many attempts as the settings allow.

use super::client::Client;
use super::error::PageError;
use super::pace::Pace;
use super::page::{Reply, Request};
use super::page_stream::PageStream;
use super::settings::HistorySettings;
use barmill_core::port::Remedy;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
    attempts_max: u32,
    backoff_base: Duration,
    backoff_max: Duration,
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
    /// Fetches one page, until it decodes or the attempts are used up.
    pub(crate) async fn page<T>(
        &self,
        request: &Request,
        counts: &RequestCounts,
        rng: &mut fastrand::Rng,
        stream: impl Fn() -> Option<PageStream> + Send,
        mut decode: impl FnMut(&mut Reply) -> Result<T, PageError> + Send,
    ) -> Result<T, FailedPage> {
        let mut attempts = 0;
        loop {
            self.pace.ready(request.weight).await;
            counts.requests.fetch_add(1, Ordering::Relaxed);
            let stalls = counts.stalls.load(Ordering::Relaxed);
            let reply = self.client.get(request.url.clone(), stream()).await;
            let page = reply.and_then(|mut reply| {
                let page = decode(&mut reply);
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
            let Some(pause) = self.retry.pause(&fault, attempts, rng) else {
                return Err((attempts, self.retry.ban(fault)));
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
        RequestRetry {
            attempts_max: settings.attempts_max,
            backoff_base: settings.backoff_base,
            backoff_max: settings.backoff_max,
            retry_after_max: settings.retry_after_max,
        }
    }

    fn warn(&self, fault: &PageError, attempts: u32, pause: Duration) {
        let cause: &(dyn Error + 'static) = fault;
        tracing::warn!(
            cause,
            attempts,
            attempts_max = self.attempts_max,
            ?pause,
            "page request failed; retrying"
        );
    }

    /// The wait before the next attempt; `None` when there is none.
    fn pause(&self, fault: &PageError, attempts: u32, rng: &mut fastrand::Rng) -> Option<Duration> {
        let Remedy::Retry { after } = fault.remedy() else {
            return None;
        };
        if attempts >= self.attempts_max || self.is_ban(fault) {
            return None;
        }
        let factor = 1u32
            .checked_shl(attempts.saturating_sub(1))
            .unwrap_or(u32::MAX);
        let backoff = self
            .backoff_base
            .saturating_mul(factor)
            .min(self.backoff_max);
        let half = backoff / 2;
        let jittered = half
            + Duration::from_nanos(rng.u64(0..=u64::try_from(half.as_nanos()).unwrap_or(u64::MAX)));
        Some(after.map_or(jittered, |after| after.min(self.retry_after_max)))
    }

    /// Asking again during a ban makes it longer.
    fn is_ban(&self, fault: &PageError) -> bool {
        matches!(fault, PageError::Status { status: 418, retry_after: Some(after), .. } if *after > self.retry_after_max)
    }

    fn ban(&self, fault: PageError) -> PageError {
        if let PageError::Status {
            message,
            retry_after: Some(retry_after),
            ..
        } = &fault
            && self.is_ban(&fault)
        {
            return PageError::Banned {
                retry_after: *retry_after,
                message: message.clone(),
            };
        }
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Client, Duration, Ordering, Pace, PageError, RateLimitedClient, Request, RequestCounts,
        RequestRetry,
    };
    use crate::venue::history::link::parse_base;
    use crate::venue::history::settings::HistorySettings;
    use crate::venue::{VenueSettings, kraken};
    use reqwest::header::HeaderMap;
    use std::num::NonZeroU32;
    use tokio::net::TcpListener;

    fn status(status: u16, retry_after: Option<u64>) -> PageError {
        PageError::Status {
            status,
            message: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    fn pause(fault: &PageError, attempts: u32) -> Option<Duration> {
        RequestRetry::new(&HistorySettings::new(VenueSettings::new(&kraken::VENUE))).pause(
            fault,
            attempts,
            &mut fastrand::Rng::with_seed(7),
        )
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
        assert_eq!(pause(&status(418, Some(86_400)), 1), None);
        let retry = RequestRetry::new(&HistorySettings::new(VenueSettings::new(&kraken::VENUE)));
        assert!(matches!(
            retry.ban(status(418, Some(86_400))),
            PageError::Banned { .. }
        ));
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
        let mut settings = HistorySettings::new(VenueSettings::new(&kraken::VENUE));
        (settings.attempts_max, settings.backoff_base) = (2, Duration::from_millis(1));
        let client = Client::new(&settings, &base, HeaderMap::new()).unwrap();
        let pace = Pace::new(NonZeroU32::MAX, NonZeroU32::MIN);
        let client = RateLimitedClient {
            client,
            pace,
            retry: RequestRetry::new(&settings),
        };
        let request = Request {
            url: base,
            weight: NonZeroU32::MIN,
        };
        let (counts, mut rng) = (RequestCounts::default(), fastrand::Rng::with_seed(1));
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
            given = client.page(&request, &counts, &mut rng, || None, |_| Ok(())) => given.unwrap_err(),
            () = hang_up => panic!("the venue hangs up for ever"),
        };
        assert!(matches!(fault, PageError::Transport(_)));
        assert_eq!((attempts, counts.requests.load(Ordering::Relaxed)), (2, 5));
    }
}
