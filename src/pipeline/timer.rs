//! The next time of something that recurs, and the wait for it.

use std::time::Duration;
use tokio::time::Instant;

/// The next time of something that recurs, or never does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timer {
    every: Option<Duration>,
    due: Instant,
}

impl Timer {
    pub(crate) fn new(every: Option<Duration>) -> Timer {
        Timer {
            every,
            due: Instant::now() + every.unwrap_or_default(),
        }
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.every.map(|_| self.due)
    }

    /// Whether it is time; missed times are left out.
    pub(crate) fn take(&mut self) -> bool {
        let now = Instant::now();
        match self.every {
            Some(every) if self.due <= now => {
                self.due = now + every;
                true
            }
            Some(_) | None => false,
        }
    }
}

/// Waits until a deadline; without one it does not wait.
pub(crate) async fn sleep_until(deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        tokio::time::sleep_until(deadline).await;
    }
}
