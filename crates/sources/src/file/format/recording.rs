//! barmill's own recording; its bytes are described in [`crate::file::recording`].

use super::descriptor::{Descriptor, Open};
use super::detect::Sample;
use crate::file::recording::MAGIC;

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "recording",
    summary: "barmill's own recording",
    columns: &[],
    vendor: None,
    is_us_equity: false,
    needs_symbol: false,
    is_like,
    open: Open::Blocks,
};

fn is_like(sample: &Sample<'_>) -> bool {
    sample.window.starts_with(MAGIC) || MAGIC.starts_with(sample.window)
}
