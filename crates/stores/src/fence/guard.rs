//! A batch as one script call that checks the fencing number and applies a bar only if its version is newer.
//!
//! Values stay as readers know them; versions lie apart, in a hash beside each hash of bars (`{key}:version`), in one
//! per spec, date and symbol for strings (`version:{namespace}:{spec}:{date}:{symbol}`), and in the entries of a
//! stream. They live as long as the bars they speak of; bars whose key is gone have no version. The script looks at all
//! types and versions before it writes, and a group that cannot be written leaves the others alone.

use crate::batch::groups::{Batch, Group, GroupKind, GroupsOfItem};
use crate::key_store::command::Command;
use crate::key_store::port::{CommandResult, Reply};
use crate::key_store::remedy::item_error;
use crate::key_store::script::GUARD;
use crate::key_store::stream::each_of_stream;
use crate::layout::view::View;
use barmill_core::port::ItemResult;
use bytes::Bytes;

/// Which answers of a script call belong to which part of its batch.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// The answer of each group.
    of_groups: Vec<usize>,
    /// The answer of the first notice.
    first_notice: usize,
}

/// The script call of a batch by the writer that `head` names: number, holder, life of the lease, whether it is renewed.
pub(crate) fn call(
    fence: Bytes,
    head: [Bytes; 4],
    view: &View,
    batch: &Batch,
) -> (Command, Answers) {
    let mut parts = Parts {
        keys: vec![fence],
        arguments: Vec::from(head),
    };
    parts.number(view.settings().ttl_s.unwrap_or(0));
    parts.number(view.settings().stream_len_max.unwrap_or(0));
    let mut answers = Answers::default();
    let mut rest = batch.groups.as_slice();
    while let Some(first) = rest.first() {
        // Strings that share a hash of versions are one group of the script.
        let versions = |group: &Group| &batch.text[group.versions.clone()];
        let shares =
            |group: &&Group| group.kind == GroupKind::Text && versions(group) == versions(first);
        let len = rest.iter().take_while(shares).count().max(1);
        let (together, after) = rest.split_at(len);
        parts.group(batch, together);
        let answer = answers.first_notice;
        answers.of_groups.extend(std::iter::repeat_n(answer, len));
        (rest, answers.first_notice) = (after, answer + 1);
    }
    for (channel, message) in &batch.notices {
        let head = [b"publish".as_slice(), b"1"].map(Bytes::from_static);
        parts.arguments.extend(head);
        parts.arguments.extend([channel.clone(), message.clone()]);
    }
    let command = Command::Script {
        script: &GUARD,
        has_text: false,
        keys: parts.keys,
        arguments: parts.arguments,
    };
    (command, answers)
}

/// A script call in the making.
struct Parts {
    keys: Vec<Bytes>,
    arguments: Vec<Bytes>,
}

impl Parts {
    fn number(&mut self, number: impl itoa::Integer) {
        self.arguments.push(Bytes::copy_from_slice(
            itoa::Buffer::new().format(number).as_bytes(),
        ));
    }

    fn group(&mut self, batch: &Batch, groups: &[Group]) {
        let [group, ..] = groups else { return };
        let layout: &'static [u8] = match group.kind {
            GroupKind::Hash => b"hash",
            GroupKind::Text => b"text",
            GroupKind::Stream => b"stream",
            GroupKind::Manifest => b"manifest",
        };
        self.arguments.push(Bytes::from_static(layout));
        self.number(
            groups
                .iter()
                .map(|group| group.entries.len())
                .sum::<usize>(),
        );
        match group.kind {
            GroupKind::Hash => self
                .keys
                .extend([batch.slice(&group.key), batch.slice(&group.versions)]),
            GroupKind::Text => {
                self.keys.push(batch.slice(&group.versions));
                self.keys
                    .extend(groups.iter().map(|group| batch.slice(&group.key)));
            }
            GroupKind::Manifest => self.keys.push(batch.slice(&group.key)),
            GroupKind::Stream => {
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
        for entry in groups.iter().flat_map(|group| batch.entries(group)) {
            let parts = [entry.field(), entry.version(), entry.value()];
            self.arguments.extend(parts.map(|part| batch.slice(&part)));
        }
    }
}

impl Answers {
    /// The fate of an item, from the answers of the script.
    pub(crate) fn fate(&self, result: &CommandResult, groups_of_item: GroupsOfItem) -> ItemResult {
        let answers = match result {
            Ok(Reply::Array(answers)) => answers,
            Ok(_) => return Err(item_error("answer of the guard is no list")),
            Err(error) => return Err(error.clone()),
        };
        let of_group = |group: usize| self.of_groups.get(group).copied();
        let wanted = [
            groups_of_item.base.and_then(of_group),
            groups_of_item.stream.and_then(of_group),
            groups_of_item
                .notice
                .map(|notice| self.first_notice + notice),
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
