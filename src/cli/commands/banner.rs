//! The start-up banner of a simulated venue: its address, and how to use it.

use crate::Timestamp;
use crate::cli::simulate_arguments::SimulateArguments;
use barmill_sources::simulate::{Example, Tape};
use barmill_sources::venue::{Secret, Venue};
use std::net::SocketAddr;

/// Symbols of the printed commands at most.
const SYMBOLS_MAX: usize = 20;
/// The farthest that a daemon catches up, hours.
const CATCH_UP_HOURS_MAX: i64 = 30 * 24;

/// The words at the start, but for the address.
#[derive(Debug)]
pub(super) struct Banner {
    venue: &'static Venue,
    symbols: Vec<&'static str>,
    symbols_len: usize,
    len: usize,
    span: (Timestamp, Timestamp),
    renumbered: usize,
    speed: String,
    catch_up: String,
}

pub(super) fn of(tape: &Tape, arguments: &SimulateArguments, now: Timestamp) -> Banner {
    let span = tape.span();
    let hours = now.since(span.0).div_euclid(3_600_000_000_000) + 1;
    let is_near = (1..=CATCH_UP_HOURS_MAX).contains(&hours);
    Banner {
        venue: tape.venue(),
        symbols: tape
            .symbols()
            .take(SYMBOLS_MAX)
            .map(crate::Symbol::as_str)
            .collect(),
        symbols_len: tape.symbols().count(),
        len: tape.len(),
        span,
        renumbered: tape.renumbered(),
        speed: arguments.speed.to_string(),
        catch_up: if is_near {
            format!("{hours}h")
        } else {
            "none".to_owned()
        },
    }
}

impl Banner {
    pub(super) fn text(&self, address: SocketAddr) -> String {
        let (name, symbols) = (self.venue.name, self.symbols.join(","));
        let (from, to) = self.span;
        let more = if self.symbols.len() < self.symbols_len {
            format!(" and {} more", self.symbols_len - self.symbols.len())
        } else {
            String::new()
        };
        let renumbered = match self.renumbered {
            0 => String::new(),
            count => format!("Trades of {count} symbols are numbered anew, from 1\n"),
        };
        let simulation = &self.venue.simulation;
        let (path, query) = (simulation.socket_path, simulation.socket_query);
        let (rest, ws) = (
            format!("http://{address}"),
            format!("ws://{address}{path}{query}"),
        );
        let setting = |(key, value)| format!(" --set source.{name}.{key}={value}");
        let extra: String = simulation
            .client_settings
            .iter()
            .copied()
            .map(setting)
            .collect();
        let key = |secret: &Secret| format!("{}=any ", secret.variable);
        let keys: String = self.venue.secrets.iter().map(key).collect();
        let curl = (simulation.example)(&Example {
            base_url: &rest,
            symbol: self.symbols.first().copied().unwrap_or_default(),
            span: self.span,
        });
        let (speed, len, catch_up) = (&self.speed, self.len, &self.catch_up);
        format!(
            "Playing {name} at {speed}: {len} trades of {symbols}{more}, {from} to {to}\n{renumbered}\
             REST       {rest}\nWebSocket  {ws}\n\n{curl}\n\n\
             {keys}barmill run --source {name} --symbol {symbols} --catch-up {catch_up} \
             --set source.{name}.base_url={rest} --set source.{name}.ws_url='{ws}'{extra}\n"
        )
    }
}
