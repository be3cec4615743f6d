//! Servers of the store tests: a real redis-server, and a REST front of it that can answer as told.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A redis-server of its own, ended on drop.
pub(crate) struct RedisServer {
    child: Child,
    pub(crate) port: u16,
    _folder: tempfile::TempDir,
}

impl RedisServer {
    pub(crate) fn start(arguments: &[&str]) -> RedisServer {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut child = Command::new("redis-server")
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--port",
                &port.to_string(),
                "--dir",
            ])
            .arg(folder.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines
            .map_while(Result::ok)
            .any(|line| line.contains("eady to accept connections"));
        assert!(ready, "redis-server did not start");
        RedisServer {
            child,
            port,
            _folder: folder,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) async fn connection(&self) -> redis::aio::MultiplexedConnection {
        redis::Client::open(self.url())
            .unwrap()
            .get_multiplexed_async_connection()
            .await
            .unwrap()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// An answer given instead of asking Redis.
pub(crate) type Canned = (u16, Option<&'static str>, &'static str);

/// A REST front with the shapes of Upstash.
pub(crate) struct RestServer {
    pub(crate) port: u16,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) canned: Arc<Mutex<VecDeque<Canned>>>,
    /// PEM of the private CA, when TLS is spoken.
    pub(crate) ca: Option<String>,
}

#[derive(Clone)]
struct Front {
    redis: redis::aio::MultiplexedConnection,
    canned: Arc<Mutex<VecDeque<Canned>>>,
}

impl RestServer {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test server lives beside the test"
    )]
    pub(crate) async fn start(redis: &RedisServer, has_tls: bool) -> RestServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (connections, canned) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::default()));
        let front = Front {
            redis: redis.connection().await,
            canned: Arc::clone(&canned),
        };
        let (acceptor, ca) = if has_tls { certificate() } else { (None, None) };
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (front, acceptor) = (front.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, front).await;
                            }
                        }
                        None => serve(stream, front).await,
                    }
                });
            }
        });
        RestServer {
            port,
            connections,
            canned,
            ca,
        }
    }

    pub(crate) fn answer(&self, canned: Canned) {
        self.canned.lock().unwrap().push_back(canned);
    }
}

fn certificate() -> (Option<TlsAcceptor>, Option<String>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key =
        tokio_rustls::rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der())
            .unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (
        Some(TlsAcceptor::from(Arc::new(config))),
        Some(made.cert.pem()),
    )
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, front: Front) {
    let service = hyper::service::service_fn(move |request| handle(request, front.clone()));
    // A client may leave in the middle.
    let _ended = Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn handle(
    request: Request<Incoming>,
    mut front: Front,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let authorized = request
        .headers()
        .get("authorization")
        .is_some_and(|value| value == "Bearer canary");
    assert_eq!(
        (request.method().as_str(), request.uri().path()),
        ("POST", "/pipeline")
    );
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let canned = front.canned.lock().unwrap().pop_front();
    let (status, retry_after, text) = match canned {
        Some((status, retry_after, text)) => (status, retry_after, text.to_owned()),
        None if !authorized => (
            401,
            None,
            r#"{"error":"WRONGPASS invalid or missing auth token"}"#.to_owned(),
        ),
        None => (200, None, forward(&body, &mut front.redis).await),
    };
    let mut response = Response::builder().status(status);
    if let Some(value) = retry_after {
        response = response.header("retry-after", value);
    }
    Ok(response.body(Full::new(Bytes::from(text))).unwrap())
}

async fn forward(body: &[u8], redis: &mut redis::aio::MultiplexedConnection) -> String {
    let mut replies = Vec::new();
    for words in serde_json::from_slice::<Vec<Vec<String>>>(body).unwrap() {
        let mut command = redis::cmd(&words[0]);
        command.arg(&words[1..]);
        replies.push(match command.query_async::<redis::Value>(redis).await {
            Ok(value) => serde_json::json!({ "result": json(&value) }),
            Err(error) => {
                let (code, detail) = (error.code().unwrap(), error.detail().unwrap_or_default());
                serde_json::json!({ "error": format!("{code} {detail}") })
            }
        });
    }
    serde_json::Value::from(replies).to_string()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the client's enum may grow")]
fn json(value: &redis::Value) -> serde_json::Value {
    match value {
        redis::Value::Nil => serde_json::Value::Null,
        redis::Value::Int(number) => (*number).into(),
        redis::Value::Array(values) => values.iter().map(json).collect(),
        redis::Value::BulkString(bytes) => String::from_utf8(bytes.clone()).unwrap().into(),
        redis::Value::SimpleString(text) => text.clone().into(),
        redis::Value::Okay => "OK".into(),
        other => panic!("{other:?} is not expected here"),
    }
}
