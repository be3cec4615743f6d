//! `barmill plan`: estimates the requests and the cost of a day; connects to nothing.

mod report;

use super::run::{Market, symbols};
use super::settings;
use crate::cli::exit::{CommandError, Exit, usage};
use crate::cli::flags::Shared;
use crate::cli::output::print_json;
use crate::config::{self, AlsoViews, Config, SinkUrl, source_choices};
use crate::daemon::LatencyMode;
use crate::engine::calendar::SessionKind;
use crate::pipeline::{Arrival, Forecast, ForecastDay, forecast};
use crate::{Origin, Symbol, Timestamp};
use barmill_stores::{self as store, CostEstimator, Guard, Owner, WireForm};
use clap::Args;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use report::{PlanParts, PlanReport, PlanWay};
use std::io::stdout;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// The day to reckon. What is not given here is that of the config.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct PlanArguments {
    /// Number of symbols; default: those of --symbol or live.symbols.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    symbols: Option<u32>,
    /// Names of the symbols.
    #[arg(
        long = "symbol",
        value_name = "A,B",
        value_delimiter = ',',
        conflicts_with = "symbols"
    )]
    names: Vec<Symbol>,
    #[arg(
        help = format!(
            "Venues, whose market hours apply: {} [live.sources]",
            source_choices()
        ),
        long = "source", value_name = "A,B", value_delimiter = ','
    )]
    sources: Vec<String>,
    /// Bars to make, such as 1m,5m,1d [bars.specs]
    #[arg(long, value_name = "SPECS")]
    bars: Option<String>,
    /// Time of day that counts: all-hours, pre, regular, post, all or HH:MM-HH:MM [bars.session]
    #[arg(long)]
    session: Option<String>,
    /// Where bars would go; nothing is sent there [sink.url]
    #[arg(long, value_name = "URL")]
    sink: Option<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shared: Shared,
}

/// The day that is made up: one without a change of clocks.
const DAY: Date = date(2025, 10, 15);
/// Days of a month on which US equities trade, and days of a month, both rounded.
const TRADING_DAYS: u64 = 21;
const ALL_DAYS: u64 = 30;
/// Billionths of a dollar in the last place that is shown.
const TEN_THOUSANDTH: u128 = 100_000;
const BYTES_PER_GB: u128 = 1_000_000_000;

/// Nothing can be reckoned.
#[derive(Debug, thiserror::Error)]
enum UnknownError {
    #[error(
        "no symbols are named; give their count with --symbols, or name them with --symbol or live.symbols"
    )]
    Symbols,
    #[error("the number of {0} bars depends on the trades; use a time-based spec, such as 1m")]
    Bars(String),
}

/// A day and the config that it is reckoned for.
struct Planned {
    config: Config,
    zone: TimeZone,
    day: ForecastDay,
}

/// Reckons and prints.
pub(super) fn run(arguments: &PlanArguments, config: &Config) -> Result<Exit, CommandError> {
    let (config, zone, is_us_equity) = match config.live.sources.as_slice() {
        [] => (config.clone(), settings::zone(config, false)?, false),
        sources => {
            let market = Market::of(config).map_err(usage)?;
            let is_us_equity = sources.iter().any(|name| name.is_us_equity());
            (market.config, market.zone, is_us_equity)
        }
    };
    let names = names(arguments, &config)?;
    if names.is_empty() {
        return Err(usage(UnknownError::Symbols));
    }
    let (minutes, days_per_month) = hours(config.bars.session, is_us_equity);
    let midnight = zone.to_timestamp(DAY.at(0, 0, 0, 0))?;
    let midnight = Timestamp::from_jiff(midnight)?;
    let specs = config.bars.specs.as_slice();
    let symbols = names.len() as u64;
    let Some(day) = ForecastDay::new(specs, names, midnight, minutes.clone()) else {
        let specs: Vec<String> = specs.iter().map(ToString::to_string).collect();
        return Err(usage(UnknownError::Bars(specs.join(", "))));
    };
    let planned = Planned { config, zone, day };
    let report = PlanReport {
        symbols,
        hours: clock(&minutes),
        ..planned.report(days_per_month)?
    };
    if arguments.json {
        print_json(&report)?;
    } else {
        report.write_text(&mut stdout())?;
    }
    Ok(Exit::Drained)
}

