//! Errors of a config: the origin of a value, what is wrong, and what is allowed.

use super::ValueError;
use super::value::did_you_mean;
use std::borrow::Borrow;
use std::fmt;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Built in.
    Default,
    /// A place in the file; line and column count from 1, the column in characters.
    File {
        /// The file as it was named.
        path: String,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// An environment variable, by name.
    Environment(String),
    /// A `--set`, by what stands before its equals sign.
    Set(String),
    /// A flag that stands for a key, such as `--bars`.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line: 0, .. } => f.write_str(path),
            Origin::File { path, line, column } => write!(f, "{path}:{line}:{column}"),
            Origin::Environment(name) => write!(f, "environment variable {name}"),
            Origin::Set(key) => write!(f, "--set {key}"),
            Origin::Flag(name) => f.write_str(name),
        }
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A value that its key does not allow.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A key that its section does not have.
    #[error("unknown key{}{}", did_you_mean(nearest.as_deref()), list("known keys of the section are", known))]
    UnknownKey {
        /// The known `section.key`, or key of the section, that looks most like it.
        nearest: Option<String>,
        /// The keys of the section, when nothing looks like it.
        known: Vec<&'static str>,
    },
    /// A section that does not exist.
    #[error("unknown section{}{}", did_you_mean(nearest.as_deref()), list("known sections are", known))]
    UnknownSection {
        /// The known section that looks most like it.
        nearest: Option<String>,
        /// The sections, when nothing looks like it.
        known: Vec<String>,
    },
    /// A key outside a section, or a section that is no table.
    #[error("{found} where a section is needed, such as [bars]")]
    NoSection {
        /// What stands there.
        found: &'static str,
    },
    /// A key that would hold a secret.
    #[error(
        "secrets are not allowed in the config; set the environment variable {variable}, or {variable}_FILE naming a file that holds it"
    )]
    Secret {
        /// The variable to use instead.
        variable: String,
    },
    /// A `--set` or variable that names no key.
    #[error("does not name a key; expected {needed}")]
    NoKey {
        /// The form of a right one.
        needed: &'static str,
    },
    /// Text that is no TOML.
    #[error("not valid TOML: {reason}")]
    Syntax {
        /// The parser's words.
        reason: String,
    },
    /// Bytes that are no UTF-8.
    #[error("not UTF-8")]
    NotText,
    /// A file that cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] std::io::Error),
    /// A limit above the one that contains it.
    #[error("{value} is above {other} = {bound}, {why}")]
    Above {
        /// The value.
        value: u64,
        /// The key of the bound.
        other: String,
        /// Its value.
        bound: u64,
        /// What goes wrong otherwise.
        why: &'static str,
    },
    /// Queues that may hold more than allowed.
    #[error(
        "queues and requests in flight may hold {ceiling_mb} MiB, allowed are {max_mb} MiB; lower \
         replay.queue_len_max, replay.batch_len_max or writer.queue_len_max, or raise this"
    )]
    Memory {
        /// What they may hold.
        ceiling_mb: u64,
        /// What is allowed.
        max_mb: u64,
    },
    /// A template under which two bars would share one place.
    #[error("{template:?} needs {{{placeholder}}}, or different bars would overwrite each other")]
    Collision {
        /// The templates in force.
        template: String,
        /// What they lack.
        placeholder: &'static str,
    },
    /// A field template for a layout without fields.
    #[error("the view {kind} has no fields, leave it empty")]
    NoField {
        /// The layout.
        kind: &'static str,
    },
}

fn list<S: Borrow<str>>(intro: &str, names: &[S]) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!(", {intro} {}", names.join(", "))
    }
}

/// One fault of a config.
#[derive(Debug, thiserror::Error)]
#[error("{}", printable(&format!("{origin}: {}{problem}", key.as_ref().map_or_else(String::new, |key| format!("{key}: ")))))]
pub struct Fault {
    /// Where the value came from.
    pub origin: Origin,
    /// The `section.key`, or section, that it is about.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

impl Fault {
    pub(super) fn new(origin: Origin, key: Option<&str>, problem: Problem) -> Fault {
        Fault {
            origin,
            key: key.map(str::to_owned),
            problem,
        }
    }
}

/// The text with its control characters escaped, as a config is not always one's own and a terminal obeys them.
fn printable(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        if one.is_control() && one != '\n' {
            escaped.extend(one.escape_default());
        } else {
            escaped.push(one);
        }
    }
    escaped
}

/// All faults of a config, file first, by line; at least one.
#[derive(Debug)]
pub struct ConfigError {
    /// The faults.
    pub faults: Vec<Fault>,
}

impl ConfigError {
    /// `Ok` without faults, else all of them in order of their places.
    pub(super) fn check(mut faults: Vec<Fault>) -> Result<(), ConfigError> {
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort_by(|left, right| left.origin.cmp(&right.origin));
        Err(ConfigError { faults })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.as_slice() {
            [fault] => write!(f, "{fault}"),
            faults => {
                write!(f, "{} faults", faults.len())?;
                faults.iter().try_for_each(|fault| write!(f, "\n{fault}"))
            }
        }
    }
}

impl std::error::Error for ConfigError {}
