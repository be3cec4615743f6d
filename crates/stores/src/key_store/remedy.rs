//! Maps a store's failure to its remedy.
//!
//! Owns the table from error text and HTTP status to [`Remedy`]. The body speaks first and the status second,
//! since Upstash answers an exhausted quota with 400 and a failed command with 200. Sources: error texts measured
//! on Redis 7.0.15; the Upstash documentation (redis/troubleshooting, 2026-08) and replies recorded by its users.

use barmill_core::model::Timestamp;
use barmill_core::port::{ItemError, Remedy};
use jiff::fmt::rfc2822::DateTimeParser;
use std::time::Duration;

/// The longest wait that a store can ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_mins(5);
/// Bytes of a store's words that are kept.
const REASON_LEN_MAX: usize = 300;

const AGAIN: Remedy = Remedy::Retry { after: None };

/// First words of Redis errors.
const CODES: [(&str, Remedy); 26] = [
    // Another writer has taken over, see `fence`.
    ("FENCED", Remedy::Fatal),
    // Another pipeline owns the bars, see `owner`.
    ("OWNED", Remedy::Fatal),
    ("NOAUTH", Remedy::Fatal),
    ("WRONGPASS", Remedy::Fatal),
    ("NOPERM", Remedy::Fatal),
    ("DENIED", Remedy::Fatal),
    ("UNAUTHORIZED", Remedy::Fatal),
    // A cluster node; this client speaks to a single server.
    ("MOVED", Remedy::Fatal),
    ("ASK", Remedy::Fatal),
    ("CROSSSLOT", Remedy::Fatal),
    ("WRONGTYPE", Remedy::Refuse),
    ("READONLY", Remedy::Reconnect),
    ("UNBLOCKED", Remedy::Reconnect),
    ("LOADING", AGAIN),
    ("BUSY", AGAIN),
    ("OOM", AGAIN),
    ("MASTERDOWN", AGAIN),
    ("CLUSTERDOWN", AGAIN),
    ("TRYAGAIN", AGAIN),
    ("NOREPLICAS", AGAIN),
    ("NOGOODSLAVE", AGAIN),
    ("MISCONF", AGAIN),
    ("NOSCRIPT", AGAIN),
    ("INPROG", AGAIN),
    ("IOERR", AGAIN),
    ("EXECABORT", AGAIN),
];

/// Phrases inside errors that begin with `ERR` or with no code; the first that occurs counts.
const PHRASES: [(&str, Remedy); 19] = [
    ("max requests limit exceeded", Remedy::Pause),
    ("max daily request limit exceeded", Remedy::Pause),
    ("max concurrent connections", AGAIN),
    ("max number of clients", AGAIN),
    ("db capacity quota exceeded", AGAIN),
    ("max request size exceeded", Remedy::Refuse),
    ("max single record size exceeded", Remedy::Refuse),
    ("max key size exceeded", Remedy::Refuse),
    ("invalid bulk length", Remedy::Refuse),
    ("unknown command", Remedy::Fatal),
    ("command is not available", Remedy::Fatal),
    ("invalid password", Remedy::Fatal),
    ("without any password configured", Remedy::Fatal),
    ("operation not permitted", Remedy::Fatal),
    ("unauthorized", Remedy::Fatal),
    ("invalid or missing auth token", Remedy::Fatal),
    ("connection", AGAIN),
    ("timeout", AGAIN),
    ("timed out", AGAIN),
];

/// What the store's words call for; `None` when they are not known.
fn known(text: &str) -> Option<Remedy> {
    let code = text.split([' ', ':', '\'']).next().unwrap_or_default();
    if let Some((_, remedy)) = CODES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(code))
    {
        return Some(*remedy);
    }
    let lower = text.to_ascii_lowercase();
    PHRASES
        .iter()
        .find(|(phrase, _)| lower.contains(phrase))
        .map(|(_, remedy)| *remedy)
}

/// What the error of one command calls for.
///
/// An unknown `ERR` is about the command, so it is set aside; any other unknown word is retried.
pub fn remedy_of_text(text: &str) -> Remedy {
    let refused = || {
        if text.starts_with("ERR") {
            Remedy::Refuse
        } else {
            AGAIN
        }
    };
    known(text).unwrap_or_else(refused)
}

