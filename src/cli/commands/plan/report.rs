//! The report of `barmill plan`, as a JSON object or as text.

use crate::cli::output::{Column, table};
use crate::pipeline::Forecast;
use indicatif::{BinaryBytes, HumanCount};
use serde::Serialize;
use std::io::{self, Write};

/// A day reckoned before it runs. The names are fixed, since scripts rely on them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(super) struct PlanReport {
    /// Symbols.
    pub(super) symbols: u64,
    /// The specs whose bars are reckoned.
    pub(super) bars: Vec<String>,
    /// The specs whose bars only the tape tells.
    pub(super) not_reckoned: Vec<String>,
    /// The layout, and what is written beside it.
    pub(super) view: Vec<String>,
    /// The hours of the market.
    pub(super) hours: String,
    /// Days of a month with a market.
    pub(super) days_per_month: u64,
    /// The ways in which the day may come in.
    pub(super) ways: Vec<PlanWay>,
    /// Of the commands of the first way, those of some settings.
    pub(super) parts: PlanParts,
    /// `writer.commands_per_day`, if there is one.
    pub(super) commands_per_day: Option<u64>,
    /// `writer.commands_per_month`, if there is one.
    pub(super) commands_per_month: Option<u64>,
    /// Commands a month of the free plan.
    pub(super) free_plan_commands: u64,
    /// Whether some of it was reckoned from the first part of the day.
    pub(super) is_scaled: bool,
}

/// What one way of a day's bars sends in a day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(super) struct PlanWay {
    /// The command that the day comes in by: `run`, `backfill` or `replay`.
    pub(super) name: &'static str,
    /// What it sends.
    #[serde(flatten)]
    pub(super) forecast: Forecast,
    /// US dollars, to four places.
    pub(super) usd: String,
    /// US dollars a month.
    pub(super) usd_per_month: String,
}

/// Commands a day of some settings of the live way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(super) struct PlanParts {
    /// Of `live.forming_every_ms`.
    pub(super) forming: u64,
    /// Of `view.also`.
    pub(super) also: u64,
    /// Of `writer.guard`: what the fence adds.
    pub(super) fence: u64,
    /// Whether the fence is among the commands.
    pub(super) has_fence: bool,
    /// Of the signs of life of an idle store, those of the fence included.
    pub(super) beats: u64,
}

impl PlanReport {
    /// Writes what is reckoned, a line for each way, and what that is made of.
    ///
    /// # Errors
    /// The writer's own.
    pub(super) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let (symbols, bars, view) = (
            HumanCount(self.symbols),
            self.bars.join(", "),
            self.view.join(" and "),
        );
        writeln!(
            out,
            "{symbols} symbols, bars {bars}, view {view}, market open {}",
            self.hours
        )?;
        writeln!(
            out,
            "A day in which every symbol trades all the time; any other sends less."
        )?;
        if !self.not_reckoned.is_empty() {
            writeln!(
                out,
                "Not reckoned, because their count depends on the trades: {}",
                self.not_reckoned.join(", ")
            )?;
        }
        if self.is_scaled {
            writeln!(out, "Reckoned from the first part of the day.")?;
        }
        writeln!(out, "\n{}", self.ways())?;
        self.write_parts(out)?;
        self.write_budget(out)
    }

    fn ways(&self) -> String {
        let cells = |cell: fn(&PlanWay) -> String| self.ways.iter().map(cell).collect();
        let count = |name, cell| Column::numbers(name, 0, cells(cell));
        table(&[
            Column::texts("", cells(|way| way.name.to_owned())),
            count("bars", |way| HumanCount(way.forecast.bars).to_string()),
            count("open bars", |way| {
                HumanCount(way.forecast.forming).to_string()
            }),
            count("requests", |way| {
                HumanCount(way.forecast.requests).to_string()
            }),
            count("commands", |way| {
                HumanCount(way.forecast.commands).to_string()
            }),
            count("bytes", |way| BinaryBytes(way.forecast.bytes).to_string()),
            count("$ a day", |way| way.usd.clone()),
            count("$ a month", |way| way.usd_per_month.clone()),
        ])
    }

    fn write_parts(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(first) = self.ways.first() else {
            return Ok(());
        };
        let PlanParts {
            forming,
            also,
            fence,
            has_fence,
            beats,
        } = self.parts;
        let [all, forming, also, fence, beats] =
            [first.forecast.commands, forming, also, fence, beats].map(HumanCount);
        writeln!(out, "Of the {all} commands of {} are", first.name)?;
        writeln!(out, "  {forming} of open bars (live.forming_every_ms)")?;
        writeln!(out, "  {also} of view.also")?;
        if has_fence {
            writeln!(out, "  {fence} of writer.guard = \"fence\"")?;
        }
        writeln!(out, "  {beats} of signs of life while idle")?;
        if !has_fence {
            writeln!(out, "writer.guard = \"fence\" would add {fence}.")?;
        }
        Ok(())
    }

    fn write_budget(&self, out: &mut dyn Write) -> io::Result<()> {
        let budgets = [
            ("writer.commands_per_day", self.commands_per_day, 1),
            (
                "writer.commands_per_month",
                self.commands_per_month,
                self.days_per_month,
            ),
        ];
        for (name, limit, days) in budgets {
            let Some(limit) = limit else { continue };
            let shares = self.ways.iter().map(|way| {
                format!(
                    "{} {} %",
                    way.name,
                    percent(way.forecast.commands.saturating_mul(days), limit)
                )
            });
            let shares: Vec<String> = shares.collect();
            writeln!(out, "Of {name} = {limit} take: {}", shares.join(", "))?;
        }
        let free = HumanCount(self.free_plan_commands);
        let days = self.ways.iter().map(|way| {
            let days = self.free_plan_commands / way.forecast.commands.max(1);
            format!("{} {days} days", way.name)
        });
        let days: Vec<String> = days.collect();
        writeln!(
            out,
            "A free plan of {free} commands a month lasts: {}",
            days.join(", ")
        )?;
        writeln!(
            out,
            "A month has {} such days. Prices are those of [plan] in the config.",
            self.days_per_month
        )
    }
}

