//! A venue on loopback: its conversation, its trades and its faults.

use crate::live::published_trades::{Kind, World};
use crate::live::venue_frames::{self, Request};
use barmill::Symbol;
use futures::{SinkExt, StreamExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

type Stream = WebSocketStream<TcpStream>;

/// What goes wrong, in one of so many messages each; zero is never.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// The connection is dropped after so many trades, and trades go on without it.
    pub(crate) disconnect_every: u32,
    pub(crate) duplicate_one_in: u32,
    pub(crate) reorder_one_in: u32,
    pub(crate) lose_one_in: u32,
    /// Only heartbeats come any more.
    pub(crate) stall_one_in: u32,
    /// A frame above every limit.
    pub(crate) huge_one_in: u32,
    /// What the venue answers to the key, or to the first subscription; then it closes.
    pub(crate) refusal: Option<&'static str>,
    /// The first connection that gets the refusal.
    pub(crate) refuse_from: u32,
    /// The first connection that does not get it any more; zero for none.
    pub(crate) refuse_until: u32,
}

/// A running venue.
pub(crate) struct Venue {
    pub(crate) url: String,
    pub(crate) connections: Arc<AtomicU32>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Venue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts a venue.
pub(crate) async fn start(world: Arc<World>, faults: Faults, seed: u64) -> Venue {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/stream", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&connections);
    let task = tokio::spawn(async move {
        let mut visits = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let number = counter.fetch_add(1, Ordering::Relaxed);
            let random = fastrand::Rng::with_seed(seed.wrapping_add(u64::from(number)));
            let world = Arc::clone(&world);
            visits.spawn(async move {
                let stream = accept_async(stream).await.unwrap();
                let visit = Visit {
                    kind: world.kind,
                    world,
                    faults,
                    random,
                    stream,
                    messages: 0,
                    number,
                };
                // A client that leaves ends its visit.
                visit.serve().await.unwrap_or_default();
            });
        }
    });
    Venue {
        url,
        connections,
        task,
    }
}

struct Visit {
    kind: Kind,
    world: Arc<World>,
    faults: Faults,
    random: fastrand::Rng,
    stream: Stream,
    messages: u64,
    number: u32,
}

impl Visit {
    async fn serve(mut self) -> Option<()> {
        let symbols = self.converse().await?;
        let mut held: Option<String> = None;
        let mut sent = 0;
        let patience = self.random.u32(1..=self.faults.disconnect_every.max(1) * 2);
        loop {
            if self.one_in(self.faults.stall_one_in) {
                self.miss(&symbols, 3);
                return self.idle().await;
            }
            let Some(trade) = self.world.publish(&symbols) else {
                return self.idle().await;
            };
            let is_contiguous = self.kind.is_contiguous();
            if self.faults.disconnect_every > 0 && patience <= sent {
                self.miss(&symbols, 4);
                return None;
            }
            if self.one_in(self.faults.huge_one_in) {
                self.send("x".repeat(1 << 17)).await?;
            }
            if is_contiguous && self.one_in(self.faults.lose_one_in) {
                continue;
            }
            let text = venue_frames::trade(self.kind, &trade, self.messages);
            if is_contiguous && held.is_none() && self.one_in(self.faults.reorder_one_in) {
                held = Some(text);
                continue;
            }
            if self.one_in(self.faults.duplicate_one_in) {
                self.send(text.clone()).await?;
            }
            self.send(text).await?;
            sent += 1;
            if let Some(late) = held.take() {
                self.send(late).await?;
            }
            if sent.is_multiple_of(16) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Greeting, key and subscriptions, until the client has what it asked for.
    async fn converse(&mut self) -> Option<Vec<Symbol>> {
        if let Some(text) = venue_frames::greeting(self.kind) {
            self.send(text.to_owned()).await?;
        }
        let mut symbols = Vec::new();
        loop {
            let text = self.hear().await?;
            let is_spent = self.faults.refuse_until > 0 && self.faults.refuse_until <= self.number;
            if let Some(refusal) = self
                .faults
                .refusal
                .filter(|_| self.faults.refuse_from <= self.number && !is_spent)
            {
                self.send(refusal.to_owned()).await?;
                return None;
            }
            match venue_frames::request(self.kind, &text, &symbols, self.messages) {
                Request::Auth if self.kind == Kind::Massive => {
                    self.send(
                        r#"[{"ev":"status","status":"auth_success","message":"authenticated"}]"#
                            .into(),
                    )
                    .await?;
                }
                Request::Auth => {
                    self.send(r#"[{"T":"success","msg":"authenticated"}]"#.into())
                        .await?;
                }
                Request::Subscribe(more, acks) => {
                    symbols.extend(more);
                    for ack in acks {
                        self.send(ack).await?;
                    }
                    if self.kind != Kind::CoinbaseAdvanced || text.contains("heartbeats") {
                        return Some(symbols);
                    }
                }
                Request::Other => {}
            }
        }
    }

    /// Heartbeats and pongs only, until the client leaves.
    async fn idle(&mut self) -> Option<()> {
        loop {
            let heartbeat = venue_frames::heartbeat(self.kind, self.messages);
            self.send(heartbeat).await?;
            if let Ok(None) = tokio::time::timeout(Duration::from_millis(2), self.hear()).await {
                return None;
            }
        }
    }

    /// Trades that nobody is told.
    fn miss(&mut self, symbols: &[Symbol], max: u32) {
        for _ in 0..self.random.u32(0..=max) {
            let _unheard = self.world.publish(symbols);
        }
    }

    async fn send(&mut self, text: String) -> Option<()> {
        self.messages += 1;
        self.stream.send(Message::text(text)).await.ok()
    }

    async fn hear(&mut self) -> Option<String> {
        loop {
            match self.stream.next().await?.ok()? {
                Message::Text(text) => return Some(text.as_str().to_owned()),
                Message::Close(_) => return None,
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    fn one_in(&mut self, count: u32) -> bool {
        count > 0 && self.random.u32(0..count) == 0
    }
}