/// The error of one command.
pub(crate) fn item_error(text: &str) -> ItemError {
    let reason = shorten(text);
    let code = text.split(' ').next().unwrap_or_default();
    ItemError {
        remedy: remedy_of_text(text),
        reason: if ["MOVED", "ASK", "CROSSSLOT"].contains(&code) {
            format!(
                "{reason} (this server is a node of a Redis Cluster, and barmill speaks to one server that holds all keys: \
                 use a server or database without cluster mode, or a proxy that hides the nodes)"
            )
        } else {
            reason
        },
    }
}

/// What an HTTP answer with a status other than 200 calls for; `error` is the `error` of its JSON body.
pub fn remedy_of_http(status: u16, error: Option<&str>, retry_after: Option<Duration>) -> Remedy {
    let remedy = error
        .and_then(known)
        .unwrap_or_else(|| remedy_of_status(status, error.is_some()));
    match remedy {
        Remedy::Retry { .. } => Remedy::Retry { after: retry_after },
        Remedy::Reconnect | Remedy::Pause | Remedy::Refuse | Remedy::Fatal => remedy,
    }
}

fn remedy_of_status(status: u16, is_json: bool) -> Remedy {
    match status {
        400 if is_json => Remedy::Refuse,
        413 => Remedy::Refuse,
        400 | 408 | 421 | 425 | 429 | 500.. | ..300 => AGAIN,
        // A redirect, no such path, no such method, no access: the address or the token is wrong.
        300..500 => Remedy::Fatal,
    }
}

/// Reads `Retry-After`, seconds or an HTTP date, capped at [`RETRY_AFTER_MAX`]; `None` for anything else.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    }
    let date = DateTimeParser::new().parse_timestamp(value).ok()?;
    let wait = Timestamp::from_jiff(date).ok()?.since(now).max(0);
    Some(Duration::from_nanos(wait.unsigned_abs()).min(RETRY_AFTER_MAX))
}

