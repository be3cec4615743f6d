//! `[view]`: the layout of bars in the store.
//!
//! Owns the form of a template. Default templates, and what fills them in, are the store's business.

use super::ValueError;
use super::section::{choice, section};
use super::value::{Setting, Show, Value, quoted};
use barmill_stores as store;
use std::fmt;

section! {
    /// How a bar lies in the store.
    View, "view" {
        /// The layout.
        kind: ViewKind = ViewKind::SymbolDay;
        /// What `{namespace}` stands for in templates; keeps two pipelines in one store apart.
        namespace: Namespace = Namespace(store::NAMESPACE_DEFAULT.to_owned());
        /// The key of a bar; none means that of the kind.
        key: Option<Template> = None;
        /// The field of a bar in its hash; none means that of the kind.
        field: Option<Template> = None;
        /// What is written beside the layout.
        also: AlsoViews = AlsoViews::default();
        /// The key of the stream, where there is one; none means that of the kind.
        stream_key: Option<Template> = None;
        /// Entries a stream keeps at least; 0 keeps all.
        stream_len_max: u64 = 10_000, 0..=1_000_000_000;
        /// The channel of notices, where there is one; none means that of the kind.
        channel: Option<Template> = None;
        /// The text of a bar.
        value: ValueFormat = ValueFormat::Json;
        /// Seconds until a key expires after its last write; 0 is never; up to ten years.
        ttl_s: u64 = 7_200, 0..=315_360_000;
    }
}

choice! {
    /// The layout of bars.
    ViewKind {
        /// One hash per symbol and day, one field per bar.
        SymbolDay = "symbol-day",
        /// One hash per window, one field per symbol.
        Minute = "minute",
        /// One string per bar.
        KeyPerBar = "key-per-bar",
        /// One stream per symbol, one entry per closed update.
        Stream = "stream",
        /// One message per batch on a channel; keeps no bar.
        Publish = "publish",
    }
}

choice! {
    /// What can be written beside a layout.
    AlsoView {
        /// A stream.
        Stream = "stream",
        /// Notices on a channel.
        Publish = "publish",
    }
}

/// What is written beside the layout, none twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlsoViews(Vec<AlsoView>);

impl AlsoViews {
    /// Whether it is written beside the layout.
    pub fn has(&self, view: AlsoView) -> bool {
        self.0.contains(&view)
    }

    /// The views, in the order of the config.
    pub fn as_slice(&self) -> &[AlsoView] {
        &self.0
    }
}

impl Show for AlsoViews {
    fn show(&self) -> String {
        let names: Vec<String> = self.0.iter().map(|view| quoted(view.as_str())).collect();
        format!("[{}]", names.join(", "))
    }
}

impl Setting for AlsoViews {
    fn read(value: &Value) -> Result<AlsoViews, ValueError> {
        let mut views = Vec::new();
        for text in value.texts()? {
            let view = AlsoView::read(&Value::Text(text.to_owned()))?;
            if views.contains(&view) {
                return Err(ValueError::Twice {
                    value: text.to_owned(),
                });
            }
            views.push(view);
        }
        Ok(AlsoViews(views))
    }
}

choice! {
    /// The text of a bar.
    ValueFormat {
        /// An object with `timestamp,open,high,low,close,volume` and exact decimals.
        Json = "json",
        /// `open,high,low,close,volume`, which fits Redis' compact encoding of small hashes.
        Csv = "csv",
    }
}

impl ViewKind {
    /// The view of the store.
    pub const fn stored(self) -> store::ViewKind {
        match self {
            ViewKind::SymbolDay => store::ViewKind::SymbolDay,
            ViewKind::Minute => store::ViewKind::Minute,
            ViewKind::KeyPerBar => store::ViewKind::KeyPerBar,
            ViewKind::Stream => store::ViewKind::Stream,
            ViewKind::Publish => store::ViewKind::Publish,
        }
    }

    /// The field template of the kind; `None` where a bar is a key of its own.
    pub const fn default_field(self) -> Option<&'static str> {
        self.stored().field_template()
    }
}

