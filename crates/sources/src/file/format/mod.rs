//! The file formats that no venue owns, one file for each, and the list of all.
//!
//! A layout says about itself how it is recognised, what it holds and how it is read (`descriptor.rs`); its file and its
//! line in a list `FORMATS` are all that there is of it. Those of a venue are in its folder. Deliberately knows no
//! containers and no workers.

mod descriptor;
mod detect;
mod lean_tick;
mod recording;
#[cfg(test)]
mod tests;

use crate::venue;
pub use descriptor::Column;
pub(crate) use descriptor::{Descriptor, Open, OpenedLines, column};
pub(crate) use detect::Sample;
pub(super) use detect::{foreign, is_enough};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// The layouts of no venue, in the order of their documentation, behind those of the venues.
static FORMATS: [&Descriptor; 2] = [&lean_tick::DESCRIPTOR, &recording::DESCRIPTOR];

/// The word that asks for the layout to be told from the first block of each file.
pub(super) const AUTO: &str = "auto";

/// The layout of a file's trades.
///
/// Parses from its name, such as `lean-tick`.
#[derive(Clone, Copy)]
pub struct Format(&'static Descriptor);

/// A word that names no layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not a file format; known are {}", Format::choices())]
pub struct FormatError {
    /// The word.
    pub word: String,
}

impl Format {
    /// Every layout, in the order in which the start of a file is compared with them.
    pub fn all() -> impl Iterator<Item = Format> {
        let venues = venue::FORMATS.into_iter().flatten();
        venues.chain(&FORMATS).copied().map(Format)
    }

    /// The layout that a word names, or `None` for `auto`, which tells it for each file.
    ///
    /// # Errors
    /// [`FormatError`] for any other word.
    pub fn choice(word: &str) -> Result<Option<Format>, FormatError> {
        if word == AUTO {
            Ok(None)
        } else {
            word.parse().map(Some)
        }
    }

    /// The words that [`Format::choice`] takes, with commas between them.
    pub fn choices() -> String {
        let names: Vec<&str> = std::iter::once(AUTO)
            .chain(Format::all().map(Format::name))
            .collect();
        names.join(", ")
    }

    /// The name on the command line and in the config.
    pub const fn name(self) -> &'static str {
        self.0.name
    }

    /// What it is, as a phrase for lists.
    pub const fn summary(self) -> &'static str {
        self.0.summary
    }

    /// The columns or members that are read; none for a recording.
    pub const fn columns(self) -> &'static [Column] {
        self.0.columns
    }

    /// Whose condition numbers the trades have; `None` where the file may hold those of any vendor.
    pub const fn vendor(self) -> Option<&'static str> {
        self.0.vendor
    }

    /// Whether the trades are of US equities, whose day is New York's.
    pub const fn is_us_equity(self) -> bool {
        self.0.is_us_equity
    }

    /// Whether the rows do not name their symbol, so that the name of the file or the settings must.
    pub const fn needs_symbol(self) -> bool {
        self.0.needs_symbol
    }

    pub(super) const fn descriptor(self) -> &'static Descriptor {
        self.0
    }
}

/// The layout of a file that begins like this, which is not blank; `None` when it is no known one.
pub(super) fn detect(window: &[u8]) -> Option<Format> {
    let sample = Sample::new(window);
    Format::all().find(|format| (format.0.is_like)(&sample))
}

impl PartialEq for Format {
    fn eq(&self, other: &Format) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Format {}

impl Hash for Format {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Format").field(&self.name()).finish()
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(word: &str) -> Result<Format, FormatError> {
        Format::all()
            .find(|format| format.name() == word)
            .ok_or_else(|| FormatError {
                word: word.to_owned(),
            })
    }
}
