//! The arguments of `plan`. Its flags are those of the commands that it estimates.

use super::arguments::Shared;
use crate::config::SourceName;
use crate::model::Symbol;
use clap::Args;

/// The day to reckon. What is not given here is that of the config.
#[derive(Debug, Clone, Args)]
pub struct PlanArguments {
    /// Number of symbols; default: those of --symbol or live.symbols.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub symbols: Option<u32>,
    /// Names of the symbols.
    #[arg(
        long = "symbol",
        value_name = "A,B",
        value_delimiter = ',',
        conflicts_with = "symbols"
    )]
    pub names: Vec<Symbol>,
    #[arg(
        help = format!(
            "Venues, whose market hours apply: {} [live.sources]",
            SourceName::choices()
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
    pub json: bool,
    #[command(flatten)]
    pub(super) shared: Shared,
}

impl PlanArguments {
    /// The flags with the keys they stand for.
    pub(super) fn pairs(&self) -> Vec<(&'static str, &'static str, Option<String>)> {
        vec![
            (
                "--source",
                "live.sources",
                (!self.sources.is_empty()).then(|| self.sources.join(",")),
            ),
            ("--bars", "bars.specs", self.bars.clone()),
            ("--session", "bars.session", self.session.clone()),
            ("--sink", "sink.url", self.sink.clone()),
        ]
    }
}
