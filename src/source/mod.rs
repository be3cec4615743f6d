//! Ready-made sources of trades, each described in one line.
//!
//! A description is plain data until the pipeline starts; what is wrong with it is told then, together with every
//! other fault.

#[cfg(feature = "files")]
mod files;
#[cfg(feature = "simulate")]
mod simulated;
#[cfg(feature = "venues")]
pub mod venue;

#[cfg(feature = "files")]
pub use files::Files;
#[cfg(feature = "simulate")]
pub use simulated::SimulatedSource;

#[cfg(feature = "venues")]
use crate::daemon::{CatchUp, LiveSource};
use crate::faults::BoxError;
use crate::model::{BarSpec, Trade};
use crate::pipeline::stream::StreamFeed;
use crate::port::TradeFeed;
use futures::future::BoxFuture;
use futures::stream::Stream;
use jiff::tz::TimeZone;
use std::fmt;
#[cfg(feature = "venues")]
use std::time::Duration;

/// Where trades come from: [`Files`], a venue by [`VenueSource`](crate::VenueSource), or any [`Stream`] of trades.
///
/// A type of your own that does more than a stream implements [`TradeFeed`](crate::TradeFeed) and is given to
/// [`PipelineBuilder::feed`](crate::PipelineBuilder::feed).
///
/// ```
/// use barmill::{Files, Pipeline};
/// let from_files = Pipeline::builder().source(Files::open("trades.csv.gz"));
/// let from_stream = Pipeline::builder().source(futures::stream::iter(Vec::<barmill::Trade>::new()));
/// ```
pub trait Source {
    /// What the pipeline reads.
    #[doc(hidden)]
    fn describe(self) -> Description;
}

impl<S: Stream<Item = Trade> + Send + 'static> Source for S {
    fn describe(self) -> Description {
        Description::feed(move |plan| {
            let feed = StreamFeed::new("stream", self, plan.batch_len_max);
            Ok(Box::new(feed))
        })
    }
}

/// What a source must know of its pipeline.
#[derive(Debug, Clone)]
pub struct SourcePlan {
    pub(crate) specs: Vec<BarSpec>,
    pub(crate) zone: TimeZone,
    #[cfg(feature = "venues")]
    pub(crate) lateness: Duration,
    pub(crate) batch_len_max: usize,
}

/// The market of a source, which decides what is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Market {
    pub(crate) is_us_equity: bool,
    /// The name of its tape rules.
    pub(crate) rules: &'static str,
    /// Whether it corrects and cancels trades live.
    pub(crate) corrects: bool,
}

type Opened = Result<Box<dyn TradeFeed>, BoxError>;
type OpenFeed = Box<dyn FnOnce(SourcePlan) -> BoxFuture<'static, Opened> + Send>;
#[cfg(feature = "venues")]
type OpenLive = Box<dyn FnOnce(&SourcePlan) -> Result<LiveSource<'static>, BoxError> + Send>;

pub(crate) enum Opening {
    Feed(OpenFeed),
    #[cfg(feature = "venues")]
    Live(OpenLive),
}

/// A described source.
pub struct Description {
    pub(crate) faults: Vec<BoxError>,
    /// Names what decides its trades, in the record of who owns the bars.
    pub(crate) origin: String,
    pub(crate) market: Option<Market>,
    #[cfg(feature = "venues")]
    pub(crate) catch_up: Option<CatchUp>,
    /// Whether its trades are wanted as bars at once.
    pub(crate) is_live: bool,
    pub(crate) opening: Opening,
}

impl Description {
    pub(crate) fn feed(
        open: impl FnOnce(&SourcePlan) -> Result<Box<dyn TradeFeed>, BoxError> + Send + 'static,
    ) -> Description {
        Description {
            faults: Vec::new(),
            origin: "feed".to_owned(),
            market: None,
            #[cfg(feature = "venues")]
            catch_up: None,
            is_live: false,
            opening: Opening::Feed(Box::new(move |plan| Box::pin(async move { open(&plan) }))),
        }
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Description")
            .field("faults", &self.faults)
            .field("market", &self.market)
            .finish_non_exhaustive()
    }
}
