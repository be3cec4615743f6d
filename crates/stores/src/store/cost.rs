//! What a batch costs at the store: requests, and the commands that it bills.

use super::batch::count_commands;
use super::fence::RENEWAL_COMMANDS;
use super::final_batch;
use super::symbol_day::Days;
use super::view::View;
use barmill_core::port::{Cost, WriteItem};

/// Requests and commands of the items.
pub(super) fn cost(view: &View, items: &[WriteItem], is_guarded: bool) -> Cost {
    let days = if is_guarded {
        None
    } else {
        Days::of(view, items)
    };
    let script = usize::from(!is_guarded && final_batch::manifests(items).is_some());
    let plainly = || count_commands(view, items, is_guarded);
    let commands = script + days.map_or_else(plainly, |days| days.command_count());
    let commands = u32::try_from(commands).unwrap_or(u32::MAX);
    Cost {
        requests: u32::from(commands > 0),
        commands,
    }
}

/// Commands of one sign of life.
pub(super) const fn keepalive_commands(is_guarded: bool) -> u32 {
    if is_guarded { RENEWAL_COMMANDS } else { 1 }
}
