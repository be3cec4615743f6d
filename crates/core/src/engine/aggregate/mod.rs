//! The aggregation: trades in, bars out.

mod aggregator;
mod change;
#[cfg(test)]
mod change_tests;
mod closing;
mod context;
mod counts;
mod dedupe;
#[cfg(test)]
mod flat;
mod fold;
mod gaps;
mod recent_trades;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod reference_tests;
mod restart;
#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod rules_tests;
mod series;
mod session;
mod settings;
#[cfg(test)]
mod tape_rules_tests;
#[cfg(test)]
mod testing;
mod threshold_bar;
mod window;
mod zone_cache;

pub use aggregator::{Aggregator, LATE_LEN_MAX};
pub use context::{Fill, VolumeOnly};
pub use counts::AggregateCounts;
pub use fold::Fold;
pub use recent_trades::Original;
pub use session::{RegularHours, SessionError, SessionKind, SessionWindows, always_regular};
pub use settings::AggregatorSettings;
