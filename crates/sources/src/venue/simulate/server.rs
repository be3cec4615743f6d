//! The server of a simulated venue: REST and WebSocket on one port, all connections in parallel.
//!
//! A connection is requests of the history, or an upgrade and then a conversation. All connections live in the future of
//! [`Simulator::run`], so that they end with it; hence hyper, and no framework that spawns: `axum::serve` and its WebSocket
//! upgrade leave a task for each connection. Its routes could replace nothing either, as each venue answers its own paths.
//! By `cargo tree`, axum 0.8 without default features would add 3 crates, and with `ws` 18, a second tungstenite with them.

use super::fault::FaultKind;
use super::playback::{Playback, SimulatorSettings, SimulatorStats};
use super::protocol::{Reply, Request, VenueProtocol, reply};
use super::recording::Recording;
use super::session::Session;
use bytes::Bytes;
use futures::stream;
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_KEY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, mem, vec};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Why a venue cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address is taken, or not ours.
    #[error("failed to listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// A venue that listens; it serves while [`Simulator::run`] is polled.
#[derive(Debug)]
pub struct Simulator {
    listener: TcpListener,
    address: SocketAddr,
    playback: Arc<Playback>,
}

/// A view of a simulator that outlives it.
#[derive(Debug, Clone)]
pub struct SimulatorView(Arc<Playback>);

impl SimulatorView {
    /// What was served so far.
    pub fn stats(&self) -> SimulatorStats {
        self.0.stats()
    }

    /// What is served.
    pub fn recording(&self) -> &Recording {
        &self.0.recording
    }
}

impl Simulator {
    /// Listens; port 0 takes any that is free.
    ///
    /// # Errors
    /// [`SimulatorError::Listen`].
    pub async fn bind(
        address: SocketAddr,
        recording: Recording,
        settings: SimulatorSettings,
    ) -> Result<Simulator, SimulatorError> {
        let fault = |source| SimulatorError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        Ok(Simulator {
            listener,
            address,
            playback: Arc::new(Playback::new(recording, settings)),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A view of what is served.
    pub fn view(&self) -> SimulatorView {
        SimulatorView(Arc::clone(&self.playback))
    }

    /// Serves until it is dropped, or with `once` until the recording is over and the clients are gone.
    ///
    /// # Cancel safety
    /// Dropping the future ends every connection.
    pub async fn run(self) -> SimulatorStats {
        let Simulator {
            listener, playback, ..
        } = self;
        let mut connections = JoinSet::new();
        let accept = async {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        // Small frames are not kept back for larger ones.
                        let _is_told = stream.set_nodelay(true);
                        connections.spawn(serve(Arc::clone(&playback), stream));
                    }
                    // Out of files, most likely: those in use come back.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
                while connections.try_join_next().is_some() {}
            }
        };
        let play = async {
            playback.play().await;
            if !playback.settings.once {
                std::future::pending::<()>().await;
            }
            playback.linger().await;
        };
        tokio::select! {
            () = accept => {}
            () = play => {}
        }
        playback.stats()
    }
}

type Body = StreamBody<stream::Iter<vec::IntoIter<io::Result<Frame<Bytes>>>>>;
/// An upgrade that was granted, and the venue's side of what follows.
type Granted = Mutex<Option<(OnUpgrade, Box<dyn VenueProtocol>)>>;

/// Serves one connection to its end: requests, and after an upgrade the conversation.
async fn serve(playback: Arc<Playback>, stream: TcpStream) {
    let granted = Granted::default();
    let served = http1::Builder::new()
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|request| respond(&playback, request, &granted)),
        )
        .with_upgrades()
        .await;
    let granted = granted.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let (Ok(()), Some((socket, protocol))) = (served, granted)
        && let Ok(socket) = socket.await
    {
        let socket = TokioIo::new(socket);
        let socket = WebSocketStream::from_raw_socket(socket, Role::Server, None).await;
        Session::new(playback, socket, protocol).serve().await;
    }
}

async fn respond(
    playback: &Playback,
    mut request: hyper::Request<Incoming>,
    granted: &Granted,
) -> Result<Response<Body>, Infallible> {
    let plan = &playback.plan;
    let simulation = &playback.recording.venue().simulation;
    if request.headers().contains_key(SEC_WEBSOCKET_KEY) {
        let number = playback.stats().connections.wrapping_add(1);
        if plan.hits(FaultKind::Refuse, number) {
            playback.count(|stats| stats.connections += 1);
            let refusal = reply(StatusCode::SERVICE_UNAVAILABLE, "service unavailable");
            return Ok(response(refusal, false));
        }
        let nothing = || StreamBody::new(stream::iter(Vec::new()));
        let Ok(switch) = create_response_with_body(&request, nothing) else {
            let refusal = reply(StatusCode::BAD_REQUEST, "not a WebSocket handshake");
            return Ok(response(refusal, false));
        };
        let protocol = (simulation.protocol)(&understood(playback, &request, number));
        *granted.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((hyper::upgrade::on(&mut request), protocol));
        return Ok(switch);
    }
    let number = playback.count(|stats| stats.requests += 1).requests;
    if let Some(delay) = plan.time(FaultKind::Delay) {
        tokio::time::sleep(Duration::from_nanos(u64::try_from(delay).unwrap_or(0))).await;
    }
    if let Some(reply) = spoiled(playback, number) {
        playback.count(|stats| stats.spoiled += 1);
        return Ok(response(reply, false));
    }
    let is_cut = plan.hits(FaultKind::Cut, number);
    if is_cut {
        playback.count(|stats| stats.spoiled += 1);
    }
    let reply = (simulation.answer)(&understood(playback, &request, number));
    Ok(response(reply, is_cut))
}

fn understood<'a>(
    playback: &'a Playback,
    request: &hyper::Request<Incoming>,
    number: u64,
) -> Request<'a> {
    let query = request.uri().query().unwrap_or_default();
    let query = Url::parse(&format!("http://venue/?{query}"));
    Request {
        published: playback.history(),
        number,
        path: request.uri().path().to_owned(),
        query: query.map_or_else(
            |_| HashMap::new(),
            |url| url.query_pairs().into_owned().collect(),
        ),
        headers: request.headers().clone(),
    }
}

/// The reply that a fault gives instead of the venue's.
fn spoiled(playback: &Playback, number: u64) -> Option<Reply> {
    let plan = &playback.plan;
    if plan.hits(FaultKind::TooMany, number) {
        return Some((playback.recording.venue().simulation.too_many)());
    }
    let errors = [
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    let status = errors[plan.draw(FaultKind::Error, number, errors.len())];
    plan.hits(FaultKind::Error, number)
        .then(|| reply(status, "<html>something went wrong</html>"))
}

/// The reply as it is sent: whole, or half of it and then the end of the connection.
fn response(reply: Reply, is_cut: bool) -> Response<Body> {
    let (mut head, text) = reply.into_parts();
    let (len, text) = (text.len(), Bytes::from(text));
    let frames = if is_cut {
        let half = Frame::data(text.slice(..len / 2));
        vec![Ok(half), Err(io::Error::other("cut"))]
    } else {
        vec![Ok(Frame::data(text))]
    };
    let more = mem::take(&mut head.headers);
    let json = HeaderValue::from_static("application/json");
    head.headers.insert(CONTENT_TYPE, json);
    head.headers.insert(CONTENT_LENGTH, len.into());
    head.headers.extend(more);
    Response::from_parts(head, StreamBody::new(stream::iter(frames)))
}
