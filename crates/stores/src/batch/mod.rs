//! From items to groups, commands and scripts; and how large an item becomes.

pub(crate) mod commands;
pub(crate) mod encoded_len;
pub(crate) mod final_batch;
pub(crate) mod groups;
mod notification;
