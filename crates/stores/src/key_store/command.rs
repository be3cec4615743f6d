//! Store commands, and their two wire forms: RESP arguments and the JSON arrays of the Upstash REST API.
//!
//! Deliberately holds only commands that may be sent twice without harm, so that any of them can be retried.
//! Wire formats: the Redis serialization protocol (RESP2 arrays of bulk strings), and the body of Upstash
//! `/pipeline` (redis/features/restapi, 2026-08): an array of arrays of strings.

use super::script::{APPEND, Script};
use crate::key_store::stream::{StreamEntry, StreamId, each_of_stream};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// One command. Keys, fields and values are byte strings; over REST they must be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `HSET`: sets fields of a hash.
    HashSet {
        /// The hash.
        key: Bytes,
        /// Fields and values; never empty.
        fields: Fields,
    },
    /// `EXPIRE`: lets a key live `seconds` from now.
    Expire {
        /// The key.
        key: Bytes,
        /// Seconds from now, above zero.
        seconds: u64,
    },
    /// `SET`: sets a string, for `seconds` or for ever (`EX`).
    Set {
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
        /// Seconds from now, above zero; `None` for ever.
        seconds: Option<u64>,
    },
    /// `HGETALL`: every field and value of a hash, flat; empty when there is no such key.
    HashGetAll {
        /// The hash.
        key: Bytes,
    },
    /// `HMGET`: the values of some fields, nil for what is not there.
    HashGet {
        /// The hash.
        key: Bytes,
        /// The fields; never empty.
        fields: Vec<Bytes>,
    },
    /// `MGET`: the values of some strings, nil for what is not there.
    Get {
        /// The keys; never empty.
        keys: Vec<Bytes>,
    },
    /// `DEL`: removes keys.
    Delete {
        /// The keys; never empty.
        keys: Vec<Bytes>,
    },
    /// Appends to a stream what is not in it yet, in order; a script of Redis, see `stream`.
    StreamAdd {
        /// The stream.
        key: Bytes,
        /// What to append; never empty.
        entries: Vec<StreamEntry>,
        /// Entries kept at least when old ones go (`MAXLEN ~`); `None` keeps all.
        len_max: Option<u64>,
        /// Seconds that the stream lives from now, above zero; `None` for ever.
        seconds: Option<u64>,
        /// Whether the script's text goes along, for a store that does not know it.
        has_text: bool,
    },
    /// `XRANGE`: every entry from a time on.
    StreamRange {
        /// The stream.
        key: Bytes,
        /// Milliseconds since the Unix epoch, included.
        from_ms: u64,
    },
    /// `PUBLISH`: sends a message to whoever listens.
    Publish {
        /// The channel.
        channel: Bytes,
        /// The message.
        message: Bytes,
    },
    /// `EVALSHA` or `EVAL`: runs a script.
    Script {
        /// The script.
        script: &'static Script,
        /// Whether the text goes along, for a store that does not know the script.
        has_text: bool,
        /// Every key that the script touches.
        keys: Vec<Bytes>,
        /// Its arguments.
        arguments: Vec<Bytes>,
    },
    /// `PING`: a sign of life.
    Ping,
}

/// One value and what belongs to it, which lie one behind the other in a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// Own id of the update, in a stream only.
    pub(crate) id: StreamId,
    /// Where field, version and value begin, and the end; what a layout does not need is empty.
    pub(crate) bounds: [usize; 4],
}

impl Entry {
    pub(crate) fn field(&self) -> Range<usize> {
        self.bounds[0]..self.bounds[1]
    }

    pub(crate) fn version(&self) -> Range<usize> {
        self.bounds[1]..self.bounds[2]
    }

    pub(crate) fn value(&self) -> Range<usize> {
        self.bounds[2]..self.bounds[3]
    }
}

/// Fields of a hash and their values, which lie in one text.
#[derive(Debug, Clone)]
pub struct Fields {
    text: Bytes,
    entries: Arc<Vec<Entry>>,
    range: Range<usize>,
}

impl Fields {
    /// A range of entries, which lie inside the text.
    pub(crate) fn new(text: Bytes, entries: Arc<Vec<Entry>>, range: Range<usize>) -> Fields {
        Fields {
            text,
            entries,
            range,
        }
    }

    /// Each field and its value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries[self.range.clone()]
            .iter()
            .map(|entry| (&self.text[entry.field()], &self.text[entry.value()]))
    }
}

