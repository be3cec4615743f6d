//! `barmill simulate`: serves a recording as a venue, for demonstrations, tests and other clients.
//!
//! The start-up banner tells its address, and how to use it.

use super::signals;
use crate::cli::exit::{CommandError, Exit, complain};
use crate::cli::flags::Shared;
use crate::config::{Config, SourceName, Speed, source_choices, source_name};
use crate::pipeline::clock::SystemClock;
use crate::port::Clock;
use crate::{Symbol, Timestamp, Trade};
use barmill_sources::file::{FileFeedSettings, Format, TradeReader};
use barmill_sources::simulate::{
    Example, Fault, Recording, Simulator, SimulatorSettings, SimulatorStats,
};
use barmill_sources::venue::{Secret, Venue};
use clap::Args;
use std::io::{Write, stderr, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Which recording is served as which venue, and what goes wrong.
#[derive(Debug, Clone, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub(in crate::cli) struct SimulateArguments {
    /// Recordings, of any format that replay reads.
    #[arg(required = true, value_name = "RECORDING")]
    files: Vec<PathBuf>,
    #[arg(
        help = format!("The venue to simulate: {}", source_choices()),
        long,
        value_name = "NAME",
        value_parser = source_name
    )]
    venue: SourceName,
    /// Speed of its clock: a multiple such as 10x, or max, which is as fast as the clients read.
    #[arg(long, default_value = "1x", value_parser = Speed::take)]
    speed: Speed,
    /// Address for REST and WebSocket; port 0 chooses a free port.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9630")]
    listen: SocketAddr,
    /// Serve only these symbols; for files that name no symbol, the symbol of all trades.
    #[arg(long = "symbol", value_name = "A,B", value_delimiter = ',')]
    symbols: Vec<Symbol>,
    /// Format of the recordings [replay.format]
    #[arg(long)]
    format: Option<String>,
    /// Shift the recording in time so that it starts now; above 1x, so that its end is played at the time of its last trade.
    #[arg(long)]
    now: bool,
    /// Start the clock at the first subscription; always so at max.
    #[arg(long)]
    wait: bool,
    /// Exit at the end of the recording, when the clients have disconnected or five seconds have passed.
    #[arg(long)]
    once: bool,
    /// Inject a fault, KIND=VALUE or KIND=VALUE@SEED; may be repeated. Of N: drop, duplicate,
    /// reorder, late, garbage, refuse, 429, error, cut; first N: auth; above N: limit, slow; every N or
    /// TIME: disconnect, stall, silence; by TIME: lag, delay. N is a count, TIME such as 500ms or 5s
    #[arg(long = "fault", value_name = "KIND=VALUE")]
    faults: Vec<String>,
    /// Seed of the faults without a seed of their own.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Most trades in memory, at 88 bytes each.
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    trades_max: usize,
    /// Print one JSON object with all counts at the end.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shared: Shared,
}

/// Shifts are whole seconds, so that no venue's clock rounds a shifted trade otherwise.
const SECOND_NS: i64 = 1_000_000_000;
const HOUR_NS: i64 = 3_600 * SECOND_NS;
/// Symbols of the printed commands at most.
const SYMBOLS_MAX: usize = 20;
/// The farthest that a daemon catches up, hours.
const CATCH_UP_HOURS_MAX: i64 = 30 * 24;

/// The recording does not fit.
#[derive(Debug, thiserror::Error)]
#[error("the recording has more than {max} trades; --trades-max allows more, at 88 bytes each")]
struct TooMany {
    max: usize,
}

/// Serves the recording until a signal, or its end.
pub(super) async fn run(
    arguments: &SimulateArguments,
    config: &Config,
) -> Result<Exit, CommandError> {
    let faults: Result<Vec<Fault>, _> = arguments
        .faults
        .iter()
        .map(|text| Fault::or_seed(text, arguments.seed))
        .collect();
    let faults = match faults {
        Ok(faults) => faults,
        Err(error) => return Ok(complain("take --fault", &error, Exit::Usage)),
    };
    let venue = arguments.venue;
    let (mut trades, format) = read(arguments, config).await?;
    let is_foreign = has_foreign_conditions(venue, format);
    if is_foreign {
        for trade in &mut trades {
            (trade.conditions, trade.venue) = (crate::Conditions::NONE, 0);
        }
    }
    let recording = tokio::task::spawn_blocking(move || Recording::new(venue, trades));
    let mut recording = recording.await??;
    if arguments.now {
        recording.shift(shift(&recording, arguments.speed));
    }
    let speed = match arguments.speed {
        Speed::Max => None,
        Speed::Times(thousandths) => Some(thousandths),
    };
    let settings = SimulatorSettings {
        speed,
        waits: arguments.wait,
        faults,
        once: arguments.once,
        ..SimulatorSettings::default()
    };
    let now = SystemClock.now();
    let simulator = Simulator::bind(arguments.listen, recording, settings).await?;
    let view = simulator.view();
    if is_foreign {
        writeln!(
            stderr(),
            "The recording's conditions are none of {}'s and are left out.",
            venue.name
        )?;
    }
    let banner = banner(view.recording(), arguments.speed, simulator.address(), now);
    stdout().write_all(banner.as_bytes())?;
    stdout().flush()?;
    let stats = tokio::select! {
        biased;
        () = signals::first() => view.stats(),
        stats = simulator.run() => stats,
    };
    report(arguments, stats)?;
    Ok(Exit::Drained)
}

