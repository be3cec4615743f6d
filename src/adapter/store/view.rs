//! Views: how a bar lies in the store. Configuration, not code.
//!
//! Owns the kinds, their default templates, and the checks that keep two bars from sharing one place.
//! Deliberately does not know any store. The key forms are fixed, since readers in other languages use them:
//!
//! | view | key | field | default value |
//! |---|---|---|---|
//! | `symbol-day` | `bars:{spec}:{date}:{symbol}` | `{time}` | full JSON |
//! | `minute` | `bars:{spec}:{date}:{time}` | `{symbol}` | full JSON |
//! | `key-per-bar` | `intraday:{namespace}:{date}:{symbol}:{time}` | none | JSON of the six names |
//! | manifest | `manifest:{namespace}:{spec}:{date}` | `{symbol}` | JSON |

use super::stamp::{Stamp, push_date};
use super::template::{Filling, Placeholder, Template, TemplateError, push_display};
use crate::model::{BarKey, BarSpec};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::fmt;
use std::str::FromStr;

/// Seconds a key lives unless the settings say otherwise: 2 hours.
pub const TTL_S_DEFAULT: u64 = 7_200;
/// Seconds of the longest life a key can be given: 10 years.
pub const TTL_S_MAX: u64 = 315_360_000;
const NAMESPACE_LEN_MAX: usize = 64;

/// The shape of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ViewKind {
    /// One hash per spec, date and symbol; a field per bar.
    SymbolDay,
    /// One hash per spec, date and time; a field per symbol.
    Minute,
    /// One string per bar.
    KeyPerBar,
}

impl ViewKind {
    const ALL: [ViewKind; 3] = [ViewKind::SymbolDay, ViewKind::Minute, ViewKind::KeyPerBar];

    /// The kind's name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            ViewKind::SymbolDay => "symbol-day",
            ViewKind::Minute => "minute",
            ViewKind::KeyPerBar => "key-per-bar",
        }
    }

    const fn templates(self) -> (&'static str, Option<&'static str>) {
        match self {
            ViewKind::SymbolDay => ("bars:{spec}:{date}:{symbol}", Some("{time}")),
            ViewKind::Minute => ("bars:{spec}:{date}:{time}", Some("{symbol}")),
            ViewKind::KeyPerBar => ("intraday:{namespace}:{date}:{symbol}:{time}", None),
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
        found.ok_or_else(|| ViewError::Kind { kind: text.to_owned() })
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
    #[error("view {kind:?} is not one of symbol-day minute key-per-bar")]
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
        "{part} template {template:?} of the {kind} view needs {{{place}}}, or different bars overwrite each other"
    )]
    Missing {
        /// Where it is missing: `key`, `field`, or `key or field`.
        part: &'static str,
        /// The view's kind.
        kind: ViewKind,
        /// The template, key and field joined by a space when both could hold it.
        template: String,
        /// The placeholder's name.
        place: &'static str,
    },
    /// A placeholder that makes the view another kind.
    #[error(
        "key template {template:?} of the {kind} view must not have {{{place}}}; it belongs into the field"
    )]
    Misplaced {
        /// The view's kind.
        kind: ViewKind,
        /// The template.
        template: String,
        /// The placeholder's name.
        place: &'static str,
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
    #[error("namespace {namespace:?} is not 1 to {NAMESPACE_LEN_MAX} letters, digits or one of _-.")]
    Namespace {
        /// The refused text.
        namespace: String,
    },
    /// A life of nothing or beyond ten years.
    #[error("ttl of {seconds} s is not 1 to {TTL_S_MAX}; leave it out for keys that stay")]
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
    /// Template of the key.
    pub key: Template,
    /// Template of the field; `None` exactly for `key-per-bar`.
    pub field: Option<Template>,
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
    /// The defaults of a kind: its templates, TTL 7200 s, namespace `default`.
    ///
    /// # Errors
    /// [`ViewError::Template`] never happens, since the templates are fixed.
    pub fn new(kind: ViewKind, zone: TimeZone) -> Result<ViewSettings, ViewError> {
        let (key, field) = kind.templates();
        let parse = |part, text: &str| {
            text.parse::<Template>().map_err(|source| ViewError::Template { part, kind, source })
        };
        let value = match kind {
            ViewKind::SymbolDay | ViewKind::Minute => ValueForm::JsonFull,
            ViewKind::KeyPerBar => ValueForm::JsonSix,
        };
        Ok(ViewSettings {
            kind,
            key: parse("key", key)?,
            field: field.map(|text| parse("field", text)).transpose()?,
            value,
            ttl_s: Some(TTL_S_DEFAULT),
            namespace: "default".to_owned(),
            zone,
        })
    }
}

