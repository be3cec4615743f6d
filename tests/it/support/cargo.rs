//! Where cargo puts its output.

use std::path::{Path, PathBuf};

/// The folder of build output, wherever the caller has put it.
pub(crate) fn target_dir() -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    scratch
        .parent()
        .expect("the scratch folder lies in the target folder")
        .to_owned()
}
