//! The recorded market data that lies beside the repository, where it is there.

use std::io::Read;

pub(crate) use barmill_test_kit::recorded;

/// The bytes of a recorded file, unpacked where its name ends in `.gz`; without it the test counts as skipped.
pub(crate) fn bytes(name: &str) -> Option<Vec<u8>> {
    let path = recorded(name)?;
    let packed = std::fs::read(&path).expect("the recorded file");
    if path.extension().is_none_or(|extension| extension != "gz") {
        return Some(packed);
    }
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(packed.as_slice())
        .read_to_end(&mut bytes)
        .expect("gzip");
    Some(bytes)
}
