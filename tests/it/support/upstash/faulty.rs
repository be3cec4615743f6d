//! The faulty answers of the Upstash test server.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use hyper::{Response, StatusCode, Version};
use serde_json::{Value, json};

use super::Shared;
use super::accept::Link;
use super::answer::{Answer, Outcome};
use super::body::{Body, BoxError, broken_off, drip, whole};
use super::request::{Call, Kind, Refusal};
use super::service::{perform, quota, respond};
use crate::support::fault::{Choice, Fault, RetryAfter, Stage, StoreError};
use crate::support::flow::Flow;

/// The limit that the quota's text names where the test has set none: the free plan's.
const COMMANDS_PER_MONTH: u64 = 500_000;
const HTML: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
                    <center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n";

/// Answers with the fault, or does not answer.
pub(super) async fn answer(
    shared: &Shared,
    link: &Link,
    call: &Call,
    fault: Fault,
    stage: Stage,
) -> Result<Response<Body>, BoxError> {
    Ok(match fault {
        Fault::Drip { pause } => dripping(shared, truth(shared, call, stage).await, pause),
        Fault::Truncated { is_length_declared } => {
            truncated(shared, truth(shared, call, stage).await, is_length_declared)
        }
        Fault::ShortArray => respond(
            shared,
            edited(truth(shared, call, stage).await, |items| drop(items.pop())),
        ),
        Fault::LongArray => {
            let one_more = |items: &mut Vec<Value>| items.push(json!({ "result": "OK" }));
            respond(shared, edited(truth(shared, call, stage).await, one_more))
        }
        Fault::GoAwayGraceful => {
            link.retire.notify_one();
            respond(shared, truth(shared, call, Stage::AfterApply).await)
        }
        Fault::CommandErrors { choice, error } => {
            command_errors(shared, call, &choice, error, stage).await
        }
        Fault::RefusedStream => return Err(h2::Error::from(Reason::REFUSED_STREAM).into()),
        Fault::Reset => lost(shared, link, call, stage, Flow::Reset).await,
        Fault::GoAwayAbrupt { code } => lost(shared, link, call, stage, Flow::GoAway(code)).await,
        Fault::BlackHole => lost(shared, link, call, stage, Flow::BlackHole).await,
        Fault::ResetThen(fault, times) => {
            shared.knobs(|knobs| {
                knobs
                    .connection_faults
                    .extend(std::iter::repeat_n(fault, times));
            });
            lost(shared, link, call, stage, Flow::Reset).await
        }
        Fault::ResetAndRefuse => {
            shared.door.close_soon();
            lost(shared, link, call, stage, Flow::Reset).await
        }
        Fault::StallBeforeHeaders => lost(shared, link, call, stage, Flow::Open).await,
        Fault::HtmlBadGateway => {
            apply(shared, call, stage).await;
            html_bad_gateway(shared)
        }
        Fault::TooManyRequests(retry_after) => {
            apply(shared, call, stage).await;
            too_many_requests(shared, &retry_after)
        }
        Fault::Quota => {
            apply(shared, call, stage).await;
            let limit = shared
                .knobs(|knobs| knobs.commands_max)
                .unwrap_or(COMMANDS_PER_MONTH);
            refuse(shared, quota(limit))
        }
        Fault::Unauthorized => {
            apply(shared, call, stage).await;
            refuse(shared, Refusal::unauthorized())
        }
        Fault::Status(status) => {
            apply(shared, call, stage).await;
            let status = StatusCode::from_u16(status).expect("a status");
            refuse(shared, Refusal::new(status, "ERR internal error"))
        }
    })
}

/// The answer of a server that runs as many commands as the stage says, and speaks of all.
async fn truth(shared: &Shared, call: &Call, stage: Stage) -> Answer {
    let count = call.commands.len();
    let applied = stage.applied_count(count);
    if applied == count || call.kind != Kind::Pipeline {
        return perform(shared, call, |_, _| true).await;
    }
    let answer = perform(shared, call, |index, _| index < applied).await;
    edited(answer, |items| {
        items.resize_with(count, || json!({ "result": "OK" }));
    })
}

