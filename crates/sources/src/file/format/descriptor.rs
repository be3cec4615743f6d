//! The descriptor of a file format.

use super::detect::Sample;
use crate::file::chunk::LineDecoder;
use crate::file::error::FileError;
use crate::file::row_decoder::RowLayout;
use crate::file::text::TextInput;

/// A layout of files of trades. Everything that the program says of layouts, and does with them, comes from here.
#[derive(Debug)]
pub(crate) struct Descriptor {
    /// The name on the command line and in the config.
    pub(crate) name: &'static str,
    /// What it is, as a phrase for lists.
    pub(crate) summary: &'static str,
    /// The columns or members that are read, and their units.
    pub(crate) columns: &'static [Column],
    /// Whose condition numbers the trades have; none where the file may have those of any.
    pub(crate) vendor: Option<&'static str>,
    /// Whether the trades are of US equities.
    pub(crate) is_us_equity: bool,
    /// Whether the rows do not name their symbol.
    pub(crate) needs_symbol: bool,
    /// Whether a file that begins like this has the layout.
    pub(crate) is_like: fn(&Sample<'_>) -> bool,
    /// How its trades are read.
    pub(crate) open: Open,
}

/// One column or member of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name; where the file has none, what stands there.
    pub name: &'static str,
    /// What it holds, with the unit.
    pub about: &'static str,
}

/// Shortens the tables of columns.
pub(crate) const fn column(name: &'static str, about: &'static str) -> Column {
    Column { name, about }
}

/// The decoder of the lines of a text.
pub(crate) type OpenedLines = Result<Option<Box<dyn LineDecoder>>, FileError>;

/// How the trades of a layout are read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Open {
    /// As lines, which several workers may decode, by a decoder that looks at the start of the text first; none for a
    /// blank file.
    Lines(fn(&mut TextInput) -> OpenedLines),
    /// As the rows of JSON responses.
    Rows(RowLayout),
    /// As blocks of a recording.
    Blocks,
}
