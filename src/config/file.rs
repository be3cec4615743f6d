//! The config file: TOML text into entries with the line and column of each key and value.

use super::error::{Fault, Origin, Problem};
use super::value::Value;
use std::borrow::Cow;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The name before the point of sections that come in a group.
pub(super) const GROUP: &str = "source";

/// A key with its place.
type Name<'a> = Spanned<Cow<'a, str>>;

/// One value that a layer gives to one key.
#[derive(Debug)]
pub(super) struct Entry {
    /// The section as it was written.
    pub(super) section: String,
    /// The key as it was written.
    pub(super) key: String,
    /// The value.
    pub(super) value: Value,
    /// Where the section is opened.
    pub(super) section_origin: Origin,
    /// Where the key stands.
    pub(super) key_origin: Origin,
    /// Where the value stands.
    pub(super) value_origin: Origin,
}

/// What a file holds, and what of it cannot be understood.
#[derive(Debug, Default)]
pub(super) struct FileEntries {
    pub(super) entries: Vec<Entry>,
    pub(super) faults: Vec<Fault>,
}

/// Takes a file apart; any bytes give entries or faults.
pub(super) fn parse(path: &str, bytes: &[u8]) -> FileEntries {
    let mut found = FileEntries::default();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let text = &String::from_utf8_lossy(valid);
            let origin = Place { path, text }.at(text.len());
            found
                .faults
                .push(Fault::new(origin, None, Problem::NotText));
            return found;
        }
    };
    let place = Place { path, text };
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut line_last = 0;
    for error in errors {
        let origin = place.at(error.span().map_or(text.len(), |span| span.start));
        // One slip makes the parser stumble over the rest of its line.
        if let Origin::File { line, .. } = origin
            && line_last < line
        {
            line_last = line;
            let reason = error.message().replace('\n', ", ");
            let fault = Fault::new(origin, None, Problem::Syntax { reason });
            found.faults.push(fault);
        }
    }
    // What the parser recovered from broken text is a guess and would add faults of its own.
    if found.faults.is_empty() {
        for (name, value) in root.get_ref() {
            place.top(&mut found, name, value);
        }
    }
    found
}

/// Turns byte offsets of one file into origins.
struct Place<'a> {
    path: &'a str,
    text: &'a str,
}

impl Place<'_> {
    fn at(&self, offset: usize) -> Origin {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Origin::File {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// A section, or a group of sections such as `[source.NAME]`.
    fn top(&self, found: &mut FileEntries, name: &Name<'_>, value: &Spanned<DeValue<'_>>) {
        if let DeValue::Table(table) = value.get_ref()
            && name.get_ref() == GROUP
        {
            for (part, value) in table {
                self.section(found, &format!("{GROUP}.{}", part.get_ref()), part, value);
            }
        } else {
            self.section(found, name.get_ref(), name, value);
        }
    }

    fn section(
        &self,
        found: &mut FileEntries,
        full_name: &str,
        name: &Name<'_>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let section_origin = self.at(name.span().start);
        let DeValue::Table(table) = value.get_ref() else {
            let kind = kind(value.get_ref());
            let problem = Problem::NoSection { found: kind };
            let fault = Fault::new(section_origin, Some(full_name), problem);
            return found.faults.push(fault);
        };
        let entry = |key: &str, value: Value, key_origin: Origin, value_origin: Origin| Entry {
            section: full_name.to_owned(),
            key: key.to_owned(),
            value,
            section_origin: section_origin.clone(),
            key_origin,
            value_origin,
        };
        // A section that is only named still has its name checked.
        if table.is_empty() {
            let (here, nothing) = (section_origin.clone(), Value::Other("nothing"));
            found.entries.push(entry("", nothing, here.clone(), here));
        }
        for (key, value) in table {
            let (at_key, at_value) = (self.at(key.span().start), self.at(value.span().start));
            let value = convert(value.get_ref());
            found
                .entries
                .push(entry(key.get_ref(), value, at_key, at_value));
        }
    }
}

fn convert(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix()).map_or(
            Value::Other("an integer of more than 38 digits"),
            Value::Integer,
        ),
        DeValue::Array(entries) => Value::List(
            entries
                .iter()
                .map(|entry| convert(entry.get_ref()))
                .collect(),
        ),
        DeValue::Boolean(truth) => Value::Boolean(*truth),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => Value::Other(kind(value)),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