impl<F: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(F, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (F, V)>>(fields: I) -> Fields {
        let (mut text, mut entries) = (Vec::new(), Vec::new());
        for (field, value) in fields {
            let start = text.len();
            text.extend_from_slice(field.as_ref());
            let middle = text.len();
            text.extend_from_slice(value.as_ref());
            entries.push(Entry {
                id: StreamId::default(),
                bounds: [start, middle, middle, text.len()],
            });
        }
        let range = 0..entries.len();
        Fields::new(Bytes::from(text), Arc::new(entries), range)
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Fields) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Fields {}

impl Command {
    /// The command's name on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Command::HashSet { .. } => "HSET",
            Command::Expire { .. } => "EXPIRE",
            Command::Set { .. } => "SET",
            Command::HashGetAll { .. } => "HGETALL",
            Command::HashGet { .. } => "HMGET",
            Command::Get { .. } => "MGET",
            Command::Delete { .. } => "DEL",
            Command::StreamRange { .. } => "XRANGE",
            Command::Publish { .. } => "PUBLISH",
            Command::Script {
                has_text: false, ..
            }
            | Command::StreamAdd {
                has_text: false, ..
            } => "EVALSHA",
            Command::Script { has_text: true, .. } | Command::StreamAdd { has_text: true, .. } => {
                "EVAL"
            }
            Command::Ping => "PING",
        }
    }

    /// Calls `take` with each argument after the name, in order.
    pub fn each_argument(&self, mut take: impl FnMut(&[u8])) {
        let mut number = itoa::Buffer::new();
        match self {
            Command::HashSet { key, fields } => {
                take(key);
                for (field, value) in fields.iter() {
                    take(field);
                    take(value);
                }
            }
            Command::Expire { key, seconds } => {
                take(key);
                take(number.format(*seconds).as_bytes());
            }
            Command::Set {
                key,
                value,
                seconds,
            } => {
                take(key);
                take(value);
                if let Some(seconds) = seconds {
                    take(b"EX");
                    take(number.format(*seconds).as_bytes());
                }
            }
            Command::HashGetAll { key } => take(key),
            Command::HashGet { key, fields } => {
                take(key);
                for field in fields {
                    take(field);
                }
            }
            Command::Get { keys } | Command::Delete { keys } => {
                for key in keys {
                    take(key);
                }
            }
            Command::StreamAdd {
                key,
                entries,
                len_max,
                seconds,
                has_text,
            } => {
                take(APPEND.name_or_text(*has_text));
                take(b"1");
                take(key);
                take(number.format(seconds.unwrap_or(0)).as_bytes());
                each_of_stream(entries, *len_max, take);
            }
            Command::StreamRange { key, from_ms } => {
                take(key);
                take(number.format(*from_ms).as_bytes());
                take(b"+");
            }
            Command::Publish { channel, message } => {
                take(channel);
                take(message);
            }
            Command::Script {
                script,
                has_text,
                keys,
                arguments,
            } => {
                take(script.name_or_text(*has_text));
                take(number.format(keys.len()).as_bytes());
                keys.iter()
                    .chain(arguments)
                    .for_each(|argument| take(argument));
            }
            Command::Ping => {}
        }
    }

    /// Bytes of the command as an array of bulk strings.
    pub fn resp_len(&self) -> usize {
        let mut parts = 1;
        let mut len = bulk_len(self.name().len());
        self.each_argument(|argument| {
            parts += 1;
            len += bulk_len(argument.len());
        });
        len + 3 + digits(parts)
    }

    /// The command as the RESP client takes it, and its bytes.
    #[cfg(feature = "redis")]
    pub(crate) fn to_resp(&self) -> (redis::Cmd, usize) {
        let mut command = if let Command::HashSet { key, fields } = self {
            let texts: usize = fields
                .iter()
                .map(|(field, value)| field.len() + value.len())
                .sum();
            redis::Cmd::with_capacity(2 + 2 * fields.range.len(), "HSET".len() + key.len() + texts)
        } else {
            redis::Cmd::with_capacity(4, self.resp_len())
        };
        let mut parts = 1;
        let mut len = bulk_len(self.name().len());
        command.arg(self.name());
        self.each_argument(|argument| {
            parts += 1;
            len += bulk_len(argument.len());
            command.arg(argument);
        });
        (command, len + 3 + digits(parts))
    }

    /// Appends the command as a JSON array of strings.
    ///
    /// # Errors
    /// The first argument that is not UTF-8, which JSON cannot carry.
    pub fn push_json(&self, out: &mut Vec<u8>) -> Result<(), std::str::Utf8Error> {
        out.extend_from_slice(b"[\"");
        out.extend_from_slice(self.name().as_bytes());
        out.push(b'"');
        let mut fault = None;
        self.each_argument(|argument| match std::str::from_utf8(argument) {
            Ok(text) => {
                out.push(b',');
                push_json_string(out, text);
            }
            Err(error) => fault = fault.or(Some(error)),
        });
        out.push(b']');
        fault.map_or(Ok(()), Err)
    }
}

