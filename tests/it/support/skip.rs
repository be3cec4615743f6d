//! How a test says that it could not be run.

use std::io::Write;

/// Says so on the terminal; a test runner holds back what tests print, but not what they write.
pub(crate) fn skipped(what: &str) {
    writeln!(std::io::stderr(), "skipped: {what}").expect("stderr");
}
