//! Massive's layouts of files: flat files and REST answers.

mod csv;
mod fast;
mod index;
mod json;
mod row;

use crate::file::format::Descriptor;

/// Massive's layouts of files.
pub(in crate::venue) static FORMATS: [&Descriptor; 2] = [&csv::DESCRIPTOR, &json::DESCRIPTOR];
