//! The barmill command.

fn main() {}
