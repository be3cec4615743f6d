//! The last batch of a run: bars and then their manifests, in one request.
//!
//! One script runs the bars' commands and then, only when each of them has succeeded, the manifests'. A store runs a
//! script as a whole or not at all, so no manifest is in it before its bars, whenever a connection or a process ends.
//! Where the script itself is refused (its size, a store without scripts) the bars go the plain way, and the manifests
//! are answered with an error that asks for another attempt.

use super::commands::Plan;
use crate::key_store::command::Command;
use crate::key_store::port::{CommandResult, Reply};
use crate::key_store::remedy::item_error;
use crate::key_store::script::CLOSE;
use crate::layout::view::View;
use barmill_core::port::{ItemError, Remedy, WriteItem};
use bytes::Bytes;

/// Whether manifests can go behind the bars of a view.
pub(crate) fn joins(view: &View, is_guarded: bool) -> bool {
    !is_guarded && view.stream().is_none() && view.channel().is_none()
}

/// The place of the first manifest in a batch that ends with some, behind bars.
pub(crate) fn manifests(items: &[WriteItem]) -> Option<usize> {
    let is_manifest = |item: &WriteItem| matches!(item, WriteItem::Manifest(_));
    let first = items.iter().position(is_manifest)?;
    (first > 0 && items[first..].iter().all(is_manifest)).then_some(first)
}

/// The call that claims bars and does nothing else; keys of owners' records, and their arguments.
pub(crate) fn claim_call(claims: Vec<(Bytes, Vec<Bytes>)>, has_text: bool) -> Command {
    let (mut keys, mut arguments) = (Vec::new(), vec![number(claims.len())]);
    push_claims(claims, &mut keys, &mut arguments);
    Command::Script {
        script: &CLOSE,
        has_text,
        keys,
        arguments,
    }
}

fn push_claims(
    claims: Vec<(Bytes, Vec<Bytes>)>,
    keys: &mut Vec<Bytes>,
    arguments: &mut Vec<Bytes>,
) {
    for (key, rest) in claims {
        keys.push(key);
        arguments.extend([Bytes::from_static(b"OWN"), number(rest.len())]);
        arguments.extend(rest);
    }
}

/// The call for a plan whose item `first` is the first manifest, behind the claims; `None` for commands that are no
/// writes of one key.
pub(crate) fn call(plan: &Plan, first: usize, claims: Vec<(Bytes, Vec<Bytes>)>) -> Option<Command> {
    let must = claims.len() + plan.first_command(first)?;
    let mut keys = Vec::with_capacity(claims.len() + plan.commands.len());
    let mut arguments = vec![number(must)];
    push_claims(claims, &mut keys, &mut arguments);
    for command in &plan.commands {
        match command {
            Command::HashSet { .. } | Command::Expire { .. } | Command::Set { .. } => {}
            Command::HashGetAll { .. }
            | Command::HashGet { .. }
            | Command::Get { .. }
            | Command::Delete { .. }
            | Command::StreamAdd { .. }
            | Command::StreamRange { .. }
            | Command::Publish { .. }
            | Command::Script { .. }
            | Command::Ping => return None,
        }
        let mut parts = Vec::new();
        command.each_argument(|argument| parts.push(Bytes::copy_from_slice(argument)));
        let (key, rest) = parts.split_first()?;
        keys.push(key.clone());
        arguments.extend([
            Bytes::from_static(command.name().as_bytes()),
            number(rest.len()),
        ]);
        arguments.extend_from_slice(rest);
    }
    // With its text, since asking whether the store knows it would be another request.
    Some(Command::Script {
        script: &CLOSE,
        has_text: true,
        keys,
        arguments,
    })
}

fn number(number: impl itoa::Integer) -> Bytes {
    Bytes::copy_from_slice(itoa::Buffer::new().format(number).as_bytes())
}

/// The result of each of `count` commands behind the claims, from the script's answer.
///
/// # Errors
/// When the script itself was refused, or answers something else.
pub(crate) fn results(
    answer: CommandResult,
    claims: usize,
    count: usize,
) -> Result<Vec<CommandResult>, ItemError> {
    match answer? {
        Reply::Array(answers) if answers.len() == claims + count => {
            Ok(answers.into_iter().skip(claims).map(result).collect())
        }
        Reply::Array(_) | Reply::Nil | Reply::Integer(_) | Reply::Text(_) => Err(item_error(
            "answer of the script is no list of the commands",
        )),
    }
}

fn result(answer: Reply) -> CommandResult {
    match &answer {
        Reply::Text(fault) => Err(item_error(&String::from_utf8_lossy(fault))),
        Reply::Nil | Reply::Integer(_) | Reply::Array(_) => Ok(answer),
    }
}

/// The fate of a manifest whose turn did not come.
pub(crate) fn unwritten() -> ItemError {
    ItemError {
        remedy: Remedy::Retry { after: None },
        reason: "the manifest follows its bars".to_owned(),
    }
}