impl View {
    fn default_key(&self, kind: ViewKind) -> &'static str {
        kind.stored().key_template(self.namespace.as_str())
    }

    /// The key template in force; that of the channel for `publish`.
    pub fn key_template(&self) -> &str {
        let own = match self.kind {
            ViewKind::Stream => self.stream_key.as_ref().or(self.key.as_ref()),
            ViewKind::Publish => self.channel.as_ref().or(self.key.as_ref()),
            ViewKind::SymbolDay | ViewKind::Minute | ViewKind::KeyPerBar => self.key.as_ref(),
        };
        own.map_or(self.default_key(self.kind), Template::as_str)
    }

    /// Key template of a stream beside the layout.
    pub fn also_stream(&self) -> Option<&str> {
        let own = self
            .stream_key
            .as_ref()
            .map_or(self.default_key(ViewKind::Stream), Template::as_str);
        self.also.has(AlsoView::Stream).then_some(own)
    }

    /// Channel template of notices beside the layout.
    pub fn also_publish(&self) -> Option<&str> {
        let own = self
            .channel
            .as_ref()
            .map_or(self.default_key(ViewKind::Publish), Template::as_str);
        self.also.has(AlsoView::Publish).then_some(own)
    }

    /// The field template in force; `None` where a bar is a key of its own.
    pub fn field_template(&self) -> Option<&str> {
        let default = self.kind.default_field()?;
        Some(self.field.as_ref().map_or(default, Template::as_str))
    }
}

/// What templates may hold in braces.
pub(super) const PLACEHOLDERS: [&str; 5] = ["namespace", "spec", "date", "symbol", "time"];

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Braces around something that is no placeholder.
    #[error(
        "{{{name}}} is no placeholder, allowed is {{namespace}}, {{spec}}, {{date}}, {{symbol}} and {{time}}"
    )]
    Placeholder {
        /// What the braces hold.
        name: String,
    },
    /// A brace without its partner.
    #[error("the template {text:?} has a brace without its partner")]
    Brace {
        /// The refused text.
        text: String,
    },
    /// White space or a control character, which no key should hold.
    #[error("the text {text:?} holds white space or a control character")]
    Space {
        /// The refused text.
        text: String,
    },
    /// Nothing at all.
    #[error("the text is empty")]
    Empty,
}

/// A key or field with placeholders in braces; every brace is part of a known placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    /// The text with its placeholders.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Result<Template, TemplateError> {
        check_key_text(text)?;
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (name, after) = rest[at..]
                .strip_prefix('{')
                .and_then(|inside| inside.split_once('}'))
                .ok_or_else(|| TemplateError::Brace {
                    text: text.to_owned(),
                })?;
            if !PLACEHOLDERS.contains(&name) {
                return Err(TemplateError::Placeholder {
                    name: name.to_owned(),
                });
            }
            rest = after;
        }
        Ok(Template(text.to_owned()))
    }
}

fn check_key_text(text: &str) -> Result<(), TemplateError> {
    if text.is_empty() {
        return Err(TemplateError::Empty);
    }
    if text.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return Err(TemplateError::Space {
            text: text.to_owned(),
        });
    }
    Ok(())
}

impl Show for Template {
    fn show(&self) -> String {
        quoted(&self.0)
    }
}

impl Setting for Template {
    fn read(value: &Value) -> Result<Template, ValueError> {
        Ok(Template::parse(value.text()?)?)
    }
}

/// What `{namespace}` stands for: one or more characters, no white space, no brace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(String);

impl Namespace {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Show for Namespace {
    fn show(&self) -> String {
        quoted(&self.0)
    }
}

impl Setting for Namespace {
    fn read(value: &Value) -> Result<Namespace, ValueError> {
        let text = value.text()?;
        check_key_text(text)?;
        if text.contains(['{', '}']) {
            return Err(TemplateError::Brace {
                text: text.to_owned(),
            }
            .into());
        }
        Ok(Namespace(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Template, TemplateError, ViewKind};

    #[test]
    fn a_template_holds_known_placeholders_only() {
        assert!(Template::parse("a:{spec}:{date}:{symbol}:{time}:{namespace}").is_ok());
        let unknown = TemplateError::Placeholder {
            name: "ticker".to_owned(),
        };
        assert_eq!(Template::parse("a:{ticker}"), Err(unknown));
        for text in ["a:{spec", "a:spec}", "a:}{"] {
            assert!(
                matches!(Template::parse(text), Err(TemplateError::Brace { .. })),
                "{text}"
            );
        }
        assert!(matches!(
            Template::parse("a b"),
            Err(TemplateError::Space { .. })
        ));
    }

    #[test]
    fn every_default_template_is_a_template() {
        for kind in ViewKind::ALL {
            for namespace in ["barmill", "other"] {
                let key = kind.stored().key_template(namespace);
                assert!(Template::parse(key).is_ok(), "{key}");
                assert!(
                    namespace == "barmill" || key.contains("{namespace}"),
                    "{key}"
                );
            }
            assert!(
                kind.default_field()
                    .is_none_or(|field| Template::parse(field).is_ok())
            );
        }
    }
}