/// A checked view: distinct bars have distinct places.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    settings: ViewSettings,
}

impl View {
    /// Checks the settings for the specs that will be written or read; with one spec `{spec}` may be left out.
    ///
    /// # Errors
    /// [`ViewError`] names the template, the placeholder and what to change.
    pub fn new(settings: ViewSettings, specs: &[BarSpec]) -> Result<View, ViewError> {
        check_plain(&settings)?;
        check_places(&settings)?;
        if specs.len() > 1 && !holds(&settings, Placeholder::Spec) {
            return Err(missing(&settings, "key or field", Placeholder::Spec));
        }
        Ok(View { settings })
    }

    /// The settings this view was made of.
    pub fn settings(&self) -> &ViewSettings {
        &self.settings
    }

    /// Where a bar lies: its key, and its field where the key is a hash.
    pub fn place(&self, bar: &BarKey) -> (String, Option<String>) {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stamp, mut key, mut field) = (self.stamp(bar), Vec::new(), Vec::new());
        self.push_key(&mut key, bar, &stamp);
        self.push_field(&mut field, bar, &stamp);
        (text(key), self.settings.field.is_some().then(|| text(field)))
    }

    pub(super) fn stamp(&self, bar: &BarKey) -> Stamp {
        Stamp::of(bar.start, bar.spec, &self.settings.zone)
    }

    pub(super) fn push_key(&self, out: &mut Vec<u8>, bar: &BarKey, stamp: &Stamp) {
        self.settings.key.push(out, &self.filling(bar, stamp));
    }

    pub(super) fn push_field(&self, out: &mut Vec<u8>, bar: &BarKey, stamp: &Stamp) {
        if let Some(field) = &self.settings.field {
            field.push(out, &self.filling(bar, stamp));
        }
    }

    pub(super) fn push_manifest_key(&self, out: &mut Vec<u8>, spec: BarSpec, date: Date) {
        out.extend_from_slice(b"manifest:");
        out.extend_from_slice(self.settings.namespace.as_bytes());
        out.push(b':');
        push_display(out, spec);
        out.push(b':');
        push_date(out, date);
    }

    fn filling<'a>(&'a self, bar: &BarKey, stamp: &'a Stamp) -> Filling<'a> {
        let BarKey { symbol, spec, start } = *bar;
        Filling { namespace: &self.settings.namespace, spec, symbol, start, stamp }
    }
}

fn check_plain(settings: &ViewSettings) -> Result<(), ViewError> {
    let namespace = &settings.namespace;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if !(1..=NAMESPACE_LEN_MAX).contains(&namespace.len()) || !namespace.bytes().all(allowed) {
        return Err(ViewError::Namespace { namespace: namespace.clone() });
    }
    if let Some(seconds) = settings.ttl_s
        && !(1..=TTL_S_MAX).contains(&seconds)
    {
        return Err(ViewError::Ttl { seconds });
    }
    let wanted = settings.kind != ViewKind::KeyPerBar;
    if wanted != settings.field.is_some() {
        return Err(ViewError::Field { kind: settings.kind, wanted });
    }
    Ok(())
}

