//! From config and arguments to a source of history, and to what is asked of it.

use super::dispatch::CommandError;
use super::wire;
use crate::cli::AskedArguments;
use crate::config::{
    self, BinanceHistory, Config, Environment, Paging, Session, SourceKeys, SourceName, Sources,
};
use crate::engine::asked::{Asked, AskedDay, CutBar, Hours, Shut};
use crate::engine::calendar::{Calendar, CalendarError, SessionKind};
use crate::period::PeriodError;
use crate::{BarSpec, Origin, Symbol, Timestamp};
use barmill_sources::history::{
    BinanceTrades, HistorySettings, HistorySource, MassivePaging, SettingsFault, SymbolRange,
    VenueSettings,
};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use std::io::Write;
use std::time::Duration;

/// Why days cannot be asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// A day that the calendar does not know.
    #[error("{0}; bars.assume_normal_days = true takes its weekdays for normal days")]
    Calendar(CalendarError),
    /// An end that is none.
    #[error(transparent)]
    Period(#[from] PeriodError),
    /// A bar that would be written with some of its trades only.
    #[error(
        "{at} lies inside a {spec} bar, which would be written with a part of its trades; ask from the start of a bar to \
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
pub(super) struct Unusable {
    name: SourceName,
    source: SettingsFault,
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
    settings.skip_malformed = config.replay.on_bad_row == config::OnBadRow::Skip;
    settings.seed = u64::from(std::process::id());
    Ok(HistorySource::new(&settings).map_err(|source| Unusable { name, source })?)
}

macro_rules! common {
    ($settings:ident, $section:ident) => {{
        $section
            .base_url
            .as_str()
            .clone_into(&mut $settings.base_url);
        $settings.rate_per_min = $section.requests_per_minute;
        $settings.symbols_in_flight = $section.symbols_in_flight;
        $settings.page_bytes_max = $section.page_bytes_max;
        $settings.connect_timeout = Duration::from_millis($section.connect_timeout_ms);
        $settings.read_timeout = Duration::from_millis($section.read_timeout_ms);
        $settings.total_timeout = Duration::from_millis($section.timeout_ms);
        $settings.attempts_max = $section.attempts_max;
        $settings.backoff_base = Duration::from_millis($section.backoff_ms);
    }};
}

fn settings(sources: &Sources, name: SourceName, keys: SourceKeys) -> HistorySettings {
    let Sources {
        massive,
        alpaca,
        binance,
        coinbase,
        kraken,
    } = sources;
    let mut settings = match name {
        SourceName::Massive => HistorySettings::massive(keys.key),
        SourceName::Alpaca => HistorySettings::alpaca(keys.id, keys.key),
        SourceName::Binance => {
            let mut settings = HistorySettings::binance(match binance.trades {
                BinanceHistory::Aggregate => BinanceTrades::Aggregate,
                BinanceHistory::Single => BinanceTrades::Single,
            });
            if let VenueSettings::Binance(venue) = &mut settings.venue {
                venue.key = keys.key;
            }
            settings
        }
        SourceName::Coinbase => HistorySettings::coinbase(),
        SourceName::Kraken => HistorySettings::kraken(),
    };
    match name {
        SourceName::Massive => common!(settings, massive),
        SourceName::Alpaca => common!(settings, alpaca),
        SourceName::Binance => common!(settings, binance),
        SourceName::Coinbase => common!(settings, coinbase),
        SourceName::Kraken => common!(settings, kraken),
    }
    match &mut settings.venue {
        VenueSettings::Massive(venue) => {
            massive
                .key_header
                .as_str()
                .clone_into(&mut venue.key_header);
            massive.path.as_str().clone_into(&mut venue.path);
            massive.wrap.as_str().clone_into(&mut venue.wrap);
            venue.page_len = massive.page_len;
            venue.paging = match massive.paging {
                Paging::Cursor => MassivePaging::Cursor,
                Paging::Restart => MassivePaging::Restart,
            };
        }
        VenueSettings::Alpaca(venue) => {
            venue.page_len = alpaca.page_len;
            alpaca.feed.as_str().clone_into(&mut venue.feed);
        }
        VenueSettings::Binance(venue) => venue.page_len = binance.page_len,
        VenueSettings::Coinbase(venue) => venue.page_len = coinbase.page_len,
        VenueSettings::Kraken(venue) => venue.page_len = kraken.page_len,
    }
    settings
}

/// Trades of a page, and requests a minute.
pub(super) fn pace(sources: &Sources, name: SourceName) -> (usize, u32) {
    let Sources {
        massive,
        alpaca,
        binance,
        coinbase,
        kraken,
    } = sources;
    match name {
        SourceName::Massive => (massive.page_len, massive.requests_per_minute),
        SourceName::Alpaca => (alpaca.page_len, alpaca.requests_per_minute),
        SourceName::Binance => (binance.page_len, binance.requests_per_minute),
        SourceName::Coinbase => (coinbase.page_len, coinbase.requests_per_minute),
        SourceName::Kraken => (kraken.page_len, kraken.requests_per_minute),
    }
}

/// The instant before which a day that ended counts as over.
pub(super) fn settled(sources: &Sources, name: SourceName, now: Timestamp) -> Timestamp {
    let seconds = match name {
        SourceName::Massive => sources.massive.settle_s,
        SourceName::Alpaca => sources.alpaca.settle_s,
        SourceName::Binance => sources.binance.settle_s,
        SourceName::Coinbase => sources.coinbase.settle_s,
        SourceName::Kraken => sources.kraken.settle_s,
    };
    now.saturating_sub(i64::try_from(seconds.saturating_mul(1_000_000_000)).unwrap_or(i64::MAX))
}

/// The config as the source needs it: its own rules, and no stock exchange's hours for a venue that never closes.
pub(super) fn adapted(config: &Config, name: SourceName) -> Config {
    let mut config = config.clone();
    if config.bars.rules == config::Rules::Source {
        config.bars.rules = match name {
            SourceName::Massive => config::Rules::MassiveMinute,
            SourceName::Alpaca => config::Rules::AlpacaMinute,
            SourceName::Binance | SourceName::Coinbase | SourceName::Kraken => config::Rules::All,
        };
    }
    let is_named = !matches!(config.bars.session, Session::Interval(_));
    if is_named && !name.is_us_equity() {
        config.bars.session = Session::AllHours;
    }
    config
}

/// What the manifests of a run say: its source, and whatever else decides which trades are in its bars and how.
///
/// The config is the adapted one.
pub(super) fn origin(config: &Config, name: SourceName) -> Origin {
    let source = match name {
        SourceName::Alpaca => format!("{name} {}", config.source.alpaca.feed.as_str()),
        SourceName::Binance => format!("{name} {}", config.source.binance.trades.as_str()),
        SourceName::Massive | SourceName::Coinbase | SourceName::Kraken => name.to_string(),
    };
    Origin {
        source,
        rules: wire::rules_text(&config.bars),
    }
}

/// The days asked for, in the zone of the run.
pub(super) fn ask(
    arguments: &AskedArguments,
    config: &Config,
    zone: &TimeZone,
) -> Result<Asked, AskError> {
    let hours = hours(arguments.source.is_us_equity(), config, zone).map_err(AskError::Calendar)?;
    let mut asked = Asked::default();
    for period in arguments.periods() {
        let (from, to) = period.resolve(zone)?;
        hours
            .ask(from, to, &mut asked)
            .map_err(AskError::Calendar)?;
    }
    Ok(asked)
}

/// The days asked for, none of which cuts a bar.
pub(super) fn ask_for_bars(
    arguments: &AskedArguments,
    config: &Config,
    zone: &TimeZone,
) -> Result<Asked, AskError> {
    let asked = ask(arguments, config, zone)?;
    let hours = hours(arguments.source.is_us_equity(), config, zone).map_err(AskError::Calendar)?;
    for day in &asked.days {
        let cut = hours
            .cut(day, config.bars.specs.as_slice())
            .map_err(AskError::Calendar)?;
        if let Some(CutBar { spec, at }) = cut {
            return Err(AskError::Cut { spec, at });
        }
    }
    Ok(asked)
}

/// The hours that the config asks for, in the market of US equities or in one that never closes.
pub(super) fn hours(
    is_us_equity: bool,
    config: &Config,
    zone: &TimeZone,
) -> Result<Hours, CalendarError> {
    let calendar = if is_us_equity {
        let calendar = Calendar::us_equities()?;
        if config.bars.assume_normal_days {
            calendar.assume_normal()
        } else {
            calendar
        }
    } else {
        Calendar::always_open()
    };
    Ok(Hours {
        calendar,
        kind: kind(config.bars.session),
        zone: zone.clone(),
    })
}

fn kind(session: Session) -> Option<SessionKind> {
    Some(match session {
        Session::AllHours => return None,
        Session::Pre => SessionKind::Pre,
        Session::Regular => SessionKind::Regular,
        Session::Post => SessionKind::Post,
        Session::All => SessionKind::All,
        Session::Interval(interval) => {
            SessionKind::Custom(time(interval.from_minute()), time(interval.to_minute()))
        }
    })
}

/// The wall-clock time of a minute of the day; 24:00 is the midnight that ends it.
fn time(minute: u16) -> Time {
    let part = |value: u16| i8::try_from(value).unwrap_or(0);
    Time::new(part(minute / 60 % 24), part(minute % 60), 0, 0).unwrap_or(Time::midnight())
}

/// Says which days are shut, and why.
pub(super) fn tell_shut(asked: &Asked, out: &mut dyn Write) -> std::io::Result<()> {
    for (date, shut) in &asked.shut {
        match shut {
            Shut::Weekend => writeln!(out, "{date} is a weekend: nothing to fetch")?,
            Shut::Holiday(name) => writeln!(out, "{date} is a holiday ({name}): nothing to fetch")?,
            Shut::Outside => writeln!(
                out,
                "{date} has no session in the time asked for: nothing to fetch"
            )?,
        }
    }
    Ok(())
}

/// The ranges of all symbols, day by day, so that the ranges of a symbol are in order of time.
pub(super) fn ranges(symbols: &[Symbol], days: &[AskedDay]) -> Vec<SymbolRange> {
    let of_day = |day: &AskedDay| {
        let AskedDay { from, to, .. } = *day;
        symbols
            .iter()
            .map(move |&symbol| SymbolRange { symbol, from, to })
            .collect::<Vec<_>>()
    };
    days.iter().flat_map(of_day).collect()
}
