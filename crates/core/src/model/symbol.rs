//! Symbols: interned names with a dense number.
//!
//! A symbol is its number, which indexes the per-symbol tables of the engine without a look at the name.
//! Names are never forgotten, so their count is bounded: a feed of garbage ends in an error, not in exhausted
//! memory.

use foldhash::fast::FixedState;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{OnceLock, PoisonError, RwLock};

/// Symbols one process can name.
pub(super) const SYMBOLS_MAX: usize = 1 << 20;
/// Bytes of the longest symbol.
pub(super) const SYMBOL_LEN_MAX: usize = 32;

/// Why a text is not a symbol.
///
/// See the example of [`Symbol`](crate::model::Symbol).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    /// Empty, or longer than 32 bytes.
    #[error("symbol has {len} bytes, allowed are 1 to {SYMBOL_LEN_MAX}")]
    Length {
        /// Bytes of the refused text.
        len: usize,
    },
    /// A byte outside letters, digits and `.:/_-+=^$#`.
    #[error("byte {offset} of the symbol is not a letter, a digit or one of .:/_-+=^$#")]
    Byte {
        /// Bytes before the offending one.
        offset: usize,
    },
    /// The process has seen 1,048,576 different symbols.
    #[error("more than {SYMBOLS_MAX} different symbols")]
    TooMany,
}

/// Names in one block of the name table.
const BLOCK_LEN: usize = 1 << 12;

type Block = Box<[OnceLock<Box<str>>]>;

/// An instrument's name, 1 to 32 bytes of letters, digits and `.:/_-+=^$#`.
///
/// Ordered by name, so that output sorted by symbol does not depend on the order of arrival.
///
/// ```
/// # mod barmill { pub use barmill_core::model::*; }
/// use barmill::Symbol;
/// let symbol: Symbol = "BRK.B".parse()?;
/// assert_eq!(symbol, Symbol::intern(b"BRK.B")?);
/// assert!("BTC USD".parse::<Symbol>().is_err());
/// # Ok::<(), barmill_core::model::SymbolError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Symbol(u32);

static TABLE: RwLock<HashMap<&'static [u8], Symbol, FixedState>> =
    RwLock::new(HashMap::with_hasher(FixedState::with_seed(0)));

/// The names by number, in blocks that are never moved, so that reading one takes no lock.
static NAMES: [OnceLock<Block>; SYMBOLS_MAX / BLOCK_LEN] =
    [const { OnceLock::new() }; SYMBOLS_MAX / BLOCK_LEN];

impl Symbol {
    /// Returns the symbol of a name, new or known.
    ///
    /// # Errors
    /// [`SymbolError`] when the name is no symbol, or the table is full.
    pub fn intern(name: &[u8]) -> Result<Symbol, SymbolError> {
        if let Some(symbol) = TABLE
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
        {
            return Ok(*symbol);
        }
        let text = check(name)?;
        let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(symbol) = table.get(name) {
            return Ok(*symbol);
        }
        let index = table.len();
        let symbol = u32::try_from(index)
            .map(Symbol)
            .map_err(|_| SymbolError::TooMany)?;
        let block = NAMES.get(index / BLOCK_LEN).ok_or(SymbolError::TooMany)?;
        let block = block.get_or_init(|| {
            std::iter::repeat_with(OnceLock::new)
                .take(BLOCK_LEN)
                .collect()
        });
        let name = block[index % BLOCK_LEN].get_or_init(|| text.into());
        table.insert(name.as_bytes(), symbol);
        Ok(symbol)
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        let block = NAMES[self.index() / BLOCK_LEN].get();
        // A symbol is made after its name, so it always has one.
        block
            .and_then(|block| block[self.index() % BLOCK_LEN].get())
            .map_or("", |name| name)
    }

    /// The dense number of this symbol in this process, from 0 in order of first sight.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

fn check(name: &[u8]) -> Result<&str, SymbolError> {
    if name.is_empty() || name.len() > SYMBOL_LEN_MAX {
        return Err(SymbolError::Length { len: name.len() });
    }
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b".:/_-+=^$#".contains(byte);
    match name.iter().position(|byte| !allowed(byte)) {
        Some(offset) => Err(SymbolError::Byte { offset }),
        None => std::str::from_utf8(name).map_err(|error| SymbolError::Byte {
            offset: error.valid_up_to(),
        }),
    }
}

impl FromStr for Symbol {
    type Err = SymbolError;

    fn from_str(text: &str) -> Result<Symbol, SymbolError> {
        Symbol::intern(text.as_bytes())
    }
}

impl Ord for Symbol {
    fn cmp(&self, other: &Symbol) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for Symbol {
    fn partial_cmp(&self, other: &Symbol) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Symbol, SymbolError};

    #[test]
    fn one_name_is_one_symbol_and_order_is_by_name() {
        let zeta: Symbol = "ZETA".parse().unwrap();
        let alpha: Symbol = "ALPHA".parse().unwrap();
        assert_eq!(zeta, "ZETA".parse().unwrap());
        assert_ne!(zeta.index(), alpha.index());
        assert!(alpha < zeta);
    }

    #[test]
    fn names_that_could_break_a_key_are_refused() {
        assert_eq!("".parse::<Symbol>(), Err(SymbolError::Length { len: 0 }));
        assert_eq!(
            "A\r\nB".parse::<Symbol>(),
            Err(SymbolError::Byte { offset: 1 })
        );
        assert_eq!(
            "A{B}".parse::<Symbol>(),
            Err(SymbolError::Byte { offset: 1 })
        );
        assert_eq!(
            "X".repeat(33).parse::<Symbol>(),
            Err(SymbolError::Length { len: 33 })
        );
    }
}
