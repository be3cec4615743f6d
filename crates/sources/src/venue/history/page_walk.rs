//! One body decoded as several pages in a row, for the fuzz targets.

use super::error::PageError;
use super::json::Rows;
use super::page::{HistoryProtocol, Next, Reply};
use super::progress::SymbolRange;
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

/// What is decoded: range, body, pages, whether bad rows are left out, and the length of the pieces it comes in.
pub(crate) type Walk<'a> = (SymbolRange, &'a [u8], usize, bool, Option<usize>);
/// What came of it.
pub(crate) type Walked = (Vec<Page>, Result<(), PageError>);

pub(crate) fn of<V: HistoryProtocol>(
    venue: &V,
    (range, body, count, skip_malformed, piece_len): Walk<'_>,
) -> Walked {
    let mut pages = Vec::new();
    let mut place = venue.start();
    let reply = Reply {
        body: body.to_vec(),
        stream: None,
    };
    for _ in 0..count {
        let mut stream = venue.stream(&range).filter(|_| piece_len.is_some());
        if let (Some(stream), Some(len)) = (&mut stream, piece_len) {
            (0..body.len())
                .step_by(len.max(1))
                .chain([body.len()])
                .for_each(|end| stream.read(&body[..end]));
        }
        let mut rows = Rows {
            skip_malformed,
            stream,
            ..Rows::default()
        };
        let next = match venue.decode(&range, &place, &reply, &mut rows) {
            Ok(Next::Done) => None,
            Ok(
                Next::Cursor { place, .. }
                | Next::Restart { place, .. }
                | Next::Step(place)
                | Next::Look(place),
            ) => Some(place),
            Err(fault) => return (pages, Err(fault)),
        };
        let address = match next
            .as_ref()
            .map(|place| venue.request(&range, place))
            .transpose()
        {
            Ok(request) => request.map(|request| request.url.to_string()),
            Err(fault) => return (pages, Err(fault)),
        };
        let Rows {
            trades,
            read,
            malformed,
            ..
        } = rows;
        pages.push(Page {
            trades,
            read,
            malformed,
            next: address,
        });
        match next {
            Some(next) => place = next,
            None => break,
        }
    }
    (pages, Ok(()))
}