/// The symbols asked for, else those of the config; a count stands for made-up names of four letters.
fn names(arguments: &PlanArguments, config: &Config) -> Result<Vec<Symbol>, CommandError> {
    if let Some(count) = arguments.symbols {
        let letter = |index: u32, place: u32| {
            b'A' + u8::try_from(index / 26u32.pow(place) % 26).unwrap_or(0)
        };
        let name = |index| [3, 2, 1, 0].map(|place| letter(index, place));
        return Ok((0..count)
            .map(|index| Symbol::intern(&name(index)))
            .collect::<Result<_, _>>()?);
    }
    if !arguments.names.is_empty() {
        return Ok(arguments.names.clone());
    }
    Ok(symbols::read(config)?.into_values().flatten().collect())
}

/// The minutes of the day in which trades count, and such days of a month.
fn hours(session: config::Session, is_us_equity: bool) -> (Range<u16>, u64) {
    let whole = is_us_equity.then_some(SessionKind::All);
    let Some(kind) = session.kind().or(whole) else {
        return (0..24 * 60, ALL_DAYS);
    };
    let trades_daily = kind.is_custom() && !is_us_equity;
    let days = if trades_daily { ALL_DAYS } else { TRADING_DAYS };
    (kind.minutes(), days)
}

fn clock(minutes: &Range<u16>) -> String {
    let text = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    format!("{}-{}", text(minutes.start), text(minutes.end))
}

impl Planned {
    fn report(&self, days_per_month: u64) -> Result<PlanReport, CommandError> {
        let Config {
            bars,
            view,
            writer,
            plan,
            ..
        } = &self.config;
        let run = self.live(&self.config)?;
        let backfill = self.bulk(Arrival::BySymbol)?;
        let replay = self.bulk(Arrival::ByTime)?;
        let ways = [("run", run), ("backfill", backfill), ("replay", replay)];
        let way = |(name, forecast)| way(name, forecast, plan, days_per_month);
        let (reckoned, not_reckoned): (Vec<_>, Vec<_>) = bars
            .specs
            .as_slice()
            .iter()
            .partition(|spec| spec.is_time());
        let texts = |specs: Vec<&crate::BarSpec>| specs.iter().map(ToString::to_string).collect();
        let also = view.also.as_slice().iter().map(ToString::to_string);
        let budget = settings::budget(writer);
        Ok(PlanReport {
            bars: texts(reckoned),
            not_reckoned: texts(not_reckoned),
            view: std::iter::once(view.kind.as_str().to_owned())
                .chain(also)
                .collect(),
            days_per_month,
            ways: ways.map(way).into(),
            parts: self.parts(&run)?,
            commands_per_day: budget.per_day,
            commands_per_month: budget.per_month,
            free_plan_commands: plan.free_plan_commands,
            is_scaled: ways.iter().any(|(_, forecast)| forecast.is_scaled),
            ..PlanReport::default()
        })
    }

    /// What some settings add to a live day, by reckoning it without them.
    fn parts(&self, run: &Forecast) -> Result<PlanParts, CommandError> {
        let Config {
            live, view, writer, ..
        } = &self.config;
        let changed = |change: fn(&mut Config)| -> Result<u64, CommandError> {
            let mut other = self.config.clone();
            change(&mut other);
            Ok(self.live(&other)?.commands)
        };
        let mut parts = PlanParts {
            has_fence: writer.guard == config::Guard::Fence,
            beats: run.beats,
            ..PlanParts::default()
        };
        if live.forming_every_ms > 0 {
            let without = changed(|other| other.live.forming_every_ms = 0)?;
            parts.forming = run.commands.saturating_sub(without);
        }
        if !view.also.as_slice().is_empty() {
            let without = changed(|other| other.view.also = AlsoViews::default())?;
            parts.also = run.commands.saturating_sub(without);
        }
        let other = changed(if parts.has_fence {
            |other| other.writer.guard = config::Guard::Off
        } else {
            |other| other.writer.guard = config::Guard::Fence
        })?;
        parts.fence = run.commands.abs_diff(other);
        Ok(parts)
    }

