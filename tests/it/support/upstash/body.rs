//! Bodies of answers: whole, dripping, or cut.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(super) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// The whole body at once.
pub(super) fn whole(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// One byte, a pause, one byte.
pub(super) fn drip(bytes: Bytes, pause: Duration) -> Body {
    let drops = stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        Some((Ok(Frame::data(rest.split_to(1))), rest))
    });
    StreamBody::new(drops).boxed_unsync()
}

/// The bytes, then an end that is no proper end.
pub(super) fn broken_off(bytes: Bytes) -> Body {
    let pieces = stream::unfold(Some(bytes), |rest| async move {
        if let Some(bytes) = rest {
            return Some((Ok(Frame::data(bytes)), None));
        }
        // The server flushes what it has while the body makes it wait; then comes the break.
        tokio::task::yield_now().await;
        Some((Err(BoxError::from("cut on purpose")), None))
    });
    StreamBody::new(pieces).boxed_unsync()
}
