//! What all histories have in common.

use super::{alpaca, binance, coinbase, kraken, massive};
use crate::venue::tape::{Tape, Venue};
use hyper::header::HeaderMap;
use std::collections::HashMap;
use std::str::FromStr;

/// One request.
#[derive(Debug)]
pub(in super::super) struct Ask<'a> {
    pub(in super::super) tape: &'a Tape,
    /// Trades of the tape that the history has.
    pub(in super::super) visible: usize,
    /// Requests before this one.
    pub(in super::super) number: u64,
    /// Scheme, host and port as the client wrote them.
    pub(in super::super) base: String,
    pub(in super::super) path: String,
    pub(in super::super) query: HashMap<String, String>,
    pub(in super::super) headers: HeaderMap,
}

/// One reply.
#[derive(Debug)]
pub(in super::super) struct Reply {
    pub(in super::super) status: u16,
    pub(in super::super) headers: Vec<(&'static str, String)>,
    pub(in super::super) body: String,
}

impl Reply {
    pub(in super::super) fn page(body: String) -> Reply {
        Reply {
            status: 200,
            headers: Vec::new(),
            body,
        }
    }

    pub(in super::super) fn status(status: u16, body: impl Into<String>) -> Reply {
        Reply {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }
}

impl Ask<'_> {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// A parameter as a number; an error names the parameter.
    pub(super) fn number<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, &'static str> {
        self.get(name)
            .map(|text| text.parse().map_err(|_| name))
            .transpose()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The segments of the path.
    pub(super) fn segments(&self) -> Vec<&str> {
        self.path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect()
    }
}

/// Answers a request.
pub(in super::super) fn answer(ask: &Ask<'_>) -> Reply {
    match ask.tape.venue() {
        Venue::Massive => massive::answer(ask),
        Venue::Alpaca => alpaca::answer(ask),
        Venue::Binance => binance::answer(ask),
        Venue::Coinbase => coinbase::answer(ask),
        Venue::Kraken => kraken::answer(ask),
    }
}

/// How a venue says that there were too many requests.
pub(in super::super) fn too_many(venue: Venue) -> Reply {
    let (status, body) = match venue {
        Venue::Massive => (
            429,
            r#"{"status":"ERROR","request_id":"simulated","error":"You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue."}"#,
        ),
        Venue::Alpaca => (429, r#"{"message":"too many requests."}"#),
        Venue::Binance => (
            429,
            r#"{"code":-1003,"msg":"Too many requests; please use WebSocket Streams for live updates."}"#,
        ),
        Venue::Coinbase => (429, r#"{"message":"Public rate limit exceeded"}"#),
        Venue::Kraken => (200, r#"{"error":["EGeneral:Too many requests"]}"#),
    };
    let headers = if venue == Venue::Binance {
        vec![("retry-after", "1".to_owned())]
    } else {
        Vec::new()
    };
    Reply {
        headers,
        ..Reply::status(status, body)
    }
}