fn check_places(settings: &ViewSettings) -> Result<(), ViewError> {
    let kind = settings.kind;
    let misplaced = |place: Placeholder| ViewError::Misplaced {
        kind,
        template: settings.key.to_string(),
        place: place.as_str(),
    };
    let (in_key, in_field): (&[Placeholder], &[Placeholder]) = match kind {
        ViewKind::SymbolDay => (&[Placeholder::Symbol, Placeholder::Date], &[Placeholder::Time]),
        ViewKind::Minute => (&[Placeholder::Date, Placeholder::Time], &[Placeholder::Symbol]),
        ViewKind::KeyPerBar => (&[Placeholder::Symbol, Placeholder::Date, Placeholder::Time], &[]),
    };
    for place in in_field {
        if says(&settings.key, *place) {
            return Err(misplaced(*place));
        }
        if !settings.field.as_ref().is_some_and(|field| says(field, *place)) {
            return Err(missing(settings, "field", *place));
        }
    }
    match in_key.iter().find(|place| !says(&settings.key, **place)) {
        Some(place) => Err(missing(settings, "key", *place)),
        None => Ok(()),
    }
}

/// Whether the template tells the place; `{start}` tells both date and time.
fn says(template: &Template, place: Placeholder) -> bool {
    let by_start = match place {
        Placeholder::Date | Placeholder::Time => template.has(Placeholder::Start),
        Placeholder::Namespace | Placeholder::Spec | Placeholder::Symbol | Placeholder::Start => false,
    };
    by_start || template.has(place)
}

fn holds(settings: &ViewSettings, place: Placeholder) -> bool {
    says(&settings.key, place) || settings.field.as_ref().is_some_and(|field| says(field, place))
}

fn missing(settings: &ViewSettings, part: &'static str, place: Placeholder) -> ViewError {
    let field = settings.field.as_ref().map(ToString::to_string).unwrap_or_default();
    let template = match part {
        "key" => settings.key.to_string(),
        "field" => field,
        _ => format!("{} {field}", settings.key).trim_end().to_owned(),
    };
    ViewError::Missing { part, kind: settings.kind, template, place: place.as_str() }
}

#[cfg(test)]
mod tests {
    use super::{View, ViewError, ViewKind, ViewSettings};
    use jiff::tz::TimeZone;

    fn settings(kind: ViewKind, key: &str, field: Option<&str>) -> ViewSettings {
        let mut settings = ViewSettings::new(kind, TimeZone::UTC).unwrap();
        settings.key = key.parse().unwrap();
        settings.field = field.map(|text| text.parse().unwrap());
        settings
    }

    fn error(kind: ViewKind, key: &str, field: Option<&str>) -> String {
        let specs = ["1m".parse().unwrap(), "5m".parse().unwrap()];
        View::new(settings(kind, key, field), &specs).unwrap_err().to_string()
    }

    #[test]
    fn a_template_that_lets_bars_overwrite_each_other_is_refused_by_name() {
        for (kind, key, field, part) in [
            (ViewKind::SymbolDay, "b:{spec}:{symbol}", Some("{time}"), "needs {date}"),
            (ViewKind::SymbolDay, "b:{spec}:{symbol}:{date}", Some("x"), "needs {time}"),
            (ViewKind::SymbolDay, "b:{symbol}:{date}", Some("{time}"), "needs {spec}"),
            (ViewKind::SymbolDay, "b:{spec}:{symbol}:{date}:{time}", Some("{time}"), "must not have {time}"),
            (ViewKind::SymbolDay, "b:{spec}:{symbol}:{date}", None, "needs a field template"),
            (ViewKind::Minute, "b:{spec}:{time}", Some("{symbol}"), "needs {date}"),
            (ViewKind::Minute, "b:{spec}:{date}:{time}", Some("{spec}"), "needs {symbol}"),
            (ViewKind::KeyPerBar, "b:{spec}:{symbol}:{date}", None, "needs {time}"),
        ] {
            let error = error(kind, key, field);
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn start_stands_for_date_and_time_and_one_spec_needs_no_place() {
        let made = settings(ViewKind::KeyPerBar, "b:{symbol}:{start}", None);
        assert!(View::new(made, &["1m".parse().unwrap()]).is_ok());
    }

    #[test]
    fn namespace_and_ttl_are_checked() {
        let mut made = settings(ViewKind::KeyPerBar, "b:{symbol}:{start}", None);
        made.ttl_s = Some(0);
        assert_eq!(View::new(made.clone(), &[]), Err(ViewError::Ttl { seconds: 0 }));
        made.ttl_s = None;
        made.namespace = "a:b".to_owned();
        assert!(matches!(View::new(made, &[]), Err(ViewError::Namespace { .. })));
    }
}
