//! What all histories have in common.

use crate::venue::alpaca::simulate::rest as alpaca;
use crate::venue::binance::simulate::rest as binance;
use crate::venue::coinbase::simulate::rest as coinbase;
use crate::venue::kraken::simulate::rest as kraken;
use crate::venue::massive::simulate::rest as massive;
use crate::venue::simulate::tape::{Tape, Venue};
use hyper::header::HeaderMap;
use std::collections::HashMap;
use std::str::FromStr;

/// One request.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) tape: &'a Tape,
    /// Trades of the tape that the history has.
    pub(crate) visible: usize,
    /// Requests before this one.
    pub(crate) number: u64,
    /// Scheme, host and port as the client wrote them.
    pub(crate) base: String,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) headers: HeaderMap,
}

/// One reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn page(body: String) -> Reply {
        Reply {
            status: 200,
            headers: Vec::new(),
            body,
        }
    }

    pub(crate) fn status(status: u16, body: impl Into<String>) -> Reply {
        Reply {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }
}

impl Ask<'_> {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// A parameter as a number; an error names the parameter.
    pub(crate) fn number<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, &'static str> {
        self.get(name)
            .map(|text| text.parse().map_err(|_| name))
            .transpose()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The segments of the path.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect()
    }
}

/// Answers a request.
pub(crate) fn answer(ask: &Ask<'_>) -> Reply {
    match ask.tape.venue() {
        Venue::Massive => massive::answer(ask),
        Venue::Alpaca => alpaca::answer(ask),
        Venue::Binance => binance::answer(ask),
        Venue::Coinbase => coinbase::answer(ask),
        Venue::Kraken => kraken::answer(ask),
    }
}

/// How a venue says that there were too many requests.
pub(crate) fn too_many(venue: Venue) -> Reply {
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
