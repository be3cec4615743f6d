//! View settings: the layout of bars in the store.
//!
//! Owns the kinds, their default templates and what can be wrong with them; the checks are in `view`. The key forms are fixed, since readers in other languages use them:
//!
//! | view | key | field | default value |
//! |---|---|---|---|
//! | `symbol-day` | `bars:{spec}:{date}:{symbol}` | `{time}` | full JSON |
//! | `minute` | `bars:{spec}:{date}:{time}` | `{symbol}` | full JSON |
//! | `key-per-bar` | `intraday:{namespace}:{date}:{symbol}:{time}` | none | JSON of the six names |
//! | `stream` | `bars:{spec}:{symbol}` | none | full JSON, see `stream` |
//! | `publish` | channel `bars:{namespace}` | none | a notice per flush, see `notification` |
//! | manifest | `manifest:{namespace}:{spec}:{date}` | `{symbol}` | JSON |
//!
//! In a namespace other than [`NAMESPACE_DEFAULT`], `bars:` is followed by `{namespace}:` in each of them, so that
//! two namespaces share no key.

use super::template::{Template, TemplateError};
use jiff::tz::TimeZone;
use std::fmt;
use std::str::FromStr;

/// Entries of a stream unless the settings say otherwise: 25 days of regular minutes.
pub const STREAM_LEN_MAX_DEFAULT: u64 = 10_000;
/// Seconds a key lives unless the settings say otherwise: 2 hours.
pub const TTL_S_DEFAULT: u64 = 7_200;
/// Seconds of the longest life a key can be given: 10 years.
pub const TTL_S_MAX: u64 = 315_360_000;
/// The namespace whose bars lie at keys that do not name it.
pub const NAMESPACE_DEFAULT: &str = "barmill";
pub(crate) const NAMESPACE_LEN_MAX: usize = 64;

/// The shape of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ViewKind {
    /// One hash per spec, date and symbol; a field per bar.
    SymbolDay,
    /// One hash per spec, date and time; a field per symbol.
    Minute,
    /// One string per bar.
    KeyPerBar,
    /// One stream per spec and symbol; an entry per closed update of a bar.
    Stream,
    /// One message per batch on a channel; keeps nothing.
    Publish,
}

impl ViewKind {
    pub(crate) const ALL: [ViewKind; 5] = [
        ViewKind::SymbolDay,
        ViewKind::Minute,
        ViewKind::KeyPerBar,
        ViewKind::Stream,
        ViewKind::Publish,
    ];

    /// The kind's name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            ViewKind::SymbolDay => "symbol-day",
            ViewKind::Minute => "minute",
            ViewKind::KeyPerBar => "key-per-bar",
            ViewKind::Stream => "stream",
            ViewKind::Publish => "publish",
        }
    }

    /// The template of keys in a namespace, unless one is given; of the channel for `publish`.
    pub fn key_template(self, namespace: &str) -> &'static str {
        match (self, namespace == NAMESPACE_DEFAULT) {
            (ViewKind::SymbolDay, true) => "bars:{spec}:{date}:{symbol}",
            (ViewKind::SymbolDay, false) => "bars:{namespace}:{spec}:{date}:{symbol}",
            (ViewKind::Minute, true) => "bars:{spec}:{date}:{time}",
            (ViewKind::Minute, false) => "bars:{namespace}:{spec}:{date}:{time}",
            (ViewKind::KeyPerBar, _) => "intraday:{namespace}:{date}:{symbol}:{time}",
            (ViewKind::Stream, true) => "bars:{spec}:{symbol}",
            (ViewKind::Stream, false) => "bars:{namespace}:{spec}:{symbol}",
            (ViewKind::Publish, _) => "bars:{namespace}",
        }
    }

    /// The template of fields, unless one is given; `None` where a bar is a key of its own.
    pub const fn field_template(self) -> Option<&'static str> {
        match self {
            ViewKind::SymbolDay => Some("{time}"),
            ViewKind::Minute => Some("{symbol}"),
            ViewKind::KeyPerBar | ViewKind::Stream | ViewKind::Publish => None,
        }
    }
}

impl fmt::Display for ViewKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ViewKind {
    type Err = ViewError;

    fn from_str(text: &str) -> Result<ViewKind, ViewError> {
        let found = ViewKind::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| ViewError::Kind {
            kind: text.to_owned(),
        })
    }
}

/// What a stored value holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueForm {
    /// A JSON object with every part of the bar.
    JsonFull,
    /// A JSON object with `timestamp`, `open`, `high`, `low`, `close`, `volume` only.
    JsonSix,
    /// The text `open,high,low,close,volume`.
    Csv,
}

