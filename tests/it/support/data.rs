//! The recorded market data that lies beside the repository, where it is there.

use std::path::{Path, PathBuf};

use super::skip::skipped;

/// The path of a recorded file or folder, or `None` and a line that says what is missing.
///
/// `name` is relative to the data folder, with `/` between folders.
pub(crate) fn recorded(name: &str) -> Option<PathBuf> {
    find(name).inspect_err(|missing| skipped(missing)).ok()
}

fn find(name: &str) -> Result<PathBuf, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data")
        .join(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("../shared/data/{name} is not there"))
    }
}

#[test]
fn missing_data_is_named() {
    assert_eq!(
        find("no/such"),
        Err("../shared/data/no/such is not there".to_owned())
    );
}

#[test]
fn data_that_is_there_is_found() {
    if let Some(path) = recorded("trade_conditions.json") {
        assert!(path.is_file());
    }
}
