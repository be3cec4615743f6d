//! The messages to a venue and its expected answers. Each venue defines its own in its `live.rs`.

use super::decoder::Decoder;
use super::settings::LiveSettings;
use barmill_core::model::Symbol;
use secrecy::SecretString;
use serde_json::Value;

/// The number of confirmations that make a subscription whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// One per symbol.
    Symbols(usize),
    /// One per message.
    Messages(usize),
}

impl Expected {
    /// One for each symbol of these messages.
    pub(crate) fn symbols(chunks: &[&[&str]]) -> Expected {
        Expected::Symbols(chunks.iter().map(|chunk| chunk.len()).sum())
    }
}

/// One venue's part, for one connection's symbols.
#[derive(Debug)]
pub(crate) struct Script {
    /// Whether the venue speaks first.
    pub(crate) is_greeted: bool,
    /// What proves who we are.
    pub(crate) auth: Option<SecretString>,
    /// What asks for the trades.
    pub(crate) subscribe: Vec<String>,
    /// What the venue must answer to that.
    pub(crate) expected: Expected,
    /// A ping of the venue's own; otherwise the protocol's is sent.
    pub(crate) ping: Option<String>,
    /// How its frames are read.
    pub(crate) decoder: Decoder,
}

impl Script {
    /// The part for some symbols, or for everything.
    pub(crate) fn new(settings: &LiveSettings, symbols: Option<&[Symbol]>) -> Script {
        let names: Vec<&str> = symbols.map_or_else(
            || vec!["*"],
            |all| all.iter().map(|one| one.as_str()).collect(),
        );
        let chunks: Vec<&[&str]> = names.chunks(settings.symbols_per_message_max).collect();
        (settings.venue.venue().write_script)(&settings.venue, &chunks)
    }

    /// A venue that greets, wants proof of who we are, and then confirms each symbol.
    pub(crate) fn secret(
        auth: &Value,
        subscribe: Vec<String>,
        expected: Expected,
        decoder: Decoder,
    ) -> Script {
        let auth = Some(SecretString::from(auth.to_string()));
        Script {
            is_greeted: true,
            auth,
            subscribe,
            expected,
            ping: None,
            decoder,
        }
    }

    /// A venue that anyone may listen to, and that confirms each message.
    pub(crate) fn open(subscribe: Vec<String>, ping: Option<String>, decoder: Decoder) -> Script {
        let expected = Expected::Messages(subscribe.len());
        Script {
            is_greeted: false,
            auth: None,
            subscribe,
            expected,
            ping,
            decoder,
        }
    }
}
