//! `[view]`: the layout of bars in the store.
//!
//! Owns the form of a template. Default templates, and what fills them in, are the store's business.

use super::section::{choice, list, names, section};
use super::value::{Setting, TemplateError, Value, ValueError, quoted};
use barmill_stores::{NAMESPACE_DEFAULT, ViewKind};

section! {
    /// How a bar lies in the store.
    View, "view" {
        /// The layout.
        kind: ViewKind = ViewKind::SymbolDay;
        /// What `{namespace}` stands for in templates; keeps two pipelines in one store apart.
        namespace: Namespace = Namespace(NAMESPACE_DEFAULT.to_owned());
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

names! {
    ViewKind {
        SymbolDay = "symbol-day",
        Minute = "minute",
        KeyPerBar = "key-per-bar",
        Stream = "stream",
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

list! {
    /// What is written beside the layout, none twice.
    AlsoViews of AlsoView, 0..
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

impl View {
    fn default_key(&self, kind: ViewKind) -> &'static str {
        kind.key_template(&self.namespace.0)
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
        self.also
            .as_slice()
            .contains(&AlsoView::Stream)
            .then_some(own)
    }

    /// Channel template of notices beside the layout.
    pub fn also_publish(&self) -> Option<&str> {
        let own = self
            .channel
            .as_ref()
            .map_or(self.default_key(ViewKind::Publish), Template::as_str);
        self.also
            .as_slice()
            .contains(&AlsoView::Publish)
            .then_some(own)
    }

    /// The field template in force; `None` where a bar is a key of its own.
    pub fn field_template(&self) -> Option<&str> {
        let default = self.kind.field_template()?;
        Some(self.field.as_ref().map_or(default, Template::as_str))
    }
}

/// What templates may hold in braces.
pub(super) const PLACEHOLDERS: [&str; 5] = ["namespace", "spec", "date", "symbol", "time"];

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

impl Setting for Template {
    fn read(value: &Value) -> Result<Template, ValueError> {
        Ok(Template::parse(value.text()?)?)
    }

    fn show(&self) -> String {
        quoted(&self.0)
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

    fn show(&self) -> String {
        quoted(&self.0)
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
        for name in ["symbol-day", "minute", "key-per-bar", "stream", "publish"] {
            let kind: ViewKind = name.parse().unwrap();
            for namespace in ["barmill", "other"] {
                let key = kind.key_template(namespace);
                assert!(Template::parse(key).is_ok(), "{key}");
                assert!(
                    namespace == "barmill" || key.contains("{namespace}"),
                    "{key}"
                );
            }
            assert!(
                kind.field_template()
                    .is_none_or(|field| Template::parse(field).is_ok())
            );
        }
    }
}
