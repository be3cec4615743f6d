//! Values of config keys: parsing of texts, numbers and lists from any layer.
//!
//! Owns the types of values, their refusals and their TOML text. Knows no key and no section.

use crate::model::SpecError;
use barmill_stores as store;
use std::fmt;
use std::num::TryFromIntError;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// Why a value cannot be that of its key. Reads after `section.key: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A value of another type.
    #[error("{found} where {allowed} is needed")]
    WrongType {
        /// What stands there.
        found: &'static str,
        /// What may stand there.
        allowed: &'static str,
    },
    /// A number outside its range.
    #[error("{value} is out of range, allowed is {min} to {max}")]
    OutOfRange {
        /// The refused number.
        value: i128,
        /// The smallest allowed.
        min: String,
        /// The largest allowed.
        max: String,
    },
    /// A text that is none of the allowed ones.
    #[error("{value:?} is not known, allowed is {allowed}{}", did_you_mean(nearest.as_deref()))]
    NotAllowed {
        /// The refused text.
        value: String,
        /// The allowed texts or their form.
        allowed: String,
        /// The allowed text that looks most like it.
        nearest: Option<String>,
    },
    /// A text of the wrong form that may be a secret and is not repeated.
    #[error("the text (not shown, as it may be a secret) is not {allowed}")]
    Hidden {
        /// The form of an allowed text.
        allowed: &'static str,
    },
    /// A list that needs at least one entry.
    #[error("the list is empty, at least one entry is needed")]
    EmptyList,
    /// A list that names something twice.
    #[error("{value} is listed twice")]
    Twice {
        /// The repeated entry, in quotes.
        value: String,
    },
    /// A text that is no bar spec.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A text that names no sink.
    #[error(transparent)]
    Sink(#[from] SinkUrlError),
    /// A text that is no key template.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// The forms of a sink.
const SINKS_ALLOWED: &str =
    "redis, upstash, redis://HOST, rediss://HOST, https://HOST, embedded:DIR, stdout: or null:";

/// Why a text names no sink. The text is never repeated, as it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkUrlError {
    /// No known form.
    #[error("the text is not a sink, allowed is {SINKS_ALLOWED}")]
    Unknown,
    /// A URL that cannot be used.
    #[error(transparent)]
    Url(store::SinkUrlError),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Braces around something that is no placeholder.
    #[error(
        "{{{name}}} is not a placeholder, allowed is {{namespace}}, {{spec}}, {{date}}, {{symbol}} and {{time}}"
    )]
    Placeholder {
        /// What the braces hold.
        name: String,
    },
    /// A brace without its partner.
    #[error("the template {text:?} has an unpaired brace")]
    Brace {
        /// The refused text.
        text: String,
    },
    /// White space or a control character, which no key should hold.
    #[error("the text {text:?} contains white space or a control character")]
    Space {
        /// The refused text.
        text: String,
    },
    /// Nothing at all.
    #[error("the text is empty")]
    Empty,
}

/// The end of a message that offers the nearest known name.
pub(super) fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean {name:?}?"))
}

/// The known name that a mistyped one most likely means.
pub(super) fn nearest<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // A third of the letters may be wrong, at least two: more than that is another word.
    let distance_max = (typed.chars().count() / 3).max(2);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(typed, name), name))
        .filter(|(distance, name)| *distance <= distance_max && *distance < name.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A value as a layer gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A string of a file.
    Text(String),
    /// An unquoted text of the environment or the command line, of any type.
    Given(String),
    /// A whole number of a file.
    Integer(i128),
    /// A truth of a file.
    Boolean(bool),
    /// A list of a file.
    List(Vec<Value>),
    /// Anything else a file can hold, by name.
    Other(&'static str),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) | Value::Given(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Boolean(_) => "true or false",
            Value::List(_) => "a list",
            Value::Other(name) => name,
        }
    }

    /// Takes the value as a text.
    pub(super) fn text(&self) -> Result<&str, ValueError> {
        match self {
            Value::Text(text) | Value::Given(text) => Ok(text),
            Value::Integer(_) | Value::Boolean(_) | Value::List(_) | Value::Other(_) => {
                Err(self.wrong("a string"))
            }
        }
    }

    fn integer(&self) -> Result<i128, ValueError> {
        match self {
            Value::Integer(number) => Ok(*number),
            Value::Given(text) => text.trim().parse().map_err(|_| self.wrong("an integer")),
            Value::Text(_) | Value::Boolean(_) | Value::List(_) | Value::Other(_) => {
                Err(self.wrong("an integer"))
            }
        }
    }

    /// Takes the value as texts; one of the environment or the command line is split at commas.
    pub(super) fn texts(&self) -> Result<Vec<&str>, ValueError> {
        match self {
            Value::List(entries) => entries.iter().map(Value::text).collect(),
            Value::Given(text) => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|entry| !entry.is_empty())
                .collect()),
            Value::Text(_) | Value::Integer(_) | Value::Boolean(_) | Value::Other(_) => {
                Err(self.wrong("a list of strings"))
            }
        }
    }

    fn wrong(&self, allowed: &'static str) -> ValueError {
        ValueError::WrongType {
            found: self.kind(),
            allowed,
        }
    }
}

