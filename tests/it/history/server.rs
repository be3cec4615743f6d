//! A local HTTP server that answers each request by a closure and keeps what it was asked.

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::{self, BoxStream, StreamExt};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    /// Requests before this one.
    pub(crate) index: usize,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) headers: HeaderMap,
    /// `http://host:port` of the server.
    pub(crate) base: String,
}

impl Hit {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name).and_then(|text| text.parse().ok())
    }
}

/// What a server does with a request.
pub(crate) enum Reply {
    /// 200 with this body.
    Page(String),
    /// 200 with this body compressed.
    Gzip(Vec<u8>),
    /// Another status.
    Status(u16, Vec<(&'static str, String)>, String),
    /// 200 whose body ends early, with the length of the whole announced or not.
    Cut(String, bool),
    /// 200 whose body comes a byte at a time, for ever.
    Drip,
    /// 200 whose body never ends, at full speed.
    Endless,
}

/// The server; dropping it ends it.
pub(crate) struct Server {
    pub(crate) base: String,
    hits: Arc<Mutex<Vec<Hit>>>,
    _tasks: JoinSet<()>,
}

type Answer = Arc<dyn Fn(&Hit) -> Reply + Send + Sync>;
type Body = StreamBody<BoxStream<'static, io::Result<Frame<Bytes>>>>;

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Hit) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let hits = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(
            listener,
            base.clone(),
            Arc::clone(&hits),
            Arc::new(answer),
        ));
        Server {
            base,
            hits,
            _tasks: tasks,
        }
    }

    pub(crate) fn hits(&self) -> Vec<Hit> {
        self.hits.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, base: String, hits: Arc<Mutex<Vec<Hit>>>, answer: Answer) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (base, hits, answer) = (base.clone(), Arc::clone(&hits), Arc::clone(&answer));
        let service = hyper::service::service_fn(move |request| {
            let hit = note(&request, &base, &hits);
            let reply = answer(&hit);
            async move { Ok::<_, Infallible>(respond(reply)) }
        });
        connections.spawn(async move {
            // A connection that a fault cuts off ends with an error; that is its purpose.
            let _cut = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn note(request: &Request<Incoming>, base: &str, hits: &Mutex<Vec<Hit>>) -> Hit {
    let mut hits = hits.lock().unwrap();
    let url = reqwest::Url::parse(&format!("{base}{}", request.uri())).unwrap();
    let hit = Hit {
        index: hits.len(),
        path: request.uri().path().to_owned(),
        query: url.query_pairs().into_owned().collect(),
        headers: request.headers().clone(),
        base: base.to_owned(),
    };
    hits.push(hit.clone());
    hit
}

fn respond(reply: Reply) -> Response<Body> {
    let mut response = Response::new(whole(Vec::new()));
    match reply {
        Reply::Page(text) => *response.body_mut() = whole(text.into_bytes()),
        Reply::Gzip(bytes) => {
            response
                .headers_mut()
                .insert("content-encoding", HeaderValue::from_static("gzip"));
            *response.body_mut() = whole(bytes);
        }
        Reply::Status(status, headers, text) => {
            *response.status_mut() = status.try_into().unwrap();
            for (name, value) in headers {
                response
                    .headers_mut()
                    .insert(HeaderName::from_static(name), value.parse().unwrap());
            }
            *response.body_mut() = whole(text.into_bytes());
        }
        Reply::Cut(text, is_announced) => {
            let half = text.as_bytes()[..text.len() / 2].to_vec();
            if is_announced {
                response
                    .headers_mut()
                    .insert("content-length", text.len().into());
                let cut =
                    stream::iter([Ok(Frame::data(half.into())), Err(io::Error::other("cut"))]);
                *response.body_mut() = StreamBody::new(cut.boxed());
            } else {
                *response.body_mut() = whole(half);
            }
        }
        Reply::Drip => {
            let drip = stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Some((Ok(Frame::data(Bytes::from_static(b" "))), ()))
            });
            *response.body_mut() = StreamBody::new(drip.boxed());
        }
        Reply::Endless => {
            let chunk = Bytes::from(vec![b' '; 16 << 10]);
            *response.body_mut() = StreamBody::new(
                stream::repeat_with(move || Ok(Frame::data(chunk.clone()))).boxed(),
            );
        }
    }
    response
}

fn whole(bytes: Vec<u8>) -> Body {
    StreamBody::new(stream::iter([Ok(Frame::data(bytes.into()))]).boxed())
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
