//! The sink of JSON lines: one line per bar update, to standard output or any other writer.
//!
//! A line is the full JSON value of the bar with `symbol` and `spec` before it. Every update of a batch is printed,
//! also one that a later one replaces. Manifests are not bars and are left out.

use crate::key_store::command::push_json_string;
use crate::key_store::counters::Counters;
use crate::key_store::port::failed;
use crate::layout::settings::ValueForm;
use crate::layout::template::push_display;
use crate::layout::value::push_value;
use barmill_core::model::BarUpdate;
use barmill_core::port::{BarSink, Cost, ItemResult, Remedy, SinkError, SinkStats, WriteItem};
use futures::future::BoxFuture;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// Writes JSON lines.
pub struct LinesSink<W = io::Stdout> {
    writer: Mutex<W>,
    counters: Counters,
}

impl Default for LinesSink {
    fn default() -> LinesSink {
        LinesSink::new(io::stdout())
    }
}

impl<W> fmt::Debug for LinesSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinesSink")
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl<W> LinesSink<W> {
    /// Makes a sink that writes to `writer`, in whole lines.
    pub fn new(writer: W) -> LinesSink<W> {
        LinesSink {
            writer: Mutex::new(writer),
            counters: Counters::default(),
        }
    }

    /// Gives the writer back.
    pub fn into_inner(self) -> W {
        self.writer
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn push_line(out: &mut Vec<u8>, update: &BarUpdate) {
    out.extend_from_slice(b"{\"symbol\":");
    push_json_string(out, update.bar.symbol.as_str());
    out.extend_from_slice(b",\"spec\":\"");
    push_display(out, update.bar.spec);
    out.extend_from_slice(b"\",");
    let brace = out.len();
    push_value(out, update, ValueForm::JsonFull);
    out.remove(brace);
    out.push(b'\n');
}

/// Standard output that nobody reads any more will not come back.
fn remedy(error: &io::Error) -> Remedy {
    let is_full = error.kind() == io::ErrorKind::StorageFull;
    if is_full {
        Remedy::Retry { after: None }
    } else {
        Remedy::Fatal
    }
}

impl<W: Write + Send + 'static> BarSink for LinesSink<W> {
    fn name(&self) -> &'static str {
        "stdout:"
    }

    fn write<'a>(
        &'a self,
        items: &'a [WriteItem],
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, SinkError>> {
        Box::pin(async move {
            let mut lines = Vec::new();
            for item in items {
                match item {
                    WriteItem::Bar(update) => push_line(&mut lines, update),
                    WriteItem::Manifest(_) => {}
                }
            }
            self.counters.add_request(items.len(), lines.len());
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let written = writer.write_all(&lines).and_then(|()| writer.flush());
            written.map_err(|error| failed("write to stdout", remedy(&error), error))?;
            Ok(vec![Ok(()); items.len()])
        })
    }

    fn cost(&self, items: &[WriteItem]) -> Cost {
        Cost {
            requests: 1,
            commands: u32::try_from(items.len()).unwrap_or(u32::MAX),
        }
    }

    fn weight(&self, item: &WriteItem) -> usize {
        let mut line = Vec::with_capacity(512);
        match item {
            WriteItem::Bar(update) => push_line(&mut line, update),
            WriteItem::Manifest(_) => {}
        }
        line.len()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async {
            let flushed = self
                .writer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .flush();
            flushed.map_err(|error| failed("flush stdout", remedy(&error), error))
        })
    }

    fn stats(&self) -> SinkStats {
        self.counters.stats()
    }
}

#[cfg(test)]
mod tests {
    use super::LinesSink;
    use crate::testing::{manifest, update};
    use barmill_core::port::{BarSink, WriteItem};

    #[tokio::test]
    async fn a_bar_is_one_line_and_a_manifest_none() {
        let sink = LinesSink::new(Vec::new());
        let bar = WriteItem::Bar(update("AAPL", "tick:3", "2025-10-15T13:30:00.5Z"));
        let results = sink
            .write(&[bar.clone(), WriteItem::Manifest(manifest("AAPL", "1m"))])
            .await
            .unwrap();
        assert_eq!(results, [Ok(()), Ok(())]);
        let weight = sink.weight(&bar);
        let text = String::from_utf8(sink.into_inner()).unwrap();
        assert_eq!(text.len(), weight);
        assert_eq!(
            text,
            concat!(
                r#"{"symbol":"AAPL","spec":"tick:3","timestamp":1760535000500,"open":255.1,"high":256.25,"low":254.000000001,"#,
                r#""close":255.0,"volume":1200.5,"vwap":255.5,"trades":3,"buy_volume":1000.0,"sell_volume":200.5,"#,
                r#""first_sequence":1,"last_sequence":9,"start":"2025-10-15T13:30:00.5Z","end":"2025-10-15T13:31:00.5Z","#,
                r#""state":"final","revision":0,"flags":[]}"#,
                "\n"
            )
        );
    }
}