/// A value of a key, as a layer gives it and as TOML shows it.
pub(super) trait Setting: Sized {
    /// Reads the value, without a range of its own key.
    fn read(value: &Value) -> Result<Self, ValueError>;

    /// The value as TOML; no secret in it.
    fn show(&self) -> String;
}

/// Reads a whole number that must lie in `range`.
pub(super) fn read_in<T>(value: &Value, range: &RangeInclusive<T>) -> Result<T, ValueError>
where
    T: TryFrom<i128, Error = TryFromIntError> + PartialOrd + fmt::Display,
{
    let number = value.integer()?;
    match T::try_from(number) {
        Ok(fitting) if range.contains(&fitting) => Ok(fitting),
        Ok(_) | Err(_) => Err(ValueError::OutOfRange {
            value: number,
            min: range.start().to_string(),
            max: range.end().to_string(),
        }),
    }
}

/// Reads the entries of a list, so many at least, none twice.
pub(super) fn read_list<T: Setting + PartialEq>(
    value: &Value,
    len_min: usize,
) -> Result<Vec<T>, ValueError> {
    let mut entries = Vec::new();
    for text in value.texts()? {
        let entry = T::read(&Value::Text(text.to_owned()))?;
        if entries.contains(&entry) {
            let value = entry.show();
            return Err(ValueError::Twice { value });
        }
        entries.push(entry);
    }
    if entries.len() < len_min {
        return Err(ValueError::EmptyList);
    }
    Ok(entries)
}

/// The refusal of a text of the wrong form.
pub(super) fn not_allowed(text: &str, allowed: &str) -> ValueError {
    ValueError::NotAllowed {
        value: text.to_owned(),
        allowed: allowed.to_owned(),
        nearest: None,
    }
}

/// A name such as `all-hours` as `AllHours`.
pub(super) fn camel_case(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    name.split('-').map(word).collect()
}

/// A text in TOML quotes.
pub(super) fn quoted(text: &str) -> String {
    // Every escape of a JSON string is one of a TOML basic string too.
    serde_json::Value::from(text).to_string()
}

macro_rules! integers {
    ($($type:ty),*) => { $(
        impl Setting for $type {
            fn read(value: &Value) -> Result<$type, ValueError> {
                read_in(value, &(<$type>::MIN..=<$type>::MAX))
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )* };
}

integers!(u32, u64, usize);

impl Setting for bool {
    fn read(value: &Value) -> Result<bool, ValueError> {
        match value {
            Value::Boolean(truth) => Ok(*truth),
            Value::Given(text) => text
                .trim()
                .parse()
                .map_err(|_| value.wrong("true or false")),
            Value::Text(_) | Value::Integer(_) | Value::List(_) | Value::Other(_) => {
                Err(value.wrong("true or false"))
            }
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    fn read(value: &Value) -> Result<String, ValueError> {
        value.text().map(ToOwned::to_owned)
    }

    fn show(&self) -> String {
        quoted(self)
    }
}

impl Setting for PathBuf {
    fn read(value: &Value) -> Result<PathBuf, ValueError> {
        match value.text()? {
            "" => Err(not_allowed("", "a path")),
            path => Ok(PathBuf::from(path)),
        }
    }

    fn show(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

impl<T: Setting> Setting for Option<T> {
    fn read(value: &Value) -> Result<Option<T>, ValueError> {
        match value.text()? {
            "" => Ok(None),
            _ => T::read(value).map(Some),
        }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| quoted(""), Setting::show)
    }
}

/// The name of an environment variable: upper-case letters, digits and underscores, no digit first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableName(String);

impl VariableName {
    /// Takes a name that the code itself spells right.
    pub(super) fn known(name: &'static str) -> VariableName {
        VariableName(name.to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Setting for VariableName {
    fn read(value: &Value) -> Result<VariableName, ValueError> {
        let name = value.text()?;
        let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let is_name =
            name.starts_with(|first: char| !first.is_ascii_digit()) && name.bytes().all(allowed);
        // Somebody may have put the secret itself here.
        if is_name {
            Ok(VariableName(name.to_owned()))
        } else {
            Err(ValueError::Hidden {
                allowed: "the name of an environment variable (A-Z, 0-9 and _)",
            })
        }
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Setting, Value, VariableName, nearest, read_in};

    #[test]
    fn a_slip_of_the_finger_finds_its_name_and_another_word_none() {
        let known = ["specs", "zone", "lateness_ms"];
        assert_eq!(nearest("spec", known), Some("specs"));
        assert_eq!(nearest("latness_ms", known), Some("lateness_ms"));
        assert_eq!(nearest("password", known), None);
    }

    #[test]
    fn a_number_is_read_alike_from_a_file_and_from_a_variable() {
        assert_eq!(read_in(&Value::Integer(5), &(1u32..=9)), Ok(5));
        assert_eq!(read_in(&Value::Given(" 5 ".to_owned()), &(1u32..=9)), Ok(5));
        let error = read_in(&Value::Integer(-1), &(1u32..=9)).unwrap_err();
        assert_eq!(error.to_string(), "-1 is out of range, allowed is 1 to 9");
    }

    #[test]
    fn a_token_in_place_of_a_variable_name_is_not_repeated() {
        let error = VariableName::read(&Value::Text("AXyzSECRET".to_owned())).unwrap_err();
        assert!(!error.to_string().contains("SECRET"), "{error}");
    }
}
