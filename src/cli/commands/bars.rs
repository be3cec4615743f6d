//! `barmill bars`: prints bars from the sink.

use super::dispatch::CommandError;
use super::settings;
use crate::cli::{BarRow, BarsArguments, Canvas, chart, render};
use crate::config::{self, Config, Environment, SinkTarget};
use crate::{BarSpec, Manifest, Symbol, Timestamp};
use barmill_stores::{BarReader, StoredBar};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::io::{Write, stderr, stdout};

/// Nanoseconds of a day.
const DAY_NS: i64 = 86_400_000_000_000;
/// Characters of a line of the chart where there is no terminal.
const CHART_WIDTH: usize = 100;
/// Rows of candles.
const CHART_HEIGHT: usize = 16;

/// The sink keeps nothing that could be read.
#[derive(Debug, thiserror::Error)]
#[error("sink {sink} keeps no bars")]
pub(super) struct KeepsNothing {
    sink: String,
}

/// Prints the bars of the asked symbols and time, by symbol and start.
pub(super) async fn run(
    arguments: &BarsArguments,
    config: &Config,
    environment: &Environment,
) -> Result<(), CommandError> {
    let target = SinkTarget::resolve(config, environment)?;
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
            rows.extend(
                bars.iter()
                    .filter(|bar| from <= bar.start && bar.start < to)
                    .map(row),
            );
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
        return Ok(chart(&rows, canvas(), &mut out)?);
    }
    Ok(render(&rows, arguments.output, &mut out)?)
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
        let opened =
            settings::store(self.config, &self.target, (zone, &[self.spec]), false, None).await?;
        Ok(opened.reader.ok_or_else(|| KeepsNothing {
            sink: self.target.address(),
        })?)
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

fn row(bar: &StoredBar) -> BarRow {
    let detail = bar.detail.as_ref();
    BarRow {
        symbol: bar.symbol,
        spec: bar.spec,
        start: bar.start,
        end: bar.window_end(),
        prices: bar.prices,
        volume: bar.volume,
        vwap: detail.and_then(|detail| detail.vwap),
        trades: detail.map(|detail| detail.trades),
        revision: detail.map(|detail| detail.revision),
        state: detail.map(|detail| detail.state),
    }
}
