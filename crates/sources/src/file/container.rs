//! Files and their containers: plain, gzip, zstd, zip, standard input.
//!
//! Owns opening and unpacking, as a stream, so that a small file that unpacks to a huge one costs time
//! and not memory. The container is told from its first bytes, never from the name (RFC 1952 section 2.3,
//! RFC 8878 section 3.1, APPNOTE 4.3). Deliberately does not look at the content.

use super::error::FileError;
use super::settings::FileFeedSettings;
use barmill_core::model::Timestamp;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder};
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec::IntoIter;
use zip::read::ZipFile;
use zip::{CompressionMethod, ZipArchive};

/// Bytes of compressed input read at once.
const PACKED_LEN: usize = 128 * 1024;
/// The largest zstd window accepted, 2^27 bytes: what `zstd --ultra -22` needs and the format's own default.
const WINDOW_LOG_MAX: u32 = 27;

/// The decoded bytes of one input.
pub(super) type Source = Box<dyn Read + Send>;

/// One decoded input and its names.
pub(super) struct Opened {
    /// For errors: the path, and the zip entry after a colon.
    pub(super) file: Arc<str>,
    /// For the symbol and the date: the zip entry's own name before the path.
    pub(super) names: Vec<PathBuf>,
    /// The decoded bytes.
    pub(super) source: Source,
}

/// Tells the time of the first trade of one file; `None` where there is none, or none that can be read.
pub(super) type FirstTime = fn(&FileFeedSettings, &Path) -> Option<Timestamp>;

/// The inputs still to read, in order.
pub(super) struct Inputs {
    paths: IntoIter<PathBuf>,
    /// Set until the paths are brought into their order.
    unordered: Option<(FileFeedSettings, FirstTime)>,
    reader: Option<(Arc<str>, Source)>,
    zip: Option<Zip>,
}

/// The paths in the order of their first trades, so that no file makes the trades of another one late. Streams can be
/// read only once, so with one of them the order is the given one; what cannot be read comes first, and says so.
fn in_order(settings: &FileFeedSettings, first_time: FirstTime) -> Vec<PathBuf> {
    let given = settings.paths.clone();
    let is_file = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|found| found.is_file());
    if !given.iter().all(is_file) {
        return given;
    }
    let mut ordered = given.clone();
    ordered.sort_by_cached_key(|path| first_time(settings, path));
    if ordered != given {
        tracing::info!("files are read in the order of their first trades");
    }
    ordered
}

impl Inputs {
    /// The files of the settings, in the order of their first trades.
    pub(super) fn new(settings: &FileFeedSettings, first_time: FirstTime) -> Inputs {
        Inputs {
            paths: settings.paths.clone().into_iter(),
            unordered: (settings.paths.len() > 1).then(|| (settings.clone(), first_time)),
            reader: None,
            zip: None,
        }
    }

    /// Reads one stream in place of files.
    pub(super) fn of_reader(name: &str, source: Source) -> Inputs {
        Inputs {
            paths: Vec::new().into_iter(),
            unordered: None,
            reader: Some((name.into(), source)),
            zip: None,
        }
    }

    /// Opens the next input.
    pub(super) fn next(&mut self) -> Result<Option<Opened>, FileError> {
        if let Some((settings, first_time)) = self.unordered.take() {
            self.paths = in_order(&settings, first_time).into_iter();
        }
        loop {
            if let Some(zip) = &mut self.zip {
                match zip.next_entry()? {
                    Some(opened) => return Ok(Some(opened)),
                    None => self.zip = None,
                }
            }
            if let Some((file, source)) = self.reader.take() {
                return open_stream(file, source).map(Some);
            }
            let Some(path) = self.paths.next() else {
                return Ok(None);
            };
            if path.as_os_str() == "-" {
                return open_stream("standard input".into(), Box::new(io::stdin())).map(Some);
            }
            let file: Arc<str> = path.display().to_string().into();
            let opened = File::open(&path);
            let mut source = opened.map_err(|source| FileError::Open {
                file: Arc::clone(&file),
                source,
            })?;
            if source.metadata().is_ok_and(|found| found.is_dir()) {
                return Err(FileError::Foreign {
                    file,
                    what: "a folder",
                    advice: "name the files in it",
                });
            }
            let start = read_start(&file, &mut source)?;
            if is_zip(&start) {
                self.zip = Some(Zip::open(file, path, source)?);
                continue;
            }
            let source = unpack(&file, start, Box::new(source))?;
            return Ok(Some(Opened {
                file,
                names: vec![path],
                source,
            }));
        }
    }
}

fn open_stream(file: Arc<str>, mut source: Source) -> Result<Opened, FileError> {
    let start = read_start(&file, &mut source)?;
    if is_zip(&start) {
        return Err(FileError::ZipFromPipe { file });
    }
    let source = unpack(&file, start, source)?;
    Ok(Opened {
        file,
        names: Vec::new(),
        source,
    })
}

