//! The status pages of a run: `/healthz`, `/readyz` and `/metrics` over HTTP/1.1.
//!
//! Owns the listener, its bounds and its door: GET only, a list of Host names against rebinding of names, a token where
//! others than this machine may ask. Deliberately knows nothing of what the pages say.
//!
//! `axum` stays out: it routes, which takes 6 lines here, and its `serve` bounds neither connections nor the time and bytes of a
//! head, so that the accept loop and `http1::Builder` below would stay, on 3 crates more. `prometheus-client` (3 more) keeps its own
//! counters in a registry; here every figure is already a field of the run's state, and is printed from there.

use crate::daemon::Health;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderValue,
    WWW_AUTHENTICATE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::{ExposeSecret, SecretString};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Connections served at the same time; more wait.
const CONNECTIONS_MAX: usize = 32;
/// Longest wait for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest life of a connection.
const LIFE_MAX: Duration = Duration::from_mins(1);
/// Bytes of the largest head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// What the pages say.
pub trait Pages: Send + Sync + 'static {
    /// Whether the run makes progress; 200 or 503.
    fn health(&self) -> Health;
    /// Whether the bars are current; 200 or 503.
    fn readiness(&self) -> Health;
    /// The figures, in the text form of Prometheus.
    fn metrics(&self) -> String;
}

/// Who may ask.
#[derive(Debug, Clone, Default)]
pub struct AccessPolicy {
    /// The bearer token; without one only this machine may ask.
    pub token: Option<SecretString>,
    /// Host names beside those of this machine and of the address.
    pub hosts: Vec<String>,
}

/// Why the pages cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The address can be reached from other machines, and nothing asks who they are.
    #[error(
        "status pages on {address} would be open to everyone; give a token, or listen on 127.0.0.1"
    )]
    Open {
        /// The address.
        address: SocketAddr,
    },
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

/// A listener; it serves while [`StatusServer::run`] is polled.
#[derive(Debug)]
pub struct StatusServer {
    listener: TcpListener,
    address: SocketAddr,
    door: Arc<AccessPolicy>,
}

