//! Symbol and date out of the names of a file.
//!
//! Owns the naming customs of single-symbol files: Binance `BTCUSDT-trades-2025-01-01.csv`, LEAN
//! `20131007_spy_Trade_Tick.csv` inside `.../tick/spy/20131007_trade.zip`.

use barmill_core::model::Symbol;
use jiff::civil::Date;
use std::path::{Path, PathBuf};

/// The symbol in front of `-trades-` or `-aggTrades-`.
pub(super) fn binance_symbol(names: &[PathBuf]) -> Option<Symbol> {
    names.iter().find_map(|path| {
        let name = path.file_name()?.to_str()?;
        let end = name.find("-trades").or_else(|| name.find("-aggTrades"))?;
        Symbol::intern(&name.as_bytes()[..end]).ok()
    })
}

/// The symbol of a LEAN entry, or of the folder its zip lies in; in capitals.
pub(super) fn lean_symbol(names: &[PathBuf]) -> Option<Symbol> {
    let symbol = names
        .iter()
        .find_map(|path| entry_symbol(path))
        .or_else(|| {
            let folder = names.last()?.parent()?;
            let resolution = folder.parent()?.file_name()?;
            if resolution == "tick" {
                Some(folder.file_name()?.to_str()?.to_owned())
            } else {
                None
            }
        })?;
    Symbol::intern(symbol.to_ascii_uppercase().as_bytes()).ok()
}

fn entry_symbol(path: &Path) -> Option<String> {
    let mut words = path.file_name()?.to_str()?.split('_');
    let _date = parse_date(words.next()?)?;
    let symbol = words.next()?;
    // The outer name `20131007_trade.zip` has no third word.
    words.next().map(|_| symbol.to_owned())
}

/// The first word of eight digits that is a date.
pub(super) fn date(names: &[PathBuf]) -> Option<Date> {
    names.iter().find_map(|path| {
        let name = path.file_name()?.to_str()?;
        name.split(|byte: char| !byte.is_ascii_alphanumeric())
            .find_map(parse_date)
    })
}

fn parse_date(word: &str) -> Option<Date> {
    if word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_digit()) {
        word.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{binance_symbol, date, lean_symbol};
    use barmill_core::model::Symbol;
    use std::path::PathBuf;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn binance_names_start_with_the_symbol() {
        let symbol = |name| binance_symbol(&paths(&[name])).map(Symbol::as_str);
        assert_eq!(
            symbol("data/BTCUSDT-trades-2025-01-01.csv"),
            Some("BTCUSDT")
        );
        assert_eq!(
            symbol("BTCUSD_PERP-aggTrades-2025-01.zip"),
            Some("BTCUSD_PERP")
        );
        assert_eq!(symbol("trades.csv"), None);
    }

    #[test]
    fn lean_names_hold_symbol_and_date() {
        let names = paths(&[
            "20131007_spy_Trade_Tick.csv",
            "equity/usa/tick/spy/20131007_trade.zip",
        ]);
        assert_eq!(lean_symbol(&names).map(Symbol::as_str), Some("SPY"));
        assert_eq!(
            date(&names).map(|date| date.to_string()),
            Some("2013-10-07".into())
        );
        let outer = paths(&["ticks.csv", "equity/usa/tick/brk.b/20131007_trade.zip"]);
        assert_eq!(lean_symbol(&outer).map(Symbol::as_str), Some("BRK.B"));
        assert_eq!(
            date(&outer).map(|date| date.to_string()),
            Some("2013-10-07".into())
        );
        assert_eq!(lean_symbol(&paths(&["20131007_trade.csv"])), None);
        assert_eq!(date(&paths(&["20131399_spy_Trade_Tick.csv"])), None);
    }
}
