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
        let day = |step: &Step| DryRunDay::of(step, specs, view);
        DryRun {
            source: name.to_string(),
            asks: plan.ranges().len(),
            page_len,
            requests_per_minute,
            days: plan.steps.iter().map(day).collect(),
        }
    }

    /// Writes one line per symbol and day and per first bar, then the sums.
    pub(super) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for day in &self.days {
            let (symbol, date) = (&day.symbol, &day.date);
            let (Some(from), Some(to)) = (&day.from, &day.to) else {
                writeln!(out, "{symbol} {date}: whole already, nothing to ask")?;
                continue;
            };
            let earlier = if day.is_resumed {
                " (the rest is in the sink)"
            } else {
                ""
            };
            writeln!(
                out,
                "{symbol} {date}: would ask {} for {from} to {to}{earlier}",
                self.source
            )?;
            for DryRunBar { spec, key, field } in &day.first_bars {
                let field = field
                    .as_ref()
                    .map_or_else(String::new, |field| format!(", field {field}"));
                writeln!(out, "  first {spec} bar: key {key}{field}")?;
            }
        }
        let (asks, page_len, rate) = (self.asks, self.page_len, self.requests_per_minute);
        writeln!(
            out,
            "symbol-days to ask for: {asks} of {}; requests: at least {asks}, one for each {page_len} trades, at most \
             {rate} a minute; nothing was asked and nothing written",
            self.days.len()
        )
    }
}

impl DryRunDay {
    fn of(step: &Step, specs: &[BarSpec], view: &View) -> DryRunDay {
        let range = step.range;
        let first_bar = |spec: &BarSpec| {
            let start = first_start(*spec, range?.from, &view.settings().zone);
            let (key, field) = view.cell(&BarKey {
                symbol: step.symbol,
                spec: *spec,
                start,
            });
            let spec = spec.to_string();
            Some(DryRunBar { spec, key, field })
        };
        DryRunDay {
            symbol: step.symbol.to_string(),
            date: step.day.date.to_string(),
            from: range.map(|range| range.from.to_string()),
            to: range.map(|range| range.to.to_string()),
            is_resumed: range.is_some_and(|range| step.day.from < range.from),
            first_bars: specs.iter().filter_map(first_bar).collect(),
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
    let start = time.to_jiff().to_zoned(zone.clone()).start_of_day().ok()?;
    Timestamp::from_jiff(start.timestamp()).ok()
}
