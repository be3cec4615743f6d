//! The cost of a batch at the store: requests and billed commands.

use crate::batch::final_batch;
use crate::batch::groups::count_commands;
use crate::fence::lease::RENEWAL_COMMANDS;
use crate::layout::view::View;
use crate::owner::claim_tracker::Claim;
use crate::owner::claims::Claims;
use barmill_core::port::{Cost, WriteItem};

/// Requests and commands of the items.
pub(crate) fn cost(view: &View, items: &[WriteItem], is_guarded: bool) -> Cost {
    let script = usize::from(!is_guarded && final_batch::manifests(items).is_some());
    let commands = script + count_commands(view, items, is_guarded);
    let commands = u32::try_from(commands).unwrap_or(u32::MAX);
    Cost {
        requests: u32::from(commands > 0),
        commands,
    }
}

/// Adds what the claims on bars cost: nothing but their commands where one script claims and writes.
pub(crate) fn with_claims(
    cost: Cost,
    items: &[WriteItem],
    (claims, due): (&Claims, Vec<Claim>),
    joins: bool,
) -> Cost {
    if due.is_empty() {
        return cost;
    }
    let apart = !(joins && final_batch::manifests(items).is_some());
    let calls = if apart { Claims::calls(&due).len() } else { 0 };
    let commands = claims.commands(&due) + calls;
    Cost {
        requests: cost.requests + u32::try_from(calls).unwrap_or(u32::MAX),
        commands: cost
            .commands
            .saturating_add(u32::try_from(commands).unwrap_or(u32::MAX)),
    }
}

/// Commands of one sign of life.
pub(crate) const fn keepalive_commands(is_guarded: bool) -> u32 {
    if is_guarded { RENEWAL_COMMANDS } else { 1 }
}
