//! `barmill backfill --dry-run`: prints what would be fetched and written.

use super::super::source;
use super::plan::{Plan, Step};
use crate::config::{Config, SourceName};
use crate::engine::resume::floor;
use crate::{BarKey, BarSpec, Timestamp};
use barmill_stores::View;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::io::{self, Write};

/// What would be done; the names are fixed, since scripts rely on them.
#[derive(Debug, Serialize)]
pub(super) struct DryRun {
    source: String,
    /// Symbol-days to ask for; each takes at least one request.
    asks: usize,
    page_len: usize,
    requests_per_minute: u32,
    days: Vec<DryRunDay>,
}

/// One symbol and day.
#[derive(Debug, Serialize)]
struct DryRunDay {
    symbol: String,
    date: String,
    /// Start of what would be asked, included; none where the sink has the whole day.
    from: Option<String>,
    /// End, excluded.
    to: Option<String>,
    /// Whether the sink has a part of the day.
    is_resumed: bool,
    first_bars: Vec<DryRunBar>,
}

/// Where the first bar of a spec would lie.
#[derive(Debug, Serialize)]
struct DryRunBar {
    spec: String,
    key: String,
    field: Option<String>,
}

impl DryRun {
    pub(super) fn of(plan: &Plan, config: &Config, name: SourceName, view: &View) -> DryRun {
        let (page_len, requests_per_minute) = source::pace(&config.source, name);
        let specs = config.bars.specs.as_slice();
        DryRun {
            source: name.to_string(),
            asks: plan
                .steps
                .iter()
                .filter(|step| step.range.is_some())
                .count(),
            page_len,
            requests_per_minute,
            days: plan
                .steps
                .iter()
                .map(|step| DryRunDay::of(step, specs, view))
                .collect(),
        }
    }

    /// Writes one line per symbol and day and per first bar, then the sums.
    pub(super) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for DryRunDay {
            symbol,
            date,
            from,
            to,
            is_resumed,
            first_bars,
        } in &self.days
        {
            let (Some(from), Some(to)) = (from, to) else {
                writeln!(out, "{symbol} {date}: whole already, nothing to ask")?;
                continue;
            };
            let earlier = if *is_resumed {
                " (the rest is in the sink)"
            } else {
                ""
            };
            writeln!(
                out,
                "{symbol} {date}: would ask {} for {from} to {to}{earlier}",
                self.source
            )?;
            for DryRunBar { spec, key, field } in first_bars {
                let field = field
                    .as_ref()
                    .map_or_else(String::new, |field| format!(", field {field}"));
                writeln!(out, "  first {spec} bar: key {key}{field}")?;
            }
        }
        let DryRun {
            asks,
            page_len,
            requests_per_minute: rate,
            days,
            ..
        } = self;
        writeln!(
            out,
            "symbol-days to ask for: {asks} of {}; requests: at least {asks}, one for each {page_len} trades, at most \
             {rate} a minute; nothing was asked and nothing written",
            days.len()
        )
    }
}

impl DryRunDay {
    fn of(step: &Step, specs: &[BarSpec], view: &View) -> DryRunDay {
        let zone = &view.settings().zone;
        let bar = |spec: BarSpec, from: Timestamp| {
            let start = first_start(spec, from, zone);
            let (key, field) = view.cell(&BarKey {
                symbol: step.symbol,
                spec,
                start,
            });
            DryRunBar {
                spec: spec.to_string(),
                key,
                field,
            }
        };
        let first_bars = |from| specs.iter().map(|&spec| bar(spec, from)).collect();
        DryRunDay {
            symbol: step.symbol.to_string(),
            date: step.day.date.to_string(),
            from: step.range.map(|range| range.from.to_string()),
            to: step.range.map(|range| range.to.to_string()),
            is_resumed: step.range.is_some_and(|range| step.day.from < range.from),
            first_bars: step
                .range
                .map(|range| first_bars(range.from))
                .unwrap_or_default(),
        }
    }
}

/// The start of the first bar; where trades cut the bars, the first instant stands for it.
fn first_start(spec: BarSpec, from: Timestamp, zone: &TimeZone) -> Timestamp {
    match spec {
        BarSpec::Time(interval) => floor(from, interval.get()),
        BarSpec::Day => midnight(from, zone).unwrap_or(from),
        BarSpec::Session | BarSpec::Tick(_) | BarSpec::Volume(_) | BarSpec::Value(_) => from,
    }
}

fn midnight(time: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let start = zone
        .to_datetime(time.to_jiff())
        .date()
        .to_zoned(zone.clone())
        .ok()?;
    Timestamp::from_jiff(start.timestamp()).ok()
}