fn read_start(file: &Arc<str>, source: &mut impl Read) -> Result<Vec<u8>, FileError> {
    let mut start = Vec::with_capacity(4);
    let read = source.take(4).read_to_end(&mut start);
    read.map_err(FileError::read(file, 0))?;
    Ok(start)
}

fn is_zip(start: &[u8]) -> bool {
    // The second is the end record, the only one of a zip without entries.
    start == b"PK\x03\x04" || start == b"PK\x05\x06"
}

/// Puts the decompressor that the first bytes call for over the source.
fn unpack(file: &Arc<str>, start: Vec<u8>, source: Source) -> Result<Source, FileError> {
    let gzip = start.starts_with(b"\x1f\x8b");
    let skippable =
        start.len() == 4 && (0x50..=0x5f).contains(&start[0]) && start[1..] == *b"\x2a\x4d\x18";
    let zstd = start.starts_with(b"\x28\xb5\x2f\xfd") || skippable;
    let whole = Cursor::new(start).chain(source);
    if gzip {
        return Ok(Box::new(MultiGzDecoder::new(BufReader::with_capacity(
            PACKED_LEN, whole,
        ))));
    }
    if zstd {
        return unzstd(file, whole);
    }
    Ok(Box::new(whole))
}

fn unzstd(file: &Arc<str>, source: impl Read + Send + 'static) -> Result<Source, FileError> {
    let packed = BufReader::with_capacity(PACKED_LEN, source);
    let mut decoder =
        zstd::stream::read::Decoder::with_buffer(packed).map_err(FileError::read(file, 0))?;
    decoder
        .window_log_max(WINDOW_LOG_MAX)
        .map_err(FileError::read(file, 0))?;
    Ok(Box::new(decoder))
}

/// A zip and the number of its next entry.
struct Zip {
    file: Arc<str>,
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
    next: usize,
}

impl Zip {
    fn open(file: Arc<str>, path: PathBuf, source: File) -> Result<Zip, FileError> {
        match ZipArchive::new(BufReader::new(source)) {
            Ok(archive) => Ok(Zip {
                file,
                path,
                archive,
                next: 0,
            }),
            Err(source) => Err(FileError::Zip { file, source }),
        }
    }

    fn next_entry(&mut self) -> Result<Option<Opened>, FileError> {
        while self.next < self.archive.len() {
            let number = self.next;
            self.next += 1;
            let entry = match self.archive.by_index_raw(number) {
                Ok(entry) => entry,
                Err(source) => {
                    let file = Arc::clone(&self.file);
                    return Err(FileError::Zip { file, source });
                }
            };
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            // Archives made on macOS carry a shadow entry of metadata for each file.
            if entry.is_dir() || entry.size() == 0 || name.starts_with("__MACOSX/") {
                continue;
            }
            let file: Arc<str> = format!("{}:{name}", self.file).into();
            let source = open_entry(&self.path, &file, &entry)?;
            let names = vec![PathBuf::from(name), self.path.clone()];
            return Ok(Some(Opened {
                file,
                names,
                source,
            }));
        }
        Ok(None)
    }
}

/// Opens an entry by a file handle of its own, as it outlives what the archive lends.
fn open_entry<R: Read>(
    path: &Path,
    file: &Arc<str>,
    entry: &ZipFile<'_, R>,
) -> Result<Source, FileError> {
    let unsupported = |reason| FileError::ZipEntry {
        file: Arc::clone(file),
        reason,
    };
    if entry.encrypted() {
        return Err(unsupported("the entry is encrypted"));
    }
    let start = entry.data_start().unwrap_or(u64::MAX);
    let packed = open_at(path, start, entry.compressed_size()).map_err(|source| {
        let file = Arc::clone(file);
        FileError::Open { file, source }
    })?;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is the zip crate's and grows with its features"
    )]
    let inner: Source = match entry.compression() {
        CompressionMethod::Stored => Box::new(packed),
        CompressionMethod::Deflated => Box::new(DeflateDecoder::new(BufReader::with_capacity(
            PACKED_LEN, packed,
        ))),
        _ => return Err(unsupported("the compression method is not supported")),
    };
    let mut checked = Checked {
        inner,
        crc: flate2::Crc::new(),
        len: 0,
        len_expected: entry.size(),
        crc_expected: entry.crc32(),
    };
    let start = read_start(file, &mut checked)?;
    unpack(file, start, Box::new(checked))
}

fn open_at(path: &Path, start: u64, len: u64) -> io::Result<Take<File>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    Ok(file.take(len))
}

/// Compares length and checksum of a zip entry at its end.
struct Checked {
    inner: Source,
    crc: flate2::Crc,
    len: u64,
    len_expected: u64,
    crc_expected: u32,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buffer)?;
        self.crc.update(&buffer[..len]);
        self.len += len as u64;
        let ended = len == 0 && !buffer.is_empty();
        if ended && (self.len, self.crc.sum()) != (self.len_expected, self.crc_expected) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "length or checksum of the zip entry differs",
            ));
        }
        Ok(len)
    }
}
