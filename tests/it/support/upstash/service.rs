//! One HTTP request of the Upstash test server, from its head to its answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response, StatusCode, Version};

use super::accept::Link;
use super::answer::{Answer, size_error};
use super::body::{Body, BoxError, whole};
use super::counts::bump;
use super::request::{self, Call, Kind, Refusal};
use super::{Shared, faulty};
use crate::support::resp::{Command, encoded_len};

/// Answers a request, or spoils it as the plan says. An error is hyper's to turn into the end of a stream.
pub(super) async fn answer(
    shared: Arc<Shared>,
    link: Arc<Link>,
    request: Request<Incoming>,
) -> Result<Response<Body>, BoxError> {
    let _in_flight = shared.counts.enter();
    bump(match request.version() {
        Version::HTTP_2 => &shared.counts.requests_http2,
        _ => &shared.counts.requests_http1,
    });
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let delay = shared.knobs(|knobs| knobs.delay);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let call = match request::parse(&parts, &body).and_then(|call| admit(&shared, call)) {
        Ok(call) => call,
        Err(refusal) => return Ok(respond(&shared, Answer::refusal(refusal))),
    };
    match shared.plan.take(&call.commands) {
        Some((fault, stage)) => faulty::answer(&shared, &link, &call, fault, stage).await,
        None => Ok(respond(&shared, perform(&shared, &call, |_, _| true).await)),
    }
}

/// The limits that hold before a command runs.
fn admit(shared: &Shared, call: Call) -> Result<Call, Refusal> {
    let limit = shared.request_bytes_max;
    // The wire form of the command stands for what Upstash measures: its figure is larger than the
    // arguments by a few bytes, how many is not documented.
    if let Some(actual) = call
        .commands
        .iter()
        .map(encoded_len)
        .find(|bytes| *bytes > limit)
    {
        return Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            size_error(limit, actual),
        ));
    }
    shared.bill(call.commands.len()).map_err(quota)?;
    shared.knobs(|knobs| {
        if let Some(recorded) = &mut knobs.recorded {
            recorded.push(call.commands.clone());
        }
    });
    Ok(call)
}

/// The answer when so many commands were allowed and all are used.
pub(super) fn quota(limit: u64) -> Refusal {
    let text = format!(
        "ERR max requests limit exceeded. Limit: {limit}, Usage: {limit}. \
         See https://upstash.com/docs/redis/troubleshooting/max_requests_limit for details"
    );
    Refusal::new(StatusCode::BAD_REQUEST, text)
}

/// Runs the chosen commands of a call; the answer holds the results of those only.
pub(super) async fn perform(
    shared: &Shared,
    call: &Call,
    is_run: impl Fn(usize, &Command) -> bool,
) -> Answer {
    match shared.store.run(call, is_run).await {
        Ok(outcomes) => {
            let count = u64::try_from(outcomes.len()).unwrap_or(u64::MAX);
            shared.counts.applied.fetch_add(count, Ordering::Relaxed);
            Answer::new(call, outcomes, shared.request_bytes_max)
        }
        Err(error) => {
            let is_discarded = call.kind == Kind::Transaction && !error.starts_with("DB ");
            let status = if is_discarded {
                StatusCode::BAD_REQUEST
            } else {
                StatusCode::INTERNAL_SERVER_ERROR
            };
            Answer::refusal(Refusal::new(status, error))
        }
    }
}

/// An answer as Upstash frames it.
pub(super) fn respond(shared: &Shared, answer: Answer) -> Response<Body> {
    let mut response = Response::new(whole(Bytes::new()));
    *response.status_mut() = answer.status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, "application/json".parse().expect("a header"));
    // Opaque to clients; it only has to change with the writes.
    let token = format!("bm{}", shared.counts.applied.load(Ordering::Relaxed));
    response
        .headers_mut()
        .insert("upstash-sync-token", token.parse().expect("a header"));
    *response.body_mut() = whole(answer.body);
    response
}
