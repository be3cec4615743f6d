//! Entry points for the fuzz targets in `fuzz/`; not part of the API.

use super::body::Body;
use super::error::PageError;
use super::link::{follow, parse_base};
pub use super::page_walk::Page;
use super::progress::SymbolRange;
use super::settings::HistorySettings;

/// Decodes one body as several pages in a row, each asked for where the one before points.
///
/// With `piece_len` the body is also read while it arrives, in pieces of that many bytes, where the venue does that.
///
/// # Errors
/// [`PageError`] of the last page; the pages before it come first.
pub fn pages(
    settings: &HistorySettings,
    range: SymbolRange,
    body: &[u8],
    count: usize,
    piece_len: Option<usize>,
) -> (Vec<Page>, Result<(), PageError>) {
    let Ok(base) = parse_base(&settings.base_url) else {
        return (Vec::new(), Ok(()));
    };
    let skip = settings.skip_malformed;
    let walk = (range, body, count, skip, piece_len);
    match (settings.venue.venue().open_history)(&base, &settings.venue) {
        Ok(venue) => venue.walk(walk),
        Err(_) => (Vec::new(), Ok(())),
    }
}

/// Collects and unpacks a body that arrives in chunks.
///
/// # Errors
/// [`PageError`] when it is too long, or does not unpack.
pub fn expand(
    encoding: Option<&[u8]>,
    chunks: &[&[u8]],
    bytes_max: usize,
) -> Result<Vec<u8>, PageError> {
    let mut body = Body::new(encoding, bytes_max)?;
    for chunk in chunks {
        body.push(chunk)?;
    }
    body.finish()
}

/// The address of a link found in the reply from `asked`; `None` when `asked` is none itself.
///
/// # Errors
/// [`PageError::Link`] when it leads elsewhere.
pub fn link(asked: &str, link: &str) -> Option<Result<String, PageError>> {
    let asked = asked.parse().ok()?;
    Some(follow(&asked, link).map(|url| url.to_string()))
}
