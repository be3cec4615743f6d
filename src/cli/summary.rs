//! The summary of a run, as a JSON object and as closing lines.

use crate::config::SinkTarget;
use indicatif::HumanCount;
use serde::Serialize;
use std::io::{self, Write};

/// The counts of a run. The names and their order are fixed, since scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct RunSummary {
    /// Trades read, whatever became of them.
    pub trades: u64,
    /// Bars written, each counted once.
    pub bars: u64,
    /// Trades too late for their bar.
    pub late: u64,
    /// Trades seen before.
    pub duplicates: u64,
    /// Trades that may set nothing of a bar.
    pub ineligible: u64,
    /// Bars left out because no trade of theirs may set a price; named when there are any.
    #[serde(skip_serializing_if = "is_zero")]
    pub volume_only: u64,
    /// Rows that could not be decoded.
    pub malformed: u64,
    /// Bars written again with a higher revision.
    pub revised: u64,
    /// Requests sent to the store, retries included.
    pub requests: u64,
    /// Commands sent to the store, retries included.
    pub commands: u64,
    /// Connections opened to the store.
    pub connections: u64,
    /// Writes attempted again.
    pub retries: u64,
    /// Bars that wait in the spool.
    pub spooled: u64,
    /// Bars that the store refused for good.
    pub dead_letters: u64,
    /// Milliseconds from start to end.
    pub elapsed_ms: u64,
}

impl RunSummary {
    /// Writes one line with one JSON object.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let line = serde_json::to_string(self).map_err(io::Error::from)?;
        writeln!(out, "{line}")
    }

    /// Writes the closing lines for people: where the bars are, then every other count that is not zero.
    ///
    /// `ttl_s` is in seconds; 0 is never.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write_text(
        &self,
        target: &SinkTarget,
        ttl_s: u64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let bars = counted(self.bars, "bar");
        let ttl = if ttl_s == 0 {
            "no TTL".to_owned()
        } else {
            format!("TTL: {}", lifetime(ttl_s))
        };
        match target {
            SinkTarget::Redis { .. } | SinkTarget::Upstash { .. } => {
                writeln!(out, "Cached {bars} in Redis ({ttl})")?;
            }
            SinkTarget::Embedded { dir } => {
                writeln!(out, "Cached {bars} in {} ({ttl})", dir.display())?;
            }
            SinkTarget::Stdout => writeln!(out, "Printed {bars}")?,
            SinkTarget::Null => writeln!(out, "Counted {bars}, kept none")?,
        }
        writeln!(out, "sink {}, {}", target.address(), self.counts())
    }

    fn counts(&self) -> String {
        let named = [
            ("trades", self.trades),
            ("late", self.late),
            ("duplicates", self.duplicates),
            ("ineligible", self.ineligible),
            ("bars without prices left out", self.volume_only),
            ("malformed", self.malformed),
            ("revised", self.revised),
            ("requests", self.requests),
            ("commands", self.commands),
            ("connections", self.connections),
            ("retries", self.retries),
            ("spooled", self.spooled),
            ("dead letters", self.dead_letters),
        ];
        let mut parts: Vec<String> = named
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{name} {}", HumanCount(count)))
            .collect();
        parts.push(format!(
            "{}.{:03} s",
            self.elapsed_ms / 1_000,
            self.elapsed_ms % 1_000
        ));
        parts.join(", ")
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A count with its noun, such as `1 bar` or `490 bars`.
fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", HumanCount(count))
}

/// A lifetime in its largest whole unit.
fn lifetime(seconds: u64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let whole = units
        .iter()
        .find(|(length, _)| seconds.is_multiple_of(*length));
    let (length, noun) = whole.copied().unwrap_or((1, "second"));
    counted(seconds / length, noun)
}

#[cfg(test)]
mod tests {
    use super::{RunSummary, lifetime};
    use crate::config::{Config, Environment, SinkTarget, SinkUrl};

    fn target(url: &str) -> SinkTarget {
        let mut config = Config::default();
        config.sink.url = SinkUrl::parse(url).unwrap();
        SinkTarget::resolve(&config, &Environment::default()).unwrap()
    }

    fn closing(summary: &RunSummary, url: &str, ttl_s: u64) -> String {
        let mut out = Vec::new();
        summary.write_text(&target(url), ttl_s, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const DAY: RunSummary = RunSummary {
        trades: 500_000,
        bars: 490,
        late: 0,
        duplicates: 3,
        ineligible: 0,
        volume_only: 0,
        malformed: 0,
        revised: 0,
        requests: 2,
        commands: 4,
        connections: 1,
        retries: 0,
        spooled: 0,
        dead_letters: 0,
        elapsed_ms: 1_042,
    };

    #[test]
    fn the_json_object_has_the_fixed_names_in_the_fixed_order() {
        let mut out = Vec::new();
        DAY.write_json(&mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap().trim_end(), @r#"{"trades":500000,"bars":490,"late":0,"duplicates":3,"ineligible":0,"malformed":0,"revised":0,"requests":2,"commands":4,"connections":1,"retries":0,"spooled":0,"dead_letters":0,"elapsed_ms":1042}"#);
    }

    #[test]
    fn the_closing_lines_say_what_is_where_and_count_the_rest() {
        let lines = [
            closing(&DAY, "redis://:hunter2@localhost/2", 7_200),
            closing(
                &RunSummary {
                    bars: 1,
                    ..RunSummary::default()
                },
                "embedded:barmill-data",
                0,
            ),
            closing(&DAY, "null:", 7_200),
        ];
        insta::assert_snapshot!(lines.join(""), @r"
    Cached 490 bars in Redis (TTL: 2 hours)
    sink redis://localhost:6379/2, trades 500,000, duplicates 3, requests 2, commands 4, connections 1, 1.042 s
    Cached 1 bar in barmill-data (no TTL)
    sink embedded:barmill-data, 0.000 s
    Counted 490 bars, kept none
    sink null:, trades 500,000, duplicates 3, requests 2, commands 4, connections 1, 1.042 s
    ");
    }

    #[test]
    fn a_lifetime_is_told_in_its_largest_whole_unit() {
        let told = [7_200, 86_400, 90, 60, 1].map(lifetime);
        assert_eq!(
            told,
            ["2 hours", "1 day", "90 seconds", "1 minute", "1 second"]
        );
    }
}
