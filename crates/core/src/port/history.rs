//! The trait by which a live feed fetches missed trades.

use super::Remedy;
use crate::model::{Symbol, Timestamp, Trade, TradeKey};
use futures::future::BoxFuture;
use std::error::Error;

/// A gap in one symbol's live trades.
///
/// See the example of [`TradeFeed`](crate::port::TradeFeed).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The instrument.
    pub symbol: Symbol,
    /// The last trade before the gap. Its identity is [`TradeId::NONE`](crate::model::TradeId::NONE), and its
    /// sequence 0, where only an instant is known.
    pub after: TradeKey,
    /// The first trade after the gap; `None` when none has come yet.
    pub before: Option<TradeKey>,
    /// Start of the event time to read, included. At or before `after`, as a socket's clock is coarser than
    /// the archive's.
    pub from: Timestamp,
    /// End of the event time to read, excluded; after `before`, and after the present when `before` is `None`.
    pub to: Timestamp,
    /// The most trades to answer, at least 1.
    pub len_max: usize,
}

/// What the archive has for a gap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GapFill {
    /// Trades of the symbol from [`Gap::from`] on, in the order of [`Trade::key`]; trades that were seen before are
    /// allowed, and so are trades outside the gap.
    pub trades: Vec<Trade>,
    /// Whether nothing the archive has before [`Gap::to`] was left out for [`Gap::len_max`]. If not, the rest is asked
    /// for from the last trade on.
    pub is_whole: bool,
}

/// Why the trades of a gap are not available.
#[derive(Debug, thiserror::Error)]
#[error("history of {symbol} from {from} is not available")]
pub struct GapError {
    /// The instrument.
    pub symbol: Symbol,
    /// Where the gap begins.
    pub from: Timestamp,
    /// What the failure calls for; after [`Remedy::Refuse`] and [`Remedy::Fatal`] the gap stays open.
    pub remedy: Remedy,
    /// The cause.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// An archive of the trades that a live feed delivers, with the same identities.
pub trait GapSource: std::fmt::Debug + Send + Sync + 'static {
    /// Reads the trades of a gap.
    ///
    /// # Errors
    /// [`GapError`] when nothing can be said of the gap.
    ///
    /// # Cancel safety
    /// The future may be dropped; the gap is then requested again.
    fn fetch(&self, gap: Gap) -> BoxFuture<'static, Result<GapFill, GapError>>;
}
