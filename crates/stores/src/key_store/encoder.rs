//! Where commands are written, argument by argument: a pipeline of RESP, the body of a REST request, or a list.

use super::command::Command;
#[cfg(feature = "upstash")]
use super::command::push_json_string;
#[cfg(feature = "redis")]
use super::command::{bulk_len, digits};
use bytes::Bytes;
#[cfg(feature = "upstash")]
use std::str::Utf8Error;

/// Takes commands.
pub(crate) trait CommandEncoder {
    /// Begins a command of so many arguments after its name, with about so many bytes.
    fn begin(&mut self, name: &'static str, arguments: usize, bytes: usize);

    /// Adds the next argument.
    fn argument(&mut self, argument: &[u8]);

    /// Ends the command.
    fn end(&mut self);
}

/// A pipeline as the RESP client takes it.
#[cfg(feature = "redis")]
#[derive(Default)]
pub(crate) struct RespPipeline {
    pipeline: redis::Pipeline,
    command: redis::Cmd,
    len: usize,
}

#[cfg(feature = "redis")]
impl RespPipeline {
    /// Bytes on the wire.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn finish(self) -> redis::Pipeline {
        self.pipeline
    }
}

#[cfg(feature = "redis")]
impl CommandEncoder for RespPipeline {
    fn begin(&mut self, name: &'static str, arguments: usize, bytes: usize) {
        self.command = redis::Cmd::with_capacity(1 + arguments, name.len() + bytes);
        self.len += 3 + digits(1 + arguments);
        self.argument(name.as_bytes());
    }

    fn argument(&mut self, argument: &[u8]) {
        self.len += bulk_len(argument.len());
        self.command.arg(argument);
    }

    fn end(&mut self) {
        self.pipeline.add_command(std::mem::take(&mut self.command));
    }
}

/// The body of `/pipeline`.
#[cfg(feature = "upstash")]
#[derive(Default)]
pub(crate) struct JsonBody {
    body: Vec<u8>,
    fault: Option<Utf8Error>,
}

#[cfg(feature = "upstash")]
impl JsonBody {
    /// The whole body.
    ///
    /// # Errors
    /// The first argument that is not UTF-8, which JSON cannot carry.
    pub(crate) fn finish(mut self) -> Result<Bytes, Utf8Error> {
        self.body.push(b']');
        self.fault.map_or(Ok(Bytes::from(self.body)), Err)
    }
}

#[cfg(feature = "upstash")]
impl CommandEncoder for JsonBody {
    fn begin(&mut self, name: &'static str, _arguments: usize, bytes: usize) {
        // Some quotes are escaped.
        self.body.reserve(bytes + bytes / 8);
        self.body.extend_from_slice(if self.body.is_empty() {
            b"[[\""
        } else {
            b",[\""
        });
        self.body.extend_from_slice(name.as_bytes());
        self.body.push(b'"');
    }

    fn argument(&mut self, argument: &[u8]) {
        match std::str::from_utf8(argument) {
            Ok(text) => {
                self.body.push(b',');
                push_json_string(&mut self.body, text);
            }
            Err(error) => self.fault = self.fault.or(Some(error)),
        }
    }

    fn end(&mut self) {
        self.body.push(b']');
    }
}

/// Commands one by one.
#[derive(Default)]
pub(crate) struct Listed {
    pub(crate) commands: Vec<Command>,
    arguments: Vec<Bytes>,
    is_hash: bool,
}

impl CommandEncoder for Listed {
    fn begin(&mut self, name: &'static str, _arguments: usize, _bytes: usize) {
        self.is_hash = name == "HSET";
    }

    fn argument(&mut self, argument: &[u8]) {
        self.arguments.push(Bytes::copy_from_slice(argument));
    }

    fn end(&mut self) {
        let mut arguments = self.arguments.drain(..);
        let key = arguments.next().unwrap_or_default();
        if self.is_hash {
            let mut fields = Vec::with_capacity(arguments.len() / 2);
            while let (Some(field), Some(value)) = (arguments.next(), arguments.next()) {
                fields.push((field, value));
            }
            self.commands.push(Command::HashSet { key, fields });
        } else {
            let seconds = arguments
                .next()
                .and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok());
            self.commands.push(Command::Expire {
                key,
                seconds: seconds.unwrap_or(1),
            });
        }
    }
}
