//! What every record decoder gives, and the symbols of a file.

use super::error::{Fault, ValueError};
use barmill_core::model::{Symbol, Trade};
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// Turns one record (a line, a JSON row) into a trade.
pub(super) trait RecordDecoder {
    /// `None` for a record that is well-formed and no trade. `ordinal` is the record's number within the
    /// feed, the order of venues that give none.
    fn decode(&mut self, record: &[u8], ordinal: u64) -> Result<Option<Trade>, Fault>;
}

/// The symbols seen, in front of the shared table and its lock; the last one first of all.
#[derive(Debug, Clone)]
pub(super) struct SymbolCache {
    last: Option<Symbol>,
    seen: HashMap<&'static [u8], Symbol, FixedState>,
}

impl Default for SymbolCache {
    fn default() -> SymbolCache {
        SymbolCache {
            last: None,
            seen: HashMap::with_hasher(FixedState::with_seed(0)),
        }
    }
}

impl SymbolCache {
    #[inline]
    pub(super) fn get(&mut self, field: &'static str, name: &[u8]) -> Result<Symbol, Fault> {
        if let Some(last) = self.last
            && last.as_str().as_bytes() == name
        {
            return Ok(last);
        }
        let symbol = if let Some(symbol) = self.seen.get(name) {
            *symbol
        } else {
            let symbol = Symbol::intern(name)
                .map_err(|error| Fault::new(field, name, ValueError::from(error)))?;
            self.seen.insert(symbol.as_str().as_bytes(), symbol);
            symbol
        };
        self.last = Some(symbol);
        Ok(symbol)
    }
}
