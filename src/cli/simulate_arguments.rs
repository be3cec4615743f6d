//! The arguments of `simulate`.

use crate::config::{SourceName, Speed, source_choices, source_name};
use crate::model::Symbol;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Which recording is served as which venue, and what goes wrong.
#[derive(Debug, Clone, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub struct SimulateArguments {
    /// Recordings, of any format that replay reads.
    #[arg(required = true, value_name = "RECORDING")]
    pub files: Vec<PathBuf>,
    #[arg(
        help = format!("The venue to simulate: {}", source_choices()),
        long,
        value_name = "NAME",
        value_parser = source_name
    )]
    pub venue: SourceName,
    /// Speed of its clock: a multiple such as 10x, or max, which is as fast as the clients read.
    #[arg(long, default_value = "1x", value_parser = Speed::take)]
    pub speed: Speed,
    /// Address for REST and WebSocket; port 0 chooses a free port.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9630")]
    pub listen: SocketAddr,
    /// Serve only these symbols; for files that name no symbol, the symbol of all trades.
    #[arg(long = "symbol", value_name = "A,B", value_delimiter = ',')]
    pub symbols: Vec<Symbol>,
    /// Format of the recordings [replay.format]
    #[arg(long)]
    pub format: Option<String>,
    /// Shift the recording in time so that it starts now; above 1x, so that its end is played at the time of its last trade.
    #[arg(long)]
    pub now: bool,
    /// Start the clock at the first subscription; always so at max.
    #[arg(long)]
    pub wait: bool,
    /// Exit at the end of the recording, when the clients have disconnected or five seconds have passed.
    #[arg(long)]
    pub once: bool,
    /// Inject a fault, KIND=VALUE or KIND=VALUE@SEED, such as disconnect=5s; may be repeated.
    #[arg(
        long = "fault",
        value_name = "KIND=VALUE",
        help = "Inject a fault, KIND=VALUE or KIND=VALUE@SEED; may be repeated. Of N: drop, duplicate, \
                reorder, late, garbage, refuse, 429, error, cut; first N: auth; above N: limit, slow; every N or \
                TIME: disconnect, stall, silence; by TIME: lag, delay. N is a count, TIME such as 500ms or 5s"
    )]
    pub faults: Vec<String>,
    /// Seed of the faults without a seed of their own.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Most trades in memory, at 88 bytes each.
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    pub trades_max: usize,
    /// Print one JSON object with all counts at the end.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    shared: super::flags::Shared,
}
