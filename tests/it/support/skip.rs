//! How a test says that it could not be run.

pub(crate) use barmill_test_kit::skipped;