/// A share in percent, rounded up, so that more than all is never told as all.
fn percent(part: u64, whole: u64) -> u128 {
    (u128::from(part) * 100).div_ceil(u128::from(whole.max(1)))
}

#[cfg(test)]
mod tests {
    use super::{Forecast, PlanParts, PlanReport, PlanWay};

    #[test]
    fn people_read_a_line_for_each_way_and_each_share() {
        let way = |name, commands| PlanWay {
            name,
            forecast: Forecast {
                bars: 195_000,
                requests: 390,
                commands,
                bytes: 60_000_000,
                ..Forecast::default()
            },
            usd: "0.7800".to_owned(),
            usd_per_month: "16.3800".to_owned(),
        };
        let report = PlanReport {
            symbols: 500,
            bars: vec!["1m".to_owned()],
            not_reckoned: vec!["tick:1000".to_owned()],
            view: vec!["symbol-day".to_owned(), "publish".to_owned()],
            hours: "09:30-16:00".to_owned(),
            days_per_month: 21,
            ways: vec![way("run", 390_000), way("backfill", 1_500)],
            parts: PlanParts {
                fence: 46_080,
                ..PlanParts::default()
            },
            commands_per_day: Some(400_000),
            commands_per_month: None,
            free_plan_commands: 500_000,
            is_scaled: true,
        };
        let mut text = Vec::new();
        report.write_text(&mut text).unwrap();
        insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r#"
        500 symbols, bars 1m, view symbol-day and publish, market open 09:30-16:00
        A day in which every symbol trades all the time; any other sends less.
        Not reckoned, because their count depends on the trades: tick:1000
        Reckoned from the first part of the day.

                     bars  open bars  requests  commands      bytes  $ a day  $ a month
        run       195,000          0       390   390,000  57.22 MiB   0.7800    16.3800
        backfill  195,000          0       390     1,500  57.22 MiB   0.7800    16.3800

        Of the 390,000 commands of run are
          0 of open bars (live.forming_every_ms)
          0 of view.also
          0 of signs of life while idle
        writer.guard = "fence" would add 46,080.
        Of writer.commands_per_day = 400000 take: run 98 %, backfill 1 %
        A free plan of 500,000 commands a month lasts: run 1 days, backfill 333 days
        A month has 21 such days. Prices are those of [plan] in the config.
        "#);
        let told = serde_json::to_value(&report).unwrap();
        assert_eq!(
            (&told["ways"][1]["commands"], &told["parts"]["fence"]),
            (&1_500.into(), &46_080.into())
        );
    }
}
