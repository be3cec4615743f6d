//! How commands print: one JSON object a line for programs, aligned columns for people.

use serde::Serialize;
use std::io::{self, Write, stdout};

/// What stands between two columns.
const GAP: &str = "  ";

/// Prints one line with one JSON object on stdout.
pub(super) fn print_json(value: &impl Serialize) -> io::Result<()> {
    writeln!(stdout(), "{}", serde_json::to_string(value)?)
}

/// A column of a table; texts stand at its left, numbers at its right.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    is_text: bool,
    width: usize,
    cells: Vec<String>,
}

impl Column {
    /// A column of texts, as wide as the widest.
    pub(super) fn texts(name: &'static str, cells: Vec<String>) -> Column {
        Column {
            name,
            is_text: true,
            width: cells.iter().map(String::len).fold(name.len(), usize::max),
            cells,
        }
    }

    /// A column of numbers of at least this width.
    pub(super) fn numbers(name: &'static str, width_min: usize, cells: Vec<String>) -> Column {
        let column = Column::texts(name, cells);
        Column {
            is_text: false,
            width: column.width.max(width_min),
            ..column
        }
    }

    fn pad(&self, text: &str) -> String {
        let width = self.width;
        if self.is_text {
            format!("{text:<width$}")
        } else {
            format!("{text:>width$}")
        }
    }
}

/// Characters of a line of the table.
pub(super) fn width(columns: &[Column]) -> usize {
    let cells: usize = columns.iter().map(|column| column.width).sum();
    cells + GAP.len() * columns.len().saturating_sub(1)
}

/// The header and every row, a line for each.
pub(super) fn table(columns: &[Column]) -> String {
    let rows = columns.iter().map(|column| column.cells.len()).max();
    let line = |cell: &dyn Fn(&Column) -> String| {
        let cells: Vec<String> = columns.iter().map(cell).collect();
        format!("{}\n", cells.join(GAP).trim_end())
    };
    let mut text = line(&|column| column.pad(column.name));
    for row in 0..rows.unwrap_or(0) {
        text += &line(&|column| column.pad(column.cells.get(row).map_or("", String::as_str)));
    }
    text
}
