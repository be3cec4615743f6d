//! Entry points for the fuzz targets in `fuzz/`; not part of the API.

use crate::key_store::port::CommandResult;
use crate::layout::settings::ValueForm;
use crate::layout::stored::{self, StoredBar, StoredManifest, ValueError};
use crate::layout::value;
use crate::upstash::reply;
use barmill_core::model::{BarSpec, BarUpdate, Manifest, Symbol, Timestamp};
use jiff::civil::Date;

/// Decodes the answer of the REST API to `expected` commands; the error is its text.
///
/// # Errors
/// When the fate of the commands cannot be told from the answer.
pub fn answer(status: u16, body: &[u8], expected: usize) -> Result<Vec<CommandResult>, String> {
    reply::decode(status, body, expected).map_err(|error| error.to_string())
}

/// Decodes the value of a bar.
///
/// # Errors
/// [`ValueError`] names the part.
pub fn bar(
    value: &[u8],
    symbol: Symbol,
    spec: BarSpec,
    start: Option<Timestamp>,
) -> Result<StoredBar, ValueError> {
    stored::decode_bar(value, symbol, spec, start)
}

/// Decodes the value of a manifest.
///
/// # Errors
/// [`ValueError`] names the part.
pub fn manifest(
    value: &[u8],
    symbol: Symbol,
    spec: BarSpec,
    date: Date,
) -> Result<StoredManifest, ValueError> {
    stored::decode_manifest(value, symbol, spec, date)
}

/// The value of a bar.
pub fn value_of_bar(update: &BarUpdate, form: ValueForm) -> Vec<u8> {
    let mut out = Vec::new();
    value::push_value(&mut out, update, form);
    out
}

/// The value of a manifest.
pub fn value_of_manifest(manifest: &Manifest, updated_at: Timestamp) -> Vec<u8> {
    let mut out = Vec::new();
    value::push_manifest(&mut out, manifest, updated_at);
    out
}