/// Cuts a store's words to what a log line can take, without control characters.
pub(crate) fn shorten(text: &str) -> String {
    let mut end = text.len().min(REASON_LEN_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end]
        .chars()
        .map(|one| if one.is_control() { ' ' } else { one })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{
        AGAIN, RETRY_AFTER_MAX, item_error, remedy_of_http, remedy_of_text, retry_after, shorten,
    };
    use barmill_core::port::Remedy;
    use std::time::Duration;

    #[test]
    fn every_known_error_text_has_its_remedy() {
        for (text, remedy) in [
            ("NOAUTH Authentication required.", Remedy::Fatal),
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                Remedy::Fatal,
            ),
            ("WRONGPASS invalid or missing auth token", Remedy::Fatal),
            ("Unauthorized", Remedy::Fatal),
            (
                "NOPERM this user has no permissions to run the 'set' command",
                Remedy::Fatal,
            ),
            (
                "ERR unknown command 'HSET', with args beginning with: ",
                Remedy::Fatal,
            ),
            ("ERR Command is not available: HSET", Remedy::Fatal),
            ("ERR invalid password", Remedy::Fatal),
            (
                "FENCED number 1 of a is stale, b has number 2",
                Remedy::Fatal,
            ),
            ("MOVED 3999 127.0.0.1:6381", Remedy::Fatal),
            (
                "WRONGTYPE Operation against a key holding the wrong kind of value",
                Remedy::Refuse,
            ),
            (
                "ERR max request size exceeded. Limit: 10485760, Actual: 60000028",
                Remedy::Refuse,
            ),
            ("ERR max single record size exceeded", Remedy::Refuse),
            (
                "ERR max key size exceeded. Limit: 32768 bytes, Actual: 40000 bytes",
                Remedy::Refuse,
            ),
            ("ERR Protocol error: invalid bulk length", Remedy::Refuse),
            (
                "ERR wrong number of arguments for 'hset' command",
                Remedy::Refuse,
            ),
            (
                "ERR max requests limit exceeded. Limit: 500000, Usage: 500000. See https://upstash.com",
                Remedy::Pause,
            ),
            (
                "ERR max daily request limit exceeded. Limit: 10000, Usage: 10001.",
                Remedy::Pause,
            ),
            (
                "READONLY You can't write against a read only replica.",
                Remedy::Reconnect,
            ),
            ("LOADING Redis is loading the dataset in memory", AGAIN),
            (
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
                AGAIN,
            ),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                AGAIN,
            ),
            (
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
                AGAIN,
            ),
            ("CLUSTERDOWN Hash slot not served", AGAIN),
            (
                "TRYAGAIN Multiple keys request during rehashing of slot",
                AGAIN,
            ),
            ("NOREPLICAS Not enough good replicas to write.", AGAIN),
            (
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to",
                AGAIN,
            ),
            ("ERR max concurrent connections exceeded", AGAIN),
            ("ERR max number of clients reached", AGAIN),
            ("ERR DB capacity quota exceeded", AGAIN),
            ("ERR DB connection refused", AGAIN),
            ("SURPRISE of a later version", AGAIN),
        ] {
            assert_eq!(remedy_of_text(text), remedy, "{text}");
        }
    }

    #[test]
    fn the_body_speaks_before_the_status() {
        let quota = Some("ERR max requests limit exceeded. Limit: 500000, Usage: 500000.");
        let size = Some("ERR max request size exceeded. Limit: 52428800, Actual: 60000028");
        for (status, error, remedy) in [
            (400, quota, Remedy::Pause),
            (429, quota, Remedy::Pause),
            (413, size, Remedy::Refuse),
            (413, None, Remedy::Refuse),
            (
                400,
                Some("ERR failed to parse pipeline request"),
                Remedy::Refuse,
            ),
            (400, None, AGAIN),
            (401, Some("Unauthorized"), Remedy::Fatal),
            (401, None, Remedy::Fatal),
            (403, None, Remedy::Fatal),
            (301, None, Remedy::Fatal),
            (404, None, Remedy::Fatal),
            (405, None, Remedy::Fatal),
            (408, None, AGAIN),
            (425, None, AGAIN),
            (429, None, AGAIN),
            (500, Some("ERR something new"), AGAIN),
            (500, Some("READONLY You can't write"), Remedy::Reconnect),
            (502, None, AGAIN),
            (503, None, AGAIN),
            (529, None, AGAIN),
            (200, None, AGAIN),
        ] {
            assert_eq!(
                remedy_of_http(status, error, None),
                remedy,
                "{status} {error:?}"
            );
        }
    }

    #[test]
    fn the_wish_of_the_store_travels_with_a_retry_only() {
        let after = Some(Duration::from_secs(7));
        assert_eq!(remedy_of_http(429, None, after), Remedy::Retry { after });
        assert_eq!(remedy_of_http(401, None, after), Remedy::Fatal);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_capped() {
        let now = "2015-10-21T07:27:00Z".parse().unwrap();
        let seconds = |value: &str| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("1000000000"), Some(RETRY_AFTER_MAX.as_secs()));
        assert_eq!(
            seconds("99999999999999999999999"),
            Some(RETRY_AFTER_MAX.as_secs())
        );
        assert_eq!(seconds("Wed, 21 Oct 2015 07:28:00 GMT"), Some(60));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:20:00 GMT"), Some(0));
        assert_eq!(seconds("Wed, 21 Oct 2099 07:28:00 GMT"), Some(300));
        for value in ["", "-1", "1.5", "soon"] {
            assert_eq!(seconds(value), None, "{value}");
        }
    }

    #[test]
    fn node_of_a_cluster_says_what_it_is_and_what_to_do() {
        let error = item_error("MOVED 3999 127.0.0.1:6381");
        assert_eq!(error.remedy, Remedy::Fatal);
        assert!(error.reason.starts_with("MOVED 3999 ") && error.reason.contains("Redis Cluster"));
    }

    #[test]
    fn a_page_of_html_becomes_one_short_line() {
        let text = shorten(&format!("<html>\r\n{}", "é".repeat(400)));
        assert!(text.len() <= 300 && text.starts_with("<html>  é"));
    }
}
