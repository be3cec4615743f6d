//! The late file: a recording of the trades that came too late for their bars.

use super::RecordingWriter;
use barmill_core::model::Trade;
use barmill_core::port::{LateError, LateStore};
use futures::future::{BoxFuture, FutureExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Appends late trades to one recording, which is made with the first of them.
#[derive(Debug, Clone)]
pub struct LateFile {
    path: PathBuf,
    bytes_max: u64,
    writer: Arc<Mutex<Option<RecordingWriter>>>,
}

impl LateFile {
    /// Names the file and the bytes beyond which nothing is added, by up to a batch; touches nothing.
    pub fn new(path: PathBuf, bytes_max: u64) -> LateFile {
        LateFile {
            path,
            bytes_max,
            writer: Arc::default(),
        }
    }

    fn append(&self, trades: &[Trade]) -> Result<(), LateError> {
        // A writer that a panic left behind is a whole one: it cuts back to its last block.
        let mut slot = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = match &mut *slot {
            Some(writer) => writer,
            empty => empty.insert(self.open()?),
        };
        if writer.bytes() >= self.bytes_max {
            return Err(LateError::Full {
                file: self.path.display().to_string(),
                bytes_max: self.bytes_max,
            });
        }
        let kept = writer.write(trades).and_then(|()| writer.flush());
        kept.map_err(|error| {
            // A writer keeps what it could not write, so one that goes on failing would grow.
            *slot = None;
            LateError::Failed(Box::new(error))
        })
    }

    fn open(&self) -> Result<RecordingWriter, LateError> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| LateError::Failed(Box::new(error)))?;
        }
        RecordingWriter::append(&self.path).map_err(|error| LateError::Failed(Box::new(error)))
    }
}

impl LateStore for LateFile {
    fn write(&self, trades: Vec<Trade>) -> BoxFuture<'_, Result<(), LateError>> {
        let file = self.clone();
        async move {
            let kept = tokio::task::spawn_blocking(move || file.append(&trades)).await;
            kept.unwrap_or_else(|error| Err(LateError::Failed(Box::new(error))))
        }
        .boxed()
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }
}
