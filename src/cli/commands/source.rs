//! Builds a history source and its requests from config and arguments.

use super::settings;
use crate::cli::exit::{CommandError, usage};
use crate::config::{
    Config, Environment, RulesName, Session, SourceKeys, SourceName, Sources, source_choices,
    source_name,
};
use crate::daemon::market_hours;
use crate::engine::calendar::{CalendarError, SessionKind};
use crate::engine::requested::{CutBar, Hours, Requested, Shut};
use crate::period::{Moment, Period};
use crate::{BarSpec, Origin, Symbol, Timestamp};
use barmill_sources::file::OnBadRow;
use barmill_sources::history::{HistorySettings, HistorySettingsError, HistorySource};
use clap::{ArgGroup, Args};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::HashSet;
use std::io::Write;
use std::time::Duration;

/// Which history is asked for.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("asked").required(true).args(["dates", "from"])))]
pub(super) struct AskedArguments {
    #[arg(
        help = format!("Venue: {}; settings in [source.NAME]", source_choices()),
        long,
        value_name = "NAME",
        value_parser = source_name
    )]
    pub(super) source: SourceName,
    /// Symbols to fetch, as the source spells them.
    #[arg(
        long = "symbol",
        value_name = "A,B",
        value_delimiter = ',',
        required = true
    )]
    symbols: Vec<Symbol>,
    /// Days to fetch, in the zone of the source's market.
    #[arg(long = "date", value_name = "YYYY-MM-DD,..", value_delimiter = ',', conflicts_with_all = ["from", "to"])]
    dates: Vec<Date>,
    /// Start: a day, or an instant such as 2025-10-15T13:30:00Z.
    #[arg(long, value_name = "TIME", requires = "to")]
    from: Option<Moment>,
    /// End, excluded: a day, or an instant.
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<Moment>,
}

impl AskedArguments {
    /// The times asked for, in order; the parser has made sure that there is one.
    fn periods(&self) -> Vec<Period> {
        if let (Some(from), Some(to)) = (self.from, self.to) {
            return vec![Period::Between { from, to }];
        }
        let mut dates = self.dates.clone();
        dates.sort_unstable();
        dates.dedup();
        dates.into_iter().map(Period::Day).collect()
    }

    /// The symbols in the order given, none twice.
    pub(super) fn symbols(&self) -> Vec<Symbol> {
        let mut seen = HashSet::new();
        let symbols = self.symbols.iter().copied();
        symbols.filter(|symbol| seen.insert(*symbol)).collect()
    }
}

/// Why days cannot be asked for.
#[derive(Debug, thiserror::Error)]
enum AskError {
    /// A day that the calendar does not know.
    #[error("{0}; bars.assume_normal_days = true treats its weekdays as normal days")]
    Calendar(CalendarError),
    /// A bar that would be written with some of its trades only.
    #[error(
        "{at} lies inside a {spec} bar, which would contain only part of its trades; use the start of a bar and \
         the end of one"
    )]
    Cut {
        /// Its spec.
        spec: BarSpec,
        /// The end of the interval.
        at: Timestamp,
    },
}

/// Settings that cannot work together, of a source that is named.
#[derive(Debug, thiserror::Error)]
#[error("the settings or the key of source {name} cannot be used")]
struct Unusable {
    name: SourceName,
    source: HistorySettingsError,
}

/// Opens a source; connects to nothing.
pub(super) fn open(
    config: &Config,
    name: SourceName,
    environment: &Environment,
) -> Result<HistorySource, CommandError> {
    let keys = SourceKeys::resolve(&config.source, name, environment)?;
    let mut settings = settings(&config.source, name, keys);
    settings.batch_len_max = config.replay.batch_len_max;
    settings.skip_malformed = config.replay.on_bad_row == OnBadRow::Skip;
    settings.seed = u64::from(std::process::id());
    HistorySource::new(&settings).map_err(|source| usage(Unusable { name, source }))
}

