//! The summary of a run, as a JSON object or as closing lines.

use super::output::print_json;
use crate::config::SinkTarget;
use crate::pipeline::Summary;
use barmill_stores::SinkUrl;
use indicatif::HumanCount;
use std::io::{self, Write, stderr};

/// Prints the counts on stdout, or the closing lines on stderr: data is on stdout only where it was asked for.
///
/// `ttl_s` is in seconds; 0 is never.
pub(super) fn print(
    summary: &Summary,
    is_json: bool,
    target: &SinkTarget,
    ttl_s: u64,
) -> io::Result<()> {
    if is_json {
        print_json(summary)
    } else {
        writeln!(stderr(), "{}", closing(summary, target, ttl_s))
    }
}

/// The closing lines: where the bars are, then every other count that is not zero.
pub(super) fn closing(summary: &Summary, target: &SinkTarget, ttl_s: u64) -> String {
    let bars = counted(summary.bars, "bar");
    let ttl = if ttl_s == 0 {
        "no TTL".to_owned()
    } else {
        format!("TTL: {}", lifetime(ttl_s))
    };
    let first = match target.url() {
        SinkUrl::Redis(_) | SinkUrl::Rest(_) => format!("Cached {bars} in Redis ({ttl})"),
        SinkUrl::Embedded(dir) => format!("Cached {bars} in {} ({ttl})", dir.display()),
        SinkUrl::Stdout => format!("Printed {bars}"),
        SinkUrl::Null => format!("Counted {bars}, kept none"),
    };
    format!("{first}\nsink {}, {}", target.address(), counts(summary))
}

fn counts(summary: &Summary) -> String {
    let named = [
        ("trades", summary.trades),
        ("late", summary.late),
        ("duplicates", summary.duplicates),
        ("ineligible", summary.ineligible),
        ("bars without prices left out", summary.volume_only),
        ("malformed", summary.malformed),
        ("revised", summary.revised),
        ("requests", summary.requests),
        ("commands", summary.commands),
        ("connections", summary.connections),
        ("retries", summary.retries),
        ("spooled", summary.spooled),
        ("dead letters", summary.dead_letters),
    ];
    let told = named.into_iter().filter(|(_, count)| *count > 0);
    let told = told.map(|(name, count)| format!("{name} {}, ", HumanCount(count)));
    let elapsed = summary.elapsed;
    format!(
        "{}{}.{:03} s",
        told.collect::<String>(),
        elapsed.as_secs(),
        elapsed.subsec_millis()
    )
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
    use super::{closing, lifetime};
    use crate::config::{Config, Environment, SinkTarget, SinkUrl};
    use crate::pipeline::Summary;
    use std::time::Duration;

    fn target(url: &str) -> SinkTarget {
        let mut config = Config::default();
        config.sink.url = SinkUrl::parse(url).unwrap();
        config.target(&Environment::default()).unwrap()
    }

    fn day() -> Summary {
        Summary {
            trades: 500_000,
            bars: 490,
            duplicates: 3,
            requests: 2,
            commands: 4,
            connections: 1,
            elapsed: Duration::from_millis(1_042),
            ..Summary::default()
        }
    }

    #[test]
    fn the_json_object_has_the_fixed_names_in_the_fixed_order() {
        insta::assert_snapshot!(serde_json::to_string(&day()).unwrap(), @r#"{"trades":500000,"bars":490,"late":0,"duplicates":3,"ineligible":0,"malformed":0,"revised":0,"requests":2,"commands":4,"connections":1,"retries":0,"spooled":0,"dead_letters":0,"elapsed_ms":1042}"#);
    }

    #[test]
    fn the_closing_lines_say_what_is_where_and_count_the_rest() {
        let one = Summary {
            bars: 1,
            ..Summary::default()
        };
        let lines = [
            closing(&day(), &target("redis://:hunter2@localhost/2"), 7_200),
            closing(&one, &target("embedded:barmill-data"), 0),
            closing(&day(), &target("null:"), 7_200),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
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
