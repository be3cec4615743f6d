//! A sink that is a stream: passes every update, in order, to a consumer in the same program.
//!
//! Unlike a listener, the consumer misses nothing: while the channel is full the pipeline waits.

use crate::model::{BarUpdate, WriteItem};
use crate::port::{BarSink, Cost, ItemResult, Remedy, SinkError};
use futures::future::BoxFuture;
use std::sync::Mutex;
use std::sync::PoisonError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// The updates of a [`ChannelSink`].
pub type BarStream = ReceiverStream<BarUpdate>;

/// The consumer dropped its [`BarStream`].
#[derive(Debug, thiserror::Error)]
#[error("bar stream was dropped before its end")]
struct Dropped;

/// Sends every update into a [`BarStream`]; manifests are not sent.
#[derive(Debug)]
pub struct ChannelSink {
    bars: Mutex<Option<mpsc::Sender<BarUpdate>>>,
    /// Held for a whole batch, so that two in flight do not mix; given out in the order of asking.
    turn: tokio::sync::Mutex<()>,
}

impl ChannelSink {
    /// Makes a sink and its stream; `capacity` updates wait at most, 1 and up.
    pub fn pair(capacity: usize) -> (ChannelSink, BarStream) {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        (
            ChannelSink {
                bars: Mutex::new(Some(sender)),
                turn: tokio::sync::Mutex::default(),
            },
            ReceiverStream::new(receiver),
        )
    }

    fn sender(&self) -> Option<mpsc::Sender<BarUpdate>> {
        self.bars
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl BarSink for ChannelSink {
    fn name(&self) -> &'static str {
        "bar stream"
    }

    fn write<'a>(
        &'a self,
        items: &'a [WriteItem],
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, SinkError>> {
        Box::pin(async move {
            let dropped = || SinkError {
                operation: "send a bar to the stream".to_owned(),
                remedy: Remedy::Fatal,
                source: Box::new(Dropped),
            };
            let _turn = self.turn.lock().await;
            let sender = self.sender().ok_or_else(dropped)?;
            for item in items {
                match item {
                    WriteItem::Bar(update) => sender.send(*update).await.map_err(|_| dropped())?,
                    WriteItem::Manifest(_) => {}
                }
            }
            Ok(vec![Ok(()); items.len()])
        })
    }

    fn cost(&self, _items: &[WriteItem]) -> Cost {
        Cost::default()
    }

    fn is_patient(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        *self.bars.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Box::pin(async { Ok(()) })
    }
}
