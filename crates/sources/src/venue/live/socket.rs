//! One WebSocket connection: address, TLS, and frames with their limits.

use super::error::LiveError;
use super::session::Outbound;
use super::settings::{LiveSettings, LiveSettingsError};
use futures::{FutureExt, SinkExt, StreamExt};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
};

/// How connections are opened; clones share the trusted roots.
#[derive(Clone)]
pub(crate) struct Dialer {
    url: String,
    tls: Option<Arc<ClientConfig>>,
    config: WebSocketConfig,
    connect_timeout: Duration,
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    send_timeout: Duration,
}

/// One thing received.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// Text or bytes.
    Frame(tokio_tungstenite::tungstenite::Bytes),
    /// A ping or a pong.
    SignOfLife,
}

impl Dialer {
    /// Checks the address and reads the trusted roots; connects to nothing.
    pub(crate) fn new(settings: &LiveSettings) -> Result<Dialer, LiveSettingsError> {
        let request = settings
            .url
            .as_str()
            .into_client_request()
            .map_err(|_| LiveSettingsError::Url)?;
        let tls = match (request.uri().scheme_str(), request.uri().host()) {
            (Some("wss"), Some(_)) => Some(tls()?),
            (Some("ws"), Some(_)) => None,
            _ => return Err(LiveSettingsError::Url),
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(settings.message_bytes_max))
            .max_frame_size(Some(settings.message_bytes_max));
        Ok(Dialer {
            url: settings.url.clone(),
            tls,
            config,
            connect_timeout: settings.times.connect_timeout,
        })
    }

    /// Connects, shakes hands and upgrades.
    pub(crate) async fn open(&self) -> Result<Socket, LiveError> {
        let connector = self.tls.clone().map_or(Connector::Plain, Connector::Rustls);
        let attempt = connect_async_tls_with_config(
            self.url.as_str(),
            Some(self.config),
            true,
            Some(connector),
        );
        let limit = self.connect_timeout;
        match timeout(limit, attempt).await {
            Ok(opened) => Ok(Socket {
                stream: opened?.0,
                send_timeout: limit,
            }),
            Err(_) => Err(LiveError::Timeout {
                step: "connecting",
                limit,
            }),
        }
    }
}

impl Socket {
    /// Waits for the next frame.
    ///
    /// # Cancel safety
    /// Dropping the future loses no frame.
    pub(crate) async fn receive(&mut self) -> Result<Inbound, LiveError> {
        read(self.stream.next().await)
    }

    /// The next frame, if it is here already.
    pub(crate) fn receive_now(&mut self) -> Option<Result<Inbound, LiveError>> {
        self.stream.next().now_or_never().map(read)
    }

    pub(super) async fn send(&mut self, outbound: Outbound) -> Result<(), LiveError> {
        let message = match outbound {
            Outbound::Text(text) => Message::text(text.expose_secret()),
            Outbound::Ping => Message::Ping(tokio_tungstenite::tungstenite::Bytes::new()),
        };
        match timeout(self.send_timeout, self.stream.send(message)).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(LiveError::Timeout {
                step: "sending",
                limit: self.send_timeout,
            }),
        }
    }

    /// Says goodbye, so that the venue counts one connection less.
    pub(crate) async fn close(mut self) {
        // Whether the venue takes the goodbye changes nothing.
        let _unheard = timeout(
            self.send_timeout.min(Duration::from_secs(1)),
            self.stream.close(None),
        )
        .await;
    }
}

fn read(received: Option<Result<Message, Error>>) -> Result<Inbound, LiveError> {
    match received {
        Some(Ok(Message::Text(text))) => Ok(Inbound::Frame(text.into())),
        Some(Ok(Message::Binary(bytes))) => Ok(Inbound::Frame(bytes)),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
            Ok(Inbound::SignOfLife)
        }
        Some(Ok(Message::Close(Some(frame)))) => Err(LiveError::Closed {
            code: frame.code.into(),
            reason: frame.reason.as_str().chars().take(200).collect(),
        }),
        Some(Ok(Message::Close(None))) => Err(closed(1005)),
        Some(Err(error)) => Err(error.into()),
        None => Err(closed(1006)),
    }
}

fn closed(code: u16) -> LiveError {
    LiveError::Closed {
        code,
        reason: String::new(),
    }
}

fn tls() -> Result<Arc<ClientConfig>, LiveSettingsError> {
    let fault = |error: rustls::Error| LiveSettingsError::Tls {
        reason: error.to_string(),
    };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(fault)?
        .with_no_client_auth();
    Ok(Arc::new(config))
}
