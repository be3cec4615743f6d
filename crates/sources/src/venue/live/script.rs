//! The messages to a venue and its expected answers. Each venue defines its own in its `live.rs`.

use super::settings::LiveSettings;
use barmill_core::model::Symbol;
use secrecy::SecretString;
use serde_json::Value;

/// One venue's part, for one connection's symbols.
#[derive(Debug)]
pub(crate) struct Script {
    /// What proves who we are; a venue that wants it speaks first.
    pub(crate) auth: Option<SecretString>,
    /// What asks for the trades.
    pub(crate) subscribe: Vec<SecretString>,
    /// How many confirmations make the subscription whole.
    pub(crate) acks: usize,
    /// A ping of the venue's own; otherwise the protocol's is sent.
    pub(crate) ping: Option<SecretString>,
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

    /// A venue that anyone may listen to, and that confirms each message.
    pub(crate) fn open(subscribe: impl IntoIterator<Item = Value>) -> Script {
        let subscribe: Vec<SecretString> =
            subscribe.into_iter().map(|value| message(&value)).collect();
        Script {
            auth: None,
            acks: subscribe.len(),
            subscribe,
            ping: None,
        }
    }

    /// The same with a confirmation for each symbol of these messages.
    pub(crate) fn with_ack_per_symbol(self, chunks: &[&[&str]]) -> Script {
        Script {
            acks: chunks.iter().map(|chunk| chunk.len()).sum(),
            ..self
        }
    }
}

/// A message; it may hold a key.
pub(crate) fn message(value: &Value) -> SecretString {
    value.to_string().into()
}
