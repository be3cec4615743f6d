//! The `GapSource` of a live feed: the pages of one gap, up to the bound of one answer.

use super::client::RequestCounts;
use super::error::HistoryError;
use super::pager::Pager;
use super::progress::SymbolRange;
use super::source::HistorySource;
use barmill_core::port::{Gap, GapError, GapFill, GapSource};
use futures::future::BoxFuture;
use std::sync::Arc;

impl GapSource for HistorySource {
    fn fetch(&self, gap: Gap) -> BoxFuture<'static, Result<GapFill, GapError>> {
        let source = self.clone();
        Box::pin(async move { source.read(&gap).await.map_err(|error| refuse(&gap, error)) })
    }
}

impl HistorySource {
    /// Walks the pages of a hole up to its end, or to the most trades that one answer may hold.
    async fn read(&self, gap: &Gap) -> Result<GapFill, HistoryError> {
        let range = SymbolRange {
            symbol: gap.symbol,
            from: gap.from,
            to: gap.to,
        };
        let counts = Arc::new(RequestCounts::default());
        let mut pages = Pager::new(self, range, &counts, gap.symbol.index(), false);
        let mut fill = GapFill::default();
        while !fill.is_whole && fill.trades.len() < gap.len_max {
            let leaf = pages.next_page().await?;
            fill.trades.extend(leaf.trades);
            fill.is_whole = leaf.is_last;
        }
        fill.is_whole &= fill.trades.len() <= gap.len_max;
        fill.trades.truncate(gap.len_max);
        Ok(fill)
    }
}

fn refuse(gap: &Gap, error: HistoryError) -> GapError {
    GapError {
        symbol: gap.symbol,
        from: gap.from,
        remedy: error.remedy(),
        source: Box::new(error),
    }
}