/// Why view settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// No known kind.
    #[error("view {kind:?} is not one of symbol-day minute key-per-bar stream publish")]
    Kind {
        /// The refused text.
        kind: String,
    },
    /// A template that does not parse.
    #[error("{part} template of the {kind} view cannot be read")]
    Template {
        /// `key` or `field`.
        part: &'static str,
        /// The view's kind.
        kind: ViewKind,
        /// The cause.
        #[source]
        source: TemplateError,
    },
    /// A placeholder whose absence would let two bars share one place.
    #[error(
        "{part} template {template:?} of the {kind} view needs {{{placeholder}}}, or different bars overwrite each other"
    )]
    Missing {
        /// Where it is missing: `key`, `field`, or `key or field`.
        part: &'static str,
        /// The view's kind.
        kind: ViewKind,
        /// The template, key and field joined by a space when both could hold it.
        template: String,
        /// The placeholder's name.
        placeholder: &'static str,
    },
    /// A placeholder that makes the view another kind.
    #[error(
        "key template {template:?} of the {kind} view must not have {{{placeholder}}}; it belongs in the field"
    )]
    Misplaced {
        /// The view's kind.
        kind: ViewKind,
        /// The template.
        template: String,
        /// The placeholder's name.
        placeholder: &'static str,
    },
    /// A placeholder that would give each bar a stream, or each symbol a channel, of its own.
    #[error(
        "{kind} template {template:?} must not have {{{placeholder}}}, or followers cannot follow"
    )]
    Scattered {
        /// The view's kind.
        kind: ViewKind,
        /// The template.
        template: String,
        /// The placeholder's name.
        placeholder: &'static str,
    },
    /// A stream beside a stream, or a channel beside a channel.
    #[error("the {kind} view cannot be combined with another {kind} view")]
    Twice {
        /// The view's kind.
        kind: ViewKind,
    },
    /// A hash view without a field template, or a string view with one.
    #[error("the {kind} view {}", if *.wanted { "needs a field template" } else { "has no field template" })]
    Field {
        /// The view's kind.
        kind: ViewKind,
        /// Whether one is needed.
        wanted: bool,
    },
    /// A namespace that could break a key.
    #[error(
        "namespace {namespace:?} is not 1 to {NAMESPACE_LEN_MAX} letters, digits or one of _-."
    )]
    Namespace {
        /// The refused text.
        namespace: String,
    },
    /// A namespace that reads like a spec, so that its keys could be those of another namespace.
    #[error("namespace {namespace:?} reads like a bar spec; take another name")]
    NamespaceIsSpec {
        /// The refused text.
        namespace: String,
    },
    /// A life of nothing or beyond ten years.
    #[error("ttl of {seconds} s is not 1 to {TTL_S_MAX}; leave it out for keys that never expire")]
    Ttl {
        /// The refused seconds.
        seconds: u64,
    },
}

/// How bars lie in the store, as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewSettings {
    /// The shape.
    pub kind: ViewKind,
    /// Template of the key; of the channel for `publish`.
    pub key: Template,
    /// Template of the field; `Some` exactly for `symbol-day` and `minute`.
    pub field: Option<Template>,
    /// Key template of a stream that is written beside the view; `None` for none.
    pub also_stream: Option<Template>,
    /// Channel template of notices that are published beside the view; `None` for none.
    pub also_publish: Option<Template>,
    /// Entries that a stream keeps at least before old ones go (`MAXLEN ~`), above zero; `None` keeps all.
    pub stream_len_max: Option<u64>,
    /// What a value holds.
    pub value: ValueForm,
    /// Seconds a key lives after its last write, 1 to [`TTL_S_MAX`]; `None` for ever.
    pub ttl_s: Option<u64>,
    /// Fills `{namespace}`: 1 to 64 letters, digits or `_-.`.
    pub namespace: String,
    /// The zone of `{date}` and `{time}`.
    pub zone: TimeZone,
}

impl ViewSettings {
    /// The defaults of a kind: its templates, TTL 7200 s, namespace [`NAMESPACE_DEFAULT`].
    ///
    /// # Errors
    /// [`ViewError::Template`] never happens, since the templates are fixed.
    pub fn new(kind: ViewKind, zone: TimeZone) -> Result<ViewSettings, ViewError> {
        ViewSettings::in_namespace(kind, NAMESPACE_DEFAULT, zone)
    }

    /// The defaults of a kind in a namespace, whose templates then name it.
    ///
    /// # Errors
    /// [`ViewError::Template`] never happens, since the templates are fixed.
    pub fn in_namespace(
        kind: ViewKind,
        namespace: &str,
        zone: TimeZone,
    ) -> Result<ViewSettings, ViewError> {
        let (key, field) = (kind.key_template(namespace), kind.field_template());
        let parse = |part, text: &str| {
            text.parse::<Template>()
                .map_err(|source| ViewError::Template { part, kind, source })
        };
        let value = match kind {
            ViewKind::SymbolDay | ViewKind::Minute | ViewKind::Stream | ViewKind::Publish => {
                ValueForm::JsonFull
            }
            ViewKind::KeyPerBar => ValueForm::JsonSix,
        };
        Ok(ViewSettings {
            kind,
            key: parse("key", key)?,
            field: field.map(|text| parse("field", text)).transpose()?,
            also_stream: None,
            also_publish: None,
            stream_len_max: Some(STREAM_LEN_MAX_DEFAULT),
            value,
            ttl_s: Some(TTL_S_DEFAULT),
            namespace: namespace.to_owned(),
            zone,
        })
    }
}
