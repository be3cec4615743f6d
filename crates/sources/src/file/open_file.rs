//! An open file that is being decoded: from its first bytes to the decoder of its layout.

use super::chunk::{Chunk, LineDecoder};
use super::container::Opened;
use super::error::FileError;
use super::format::{self, Format, Open, TextDecoder};
use super::recording::RecordingReader;
use super::settings::FileFeedSettings;
use super::text::{Block, Bytes, TextInput};
use std::sync::Arc;

/// A file of lines or rows, or a recording.
#[derive(Debug)]
pub(super) struct OpenFile {
    format: Format,
    file: Arc<str>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Text {
        text: Box<TextInput>,
        decoder: TextDecoder,
    },
    Recording(Box<RecordingReader>),
}

impl OpenFile {
    /// Looks at the first block and makes the decoder; `None` for a blank file, which has no layout.
    pub(super) fn new(
        opened: Opened,
        settings: &FileFeedSettings,
    ) -> Result<Option<OpenFile>, FileError> {
        let Opened {
            file,
            names,
            source,
        } = opened;
        let mut bytes = Bytes::new(source);
        let failed = |source| FileError::Read {
            file: Arc::clone(&file),
            offset: 0,
            source,
        };
        let window = bytes.peek(|window| window.len() >= 3).map_err(failed)?;
        // Some Windows tools put a byte order mark in front of text.
        if window.starts_with(b"\xef\xbb\xbf") {
            bytes.take(3);
        }
        let format = if let Some(format) = settings.format {
            format
        } else {
            let window = bytes.peek(format::is_enough).map_err(failed)?;
            if window.trim_ascii().is_empty() {
                return Ok(None);
            }
            if let Some((what, advice)) = format::foreign(window) {
                return Err(FileError::Foreign { file, what, advice });
            }
            format::detect(window).ok_or_else(|| unknown(&file, window))?
        };
        let content = match format.descriptor().open {
            Open::Blocks => {
                let reader = RecordingReader::new(Arc::clone(&file), bytes)?;
                Content::Recording(Box::new(reader))
            }
            Open::Text(open) => {
                let mut text = Box::new(TextInput {
                    file: Arc::clone(&file),
                    names,
                    format: format.name(),
                    only_symbol: settings.only_symbol(),
                    asked: settings.symbols.clone(),
                    is_always_open: false,
                    bytes,
                    number: 0,
                });
                let Some(decoder) = open(&mut text)? else {
                    return Ok(None);
                };
                Content::Text { text, decoder }
            }
        };
        Ok(Some(OpenFile {
            format,
            file,
            content,
        }))
    }

    /// Whether the trades are of US equities, whose day is New York's.
    pub(super) fn is_us_equity(&self) -> bool {
        let is_always_open = match &self.content {
            Content::Text { text, .. } => text.is_always_open,
            Content::Recording(_) => false,
        };
        self.format.is_us_equity() && !is_always_open
    }

    /// The layout.
    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// The name for errors.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.file
    }

    /// The decoder of a file of lines, for those who take its lines by [`OpenFile::next_lines`].
    pub(super) fn line_decoder(&self) -> Option<&dyn LineDecoder> {
        match &self.content {
            Content::Text {
                decoder: TextDecoder::Lines(decoder),
                ..
            } => Some(decoder.as_ref()),
            Content::Text { .. } | Content::Recording(_) => None,
        }
    }

    /// Takes about `len` bytes of whole lines; `false` at the end of the file, and where there are no lines.
    pub(super) fn next_lines(&mut self, block: &mut Block, len: usize) -> Result<bool, FileError> {
        let Content::Text { text, .. } = &mut self.content else {
            return Ok(false);
        };
        text.bytes
            .next_lines(block, len)
            .map_err(|source| text.read_error(source))
    }

    /// Lines or rows taken before the first record.
    pub(super) fn lines_before(&self) -> u64 {
        match &self.content {
            Content::Text { text, .. } => text.number,
            Content::Recording(_) => 0,
        }
    }

    /// Adds records until the chunk holds `len_max` trades; `false` at the end of the file, and for lines.
    pub(super) fn fill(&mut self, chunk: &mut Chunk, len_max: usize) -> Result<bool, FileError> {
        match &mut self.content {
            Content::Text {
                text,
                decoder: TextDecoder::Rows(response),
            } => response.fill(text, chunk, len_max),
            Content::Text { .. } => Ok(false),
            Content::Recording(reader) => reader.fill(chunk, len_max),
        }
    }
}

fn unknown(file: &Arc<str>, window: &[u8]) -> FileError {
    // The first line alone, as how much is behind it depends on how the bytes arrive.
    let line = window
        .trim_ascii_start()
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let start = String::from_utf8_lossy(&line[..line.len().min(40)]).into_owned();
    FileError::UnknownFormat {
        file: Arc::clone(file),
        start,
        known: Format::choices(),
    }
}