/// Whether the numbers of the recording's conditions are another vendor's; a recording of barmill's own names no vendor
/// and is believed.
fn has_foreign_conditions(venue: &Venue, format: Option<Format>) -> bool {
    let is_foreign = |vendor| vendor != venue.name;
    venue.is_us_equity() && format.is_none_or(|format| format.vendor().is_some_and(is_foreign))
}

async fn read(
    arguments: &SimulateArguments,
    config: &Config,
) -> Result<(Vec<Trade>, Option<Format>), CommandError> {
    let format = match &arguments.format {
        Some(format) => Format::choice(format)?,
        None => config.replay.format.format(),
    };
    let symbols = (!arguments.symbols.is_empty()).then(|| arguments.symbols.clone());
    let settings = FileFeedSettings {
        format,
        symbols,
        on_bad_row: config.replay.on_bad_row,
        ..FileFeedSettings::new(arguments.files.clone())
    };
    let max = arguments.trades_max;
    let reading = tokio::task::spawn_blocking(move || -> Result<_, CommandError> {
        let mut reader = TradeReader::new(settings);
        let format = reader.format()?;
        let mut trades = Vec::new();
        for batch in reader {
            trades.extend(batch?);
            if max < trades.len() {
                return Err(TooMany { max }.into());
            }
        }
        Ok((trades, format))
    });
    reading.await?
}

/// Nanoseconds to move the recording by, so that no trade is ahead of the wall clock when it is sent: up to the speed of
/// the wall clock it starts now, faster it ends when it has been played.
fn shift(recording: &Recording, speed: Speed) -> i64 {
    let now = SystemClock.now();
    let (first, last) = recording.span();
    let span = last.since(first);
    let played = i64::try_from(speed.wall_ns(u64::try_from(span).unwrap_or(0))).unwrap_or(i64::MAX);
    let start = now.saturating_sub(span.saturating_sub(played).max(0));
    start
        .since(first)
        .div_euclid(SECOND_NS)
        .saturating_mul(SECOND_NS)
}

/// What is printed at the start: where the venue listens, and how it is used.
fn banner(recording: &Recording, speed: Speed, address: SocketAddr, now: Timestamp) -> String {
    let (venue, symbols) = (recording.venue(), recording.symbols());
    let (name, simulation, len) = (venue.name, &venue.simulation, recording.len());
    let more = match symbols.len().saturating_sub(SYMBOLS_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let first = symbols.first().map_or("", |symbol| symbol.as_str());
    let symbols = symbols
        .iter()
        .take(SYMBOLS_MAX)
        .map(|symbol| symbol.as_str());
    let symbols = symbols.collect::<Vec<_>>().join(",");
    let renumbered = match recording.renumbered() {
        0 => String::new(),
        count => format!("Trades of {count} symbols are numbered anew, from 1\n"),
    };
    let (from, to) = recording.span();
    let catch_up = match now.since(from).div_euclid(HOUR_NS) + 1 {
        hours @ 1..=CATCH_UP_HOURS_MAX => format!("{hours}h"),
        _ => "none".to_owned(),
    };
    let (path, query) = (simulation.socket_path, simulation.socket_query);
    let (rest, ws) = (
        format!("http://{address}"),
        format!("ws://{address}{path}{query}"),
    );
    let setting = |(key, value): &(_, _)| format!(" --set source.{name}.{key}={value}");
    let extra: String = simulation.client_settings.iter().map(setting).collect();
    let key = |secret: &Secret| format!("{}=any ", secret.variable);
    let keys: String = venue.secrets.iter().map(key).collect();
    let curl = (simulation.example)(&Example {
        base_url: &rest,
        symbol: first,
        span: (from, to),
    });
    format!(
        "Playing {name} at {speed}: {len} trades of {symbols}{more}, {from} to {to}\n{renumbered}\
         REST       {rest}\nWebSocket  {ws}\n\n{curl}\n\n\
         {keys}barmill run --source {name} --symbol {symbols} --catch-up {catch_up} \
         --set source.{name}.base_url={rest} --set source.{name}.ws_url='{ws}'{extra}\n"
    )
}

fn report(arguments: &SimulateArguments, stats: SimulatorStats) -> Result<(), CommandError> {
    if arguments.json {
        writeln!(stdout(), "{}", serde_json::to_value(stats)?)?;
        return Ok(());
    }
    let SimulatorStats {
        published,
        sent,
        connections,
        broken,
        requests,
        twisted,
        spoiled,
    } = stats;
    writeln!(
        stderr(),
        "Played {published} trades: {sent} sent over {connections} connections, {requests} requests answered; \
         faults broke {broken} connections, twisted {twisted} trades and spoiled {spoiled} requests"
    )?;
    Ok(())
}
