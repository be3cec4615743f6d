//! Entry points for the fuzz targets in `fuzz/`; not part of the API.

use super::codec::Field;
use super::row::{Recent, Timed, seal, unseal};
use barmill_core::engine::budget::BudgetUse;
use barmill_core::port::DeadLetter;

/// The row of each table that these bytes are, written again; an error is its text.
///
/// With `is_sealed` the bytes lack the checksum, which is put before them.
pub fn rows(bytes: &[u8], is_sealed: bool) -> [Result<Vec<u8>, String>; 4] {
    [
        again::<Timed>("spool", bytes, is_sealed),
        again::<DeadLetter>("dead_letters", bytes, is_sealed),
        again::<Recent>("recent", bytes, is_sealed),
        again::<BudgetUse>("meta", bytes, is_sealed),
    ]
}

fn again<T: Field>(table: &str, bytes: &[u8], is_sealed: bool) -> Result<Vec<u8>, String> {
    let value = if is_sealed {
        seal(table, &[7], |out| out.extend_from_slice(bytes))
    } else {
        bytes.to_vec()
    };
    let row: T = unseal(table, &[7], &value).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    row.put(&mut out);
    Ok(out)
}
