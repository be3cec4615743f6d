//! The arguments of the commands that fetch history.

use crate::config::SourceName;
use crate::model::Symbol;
use crate::period::{Moment, Period};
use clap::{ArgGroup, Args};
use jiff::civil::Date;
use std::path::PathBuf;

/// Which history is asked for.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("asked").required(true).args(["dates", "from"])))]
pub struct AskedArguments {
    #[arg(
        help = format!("Venue: {}; settings in [source.NAME]", SourceName::choices()),
        long,
        value_name = "NAME",
        value_parser = SourceName::parse
    )]
    pub source: SourceName,
    /// Symbols to fetch, as the source spells them.
    #[arg(
        long = "symbol",
        value_name = "A,B",
        value_delimiter = ',',
        required = true
    )]
    pub symbols: Vec<Symbol>,
    /// Days to fetch, in the zone of the source's market.
    #[arg(long = "date", value_name = "YYYY-MM-DD,..", value_delimiter = ',', conflicts_with_all = ["from", "to"])]
    dates: Vec<Date>,
    /// Start: a day, or an instant such as 2025-10-15T13:30:00Z.
    #[arg(long, value_name = "TIME", requires = "to")]
    from: Option<Moment>,
    /// End, excluded: a day, or an instant.
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<Moment>,
    /// Time of day to fetch: all-hours, pre, regular, post, all or HH:MM-HH:MM [bars.session]
    #[arg(long)]
    pub session: Option<String>,
}

impl AskedArguments {
    /// The times asked for, in order; the parser has made sure that there is one.
    pub fn periods(&self) -> Vec<Period> {
        if let (Some(from), Some(to)) = (self.from, self.to) {
            return vec![Period::Between { from, to }];
        }
        let mut dates = self.dates.clone();
        dates.sort_unstable();
        dates.dedup();
        dates.into_iter().map(Period::Day).collect()
    }

    /// The symbols in the order given, none twice.
    pub fn symbols(&self) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = Vec::new();
        for symbol in &self.symbols {
            if !symbols.contains(symbol) {
                symbols.push(*symbol);
            }
        }
        symbols
    }
}

/// Which history becomes which bars.
#[expect(clippy::struct_excessive_bools, reason = "one for each flag")]
#[derive(Debug, Clone, Args)]
pub struct BackfillArguments {
    /// What to fetch.
    #[command(flatten)]
    pub asked: AskedArguments,
    /// Bars to make, such as 1m,5m,1d [bars.specs]
    #[arg(long, value_name = "SPECS")]
    pub bars: Option<String>,
    /// Which trades may set prices: source, all, massive-minute, massive-daily, alpaca-minute, alpaca-daily or lean
    /// [bars.rules]
    #[arg(long)]
    pub rules: Option<String>,
    /// Where bars go: embedded:DIR, redis://..., rediss://..., https://..., redis, upstash, stdout: or null:
    /// [sink.url]
    #[arg(long, value_name = "URL")]
    pub sink: Option<String>,
    /// Parallel aggregators [aggregate.shards]
    #[arg(long, value_name = "N")]
    pub shards: Option<String>,
    /// Fetch again days that are already complete in the sink.
    #[arg(long)]
    pub force: bool,
    /// Exit with code 1 if trades came too late for their bars.
    #[arg(long)]
    pub strict: bool,
    /// Print what would be fetched and written; fetch and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON object with all counts at the end.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub(super) shared: super::arguments::Shared,
}

/// What is kept as a recording.
#[derive(Debug, Clone, Args)]
pub struct RecordArguments {
    /// What to fetch.
    #[command(flatten)]
    pub asked: AskedArguments,
    /// Record live trades until SIGTERM, instead of history.
    #[arg(long, group = "asked", conflicts_with = "session")]
    pub live: bool,
    /// The recording to write; it must not exist. With --live, a folder with a recording per UTC day.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Print one JSON object with all counts at the end.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub(super) shared: super::arguments::Shared,
}