fn bulk_len(len: usize) -> usize {
    len + 5 + digits(len)
}

fn digits(value: usize) -> usize {
    value.checked_ilog10().map_or(1, |power| power as usize + 1)
}

/// Appends the text as a JSON string (RFC 8259 section 7: quote, backslash and control characters are escaped).
pub(crate) fn push_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(index) = rest
        .iter()
        .position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20)
    {
        out.extend_from_slice(&rest[..index]);
        match rest[index] {
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            byte => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
        rest = &rest[index + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::Command;
    use crate::key_store::script::Script;
    use crate::key_store::stream::{StreamEntry, StreamId};
    use bytes::Bytes;

    static TINY: Script = Script {
        text: "return 1",
        sha: "abc",
    };

    fn commands() -> Vec<(Command, &'static str)> {
        let text = Bytes::from_static;
        let entry = StreamEntry {
            id: StreamId { ms: 5, sequence: 7 },
            start: text(b"s"),
            version: text(b"001"),
            bar: text(b"1,2"),
        };
        let stream = Command::StreamAdd {
            key: text(b"x"),
            entries: vec![entry],
            len_max: Some(9),
            seconds: None,
            has_text: false,
        };
        let script = |has_text| {
            let (keys, arguments) = (vec![text(b"k")], vec![text(b"7")]);
            Command::Script {
                script: &TINY,
                has_text,
                keys,
                arguments,
            }
        };
        let hash = Command::HashSet {
            key: text(b"h"),
            fields: [("09:30", "{\"a\":1}")].into_iter().collect(),
        };
        let set = |seconds| Command::Set {
            key: text(b"k"),
            value: text(b"a\\\n"),
            seconds,
        };
        vec![
            (hash, r#"["HSET","h","09:30","{\"a\":1}"]"#),
            (
                Command::Expire {
                    key: text(b"h"),
                    seconds: 7200,
                },
                r#"["EXPIRE","h","7200"]"#,
            ),
            (set(Some(60)), r#"["SET","k","a\\\u000a","EX","60"]"#),
            (set(None), r#"["SET","k","a\\\u000a"]"#),
            (
                Command::HashGetAll { key: text(b"h") },
                r#"["HGETALL","h"]"#,
            ),
            (
                Command::HashGet {
                    key: text(b"h"),
                    fields: vec![text(b"a"), text(b"b")],
                },
                r#"["HMGET","h","a","b"]"#,
            ),
            (
                Command::Get {
                    keys: vec![text(b"a"), text(b"b")],
                },
                r#"["MGET","a","b"]"#,
            ),
            (
                Command::Delete {
                    keys: vec![text(b"a")],
                },
                r#"["DEL","a"]"#,
            ),
            (
                stream,
                r#"["EVALSHA","578e6df86da6f8a4fd2ffcb5d182945c165f1f9a","1","x","0","9","5-7","5-7","s","001","1,2"]"#,
            ),
            (
                Command::StreamRange {
                    key: text(b"x"),
                    from_ms: 12,
                },
                r#"["XRANGE","x","12","+"]"#,
            ),
            (
                Command::Publish {
                    channel: text(b"c"),
                    message: text(b"m"),
                },
                r#"["PUBLISH","c","m"]"#,
            ),
            (script(false), r#"["EVALSHA","abc","1","k","7"]"#),
            (script(true), r#"["EVAL","return 1","1","k","7"]"#),
            (Command::Ping, r#"["PING"]"#),
        ]
    }

    #[test]
    fn json_is_an_array_of_strings() {
        for (command, expected) in commands() {
            let mut out = Vec::new();
            command.push_json(&mut out).unwrap();
            assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
            serde_json::from_slice::<Vec<String>>(&out).unwrap();
        }
    }

    #[test]
    fn resp_length_is_that_of_the_packed_command() {
        for (command, _) in commands() {
            assert_eq!(
                command.to_resp().0.get_packed_command().len(),
                command.resp_len(),
                "{command:?}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_over_json() {
        let command = Command::HashGetAll {
            key: Bytes::from_static(b"\xff"),
        };
        assert!(command.push_json(&mut Vec::new()).is_err());
    }
}