fn settings(sources: &Sources, name: SourceName, keys: SourceKeys) -> HistorySettings {
    let source = sources.of(name);
    let mut settings = HistorySettings::new(keys.give(source.venue_settings()));
    let common = &source.common;
    settings.base_url.clone_from(&common.base_url);
    settings.rate_per_min = common.requests_per_minute;
    settings.symbols_in_flight = common.symbols_in_flight;
    settings.page_bytes_max = common.page_bytes_max;
    settings.connect_timeout = Duration::from_millis(common.connect_timeout_ms);
    settings.read_timeout = Duration::from_millis(common.read_timeout_ms);
    settings.total_timeout = Duration::from_millis(common.timeout_ms);
    settings.attempts_max = common.attempts_max;
    settings.backoff_base = Duration::from_millis(common.backoff_ms);
    settings
}

/// Trades of a page, and requests a minute.
pub(super) fn pace(sources: &Sources, name: SourceName) -> (usize, u32) {
    let common = &sources.of(name).common;
    (common.page_len, common.requests_per_minute)
}

/// The instant before which a day that ended counts as over.
pub(super) fn settled(sources: &Sources, name: SourceName, now: Timestamp) -> Timestamp {
    let seconds = sources.of(name).common.settle_s;
    now.saturating_sub(i64::try_from(seconds.saturating_mul(1_000_000_000)).unwrap_or(i64::MAX))
}

/// The config as the source needs it: its own rules, and no stock exchange's hours for a venue that never closes.
pub(super) fn adapted(config: &Config, name: SourceName) -> Config {
    let mut config = config.clone();
    if config.bars.rules == RulesName::SOURCE {
        config.bars.rules = RulesName::of(name.rules);
    }
    let session = &mut config.bars.session;
    let is_custom = session.kind().is_some_and(SessionKind::is_custom);
    if !name.is_us_equity() && !is_custom {
        *session = Session::ALL_HOURS;
    }
    config
}

/// What the manifests of a run say: its source, and whatever else decides which trades are in its bars and how.
///
/// The config is the adapted one.
pub(super) fn origin(config: &Config, name: SourceName) -> Origin {
    Origin {
        source: config.source.of(name).venue_settings().origin(),
        rules: settings::rules_text(&config.bars),
    }
}

/// The days asked for, in the zone of the run.
pub(super) fn ask(
    arguments: &AskedArguments,
    config: &Config,
    zone: &TimeZone,
) -> Result<Requested, CommandError> {
    let hours = hours(arguments.source.is_us_equity(), config, zone).map_err(unknown_day)?;
    let mut asked = Requested::default();
    for period in arguments.periods() {
        let (from, to) = period.resolve(zone)?;
        hours.ask(from, to, &mut asked).map_err(unknown_day)?;
    }
    Ok(asked)
}

/// The days asked for, none of which cuts a bar.
pub(super) fn ask_for_bars(
    arguments: &AskedArguments,
    config: &Config,
    zone: &TimeZone,
) -> Result<Requested, CommandError> {
    let asked = ask(arguments, config, zone)?;
    let hours = hours(arguments.source.is_us_equity(), config, zone).map_err(unknown_day)?;
    for day in &asked.days {
        let cut = hours.cut(day, config.bars.specs.as_slice());
        if let Some(CutBar { spec, at }) = cut.map_err(unknown_day)? {
            return Err(usage(AskError::Cut { spec, at }));
        }
    }
    Ok(asked)
}

fn unknown_day(error: CalendarError) -> CommandError {
    usage(AskError::Calendar(error))
}

/// The hours that the config asks for, in the market of US equities or in one that never closes.
pub(super) fn hours(
    is_us_equity: bool,
    config: &Config,
    zone: &TimeZone,
) -> Result<Hours, CalendarError> {
    let kind = config.bars.session.kind();
    let hours = market_hours(is_us_equity, kind, zone.clone())?;
    if is_us_equity && config.bars.assume_normal_days {
        return Ok(Hours {
            calendar: hours.calendar.assume_normal(),
            ..hours
        });
    }
    Ok(hours)
}

/// Says which days are shut, and why.
pub(super) fn tell_shut(asked: &Requested, out: &mut dyn Write) -> std::io::Result<()> {
    for (date, shut) in &asked.shut {
        let why = match shut {
            Shut::Weekend => "is a weekend".to_owned(),
            Shut::Holiday(name) => format!("is a holiday ({name})"),
            Shut::Outside => "has no session in the time asked for".to_owned(),
        };
        writeln!(out, "{date} {why}: nothing to fetch")?;
    }
    Ok(())
}
