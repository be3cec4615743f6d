//! The market that a set of sources trades in: one zone, one set of rules, and where its day begins.

use super::super::dispatch::CommandError;
use super::super::{source, wire};
use crate::Timestamp;
use crate::config::{CatchUp, Config, Rules, Session, SourceName, Zone};
use crate::engine::asked::{Asked, Hours};
use crate::engine::calendar::SessionKind;
use jiff::tz::TimeZone;

/// Nanoseconds of an hour.
const HOUR_NS: i64 = 3_600_000_000_000;

/// Sources that cannot be made bars of by one set of rules.
#[derive(Debug, thiserror::Error)]
pub(super) enum MarketFault {
    /// Different zones.
    #[error(
        "sources {0} and {1} are of markets in different zones and hours; run one daemon for each, or set bars.zone and \
         bars.session=all-hours"
    )]
    Zones(SourceName, SourceName),
    /// Different tape rules.
    #[error(
        "sources {0} and {1} have different tape rules; run one daemon for each, or set bars.rules"
    )]
    Rules(SourceName, SourceName),
    /// No source at all.
    #[error("no source is named; give one with --source or live.sources")]
    None,
}

/// Where a run begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// Trades from here on count.
    pub(super) time: Timestamp,
    /// Whether bars may lie across it.
    pub(super) is_partway: bool,
}

/// What all sources of a run share.
#[derive(Debug, Clone)]
pub(in super::super) struct Market {
    /// The config with the sources' own rules and hours in it.
    pub(in super::super) config: Config,
    pub(in super::super) zone: TimeZone,
    hours: Hours,
}

impl Market {
    /// Finds the common market of the configured sources.
    pub(in super::super) fn of(config: &Config) -> Result<Market, CommandError> {
        let sources = config.live.sources.as_slice();
        let Some(first) = sources.first() else {
            return Err(MarketFault::None.into());
        };
        for other in sources {
            let is_same = first.is_us_equity() == other.is_us_equity();
            let is_told = matches!(config.bars.zone, Zone::Named(_))
                && config.bars.session == Session::AllHours;
            if !is_same && !is_told {
                return Err(MarketFault::Zones(*first, *other).into());
            }
            let rules = |name| source::adapted(config, name).bars.rules;
            // Trades without conditions are the same by any rules.
            let differs =
                first.is_us_equity() && other.is_us_equity() && rules(*first) != rules(*other);
            if config.bars.rules == Rules::Source && differs {
                return Err(MarketFault::Rules(*first, *other).into());
            }
        }
        let lead = sources
            .iter()
            .find(|name| name.is_us_equity())
            .unwrap_or(first);
        let config = source::adapted(config, *lead);
        let zone = wire::zone(&config, lead.is_us_equity())?;
        let hours = source::hours(lead.is_us_equity(), &config, &zone)?;
        Ok(Market {
            config,
            zone,
            hours,
        })
    }

    /// Where the start begins: at the place that an earlier run saved, if it is not too old, else where the config says.
    pub(super) fn start(
        &self,
        now: Timestamp,
        place: Option<Timestamp>,
    ) -> Result<Start, CommandError> {
        if let Some(place) = place {
            let back = i64::try_from(self.config.live.resume_max_h)
                .unwrap_or(i64::MAX)
                .saturating_mul(HOUR_NS);
            let oldest = now.saturating_sub(back);
            // At its place no bar lies across the start.
            return Ok(Start {
                time: place.max(oldest).min(now),
                is_partway: place < oldest,
            });
        }
        match self.config.live.catch_up {
            CatchUp::None => Ok(Start {
                time: now,
                is_partway: true,
            }),
            CatchUp::For(time) => {
                let back = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
                Ok(Start {
                    time: now.saturating_sub(back),
                    is_partway: true,
                })
            }
            CatchUp::Day => {
                // On a day without a session, and before its opening, there is nothing to catch up with.
                let time = self.open_of_day(now)?.map_or(now, |open| open.min(now));
                Ok(Start {
                    time,
                    is_partway: false,
                })
            }
        }
    }

    /// The hours in which the market trades, whatever part of them the bars are of.
    pub(super) fn trading_hours(&self) -> Hours {
        let is_us_equity = self
            .config
            .live
            .sources
            .as_slice()
            .iter()
            .any(|source| source.is_us_equity());
        let kind = if is_us_equity {
            Some(self.hours.kind.unwrap_or(SessionKind::All))
        } else {
            None
        };
        Hours {
            kind,
            ..self.hours.clone()
        }
    }

    /// The opening of the session of the day that `now` is in.
    fn open_of_day(&self, now: Timestamp) -> Result<Option<Timestamp>, CommandError> {
        let day = now.to_jiff().to_zoned(self.zone.clone()).date();
        let start = self.zone.to_zoned(day.at(0, 0, 0, 0))?.timestamp();
        let end = self
            .zone
            .to_zoned(day.tomorrow()?.at(0, 0, 0, 0))?
            .timestamp();
        let instant = |time: jiff::Timestamp| i64::try_from(time.as_nanosecond()).ok();
        let (Some(start), Some(end)) = (
            instant(start).and_then(Timestamp::from_nanos),
            instant(end).and_then(Timestamp::from_nanos),
        ) else {
            return Ok(None);
        };
        let mut asked = Asked::default();
        self.hours.ask(start, end, &mut asked)?;
        Ok(asked.days.first().map(|day| day.from))
    }
}
