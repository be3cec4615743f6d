//! The names of the file layouts.

use std::fmt;
use std::str::FromStr;

/// The layout of a file's trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// Told from the first block of each file.
    #[default]
    Auto,
    /// Massive trades flat file, stocks or crypto, or its REST answer as CSV.
    MassiveCsv,
    /// Massive `/v3/trades` REST answer, also inside `data`.
    MassiveJson,
    /// Binance public data, trades, spot or futures.
    BinanceTrades,
    /// Binance public data, aggregated trades, spot or futures.
    BinanceAggTrades,
    /// Recorded Binance WebSocket frames, one per line behind the receive time.
    BinanceWs,
    /// Kraken `/0/public/Trades` REST answer.
    KrakenJson,
    /// LEAN equity ticks.
    LeanTick,
    /// barmill's own recording.
    Recording,
}

/// A word that names no layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no file format; known are {}", Format::NAMES)]
pub struct FormatError {
    /// The word.
    pub word: String,
}

impl Format {
    /// Every layout, in the order of its documentation.
    pub const ALL: [Format; 9] = [
        Format::Auto,
        Format::MassiveCsv,
        Format::MassiveJson,
        Format::BinanceTrades,
        Format::BinanceAggTrades,
        Format::BinanceWs,
        Format::KrakenJson,
        Format::LeanTick,
        Format::Recording,
    ];

    pub(super) const NAMES: &str = "auto, massive-csv, massive-json, binance-trades, binance-aggtrades, \
                                    binance-ws, kraken-json, lean-tick, recording";

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Auto => "auto",
            Format::MassiveCsv => "massive-csv",
            Format::MassiveJson => "massive-json",
            Format::BinanceTrades => "binance-trades",
            Format::BinanceAggTrades => "binance-aggtrades",
            Format::BinanceWs => "binance-ws",
            Format::KrakenJson => "kraken-json",
            Format::LeanTick => "lean-tick",
            Format::Recording => "recording",
        }
    }
}

impl Format {
    /// Whether the trades are of US equities, whose day is New York's.
    pub const fn is_us_equity(self) -> bool {
        match self {
            Format::MassiveCsv | Format::MassiveJson | Format::LeanTick => true,
            Format::Auto
            | Format::BinanceTrades
            | Format::BinanceAggTrades
            | Format::BinanceWs
            | Format::KrakenJson
            | Format::Recording => false,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(word: &str) -> Result<Format, FormatError> {
        Format::ALL
            .into_iter()
            .find(|format| format.name() == word)
            .ok_or_else(|| FormatError {
                word: word.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn every_name_is_listed_and_parses_back() {
        let names: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
        assert_eq!(names.join(", "), Format::NAMES);
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert!("csv".parse::<Format>().is_err());
    }
}
