//! The arguments of the daemon. Every flag stands for a key of the config, so that a service file needs none.

use super::arguments::Shared;
use crate::config::SourceName;
use clap::Args;

/// What the daemon listens to, and where its bars go.
#[derive(Debug, Clone, Args)]
pub struct RunArguments {
    #[arg(
        help = format!(
            "Venues of the live trades: {}, or several of them [live.sources]",
            SourceName::choices()
        ),
        long = "source", value_name = "A,B", value_delimiter = ','
    )]
    sources: Vec<String>,
    /// Symbols as the source spells them; with several sources SOURCE:SYMBOL [live.symbols]
    #[arg(long = "symbol", value_name = "A,B", value_delimiter = ',')]
    symbols: Vec<String>,
    /// A file of symbols.
    #[arg(
        long,
        value_name = "FILE",
        help = "A file of symbols, one per line [live.symbols_file]"
    )]
    symbols_file: Option<String>,
    /// Where a first start begins.
    #[arg(
        long,
        value_name = "WHEN",
        help = "Where a first start begins: day (the session's opening, or midnight), none, or a duration such as 6h \
                [live.catch_up]"
    )]
    catch_up: Option<String>,
    /// Bars to make, such as 1m,5m,1d [bars.specs]
    #[arg(long, value_name = "SPECS")]
    bars: Option<String>,
    /// Which trades may set prices: source, all, massive-minute or alpaca-minute [bars.rules]
    #[arg(long)]
    rules: Option<String>,
    /// Time of day that counts: all-hours, pre, regular, post, all or HH:MM-HH:MM [bars.session]
    #[arg(long)]
    session: Option<String>,
    /// Where bars go: embedded:DIR, redis://..., rediss://..., https://..., redis, upstash, stdout: or null:
    /// [sink.url]
    #[arg(long, value_name = "URL")]
    sink: Option<String>,
    /// Parallel aggregators [aggregate.shards]
    #[arg(long, value_name = "N")]
    shards: Option<String>,
    /// Take over the lease of another writer.
    #[arg(
        long,
        help = "Take over the lease of another writer, and overwrite bars of another pipeline [writer.take_over]"
    )]
    pub(super) take_over: bool,
    /// Print one JSON object with all counts at the end.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub(super) shared: Shared,
}

impl RunArguments {
    /// The flags with the keys they stand for.
    pub(super) fn pairs(&self) -> Vec<(&'static str, &'static str, Option<String>)> {
        let joined = |list: &[String]| (!list.is_empty()).then(|| list.join(","));
        vec![
            ("--source", "live.sources", joined(&self.sources)),
            ("--symbol", "live.symbols", joined(&self.symbols)),
            (
                "--symbols-file",
                "live.symbols_file",
                self.symbols_file.clone(),
            ),
            ("--catch-up", "live.catch_up", self.catch_up.clone()),
            ("--bars", "bars.specs", self.bars.clone()),
            ("--rules", "bars.rules", self.rules.clone()),
            ("--session", "bars.session", self.session.clone()),
            ("--sink", "sink.url", self.sink.clone()),
            ("--shards", "aggregate.shards", self.shards.clone()),
        ]
    }
}
