//! Key and field templates: text with placeholders such as `bars:{spec}:{date}:{symbol}`.
//!
//! Owns their grammar, their rendering and the way back. Deliberately does not know what a view is or
//! which placeholders it needs. `{{` and `}}` stand for single braces, as the hash tags of a cluster need.

use super::key_time::KeyTime;
use barmill_core::model::{BarSpec, Symbol, Timestamp};
use std::fmt;
use std::str::FromStr;

/// What a template can hold a place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Placeholder {
    /// The view's namespace.
    Namespace,
    /// The bar spec, such as `1m`.
    Spec,
    /// Civil date of the bar's start in the view's zone, such as `2025-10-15`.
    Date,
    /// The symbol.
    Symbol,
    /// Civil time of the bar's start in the view's zone, such as `09:30`.
    Time,
    /// The bar's start in milliseconds since the Unix epoch.
    Start,
}

impl Placeholder {
    const ALL: [Placeholder; 6] = [
        Placeholder::Namespace,
        Placeholder::Spec,
        Placeholder::Date,
        Placeholder::Symbol,
        Placeholder::Time,
        Placeholder::Start,
    ];

    /// The name between the braces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Placeholder::Namespace => "namespace",
            Placeholder::Spec => "spec",
            Placeholder::Date => "date",
            Placeholder::Symbol => "symbol",
            Placeholder::Time => "time",
            Placeholder::Start => "start",
        }
    }

    fn from_name(name: &str) -> Result<Placeholder, TemplateError> {
        if let Some(found) = Placeholder::ALL
            .into_iter()
            .find(|one| one.as_str() == name)
        {
            return Ok(found);
        }
        let nearest = Placeholder::ALL
            .into_iter()
            .min_by_key(|one| strsim::levenshtein(one.as_str(), name))
            .map_or("symbol", Placeholder::as_str);
        Err(TemplateError::Unknown {
            name: name.to_owned(),
            nearest,
        })
    }
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Nothing at all.
    #[error("template is empty")]
    Empty,
    /// A name between braces that is no placeholder.
    #[error("template has the unknown placeholder {{{}}}, the nearest one is {{{nearest}}}", name.escape_debug())]
    Unknown {
        /// The refused name.
        name: String,
        /// The known name with the fewest differing letters.
        nearest: &'static str,
    },
    /// A brace without its partner, `offset` bytes from the start.
    #[error(
        "template has an unpaired brace at byte {offset}; write {{{{ or }}}} for a brace itself"
    )]
    Brace {
        /// Bytes before the brace.
        offset: usize,
    },
    /// Two placeholders with nothing between, so that two different bars could make one text.
    #[error("template needs a separator between {{{first}}} and {{{second}}}")]
    Adjacent {
        /// The first of the two.
        first: &'static str,
        /// The second of the two.
        second: &'static str,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Placeholder(Placeholder),
}

/// A checked template.
///
/// ```
/// use barmill_stores::Template;
/// let template: Template = "bars:{spec}:{date}:{symbol}".parse()?;
/// assert_eq!(template.to_string(), "bars:{spec}:{date}:{symbol}");
/// let error = "bars:{symbl}".parse::<Template>().unwrap_err();
/// assert!(error.to_string().contains("{symbol}"));
/// # Ok::<(), barmill_stores::TemplateError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// What fills the places of a template.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filling<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) spec: BarSpec,
    pub(crate) symbol: Symbol,
    pub(crate) start: Timestamp,
    pub(crate) key_time: &'a KeyTime,
}

/// Bytes of what fills the places, at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lengths {
    pub(crate) namespace: usize,
    pub(crate) spec: usize,
    pub(crate) date: usize,
    pub(crate) symbol: usize,
    pub(crate) time: usize,
    pub(crate) start: usize,
}

impl Template {
    /// Bytes of the longest text, as a JSON string without its quotes or as it is.
    pub(crate) fn len_max(&self, lengths: &Lengths) -> usize {
        let len = |part: &Part| match part {
            Part::Literal(text) => text.bytes().map(escaped_len).sum(),
            Part::Placeholder(Placeholder::Namespace) => lengths.namespace,
            Part::Placeholder(Placeholder::Spec) => lengths.spec,
            Part::Placeholder(Placeholder::Date) => lengths.date,
            Part::Placeholder(Placeholder::Symbol) => lengths.symbol,
            Part::Placeholder(Placeholder::Time) => lengths.time,
            Part::Placeholder(Placeholder::Start) => lengths.start,
        };
        self.parts.iter().map(len).sum()
    }

    /// Whether the placeholder occurs.
    pub fn has(&self, placeholder: Placeholder) -> bool {
        self.parts.contains(&Part::Placeholder(placeholder))
    }