impl StatusServer {
    /// Listens; port 0 takes any that is free.
    ///
    /// # Errors
    /// [`StatusError`].
    pub async fn bind(
        address: SocketAddr,
        door: AccessPolicy,
    ) -> Result<StatusServer, StatusError> {
        if !address.ip().is_loopback() && door.token.is_none() {
            return Err(StatusError::Open { address });
        }
        let fault = |source| StatusError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        Ok(StatusServer {
            listener,
            address,
            door: Arc::new(door),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is dropped.
    ///
    /// # Cancel safety
    /// Dropping the future ends every connection.
    pub async fn run(self, pages: Arc<dyn Pages>) {
        let mut visits = JoinSet::new();
        loop {
            while CONNECTIONS_MAX <= visits.len() {
                visits.join_next().await;
            }
            while visits.try_join_next().is_some() {}
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (door, pages) = (Arc::clone(&self.door), Arc::clone(&pages));
                    visits.spawn(serve(stream, door, self.address, pages));
                }
                // Out of files, most likely: those in use come back.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    door: Arc<AccessPolicy>,
    address: SocketAddr,
    pages: Arc<dyn Pages>,
) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let response = respond(
            request.method(),
            request.uri().path(),
            request.headers(),
            (&door, address),
            &*pages,
        );
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answer);
    // A visitor that breaks off, is too slow or speaks no HTTP is its own loss.
    let _ended = tokio::time::timeout(LIFE_MAX, connection).await;
}

fn respond(
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    (door, address): (&AccessPolicy, SocketAddr),
    pages: &dyn Pages,
) -> Response<Full<Bytes>> {
    if !door.knows(headers, address) {
        return plain(
            StatusCode::MISDIRECTED_REQUEST,
            "this host name is not served here\n",
        );
    }
    if !door.admits(headers) {
        let mut response = plain(StatusCode::UNAUTHORIZED, "a bearer token is needed\n");
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        return response;
    }
    if method != Method::GET {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET only\n");
        let allowed = HeaderValue::from_static("GET");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    match path {
        "/healthz" => page(pages.health()),
        "/readyz" => page(pages.readiness()),
        "/metrics" => plain(StatusCode::OK, pages.metrics()),
        _ => plain(StatusCode::NOT_FOUND, "/healthz, /readyz or /metrics\n"),
    }
}

fn page(Health { is_ok, text }: Health) -> Response<Full<Bytes>> {
    let status = if is_ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    plain(status, text)
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl AccessPolicy {
    /// Whether the request is meant for us: a page of a foreign name that points here is not.
    fn knows(&self, headers: &HeaderMap, address: SocketAddr) -> bool {
        let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
            return false;
        };
        let is_port =
            |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let name = match host.rsplit_once(':') {
            Some((name, port)) if is_port(port) => name,
            Some(_) | None => host,
        };
        let ip = name.trim_start_matches('[').trim_end_matches(']').parse();
        name.eq_ignore_ascii_case("localhost")
            || ip.is_ok_and(|ip: std::net::IpAddr| ip.is_loopback() || ip == address.ip())
            || self
                .hosts
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let given = headers
            .get(AUTHORIZATION)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        let given = given.strip_prefix(b"Bearer ").unwrap_or_default();
        is_same(given, token.expose_secret().as_bytes())
    }
}

/// Compares in a time that tells nothing but the length.
fn is_same(given: &[u8], wanted: &[u8]) -> bool {
    let differences = given
        .iter()
        .zip(wanted)
        .fold(0, |sum, (one, other)| sum | (one ^ other));
    given.len() == wanted.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::{AccessPolicy, Health, Pages, StatusError, StatusServer, respond};
    use hyper::header::{HeaderMap, HeaderValue};
    use hyper::{Method, StatusCode};
    use std::net::SocketAddr;

    struct Fine;

    impl Pages for Fine {
        fn health(&self) -> Health {
            Health {
                is_ok: true,
                text: "ok".to_owned(),
            }
        }
        fn readiness(&self) -> Health {
            Health {
                is_ok: false,
                text: "stale".to_owned(),
            }
        }
        fn metrics(&self) -> String {
            "barmill_up 1\n".to_owned()
        }
    }

    fn status(
        door: &AccessPolicy,
        method: &Method,
        path: &str,
        headers: &[(&'static str, &'static str)],
    ) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        let address: SocketAddr = "10.1.2.3:9464".parse().unwrap();
        respond(method, path, &map, (door, address), &Fine)
            .status()
            .as_u16()
    }

    #[test]
    fn pages_are_for_known_names_and_get_alone() {
        let door = AccessPolicy {
            hosts: vec!["bars.example".to_owned()],
            ..AccessPolicy::default()
        };
        let get = |path, host| status(&door, &Method::GET, path, &[("host", host)]);
        for host in [
            "localhost",
            "127.0.0.1:9464",
            "[::1]:9464",
            "10.1.2.3",
            "Bars.Example:80",
        ] {
            assert_eq!(get("/healthz", host), 200, "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "10.1.2.4", ""] {
            assert_eq!(
                get("/healthz", host),
                StatusCode::MISDIRECTED_REQUEST.as_u16(),
                "{host}"
            );
        }
        assert_eq!(
            status(&door, &Method::GET, "/healthz", &[]),
            421,
            "no host at all"
        );
        assert_eq!(
            (get("/readyz", "localhost"), get("/metrics", "localhost")),
            (503, 200)
        );
        assert_eq!(get("/", "localhost"), 404);
        for method in [Method::POST, Method::DELETE, Method::OPTIONS] {
            assert_eq!(
                status(&door, &method, "/healthz", &[("host", "localhost")]),
                405
            );
        }
    }

    #[test]
    fn token_is_asked_for_where_there_is_one() {
        let door = AccessPolicy {
            token: Some("canary".into()),
            ..AccessPolicy::default()
        };
        let with = |token| {
            status(
                &door,
                &Method::GET,
                "/metrics",
                &[("host", "localhost"), ("authorization", token)],
            )
        };
        assert_eq!(with("Bearer canary"), 200);
        for token in [
            "Bearer canary2",
            "Bearer canar",
            "Bearer ",
            "canary",
            "Basic canary",
        ] {
            assert_eq!(with(token), 401, "{token}");
        }
        assert!(!format!("{door:?}").contains("canary"));
    }

    #[tokio::test]
    async fn open_address_without_a_token_is_refused() {
        let refused =
            StatusServer::bind("0.0.0.0:0".parse().unwrap(), AccessPolicy::default()).await;
        assert!(
            matches!(refused, Err(StatusError::Open { .. })),
            "{refused:?}"
        );
    }
}
