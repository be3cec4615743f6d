//! The symbols of a file.

use super::error::{RecordError, ValueError};
use barmill_core::model::Symbol;
use foldhash::fast::FixedState;
use std::collections::HashMap;

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
    pub(super) fn get(&mut self, field: &'static str, name: &[u8]) -> Result<Symbol, RecordError> {
        if let Some(last) = self.last
            && last.as_str().as_bytes() == name
        {
            return Ok(last);
        }
        let symbol = if let Some(symbol) = self.seen.get(name) {
            *symbol
        } else {
            let symbol = Symbol::intern(name)
                .map_err(|error| RecordError::new(field, name, ValueError::from(error)))?;
            self.seen.insert(symbol.as_str().as_bytes(), symbol);
            symbol
        };
        self.last = Some(symbol);
        Ok(symbol)
    }
}
