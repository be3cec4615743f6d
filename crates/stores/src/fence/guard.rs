//! A batch as one script call that checks the fencing number and applies a bar only if its version is newer.
//!
//! Values stay as readers know them; versions lie apart, in a hash beside each hash of bars (`{key}:version`), in one
//! per spec, date and symbol for strings (`version:{namespace}:{spec}:{date}:{symbol}`), and in the entries of a
//! stream. They live as long as the bars they speak of; bars whose key is gone have no version. The script looks at all
//! types and versions before it writes, and a group that cannot be written leaves the others alone.

use crate::batch::groups::{Batch, Group, Home, Layout};
use crate::key_store::command::Command;
use crate::key_store::port::{CommandResult, Reply};
use crate::key_store::remedy::item_error;
use crate::key_store::script::GUARD;
use crate::key_store::stream::each_of_stream;
use crate::layout::view::View;
use barmill_core::port::ItemResult;
use bytes::Bytes;

/// A script call in the making, and where its answers belong.
#[derive(Debug)]
pub(crate) struct GuardedCall {
    keys: Vec<Bytes>,
    arguments: Vec<Bytes>,
    /// The answer of each group of the batch.
    answers: Vec<usize>,
    /// The answer of the first notice.
    first_notice: usize,
}

impl GuardedCall {
    pub(crate) fn new(fence: Bytes) -> GuardedCall {
        GuardedCall {
            keys: vec![fence],
            arguments: Vec::new(),
            answers: Vec::new(),
            first_notice: 0,
        }
    }

    fn number(&mut self, number: impl itoa::Integer) {
        self.arguments.push(Bytes::copy_from_slice(
            itoa::Buffer::new().format(number).as_bytes(),
        ));
    }

    pub(crate) fn head(&mut self, number: u64, holder: &str, ttl_ms: u64, is_renewal: bool) {
        self.number(number);
        self.arguments
            .push(Bytes::copy_from_slice(holder.as_bytes()));
        self.number(ttl_ms);
        self.number(u8::from(is_renewal));
    }

    pub(crate) fn body(&mut self, view: &View, batch: &Batch) {
        self.number(view.settings().ttl_s.unwrap_or(0));
        self.number(view.settings().stream_len_max.unwrap_or(0));
        let mut rest = batch.groups.as_slice();
        let mut next = 0;
        while let Some(first) = rest.first() {
            // Strings that share a hash of versions are one group of the script.
            let versions = |group: &Group| &batch.text[group.versions.clone()];
            let shares =
                |group: &&Group| group.layout == Layout::Text && versions(group) == versions(first);
            let len = rest.iter().take_while(shares).count().max(1);
            let (together, after) = rest.split_at(len);
            self.group(batch, together);
            self.answers.extend(std::iter::repeat_n(next, len));
            (rest, next) = (after, next + 1);
        }
        self.first_notice = next;
        for (channel, message) in &batch.notices {
            self.arguments
                .extend([Bytes::from_static(b"publish"), Bytes::from_static(b"1")]);
            self.arguments.extend([channel.clone(), message.clone()]);
        }
    }

    fn group(&mut self, batch: &Batch, groups: &[Group]) {
        let [group, ..] = groups else { return };
        let layout: &'static [u8] = match group.layout {
            Layout::Hash => b"hash",
            Layout::Text => b"text",
            Layout::Stream => b"stream",
            Layout::Manifest => b"manifest",
        };
        self.arguments.push(Bytes::from_static(layout));
        self.number(
            groups
                .iter()
                .map(|group| group.entries.len())
                .sum::<usize>(),
        );
        match group.layout {
            Layout::Hash => self
                .keys
                .extend([batch.slice(&group.key), batch.slice(&group.versions)]),
            Layout::Text => {
                self.keys.push(batch.slice(&group.versions));
                self.keys
                    .extend(groups.iter().map(|group| batch.slice(&group.key)));
            }
            Layout::Manifest => self.keys.push(batch.slice(&group.key)),
            Layout::Stream => {
                self.keys.push(batch.slice(&group.key));
                let entries = batch.stream_entries(group);
                // The length is told once for all streams.
                let mut is_first = true;
                each_of_stream(&entries, None, |argument| {
                    if !std::mem::take(&mut is_first) {
                        self.arguments.push(Bytes::copy_from_slice(argument));
                    }
                });
                return;
            }
        }
        for entry in groups.iter().flat_map(|group| &group.entries) {
            self.arguments
                .extend([&entry.field, &entry.version, &entry.value].map(|part| batch.slice(part)));
        }
    }

    /// The command; once.
    pub(crate) fn take_command(&mut self) -> Command {
        let (keys, arguments) = (
            std::mem::take(&mut self.keys),
            std::mem::take(&mut self.arguments),
        );
        Command::Script {
            script: &GUARD,
            has_text: false,
            keys,
            arguments,
        }
    }

    /// The fate of an item, from the answers of the script.
    pub(crate) fn fate(&self, result: &CommandResult, home: Home) -> ItemResult {
        let answers = match result {
            Ok(Reply::Array(answers)) => answers,
            Ok(_) => return Err(item_error("answer of the guard is no list")),
            Err(error) => return Err(error.clone()),
        };
        let of_group = |group: usize| self.answers.get(group).copied();
        let wanted = [
            home.base.and_then(of_group),
            home.stream.and_then(of_group),
            home.notice.map(|notice| self.first_notice + notice),
        ];
        for index in wanted.into_iter().flatten() {
            match answers.get(index) {
                Some(Reply::Integer(_)) => {}
                Some(Reply::Text(words)) => {
                    return Err(item_error(&String::from_utf8_lossy(words)));
                }
                Some(Reply::Nil | Reply::Array(_)) | None => {
                    return Err(item_error("answer of the guard is too short"));
                }
            }
        }
        Ok(())
    }
}
