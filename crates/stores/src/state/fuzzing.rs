//! Doors for the fuzz targets in `fuzz/`; no part of the API.

use super::row::{
    RowError, Timed, decode_budget, decode_dead, decode_recent, decode_timed, encode_budget,
    encode_dead, encode_timed, seal, unseal,
};
use barmill_core::model::WriteItem;

/// The row of each table that these bytes are, written again; an error is its text.
///
/// With `is_sealed` the bytes lack the checksum, which is put before them.
pub fn rows(bytes: &[u8], is_sealed: bool) -> [Result<Vec<u8>, String>; 4] {
    let sealed = |table: &str| {
        if is_sealed {
            seal(table, &[7], |out| out.extend_from_slice(bytes))
        } else {
            bytes.to_vec()
        }
    };
    let text = |error: RowError| error.to_string();
    let spool = unseal("spool", &[7], &sealed("spool"), decode_timed);
    let dead = unseal("dead_letters", &[7], &sealed("dead_letters"), decode_dead);
    let recent = unseal("recent", &[7], &sealed("recent"), decode_recent);
    let budget = unseal("meta", &[7], &sealed("meta"), decode_budget);
    let write = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        encode(&mut out);
        out
    };
    [
        spool
            .map(|Timed { time, item }| write(&|out| encode_timed(time, &item, out)))
            .map_err(text),
        dead.map(|letter| write(&|out| encode_dead(&letter, out)))
            .map_err(text),
        recent
            .map(|(time, update)| write(&|out| encode_timed(time, &WriteItem::Bar(update), out)))
            .map_err(text),
        budget
            .map(|used| write(&|out| encode_budget(used, out)))
            .map_err(text),
    ]
}
