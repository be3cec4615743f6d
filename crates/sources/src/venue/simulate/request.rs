//! What the histories of all simulated venues share.

use crate::venue::simulate::recording::Tape;
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
