//! One TCP connection to a simulated venue: history requests, or an upgrade to a WebSocket session.

use super::fault::FaultKind;
use super::playback::{Playback, count};
use super::protocol::Call;
use super::request::{Ask, Reply};
use super::session::Session;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, UPGRADE,
};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

type Body = StreamBody<BoxStream<'static, io::Result<Frame<Bytes>>>>;
/// An upgrade that was granted, and how the client came.
type Granted = Arc<Mutex<Option<(OnUpgrade, Call)>>>;

/// Serves one connection to its end.
pub(crate) async fn serve(hub: Arc<Playback>, stream: TcpStream) {
    let granted = Granted::default();
    let service = hyper::service::service_fn(|request| {
        let (hub, granted) = (Arc::clone(&hub), Arc::clone(&granted));
        async move { Ok::<_, Infallible>(respond(&hub, request, &granted).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    let upgraded = granted
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let (Ok(()), Some((upgraded, call))) = (served, upgraded)
        && let Ok(upgraded) = upgraded.await
    {
        let stream =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        Session::new(hub, stream, &call).serve().await;
    }
}

async fn respond(
    hub: &Playback,
    mut request: Request<Incoming>,
    granted: &Granted,
) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let query = query(request.uri().query().unwrap_or_default());
    if let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY).cloned() {
        let number = hub.played().connections;
        if hub.plan.hits(FaultKind::Refuse, number.wrapping_add(1)) {
            count(&hub.counters.connections);
            return answer(Reply::status(503, "service unavailable"), false);
        }
        let call = Call { path, query };
        *granted.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((hyper::upgrade::on(&mut request), call));
        return switch(&key);
    }
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let base = format!("http://{host}");
    let headers = request.headers().clone();
    let number = count(&hub.counters.requests);
    if let Some(delay) = hub.plan.time(FaultKind::Delay) {
        tokio::time::sleep(Duration::from_nanos(u64::try_from(delay).unwrap_or(0))).await;
    }
    if let Some(reply) = spoiled(hub, number) {
        count(&hub.counters.spoiled);
        return answer(reply, false);
    }
    let ask = Ask {
        tape: &hub.tape,
        visible: hub.visible(),
        number,
        base,
        path,
        query,
        headers,
    };
    let is_cut = hub.plan.hits(FaultKind::Cut, number);
    if is_cut {
        count(&hub.counters.spoiled);
    }
    answer((hub.tape.venue().simulation.answer)(&ask), is_cut)
}

/// The reply that a fault gives instead of the venue's.
fn spoiled(hub: &Playback, number: u64) -> Option<Reply> {
    if hub.plan.hits(FaultKind::TooMany, number) {
        return Some((hub.tape.venue().simulation.too_many)());
    }
    if hub.plan.hits(FaultKind::Error, number) {
        let status = [500, 502, 503]
            [usize::try_from(hub.plan.draw(FaultKind::Error, number) % 3).unwrap_or(0)];
        return Some(Reply::status(status, "<html>something went wrong</html>"));
    }
    None
}

fn switch(key: &HeaderValue) -> Response<Body> {
    let mut response = Response::new(whole(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

fn answer(reply: Reply, is_cut: bool) -> Response<Body> {
    let len = reply.body.len();
    let body = if is_cut {
        let half = Bytes::from(reply.body).slice(..len / 2);
        StreamBody::new(stream::iter([Ok(Frame::data(half)), Err(io::Error::other("cut"))]).boxed())
    } else {
        whole(reply.body.into())
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, len.into());
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

fn whole(bytes: Bytes) -> Body {
    StreamBody::new(stream::iter([Ok(Frame::data(bytes))]).boxed())
}

/// The pairs of a query, decoded; of a name given twice the last counts.
fn query(text: &str) -> HashMap<String, String> {
    let Ok(url) = reqwest::Url::parse(&format!("http://venue/?{text}")) else {
        return HashMap::new();
    };
    url.query_pairs().into_owned().collect()
}
