//! Ready-made stores of bars, each described in one line.

#[cfg(any(feature = "redis", feature = "upstash", feature = "embedded"))]
mod store;

#[cfg(feature = "embedded")]
pub use store::Embedded;
#[cfg(feature = "redis")]
pub use store::Redis;
#[cfg(feature = "upstash")]
pub use store::Upstash;
#[cfg(any(feature = "redis", feature = "upstash", feature = "embedded"))]
pub use store::{Null, Stdout, Store};

use crate::faults::BoxError;
use crate::model::BarSpec;
use crate::port::BarSink;
use futures::future::BoxFuture;
use jiff::tz::TimeZone;
use std::fmt;
use std::sync::Arc;

/// Where bars go: [`Redis`], [`Upstash`], [`Embedded`], [`Stdout`], [`Null`], or a type of your own that implements
/// [`BarSink`](crate::BarSink); in an `Arc` where the program keeps a reference.
///
/// ```
/// use barmill::{Embedded, Files, Pipeline};
/// let described = Pipeline::builder().source(Files::open("trades.csv")).sink(Embedded::at("bars"));
/// ```
pub trait Sink {
    /// What the pipeline writes to.
    #[doc(hidden)]
    fn describe(self) -> SinkDescription;
}

impl<S: BarSink> Sink for S {
    fn describe(self) -> SinkDescription {
        let sink: Arc<dyn BarSink> = Arc::new(self);
        SinkDescription {
            faults: Vec::new(),
            address: sink.name().to_owned(),
            is_unpaced: false,
            open: Box::new(move |_| Box::pin(async move { Ok(sink) })),
        }
    }
}

/// What a store must know of its pipeline.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(any(feature = "redis", feature = "upstash", feature = "embedded")),
    expect(dead_code, reason = "only stores lay bars out by spec and date")
)]
pub struct SinkPlan {
    pub(crate) specs: Vec<BarSpec>,
    pub(crate) zone: TimeZone,
    /// Where the bars come from, by which rules, and of which hours.
    pub(crate) made_of: [String; 3],
}

type OpenSink =
    Box<dyn FnOnce(SinkPlan) -> BoxFuture<'static, Result<Arc<dyn BarSink>, BoxError>> + Send>;

/// A described store.
pub struct SinkDescription {
    pub(crate) faults: Vec<BoxError>,
    /// Names the store without its secrets.
    pub(crate) address: String,
    /// Whether no plan of a server limits it.
    pub(crate) is_unpaced: bool,
    pub(crate) open: OpenSink,
}

impl fmt::Debug for SinkDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkDescription")
            .field("address", &self.address)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}
