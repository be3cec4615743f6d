//! An open file that is being decoded: from its first bytes to the decoder of its layout.

use super::chunk::{Chunk, LineDecoder};
use super::container::Opened;
use super::error::FileError;
use super::format::{self, Format, Open};
use super::recording::RecordingReader;
use super::row_decoder::Response;
use super::settings::FileFeedSettings;
use super::text::{Bytes, TextInput};
use std::sync::Arc;

/// A file of lines or rows, or a recording.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) format: Format,
    /// The name for errors.
    pub(super) file: Arc<str>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Lines(Box<TextInput>, Box<dyn LineDecoder>),
    Rows(Box<TextInput>, Response),
    Blocks(Box<RecordingReader>),
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
        let window = bytes
            .peek(|window| window.len() >= 3)
            .map_err(FileError::read(&file, 0))?;
        // Some Windows tools put a byte order mark in front of text.
        if window.starts_with(b"\xef\xbb\xbf") {
            bytes.take(3);
        }
        let format = if let Some(format) = settings.format {
            format
        } else {
            let window = bytes
                .peek(format::is_enough)
                .map_err(FileError::read(&file, 0))?;
            if window.trim_ascii().is_empty() {
                return Ok(None);
            }
            if let Some((what, advice)) = format::foreign(window) {
                return Err(FileError::Foreign { file, what, advice });
            }
            format::detect(window).ok_or_else(|| unknown(&file, window))?
        };
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
        let content = match format.descriptor().open {
            Open::Lines(open) => match open(&mut text)? {
                Some(decoder) => Content::Lines(text, decoder),
                None => return Ok(None),
            },
            Open::Rows(layout) => {
                let response = Response::new(layout, &text)?;
                Content::Rows(text, response)
            }
            Open::Blocks => {
                let reader = RecordingReader::new(Arc::clone(&file), text.bytes)?;
                Content::Blocks(Box::new(reader))
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
            Content::Lines(text, _) | Content::Rows(text, _) => text.is_always_open,
            Content::Blocks(_) => false,
        };
        self.format.is_us_equity() && !is_always_open
    }

    /// The text of a file of lines and their decoder, for those who take its lines.
    pub(super) fn lines(&mut self) -> Option<(&mut TextInput, &dyn LineDecoder)> {
        match &mut self.content {
            Content::Lines(text, decoder) => Some((text, &**decoder)),
            Content::Rows(..) | Content::Blocks(_) => None,
        }
    }

    /// Adds records until the chunk holds `len_max` trades; `false` at the end of the file, and for lines.
    pub(super) fn fill(&mut self, chunk: &mut Chunk, len_max: usize) -> Result<bool, FileError> {
        match &mut self.content {
            Content::Lines(..) => Ok(false),
            Content::Rows(text, response) => response.fill(text, chunk, len_max),
            Content::Blocks(reader) => reader.fill(chunk, len_max),
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
