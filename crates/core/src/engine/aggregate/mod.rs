//! The aggregation: trades in, bars out.

mod aggregator;
#[cfg(test)]
mod change_tests;
mod dedupe;
#[cfg(test)]
mod flat_tests;
mod fold;
mod publisher;
mod recent_trades;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod restart_tests;
#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod rules_tests;
mod series;
mod settings;
#[cfg(test)]
mod tape_rules_tests;
#[cfg(test)]
mod testing;
mod threshold_bar;
mod window;

pub use aggregator::{Aggregator, LATE_LEN_MAX};
pub use fold::Fold;
pub use recent_trades::Original;
pub use settings::{AggregateCounts, AggregatorSettings, Fill, VolumeOnly};
pub use window::SessionWindows;