    /// Appends the text for one bar.
    pub(crate) fn push(&self, out: &mut Vec<u8>, filling: &Filling<'_>) {
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Placeholder(Placeholder::Namespace) => {
                    out.extend_from_slice(filling.namespace.as_bytes());
                }
                Part::Placeholder(Placeholder::Spec) => push_display(out, filling.spec),
                Part::Placeholder(Placeholder::Date) => filling.key_time.push_date(out),
                Part::Placeholder(Placeholder::Symbol) => {
                    out.extend_from_slice(filling.symbol.as_str().as_bytes());
                }
                Part::Placeholder(Placeholder::Time) => filling.key_time.push_time(out),
                Part::Placeholder(Placeholder::Start) => {
                    out.extend_from_slice(
                        itoa::Buffer::new()
                            .format(filling.start.as_millis())
                            .as_bytes(),
                    );
                }
            }
        }
    }

    /// What stands at `wanted` in a text this template made; `None` when the text has another shape.
    ///
    /// A place reaches to the first occurrence of the literal after it.
    pub(crate) fn capture<'a>(&self, text: &'a str, wanted: Placeholder) -> Option<&'a str> {
        let mut rest = text;
        let mut found = None;
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Literal(literal) => rest = rest.strip_prefix(literal.as_str())?,
                Part::Placeholder(placeholder) => {
                    let len = match parts.peek() {
                        Some(Part::Literal(literal)) => rest.find(literal.as_str())?,
                        Some(Part::Placeholder(_)) => return None,
                        None => rest.len(),
                    };
                    if *placeholder == wanted {
                        found = Some(&rest[..len]);
                    }
                    rest = &rest[len..];
                }
            }
        }
        found.filter(|_| rest.is_empty())
    }
}

/// Bytes of a byte in a JSON string (RFC 8259 section 7).
const fn escaped_len(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' => 2,
        ..0x20 => 6,
        _ => 1,
    }
}

/// Appends the `Display` text; writing into memory cannot fail.
pub(crate) fn push_display(out: &mut Vec<u8>, value: impl fmt::Display) {
    use std::io::Write;
    let written = write!(out, "{value}");
    debug_assert!(written.is_ok(), "a Vec takes every write");
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let offset = text.len() - rest.len();
            if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                literal.push(next);
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let (name, after) = after
                    .split_once('}')
                    .ok_or(TemplateError::Brace { offset })?;
                push_place(&mut parts, &mut literal, Placeholder::from_name(name)?)?;
                rest = after;
            } else if next == '}' {
                return Err(TemplateError::Brace { offset });
            } else {
                literal.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        if parts.is_empty() {
            Err(TemplateError::Empty)
        } else {
            Ok(Template { parts })
        }
    }
}

fn push_place(
    parts: &mut Vec<Part>,
    literal: &mut String,
    placeholder: Placeholder,
) -> Result<(), TemplateError> {
    if !literal.is_empty() {
        parts.push(Part::Literal(std::mem::take(literal)));
    } else if let Some(Part::Placeholder(first)) = parts.last() {
        return Err(TemplateError::Adjacent {
            first: first.as_str(),
            second: placeholder.as_str(),
        });
    }
    parts.push(Part::Placeholder(placeholder));
    Ok(())
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Placeholder(placeholder) => write!(f, "{{{}}}", placeholder.as_str())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Placeholder, Template, TemplateError};

    #[test]
    fn a_template_prints_as_it_was_written() {
        for text in [
            "{time}",
            "bars:{spec}:{date}:{symbol}",
            "{{{symbol}}}:{date}",
            "é{start}",
        ] {
            assert_eq!(text.parse::<Template>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn faults_name_the_place_and_the_nearest_placeholder() {
        let error = |text: &str| text.parse::<Template>().unwrap_err();
        assert_eq!(error(""), TemplateError::Empty);
        assert_eq!(
            error("a:{dat}").to_string(),
            "template has the unknown placeholder {dat}, the nearest one is {date}"
        );
        assert!(error("{da\u{1b}te}").to_string().contains(r"{da\u{1b}te}"));
        assert_eq!(error("a:{date"), TemplateError::Brace { offset: 2 });
        assert_eq!(error("a}"), TemplateError::Brace { offset: 1 });
        assert_eq!(
            error("{date}{time}"),
            TemplateError::Adjacent {
                first: "date",
                second: "time"
            }
        );
    }

    #[test]
    fn a_text_gives_back_what_was_filled_in() {
        let template: Template = "x:{symbol}|{date} {time}".parse().unwrap();
        let text = "x:BRK.B|2025-11-02 01:30-05:00";
        assert_eq!(template.capture(text, Placeholder::Symbol), Some("BRK.B"));
        assert_eq!(
            template.capture(text, Placeholder::Time),
            Some("01:30-05:00")
        );
        assert_eq!(template.capture(text, Placeholder::Spec), None);
        assert_eq!(template.capture("y:BRK.B|a b", Placeholder::Symbol), None);
    }
}
