//! A venue that says what the test tells it to, and an archive that knows nothing.

use crate::history::server::{Hit, Reply, Server};
use crate::history::speak;
use crate::live::published_trades::Kind;
use crate::live::venue_frames::{self, Request};
use futures::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

/// A venue with one client.
pub(super) struct Script {
    pub(super) url: String,
    pub(super) archive: Server,
    texts: mpsc::Sender<String>,
    _task: JoinSet<()>,
}

impl Script {
    /// Starts Alpaca.
    pub(super) async fn alpaca() -> Script {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/v2/sip", listener.local_addr().unwrap());
        let archive = Server::start(|hit: &Hit| Reply::Page(speak::alpaca(&[], hit))).await;
        let (texts, queue) = mpsc::channel(64);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let stream = accept_async(listener.accept().await.unwrap().0)
                .await
                .unwrap();
            // The client leaves at the end of the test.
            converse(stream, queue).await.unwrap_or_default();
        });
        Script {
            url,
            archive,
            texts,
            _task: task,
        }
    }

    /// Says it to the client, once it has subscribed.
    pub(super) async fn say(&self, text: String) {
        self.texts.send(text).await.unwrap();
    }
}

async fn converse(
    mut stream: WebSocketStream<TcpStream>,
    mut queue: mpsc::Receiver<String>,
) -> Option<()> {
    stream
        .send(Message::text(venue_frames::greeting(Kind::Alpaca)?))
        .await
        .ok()?;
    let mut is_subscribed = false;
    loop {
        tokio::select! {
            heard = stream.next() => {
                let Message::Text(text) = heard?.ok()? else { continue };
                let answers = match venue_frames::request(Kind::Alpaca, text.as_str(), &[], 0) {
                    Request::Auth => vec![r#"[{"T":"success","msg":"authenticated"}]"#.to_owned()],
                    Request::Subscribe(_, acks) => acks,
                    Request::Other => Vec::new(),
                };
                is_subscribed |= text.as_str().contains("subscribe");
                for answer in answers {
                    stream.send(Message::text(answer)).await.ok()?;
                }
            }
            Some(text) = queue.recv(), if is_subscribed => stream.send(Message::text(text)).await.ok()?,
        }
    }
}
