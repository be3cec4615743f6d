//! The sink that only counts, for benchmarks.

use crate::key_store::counters::Counters;
use barmill_core::port::{BarSink, Cost, ItemResult, SinkError, SinkStats, WriteItem};
use futures::future::BoxFuture;

/// Acks everything and keeps nothing; each batch counts as one request, each item as one command.
#[derive(Debug, Default)]
pub struct NullSink {
    counters: Counters,
}

impl BarSink for NullSink {
    fn name(&self) -> &'static str {
        "null:"
    }

    fn write<'a>(
        &'a self,
        items: &'a [WriteItem],
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, SinkError>> {
        self.counters.add_request(items.len(), 0);
        Box::pin(async { Ok(vec![Ok(()); items.len()]) })
    }

    fn cost(&self, items: &[WriteItem]) -> Cost {
        Cost {
            requests: 1,
            commands: u32::try_from(items.len()).unwrap_or(u32::MAX),
        }
    }

    fn weight(&self, _item: &WriteItem) -> usize {
        0
    }

    fn stats(&self) -> SinkStats {
        self.counters.stats()
    }
}