    fn live(&self, config: &Config) -> Result<Forecast, CommandError> {
        let forming_ms = config.live.forming_every_ms;
        let arrival = Arrival::Live {
            spread: Duration::from_millis(config.plan.spread_ms),
            forming_every: (forming_ms > 0).then(|| Duration::from_millis(forming_ms)),
        };
        self.reckon(config, arrival, LatencyMode::Low)
    }

    fn bulk(&self, arrival: Arrival) -> Result<Forecast, CommandError> {
        self.reckon(&self.config, arrival, LatencyMode::Throughput)
    }

    fn reckon(
        &self,
        config: &Config,
        arrival: Arrival,
        tempo: LatencyMode,
    ) -> Result<Forecast, CommandError> {
        let delivery = settings::pipeline(config, &self.zone, tempo)?
            .writer
            .delivery;
        let view = settings::view_of(config, &self.zone, config.bars.specs.as_slice())?;
        let form = match &config.sink.url {
            SinkUrl::Given(store) if !matches!(store.url(), store::SinkUrl::Redis(_)) => {
                WireForm::Rest
            }
            SinkUrl::UpstashFromEnvironment => WireForm::Rest,
            SinkUrl::Given(_) | SinkUrl::RedisFromEnvironment => WireForm::Resp,
        };
        let ping_ms = config.redis.ping_interval_ms;
        let idle_max = (ping_ms > 0).then(|| Duration::from_millis(ping_ms));
        let guard: Guard = settings::guard(&config.writer);
        let origin = Origin {
            source: "files".to_owned(),
            rules: settings::rules_text(&config.bars),
        };
        let owner = Owner {
            symbols: self.day.symbols().to_vec(),
            specs: config.bars.specs.as_slice().to_vec(),
            ..settings::owner(config, &origin)
        };
        let meter = CostEstimator::new(Arc::new(view), guard, form, idle_max).owned_by(owner);
        let round_trip = Duration::from_millis(config.plan.round_trip_ms);
        Ok(forecast(&self.day, arrival, delivery, round_trip, &meter))
    }
}

fn way(
    name: &'static str,
    forecast: Forecast,
    plan: &config::Plan,
    days_per_month: u64,
) -> PlanWay {
    let month = month_nanos(&forecast, plan, days_per_month);
    PlanWay {
        name,
        forecast,
        usd: dollars(month / u128::from(days_per_month.max(1))),
        usd_per_month: dollars(month),
    }
}

/// Billionths of a dollar for the commands and the traffic of a month.
fn month_nanos(forecast: &Forecast, plan: &config::Plan, days: u64) -> u128 {
    let commands =
        u128::from(forecast.commands) * u128::from(days) * u128::from(1 + plan.read_regions);
    let bytes = u128::from(forecast.bytes) * u128::from(days);
    let paid = bytes.saturating_sub(u128::from(plan.gb_free) * BYTES_PER_GB);
    let of_commands = commands * u128::from(plan.usd_per_100k_commands.nanos()) / 100_000;
    of_commands + paid * u128::from(plan.usd_per_gb.nanos()) / BYTES_PER_GB
}

/// Dollars to four places, rounded up.
fn dollars(nanos: u128) -> String {
    let parts = nanos.div_ceil(TEN_THOUSANDTH);
    format!("{}.{:04}", parts / 10_000, parts % 10_000)
}

#[cfg(test)]
mod tests {
    use super::{Forecast, config, dollars, month_nanos};

    #[test]
    fn a_month_costs_its_commands_in_every_region_and_the_traffic_beyond_the_free_one() {
        let plan = config::Plan {
            read_regions: 1,
            gb_free: 1,
            ..config::Plan::default()
        };
        let day = Forecast {
            commands: 100_000,
            bytes: 1_000_000_000,
            ..Forecast::default()
        };
        // 20 days: 4,000,000 billed commands at 0.20 a hundred thousand, 19 paid gigabytes at 0.03.
        assert_eq!(dollars(month_nanos(&day, &plan, 20)), "8.5700");
        assert_eq!(dollars(1), "0.0001");
        assert_eq!(dollars(0), "0.0000");
    }
}
