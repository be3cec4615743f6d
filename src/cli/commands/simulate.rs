//! `barmill simulate`: serves a recording as a venue, for demonstrations, tests and other clients.

use super::{banner, signals};
use crate::Trade;
use crate::cli::exit::{CommandError, Exit, complain};
use crate::cli::simulate_arguments::SimulateArguments;
use crate::config::{Config, Speed};
use crate::pipeline::clock::SystemClock;
use crate::port::Clock;
use barmill_sources::file::{FileFeedSettings, Format, TradeReader};
use barmill_sources::simulate::{Fault, Played, Simulator, SimulatorSettings, Tape};
use barmill_sources::venue::Venue;
use std::io::{Write, stderr, stdout};

/// Shifts are whole seconds, so that no venue's clock rounds a shifted trade otherwise.
const SECOND_NS: i64 = 1_000_000_000;

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
    let mut tape = tokio::task::spawn_blocking(move || Tape::new(venue, trades)).await??;
    if arguments.now {
        tape.shift(shift(&tape, arguments.speed));
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
    let recipe = banner::of(&tape, arguments, SystemClock.now());
    let simulator = Simulator::bind(arguments.listen, tape, settings).await?;
    let view = simulator.view();
    if is_foreign {
        writeln!(
            stderr(),
            "The recording's conditions are none of {}'s and are left out.",
            venue.name
        )?;
    }
    stdout().write_all(recipe.text(simulator.address()).as_bytes())?;
    stdout().flush()?;
    let played = tokio::select! {
        biased;
        () = signals::first() => view.played(),
        played = simulator.run() => played,
    };
    report(arguments, played)?;
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
fn shift(tape: &Tape, speed: Speed) -> i64 {
    let now = SystemClock.now();
    let (first, last) = tape.span();
    let span = last.since(first);
    let played = i64::try_from(speed.wall_ns(u64::try_from(span).unwrap_or(0))).unwrap_or(i64::MAX);
    let start = now.saturating_sub(span.saturating_sub(played).max(0));
    start
        .since(first)
        .div_euclid(SECOND_NS)
        .saturating_mul(SECOND_NS)
}

fn report(arguments: &SimulateArguments, played: Played) -> Result<(), CommandError> {
    let Played {
        published,
        sent,
        connections,
        broken,
        requests,
        twisted,
        spoiled,
    } = played;
    if arguments.json {
        let line = serde_json::json!({
            "published": published, "sent": sent, "connections": connections, "broken": broken,
            "requests": requests, "twisted": twisted, "spoiled": spoiled,
        });
        writeln!(stdout(), "{line}")?;
        return Ok(());
    }
    writeln!(
        stderr(),
        "Played {published} trades: {sent} sent over {connections} connections, {requests} requests answered; \
         faults broke {broken} connections, twisted {twisted} trades and spoiled {spoiled} requests"
    )?;
    Ok(())
}
