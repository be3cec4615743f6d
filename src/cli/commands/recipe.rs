//! What a simulated venue prints at its start: where it listens, and how it is used.

use crate::Timestamp;
use crate::cli::SimulateArguments;
use barmill_sources::simulate::{Tape, Venue};
use std::net::SocketAddr;

/// Symbols of the printed commands at most.
const SYMBOLS_MAX: usize = 20;
/// The farthest that a daemon catches up, hours.
const CATCH_UP_HOURS_MAX: i64 = 30 * 24;

/// The words at the start, but for the address.
#[derive(Debug)]
pub(super) struct Recipe {
    venue: Venue,
    symbols: Vec<&'static str>,
    symbols_len: usize,
    len: usize,
    span: (Timestamp, Timestamp),
    renumbered: usize,
    speed: String,
    catch_up: String,
}

pub(super) fn of(tape: &Tape, arguments: &SimulateArguments, now: Timestamp) -> Recipe {
    let span = tape.span();
    let hours = now.since(span.0).div_euclid(3_600_000_000_000) + 1;
    let is_near = (1..=CATCH_UP_HOURS_MAX).contains(&hours);
    Recipe {
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

impl Recipe {
    pub(super) fn text(&self, address: SocketAddr) -> String {
        let (name, symbols) = (self.venue.name(), self.symbols.join(","));
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
        let (path, keys) = self.live();
        let (rest, ws) = (format!("http://{address}"), format!("ws://{address}{path}"));
        let extra = match self.venue {
            Venue::Binance => " --set source.binance.trades=single",
            Venue::Massive | Venue::Alpaca | Venue::Coinbase | Venue::Kraken => "",
        };
        let (speed, len, catch_up, curl) =
            (&self.speed, self.len, &self.catch_up, self.curl(&rest));
        format!(
            "Playing {name} at {speed}: {len} trades of {symbols}{more}, {from} to {to}\n{renumbered}\
             REST       {rest}\nWebSocket  {ws}\n\n{curl}\n\n\
             {keys}barmill run --source {name} --symbol {symbols} --catch-up {catch_up} \
             --set source.{name}.base_url={rest} --set source.{name}.ws_url='{ws}'{extra}\n"
        )
    }

    /// The path of the WebSocket, and the keys that a client must have; any will do.
    fn live(&self) -> (&'static str, &'static str) {
        match self.venue {
            Venue::Massive => ("/stocks", "MASSIVE_API_KEY=any "),
            Venue::Alpaca => ("/v2/sip", "APCA_API_KEY_ID=any APCA_API_SECRET_KEY=any "),
            Venue::Binance => ("/stream?timeUnit=MICROSECOND", ""),
            Venue::Coinbase => ("/", ""),
            Venue::Kraken => ("/v2", ""),
        }
    }

    /// A request for the first trades of the first symbol.
    fn curl(&self, rest: &str) -> String {
        let symbol = self.symbols.first().copied().unwrap_or_default();
        let (from, to) = self.span;
        match self.venue {
            Venue::Massive => format!(
                "curl -H 'Authorization: Bearer any' '{rest}/v3/trades/{symbol}?timestamp.gte={}&order=asc&limit=3'",
                from.as_nanos()
            ),
            Venue::Alpaca => format!(
                "curl -H 'APCA-API-KEY-ID: any' -H 'APCA-API-SECRET-KEY: any' \
                 '{rest}/v2/stocks/trades?symbols={symbol}&start={from}&end={to}&limit=3'"
            ),
            Venue::Binance => format!(
                "curl '{rest}/api/v3/aggTrades?symbol={symbol}&startTime={}&limit=3'",
                from.as_millis()
            ),
            Venue::Coinbase => format!("curl '{rest}/products/{symbol}/trades?limit=3'"),
            Venue::Kraken => {
                format!(
                    "curl '{rest}/0/public/Trades?pair={symbol}&since={}&count=3'",
                    from.as_nanos().saturating_sub(1)
                )
            }
        }
    }
}
