//! A checked view: the key, field, stream and channel of a bar.
//!
//! Deliberately does not know any store; `check` refuses views in which two bars share one place.

use super::check::check;
use super::key_time::{KeyTime, push_date};
use super::settings::{ViewError, ViewKind, ViewSettings};
use super::template::{Filling, Template, push_display};
use barmill_core::model::{BarKey, BarSpec};
use jiff::civil::Date;

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
        let view = View { settings };
        check(&view, specs.len() > 1)?;
        Ok(view)
    }

    /// Key template of the stream that is written, if any.
    pub(crate) fn stream(&self) -> Option<&Template> {
        let View { settings } = self;
        if settings.kind == ViewKind::Stream {
            Some(&settings.key)
        } else {
            settings.also_stream.as_ref()
        }
    }

    /// Channel template of the notices that are published, if any.
    pub(crate) fn channel(&self) -> Option<&Template> {
        let View { settings } = self;
        if settings.kind == ViewKind::Publish {
            Some(&settings.key)
        } else {
            settings.also_publish.as_ref()
        }
    }

    /// The settings this view was made of.
    pub fn settings(&self) -> &ViewSettings {
        &self.settings
    }

    /// Where a bar lies: its key, and its field where the key is a hash.
    pub fn cell(&self, bar: &BarKey) -> (String, Option<String>) {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (key, field) = self.key_and_field(bar);
        (
            text(key),
            self.settings.field.is_some().then(|| text(field)),
        )
    }

    /// Key and field of a bar; the field is empty where a bar is a key of its own.
    pub(crate) fn key_and_field(&self, bar: &BarKey) -> (Vec<u8>, Vec<u8>) {
        let (key_time, mut key, mut field) = (self.key_time(bar), Vec::new(), Vec::new());
        self.push_key(&mut key, bar, &key_time);
        self.push_field(&mut field, bar, &key_time);
        (key, field)
    }

    pub(crate) fn key_time(&self, bar: &BarKey) -> KeyTime {
        KeyTime::of(bar.start, bar.spec, &self.settings.zone)
    }

    pub(crate) fn push_key(&self, out: &mut Vec<u8>, bar: &BarKey, key_time: &KeyTime) {
        self.settings.key.push(out, &self.filling(bar, key_time));
    }

    pub(crate) fn push_template(
        &self,
        out: &mut Vec<u8>,
        template: &Template,
        bar: &BarKey,
        key_time: &KeyTime,
    ) {
        template.push(out, &self.filling(bar, key_time));
    }

    pub(crate) fn push_field(&self, out: &mut Vec<u8>, bar: &BarKey, key_time: &KeyTime) {
        if let Some(field) = &self.settings.field {
            field.push(out, &self.filling(bar, key_time));
        }
    }

    pub(crate) fn push_manifest_key(&self, out: &mut Vec<u8>, spec: BarSpec, date: Date) {
        out.extend_from_slice(b"manifest:");
        out.extend_from_slice(self.settings.namespace.as_bytes());
        out.push(b':');
        push_display(out, spec);
        out.push(b':');
        push_date(out, date);
    }

    fn filling<'a>(&'a self, bar: &BarKey, key_time: &'a KeyTime) -> Filling<'a> {
        let BarKey {
            symbol,
            spec,
            start,
        } = *bar;
        Filling {
            namespace: &self.settings.namespace,
            spec,
            symbol,
            start,
            key_time,
        }
    }
}
