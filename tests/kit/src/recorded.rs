//! Recorded market data beside the repository, and the tests that could not run without it.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The path of a recorded file or folder; without it the test counts as skipped.
///
/// `name` is relative to `../shared/data` beside the repository, or to the folder in `BARMILL_DATA_DIR`.
///
/// # Panics
/// When it is not there although `BARMILL_DATA=required` says that it must be.
#[expect(
    clippy::disallowed_methods,
    reason = "which data a test has is the business of who runs it, not of a config"
)]
pub fn recorded(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("BARMILL_DATA_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = folder.join(name);
    if path.exists() {
        return Some(path);
    }
    let missing = format!("recorded data {name} is not there");
    let is_required = std::env::var_os("BARMILL_DATA").is_some_and(|value| value == "required");
    assert!(!is_required, "{missing}, and BARMILL_DATA=required");
    skipped(&missing);
    None
}

/// Says on the terminal that the running test could not be run, and notes it for the summary of `./check`.
///
/// # Panics
/// When the note cannot be written.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("skipped: {test}: {why}\n");
    // A test runner holds back what tests print, but not what they write.
    let mut terminal = std::io::stderr();
    terminal.write_all(line.as_bytes()).expect("stderr");
    let folder = target_dir().join("skipped");
    std::fs::create_dir_all(&folder).expect("the folder of notes");
    // One file for each process and test, so that tests that run together do not meet.
    let name = format!("{}-{}", std::process::id(), test.replace("::", "."));
    std::fs::write(folder.join(name), line).expect("the note");
}

/// The target folder of the running test program: cargo marks it as a cache.
fn target_dir() -> PathBuf {
    let program = std::env::current_exe().expect("the test program");
    let target = program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.map_or_else(std::env::temp_dir, Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::{skipped, target_dir};

    #[test]
    fn skipped_test_leaves_a_note_with_its_name_and_the_reason() {
        skipped("this one only shows how");
        let name = format!(
            "{}-recorded.tests.skipped_test_leaves_a_note_with_its_name_and_the_reason",
            std::process::id()
        );
        let note = target_dir().join("skipped").join(name);
        let text = std::fs::read_to_string(&note).unwrap();
        std::fs::remove_file(note).unwrap();
        assert!(text.starts_with("skipped: recorded::tests::skipped_test"));
        assert!(text.ends_with(": this one only shows how\n"));
    }
}
