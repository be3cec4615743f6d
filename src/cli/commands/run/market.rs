//! Builds the market profile that all sources of a run share.

use super::super::{settings, source};
use crate::cli::exit::CommandError;
use crate::config::{Config, RulesName, Session, SourceName, Zone};
use crate::daemon::MarketProfile;
use jiff::tz::TimeZone;
use std::time::Duration;

/// Sources that cannot be made bars of by one set of rules.
#[derive(Debug, thiserror::Error)]
pub(super) enum MarketError {
    /// Different zones.
    #[error(
        "sources {0} and {1} belong to markets with different zones and hours; run one daemon for each, or set bars.zone and \
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

/// What all sources of a run share.
#[derive(Debug, Clone)]
pub(in super::super) struct Market {
    /// The config with the sources' own rules and hours in it.
    pub(in super::super) config: Config,
    pub(in super::super) zone: TimeZone,
    pub(super) profile: MarketProfile,
}

impl Market {
    /// Finds the common market of the configured sources.
    pub(in super::super) fn of(config: &Config) -> Result<Market, CommandError> {
        let sources = config.live.sources.as_slice();
        let Some(first) = sources.first() else {
            return Err(MarketError::None.into());
        };
        for other in sources {
            let is_same = first.is_us_equity() == other.is_us_equity();
            let is_told = matches!(config.bars.zone, Zone::Named(_))
                && config.bars.session == Session::ALL_HOURS;
            if !is_same && !is_told {
                return Err(MarketError::Zones(first, other).into());
            }
            let rules = |name| source::adapted(config, name).bars.rules;
            // Trades without conditions are the same by any rules.
            let differs =
                first.is_us_equity() && other.is_us_equity() && rules(*first) != rules(*other);
            if config.bars.rules == RulesName::SOURCE && differs {
                return Err(MarketError::Rules(first, other).into());
            }
        }
        let lead = sources
            .iter()
            .find(|name| name.is_us_equity())
            .unwrap_or(first);
        let config = source::adapted(config, lead);
        let zone = settings::zone(&config, lead.is_us_equity())?;
        let hours = source::hours(lead.is_us_equity(), &config, &zone)?;
        let profile = MarketProfile {
            hours,
            is_us_equity: lead.is_us_equity(),
            catch_up: config.live.catch_up,
            resume_max: Duration::from_hours(config.live.resume_max_h),
        };
        Ok(Market {
            config,
            zone,
            profile,
        })
    }
}
