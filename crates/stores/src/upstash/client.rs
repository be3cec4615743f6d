//! The HTTP client of the REST store: its settings, and the count of connections it opens.
//!
//! The defaults and the reasons for them: `connect` covers TLS, whose hang was the incident this project comes from;
//! `read` alone never ends a slow drip, so there is a total too; pings find a black-holed HTTP/2 connection, also
//! while nothing is sent; idle connections go before a server would close them under a request.

use crate::key_store::counters::Counters;
use crate::key_store::tls::{CaFileError, choose_provider, read_ca_file};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, redirect};
use secrecy::{ExposeSecret, SecretString};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

/// How to reach a REST store. Every duration is above zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestSettings {
    /// Longest time for name, TCP and TLS together; default 10 s.
    pub connect_timeout: Duration,
    /// Longest time from the start of a request to the end of its answer; default 30 s.
    pub timeout: Duration,
    /// Longest silence while an answer is awaited or read; default 10 s.
    pub read_timeout: Duration,
    /// Time between HTTP/2 pings, also while idle; default 15 s, below 10 s servers may take offence.
    pub ping_interval: Duration,
    /// Longest wait for the answer to a ping; default 5 s.
    pub ping_timeout: Duration,
    /// Longest idle life of a pooled connection; default 25 s, below the server's.
    pub idle_timeout: Duration,
    /// Most idle connections kept; default 10.
    pub idle_connections_max: usize,
    /// Bytes of the largest request body; default 8 MiB. A single larger command is sent alone.
    pub request_bytes_max: usize,
    /// Bytes of the largest answer that is read; default 64 MiB.
    pub response_bytes_max: usize,
    /// Time-outs in a row after which a fresh client is asked for; default 3, at least 1.
    pub timeouts_max: u32,
    /// Whether the proxy variables of the environment count; default no.
    pub proxy_from_env: bool,
    /// PEM file with the certificates that are trusted instead of the system's; default none.
    pub ca_file: Option<PathBuf>,
}

impl Default for RestSettings {
    fn default() -> RestSettings {
        RestSettings {
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(25),
            idle_connections_max: 10,
            request_bytes_max: 8 << 20,
            response_bytes_max: 64 << 20,
            timeouts_max: 3,
            proxy_from_env: false,
            ca_file: None,
        }
    }
}

/// Why no REST store could be made.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// No token was given.
    #[error("REST sink needs a token; set UPSTASH_REDIS_REST_TOKEN")]
    NoToken,
    /// The token has bytes that no header can carry.
    #[error("REST token is not printable ASCII")]
    Token,
    /// The CA file cannot be read.
    #[error(transparent)]
    CaFile(#[from] CaFileError),
    /// The CA file holds no usable certificate, or the client does not start.
    #[error("HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}

/// Everything needed to make the client, and to make it again.
#[derive(Debug)]
pub(crate) struct ClientPlan {
    settings: RestSettings,
    headers: HeaderMap,
    certificates: Option<Vec<Certificate>>,
    is_plain: bool,
    counters: Arc<Counters>,
}

impl ClientPlan {
    pub(crate) fn new(
        settings: &RestSettings,
        token: &SecretString,
        is_plain: bool,
        counters: Arc<Counters>,
    ) -> Result<ClientPlan, RestError> {
        let bearer = SecretString::from(format!("Bearer {}", token.expose_secret()));
        let mut bearer =
            HeaderValue::from_str(bearer.expose_secret()).map_err(|_| RestError::Token)?;
        bearer.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let certificates = match &settings.ca_file {
            Some(path) => {
                let pem = read_ca_file(path)?;
                Some(Certificate::from_pem_bundle(&pem).map_err(RestError::Client)?)
            }
            None => None,
        };
        Ok(ClientPlan {
            settings: settings.clone(),
            headers,
            certificates,
            is_plain,
            counters,
        })
    }

    pub(crate) fn build(&self) -> Result<Client, RestError> {
        choose_provider();
        let settings = &self.settings;
        let counters = Arc::clone(&self.counters);
        let count = tower_layer::layer_fn(move |inner| Counted {
            inner,
            counters: Arc::clone(&counters),
        });
        let mut builder = Client::builder()
            .default_headers(self.headers.clone())
            .https_only(!self.is_plain)
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .read_timeout(settings.read_timeout)
            .pool_idle_timeout(settings.idle_timeout)
            .pool_max_idle_per_host(settings.idle_connections_max)
            .http2_keep_alive_interval(settings.ping_interval)
            .http2_keep_alive_timeout(settings.ping_timeout)
            .http2_keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .connector_layer(count);
        if !settings.proxy_from_env {
            builder = builder.no_proxy();
        }
        if let Some(certificates) = &self.certificates {
            builder = builder.tls_certs_only(certificates.iter().cloned());
        }
        builder
            .build()
            .map_err(|error| RestError::Client(error.without_url()))
    }
}

/// Counts each connection that was opened, TLS included.
#[derive(Clone, Debug)]
struct Counted<S> {
    inner: S,
    counters: Arc<Counters>,
}

impl<S, R> Service<R> for Counted<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let connecting = self.inner.call(target);
        let counters = Arc::clone(&self.counters);
        Box::pin(async move {
            let connected = connecting.await;
            if connected.is_ok() {
                counters.add_connection();
            }
            connected
        })
    }
}
