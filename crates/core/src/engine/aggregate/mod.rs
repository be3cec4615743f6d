//! The aggregation: trades in, bars out.

mod aggregator;
mod change;
#[cfg(test)]
mod change_tests;
mod civil;
mod closing;
mod counts;
mod cut;
mod dedupe;
mod desk;
#[cfg(test)]
mod flat;
mod fold;
mod gaps;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod plain;
mod restart;
#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod rules_tests;
mod series;
mod session;
mod settings;
mod tape;
#[cfg(test)]
mod tape_rules_tests;
#[cfg(test)]
mod testing;
mod window;

pub use aggregator::{Aggregator, LATE_LEN_MAX};
pub use counts::AggregateCounts;
pub use desk::{Fill, VolumeOnly};
pub use fold::Fold;
pub use session::{RegularHours, SessionError, SessionKind, SessionWindows, always_regular};
pub use settings::AggregatorSettings;
pub use tape::Original;
