//! `barmill bars`: prints bars from the sink.

mod chart;
mod render;

use super::settings::Assembly;
use crate::cli::exit::{CommandError, Exit, usage};
use crate::cli::flags::Shared;
use crate::config::{self, Config, Environment, SinkTarget};
use crate::period::{Moment, Period};
use crate::{BarSpec, Manifest, Symbol, Timestamp};
use barmill_stores::{BarReader, StoredBar};
use chart::{Canvas, chart};
use clap::{ArgGroup, Args};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use render::{Output, print_all, render};
use std::collections::BTreeMap;
use std::io::{Write, stderr, stdout};

/// Nanoseconds of a day.
const DAY_NS: i64 = 86_400_000_000_000;
/// Characters of a line of the chart where there is no terminal.
const CHART_WIDTH: usize = 100;
/// Rows of candles.
const CHART_HEIGHT: usize = 16;

/// Which bars to read, and how to print them.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("when").required(true).args(["date", "from"])))]
pub(in crate::cli) struct BarsArguments {
    /// Where the bars are [sink.url]
    #[arg(long, value_name = "URL")]
    sink: Option<String>,
    /// Symbols to read.
    #[arg(
        long = "symbol",
        value_name = "A,B",
        value_delimiter = ',',
        required = true
    )]
    symbols: Vec<Symbol>,
    /// Bars to read.
    #[arg(long, default_value = "1m")]
    spec: BarSpec,
    /// The day to read, in the zone of the bars.
    #[arg(long, value_name = "YYYY-MM-DD", conflicts_with_all = ["from", "to"])]
    date: Option<Date>,
    /// Start: a day, or an instant such as 2025-10-15T13:30:00Z.
    #[arg(long, value_name = "TIME", requires = "to")]
    from: Option<Moment>,
    /// End, excluded: a day, or an instant.
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<Moment>,
    /// How to print them.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Draw candles and volume instead, as wide as the terminal.
    #[arg(long, conflicts_with = "output")]
    chart: bool,
    #[command(flatten)]
    shared: Shared,
}

impl BarsArguments {
    /// The time asked for; the parser has made sure that there is one.
    pub(in crate::cli) fn period(&self) -> Period {
        match (self.date, self.from, self.to) {
            (_, Some(from), Some(to)) => Period::Between { from, to },
            (date, _, _) => Period::Day(date.unwrap_or_default()),
        }
    }
}

/// The sink keeps nothing that could be read.
#[derive(Debug, thiserror::Error)]
#[error("sink {sink} stores no bars")]
struct KeepsNothing {
    sink: String,
}

/// Prints the bars of the asked symbols and time, by symbol and start.
pub(super) async fn run(
    arguments: &BarsArguments,
    config: &Config,
    environment: &Environment,
) -> Result<Exit, CommandError> {
    let target = config.target(environment)?;
    let read = Reading {
        config,
        target,
        spec: arguments.spec,
    };
    let mut rows = Vec::new();
    let known = read.known(arguments).await?;
    for (zone, symbols) in read.zones(arguments, &known)? {
        let (from, to) = arguments.period().resolve(&zone)?;
        let reader = read.reader(&zone).await?;
        for date in dates(from, to, &zone) {
            let bars = reader.days(&symbols, arguments.spec, date).await?;
            let is_asked = |bar: &StoredBar| from <= bar.start && bar.start < to;
            rows.extend(bars.into_iter().filter(is_asked));
        }
    }
    rows.sort_by_key(|row| (row.symbol, row.start));
    for symbol in &arguments.symbols {
        let is_known = known.get(symbol).is_some_and(|known| known.is_asked);
        if !is_known && !rows.iter().any(|row| row.symbol == *symbol) {
            writeln!(
                stderr(),
                "{symbol}: no {} bars in this time, and no manifest of them",
                arguments.spec
            )?;
        }
    }
    let mut out = stdout().lock();
    if arguments.chart {
        print_all(&chart(&rows, canvas()), &mut out)?;
    } else {
        render(&rows, arguments.output, &mut out)?;
    }
    Ok(Exit::Drained)
}

/// What the manifests of a symbol say.
#[derive(Debug)]
struct Known {
    /// Name of the zone of its keys.
    zone: String,
    /// Whether one is of a day that is read, and not of the day before or after.
    is_asked: bool,
}

