//! The market profile of a run: time zone, trading hours, and where a first start begins.

use crate::Timestamp;
use crate::engine::calendar::{Calendar, CalendarError, SessionKind};
use crate::engine::requested::{Hours, Requested};
use jiff::tz::TimeZone;
use std::time::Duration;

/// Where a live run without a checkpoint begins.
///
/// See the example of [`VenueSource`](crate::VenueSource).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CatchUp {
    /// With the first live trade.
    None,
    /// This long ago.
    For(Duration),
    /// At the opening of the day's session; at midnight where the market never closes.
    #[default]
    Day,
}

/// The start of a run lies on a day that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    /// A day that the calendar does not know.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    /// A day outside the range of the time library.
    #[error("the day of the start cannot be used")]
    Day(#[from] jiff::Error),
}

/// Where a run begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    /// Trades from here on count.
    pub(crate) time: Timestamp,
    /// Whether bars may lie across it.
    pub(crate) is_partway: bool,
    /// Whether history is asked for nothing: a symbol begins with what comes when its subscription is confirmed.
    pub(crate) is_with_live: bool,
}

/// What all sources of a run share.
#[derive(Debug, Clone)]
pub(crate) struct MarketProfile {
    /// The hours that bars are made of, and their zone.
    pub(crate) hours: Hours,
    /// Whether the market is that of US equities, which closes.
    pub(crate) is_us_equity: bool,
    /// Where a run without a checkpoint begins.
    pub(crate) catch_up: CatchUp,
    /// The oldest checkpoint that is resumed from.
    pub(crate) resume_max: Duration,
}

impl MarketProfile {
    /// Where a run begins: at the checkpoint that an earlier run saved, if it is not too old, else where `catch_up` says.
    pub(crate) fn start(
        &self,
        now: Timestamp,
        saved: Option<Timestamp>,
    ) -> Result<Start, ProfileError> {
        if let Some(saved) = saved {
            let oldest = now.saturating_sub(nanos(self.resume_max));
            // No bar lies across a checkpoint.
            return Ok(Start {
                time: saved.max(oldest).min(now),
                is_partway: saved < oldest,
                is_with_live: false,
            });
        }
        match self.catch_up {
            CatchUp::None => Ok(Start {
                time: now,
                is_partway: true,
                is_with_live: true,
            }),
            CatchUp::For(time) => Ok(Start {
                time: now.saturating_sub(nanos(time)),
                is_partway: true,
                is_with_live: false,
            }),
            CatchUp::Day => {
                // On a day without a session, and before its opening, there is nothing to catch up with.
                let time = self.open_of_day(now)?.map_or(now, |open| open.min(now));
                Ok(Start {
                    time,
                    is_partway: false,
                    is_with_live: false,
                })
            }
        }
    }

    /// The hours in which the market trades, whatever part of them the bars are of.
    pub(crate) fn trading_hours(&self) -> Hours {
        let kind = self
            .is_us_equity
            .then(|| self.hours.kind.unwrap_or(SessionKind::All));
        Hours {
            kind,
            ..self.hours.clone()
        }
    }

    /// The opening of the session of the day that `now` is in.
    fn open_of_day(&self, now: Timestamp) -> Result<Option<Timestamp>, ProfileError> {
        let zone: &TimeZone = &self.hours.zone;
        let day = now.to_jiff().to_zoned(zone.clone()).date();
        let start = zone.to_zoned(day.at(0, 0, 0, 0))?.timestamp();
        let end = zone.to_zoned(day.tomorrow()?.at(0, 0, 0, 0))?.timestamp();
        let instant = |time: jiff::Timestamp| i64::try_from(time.as_nanosecond()).ok();
        let (Some(start), Some(end)) = (
            instant(start).and_then(Timestamp::from_nanos),
            instant(end).and_then(Timestamp::from_nanos),
        ) else {
            return Ok(None);
        };
        let mut asked = Requested::default();
        self.hours.ask(start, end, &mut asked)?;
        Ok(asked.days.first().map(|day| day.from))
    }
}

/// The hours of the US exchanges, or of a market that never closes; `kind` is the part of them that counts.
pub(crate) fn market_hours(
    is_us_equity: bool,
    kind: Option<SessionKind>,
    zone: TimeZone,
) -> Result<Hours, CalendarError> {
    let calendar = if is_us_equity {
        Calendar::us_equities()?
    } else {
        Calendar::always_open()
    };
    Ok(Hours {
        calendar,
        kind,
        zone,
    })
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
