//! Redis over the Upstash REST API: one HTTP client, whole pipelines, every reply checked.
//!
//! Owns the request bodies, the gate of the first request and the count of time-outs. Deliberately retries nothing,
//! except that a pipeline which is refused as a whole is halved until the refused command stands alone.

use super::client::{ClientPlan, RestError, RestSettings};
use super::reply::{AnswerError, decode};
use super::url::RestUrl;
use crate::key_store::command::Command;
use crate::key_store::counters::Counters;
use crate::key_store::port::{CommandResult, KeyStore, failed};
use crate::key_store::remedy::{item_error, remedy_of_http, retry_after};
use barmill_core::port::{Clock, Remedy, SinkError, SinkStats};
use bytes::Bytes;
use futures::future::BoxFuture;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, Url};
use secrecy::SecretString;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A store behind the Upstash REST API.
pub struct RestStore {
    name: String,
    url: Url,
    plan: ClientPlan,
    request_bytes_max: usize,
    response_bytes_max: usize,
    timeouts_max: u32,
    client: Mutex<Client>,
    /// Whether the client has a connection, so that concurrent requests share it instead of dialling each.
    is_warm: AtomicBool,
    /// One permit: the request that dials.
    first: Semaphore,
    timeouts: AtomicU32,
    counters: Arc<Counters>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for RestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestStore")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl RestStore {
    /// Makes the store; nothing is dialled before the first command. The clock reads dates in `Retry-After`.
    ///
    /// # Errors
    /// [`RestError`] when the token or the CA file cannot be used.
    pub fn new(
        url: &RestUrl,
        token: &SecretString,
        settings: &RestSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<RestStore, RestError> {
        let counters = Arc::new(Counters::default());
        let plan = ClientPlan::new(settings, token, url.is_plain(), Arc::clone(&counters))?;
        let client = Mutex::new(plan.build()?);
        Ok(RestStore {
            name: url.to_string(),
            url: url.pipeline(),
            plan,
            request_bytes_max: settings.request_bytes_max,
            response_bytes_max: settings.response_bytes_max,
            timeouts_max: settings.timeouts_max,
            client,
            is_warm: AtomicBool::new(false),
            first: Semaphore::new(1),
            timeouts: AtomicU32::new(0),
            counters,
            clock,
        })
    }

    /// Sends each part in a request of its own, and halves those that are refused as a whole.
    async fn send(&self, commands: &[Command]) -> Result<Vec<CommandResult>, SinkError> {
        let mut results = Vec::with_capacity(commands.len());
        let mut waiting = self.split(commands);
        // The last range is the next one, so that the halves of a refused pipeline keep their order.
        waiting.reverse();
        while let Some(range) = waiting.pop() {
            let part = &commands[range.clone()];
            let body =
                encode(part).map_err(|error| failed(self.operation(), Remedy::Refuse, error));
            let answered = match body {
                Ok(body) => self.post(body, part.len()).await,
                Err(error) => Err(error),
            };
            match answered {
                Ok(replies) => results.extend(replies),
                Err(refused) if refused.remedy == Remedy::Refuse && part.len() > 1 => {
                    let middle = range.start + part.len() / 2;
                    waiting.extend([middle..range.end, range.start..middle]);
                }
                Err(refused) if refused.remedy == Remedy::Refuse => {
                    let mut error = item_error(&refused.source.to_string());
                    error.remedy = Remedy::Refuse;
                    results.push(Err(error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(results)
    }

    /// Cuts the commands where a body would pass its bound.
    fn split(&self, commands: &[Command]) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        let (mut start, mut bytes) = (0, 0);
        for (index, command) in commands.iter().enumerate() {
            // Each quote or backslash takes a byte more in JSON; the framing of JSON is shorter than RESP's.
            let mut len = command.resp_len();
            command.each_argument(|text| {
                len += text.iter().filter(|byte| b"\"\\".contains(byte)).count();
            });
            if bytes + len > self.request_bytes_max && index > start {
                ranges.push(start..index);
                (start, bytes) = (index, 0);
            }
            bytes += len;
        }
        if start < commands.len() {
            ranges.push(start..commands.len());
        }
        ranges
    }

    async fn post(&self, body: Bytes, count: usize) -> Result<Vec<CommandResult>, SinkError> {
        let permit = self.first_turn().await;
        let client = self
            .client
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        self.counters.add_request(count, body.len());
        let sent = client.post(self.url.clone()).body(body).send().await;
        let response = sent.map_err(|error| self.transport(error))?;
        self.is_warm.store(true, Ordering::Release);
        drop(permit);
        let status = response.status().as_u16();
        let wish = self.retry_after(&response);
        let body = self.read(response).await?;
        self.timeouts.store(0, Ordering::Relaxed);
        decode(status, &body, count).map_err(|error| self.answer(status, wish, error))
    }

    /// Waits while another request dials; the permit is held by the one that dials next, if any must.
    async fn first_turn(&self) -> Option<SemaphorePermit<'_>> {
        if self.is_warm.load(Ordering::Acquire) {
            return None;
        }
        let permit = self.first.acquire().await.ok();
        permit.filter(|_| !self.is_warm.load(Ordering::Acquire))
    }

    /// Drops the client, whose pooled connections close with it, for one that has none.
    fn renew(&self) {
        match self.plan.build() {
            Ok(fresh) => {
                *self.client.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
                self.is_warm.store(false, Ordering::Release);
                self.timeouts.store(0, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::error!(store = %self.name, %error, "could not make a new HTTP client; keeping the old one");
            }
        }
    }

    fn answer(&self, status: u16, wish: Option<Duration>, error: AnswerError) -> SinkError {
        let remedy = remedy_of_http(status, error.error_text(), wish);
        failed(self.operation(), remedy, error)
    }

    fn retry_after(&self, response: &Response) -> Option<Duration> {
        let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
        retry_after(value, self.clock.now())
    }

    /// Reads the body as it comes and stops at the bound.
    async fn read(&self, mut response: Response) -> Result<Vec<u8>, SinkError> {
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.transport(error))?
        {
            if body.len() + chunk.len() > self.response_bytes_max {
                let error = AnswerError::TooLong {
                    bytes_max: self.response_bytes_max,
                };
                return Err(failed(
                    self.operation(),
                    Remedy::Retry { after: None },
                    error,
                ));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// A failure below HTTP; after some time-outs in a row the client itself is in doubt.
    fn transport(&self, error: reqwest::Error) -> SinkError {
        let mut remedy = Remedy::Retry { after: None };
        if error.is_builder() {
            remedy = Remedy::Fatal;
        } else if error.is_timeout() {
            let in_a_row = self
                .timeouts
                .fetch_add(1, Ordering::Relaxed)
                .saturating_add(1);
            if self.timeouts_max <= in_a_row {
                remedy = Remedy::Reconnect;
            }
        }
        failed(self.operation(), remedy, error.without_url())
    }

    fn operation(&self) -> String {
        format!("POST {}/pipeline", self.name)
    }
}

/// The body of `/pipeline`.
pub(crate) fn encode(commands: &[Command]) -> Result<Bytes, std::str::Utf8Error> {
    let mut body = Vec::with_capacity(crate::key_store::counters::resp_len(commands) * 9 / 8);
    for (index, command) in commands.iter().enumerate() {
        body.push(if index == 0 { b'[' } else { b',' });
        command.push_json(&mut body)?;
    }
    body.push(b']');
    Ok(Bytes::from(body))
}

impl KeyStore for RestStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn run<'a>(
        &'a self,
        commands: &'a [Command],
    ) -> BoxFuture<'a, Result<Vec<CommandResult>, SinkError>> {
        Box::pin(self.send(commands))
    }

    fn runs_scripts(&self) -> bool {
        true
    }

    fn reconnect(&self) -> BoxFuture<'_, ()> {
        self.renew();
        Box::pin(async {})
    }

    fn stats(&self) -> SinkStats {
        self.counters.stats()
    }
}