/// Applies as many commands as the stage says, and forgets what they answered. A transaction has no middle.
async fn apply(shared: &Shared, call: &Call, stage: Stage) {
    let count = stage.applied_count(call.commands.len());
    if count > 0 && (stage == Stage::AfterApply || call.kind != Kind::Transaction) {
        drop(perform(shared, call, |index, _| index < count).await);
    }
}

/// No answer ever: the flow says what becomes of the connection.
async fn lost(
    shared: &Shared,
    link: &Link,
    call: &Call,
    stage: Stage,
    flow: Flow,
) -> Response<Body> {
    apply(shared, call, stage).await;
    link.valve.turn(flow);
    std::future::pending().await
}

fn dripping(shared: &Shared, mut answer: Answer, pause: Duration) -> Response<Body> {
    let bytes = std::mem::take(&mut answer.body);
    let mut response = respond(shared, answer);
    *response.body_mut() = drip(bytes, pause);
    response
}

fn truncated(shared: &Shared, mut answer: Answer, is_length_declared: bool) -> Response<Body> {
    let whole_len = answer.body.len();
    let half = answer.body.split_to(whole_len / 2);
    let mut response = respond(shared, answer);
    if is_length_declared {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, whole_len.into());
        *response.body_mut() = broken_off(half);
    } else {
        // HTTP/1.0 answers end with the connection; on HTTP/2 the stream ends early.
        *response.version_mut() = Version::HTTP_10;
        *response.body_mut() = drip(half, Duration::ZERO);
    }
    response
}

fn edited(mut answer: Answer, edit: impl FnOnce(&mut Vec<Value>)) -> Answer {
    // Only a pipeline answers with an array; other answers stay as they are.
    if let Ok(Value::Array(mut items)) = serde_json::from_slice(&answer.body) {
        edit(&mut items);
        answer.body = Value::Array(items).to_string().into();
    }
    answer
}

/// The commands that are not chosen run; the chosen ones answer with the error, whether or not they ran.
async fn command_errors(
    shared: &Shared,
    call: &Call,
    choice: &Choice,
    error: StoreError,
    stage: Stage,
) -> Response<Body> {
    let is_run = |index, command: &_| stage == Stage::AfterApply || !choice.picks(index, command);
    let run = shared.store.run(call, is_run).await;
    let mut applied = run.unwrap_or_default().into_iter();
    let count = u64::try_from(applied.len()).unwrap_or(u64::MAX);
    shared.counts.applied.fetch_add(count, Ordering::Relaxed);
    let outcomes = call
        .commands
        .iter()
        .enumerate()
        .map(|(index, command)| -> Outcome {
            let refused = || Err(error.text().to_owned());
            let outcome = if is_run(index, command) {
                applied.next()
            } else {
                None
            };
            if choice.picks(index, command) {
                refused()
            } else {
                outcome.unwrap_or_else(refused)
            }
        });
    let outcomes = outcomes.collect();
    respond(
        shared,
        Answer::new(call, outcomes, shared.request_bytes_max),
    )
}

fn html_bad_gateway(shared: &Shared) -> Response<Body> {
    let mut response = refuse(
        shared,
        Refusal {
            status: StatusCode::BAD_GATEWAY,
            error: None,
        },
    );
    response
        .headers_mut()
        .insert(CONTENT_TYPE, "text/html".parse().expect("a header"));
    *response.body_mut() = whole(Bytes::from_static(HTML.as_bytes()));
    response
}

fn too_many_requests(shared: &Shared, retry_after: &RetryAfter) -> Response<Body> {
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "ERR too many requests");
    let mut response = refuse(shared, refusal);
    if let Some(text) = retry_after.header() {
        response
            .headers_mut()
            .insert(RETRY_AFTER, text.parse().expect("a header"));
    }
    response
}

fn refuse(shared: &Shared, refusal: Refusal) -> Response<Body> {
    respond(shared, Answer::refusal(refusal))
}
