//! The aggregation: trades in, bars out.

mod aggregator;
mod civil;
mod counts;
mod cut;
mod dedupe;
mod desk;
mod eligibility;
#[cfg(test)]
mod flat;
mod fold;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod rules_tests;
mod series;
mod session;
mod settings;
#[cfg(test)]
mod testing;
mod window;

pub use aggregator::{Aggregator, LATE_LEN_MAX};
pub use counts::AggregateCounts;
pub use desk::Fill;
pub use eligibility::{Eligibility, EligibilityMasks, Rights};
pub use fold::Fold;
pub use session::{RegularHours, SessionError, SessionKind, SessionWindows, always_regular};
pub use settings::AggregatorSettings;