/// Whether a manifest is of a day that is read; says on stderr when that one is not whole.
fn is_asked(manifest: &Manifest, arguments: &BarsArguments) -> Result<bool, CommandError> {
    let Manifest {
        symbol,
        date,
        to,
        complete,
        ..
    } = manifest;
    let zone = TimeZone::get(&manifest.zone)?;
    let (from, end) = arguments.period().resolve(&zone)?;
    let is_asked = dates(from, end, &zone).any(|asked| asked == *date);
    if is_asked && !complete {
        writeln!(stderr(), "{symbol} {date}: not whole, covered to {to}")?;
    }
    Ok(is_asked)
}

/// The terminal, or for a pipe a width that most readers have.
fn canvas() -> Canvas {
    let terminal = console::Term::stdout();
    let width = terminal
        .size_checked()
        .map_or(CHART_WIDTH, |(_, columns)| usize::from(columns));
    Canvas {
        width,
        height: CHART_HEIGHT,
        is_coloured: terminal.is_term() && console::colors_enabled(),
    }
}

struct Reading<'a> {
    config: &'a Config,
    target: SinkTarget,
    spec: BarSpec,
}

impl Reading<'_> {
    async fn reader(&self, zone: &TimeZone) -> Result<BarReader, CommandError> {
        let run = Assembly {
            config: self.config,
            target: self.target.clone(),
            zone: zone.clone(),
        };
        let opened = run.store_of(&[self.spec], false, None).await?;
        let sink = self.target.address().to_owned();
        opened.reader.ok_or_else(|| usage(KeepsNothing { sink }))
    }

    /// The symbols of which a manifest speaks, with the zone of their keys; says which days are not whole.
    async fn known(
        &self,
        arguments: &BarsArguments,
    ) -> Result<BTreeMap<Symbol, Known>, CommandError> {
        let mut all: BTreeMap<Symbol, Known> = BTreeMap::new();
        let reader = self.reader(&TimeZone::UTC).await?;
        let (from, to) = arguments.period().resolve(&TimeZone::UTC)?;
        // No zone is a day ahead of UTC or behind it.
        let (from, to) = (from.saturating_sub(DAY_NS), to.saturating_add(DAY_NS));
        for date in dates(from, to, &TimeZone::UTC) {
            for stored in reader.manifests(self.spec, date).await? {
                let manifest = stored.manifest;
                if arguments.symbols.contains(&manifest.symbol) {
                    let is_asked = is_asked(&manifest, arguments)?;
                    let known = all.entry(manifest.symbol).or_insert(Known {
                        zone: String::new(),
                        is_asked,
                    });
                    known.zone = manifest.zone;
                    known.is_asked |= is_asked;
                }
            }
        }
        Ok(all)
    }

    /// The symbols by the zone their keys are in: the configured one, else what their manifests say, else UTC.
    fn zones(
        &self,
        arguments: &BarsArguments,
        known: &BTreeMap<Symbol, Known>,
    ) -> Result<Vec<(TimeZone, Vec<Symbol>)>, CommandError> {
        if let config::Zone::Named(zone) = &self.config.bars.zone {
            return Ok(vec![(zone.clone(), arguments.symbols.clone())]);
        }
        let mut zones: BTreeMap<String, Vec<Symbol>> = BTreeMap::new();
        for &symbol in &arguments.symbols {
            let name = known
                .get(&symbol)
                .map_or("UTC", |known| known.zone.as_str());
            zones.entry(name.to_owned()).or_default().push(symbol);
        }
        let resolved =
            |(name, symbols): (String, Vec<Symbol>)| Ok((TimeZone::get(&name)?, symbols));
        zones.into_iter().map(resolved).collect()
    }
}

/// The civil dates that an interval touches, in order.
fn dates(from: Timestamp, to: Timestamp, zone: &TimeZone) -> impl Iterator<Item = Date> {
    let date = |time: Timestamp| time.to_jiff().to_zoned(zone.clone()).date();
    let (first, last) = (date(from), date(to.saturating_sub(1)));
    first
        .series(jiff::Span::new().days(1))
        .take_while(move |date| *date <= last)
}
