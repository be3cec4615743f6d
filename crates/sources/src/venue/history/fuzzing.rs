//! Entry points for the fuzz targets in `fuzz/`; not part of the API.

use super::body::Body;
use super::error::PageError;
use super::link::{follow, parse_base};
use super::page::{Next, Reply, Walk};
use super::progress::SymbolRange;
use super::settings::HistorySettings;
use barmill_core::model::Trade;

/// What one page says.
#[derive(Debug)]
pub struct Page {
    /// Its trades.
    pub trades: Vec<Trade>,
    /// Rows on the wire.
    pub read: usize,
    /// Rows left out.
    pub malformed: u64,
    /// The address of the next page; `None` when the interval is whole.
    pub next: Option<String>,
}

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
    let mut pages = Vec::new();
    let Ok(base) = parse_base(&settings.base_url) else {
        return (pages, Ok(()));
    };
    let mut walk = Walk::new(settings, &base, range);
    while pages.len() < count && pages.last().is_none_or(|page: &Page| page.next.is_some()) {
        match page(&mut walk, body, piece_len) {
            Ok(page) => pages.push(page),
            Err(fault) => return (pages, Err(fault)),
        }
    }
    (pages, Ok(()))
}

fn page(walk: &mut Walk, body: &[u8], piece_len: Option<usize>) -> Result<Page, PageError> {
    let mut stream = piece_len.and_then(|_| walk.protocol.stream(&walk.asked));
    if let (Some(stream), Some(len)) = (&mut stream, piece_len) {
        (0..body.len())
            .step_by(len.max(1))
            .chain([body.len()])
            .for_each(|end| stream.read(&body[..end]));
    }
    let body = body.to_vec();
    let (rows, next) = walk.decode(&mut Reply { body, stream })?;
    let next = match next {
        Next::Done => None,
        Next::Cursor { .. } | Next::Restart { .. } | Next::Step | Next::Look => {
            Some(walk.protocol.request(&walk.asked)?.url.to_string())
        }
    };
    Ok(Page {
        trades: rows.trades,
        read: rows.read,
        malformed: rows.malformed,
        next,
    })
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
