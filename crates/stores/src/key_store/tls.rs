//! Chooses the TLS provider and reads private certificates.

use std::path::{Path, PathBuf};

/// Why a CA file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("CA file {} cannot be read", path.display())]
pub struct CaFileError {
    /// The file.
    pub path: PathBuf,
    /// The cause.
    #[source]
    pub source: std::io::Error,
}

/// Makes ring the process's TLS provider, unless the program around this library has chosen one.
pub(crate) fn choose_provider() {
    let chosen_before = rustls::crypto::ring::default_provider()
        .install_default()
        .is_err();
    if chosen_before {
        tracing::trace!("the TLS provider was chosen before");
    }
}

/// Reads certificates in PEM, which are then trusted instead of the system's.
pub(crate) fn read_ca_file(path: &Path) -> Result<Vec<u8>, CaFileError> {
    std::fs::read(path).map_err(|source| CaFileError {
        path: path.to_owned(),
        source,
    })
}
