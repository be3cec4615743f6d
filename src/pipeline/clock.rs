//! The system's clock.

use crate::model::Timestamp;
use crate::port::Clock;

/// The time of day as the machine tells it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_jiff(jiff::Timestamp::now()).unwrap_or(Timestamp::EPOCH)
    }
}
