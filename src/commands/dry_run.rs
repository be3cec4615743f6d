//! What a backfill would ask and write, said without doing it.

use super::dispatch::CommandError;
use super::plan::Plan;
use super::source;
use barmill::adapter::store::View;
use barmill::config::{Config, SourceName};
use barmill::engine::resume::floor;
use barmill::{BarKey, BarSpec, Timestamp};
use jiff::tz::TimeZone;
use std::io::Write;

/// Prints one line per symbol and day, then the sums.
pub(super) fn write(
    plan: &Plan,
    config: &Config,
    name: SourceName,
    specs: &[BarSpec],
    view: &View,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let (page_len, rate) = source::pace(&config.source, name);
    let mut asks = 0usize;
    for step in &plan.steps {
        let (symbol, date) = (step.symbol, step.day.date);
        let Some(range) = step.range else {
            writeln!(out, "{symbol} {date}: whole already, nothing to ask")?;
            continue;
        };
        asks += 1;
        let earlier = if step.day.from < range.from { " (the rest is in the sink)" } else { "" };
        writeln!(out, "{symbol} {date}: would ask {name} for {} to {}{earlier}", range.from, range.to)?;
        for &spec in specs {
            let (key, field) = view.place(&BarKey {
                symbol,
                spec,
                start: first_start(spec, range.from, &view.settings().zone),
            });
            let field = field.map_or_else(String::new, |field| format!(", field {field}"));
            writeln!(out, "  first {spec} bar: key {key}{field}")?;
        }
    }
    writeln!(
        out,
        "symbol-days to ask for: {asks} of {}; requests: at least {asks}, one for each {page_len} trades, at most \
         {rate} a minute; nothing was asked and nothing written",
        plan.steps.len()
    )?;
    Ok(())
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
    let start = zone.to_datetime(time.to_jiff()).date().to_zoned(zone.clone()).ok()?;
    Timestamp::from_jiff(start.timestamp()).ok()
}
