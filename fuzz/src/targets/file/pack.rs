//! Containers of seeds, and files for inputs that must have a name.

use super::read::NAME;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// One gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("write into memory");
    encoder.finish().expect("write into memory")
}

/// One zstd frame with its checksum.
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
    encoder.include_checksum(true).expect("a parameter");
    encoder.write_all(bytes).expect("write into memory");
    encoder.finish().expect("write into memory")
}

/// A zip of two entries.
pub fn zip(bytes: &[u8], method: CompressionMethod) -> Vec<u8> {
    let (first, second) = bytes.split_at(
        bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1),
    );
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [("a.csv", first), ("b.csv", second)] {
        writer
            .start_file(
                name,
                SimpleFileOptions::default().compression_method(method),
            )
            .expect("start an entry");
        writer.write_all(text).expect("write into memory");
    }
    writer.finish().expect("write into memory").into_inner()
}

/// Writes a file in memory, where there is such a file system, into a folder of this process.
pub fn put(name: &str, bytes: &[u8]) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    let folder = base.join(format!("barmill-fuzz-{}-{NAME}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("make a folder");
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("write the input");
    path
}
