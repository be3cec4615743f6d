//! `[run]` and `[log]`: the process as a whole.

use super::section::{choice, section};
use std::path::PathBuf;

section! {
    /// The process as a whole.
    Run, "run" {
        /// Milliseconds a stop may take before what is left goes to the spool, 0 to one hour.
        drain_timeout_ms: u64 = 25_000, 0..=3_600_000;
        /// The folder of spool and checkpoint.
        state_dir: PathBuf = PathBuf::from("barmill-data");
        /// Mebibytes of spool and dead letters, 1 to 1,048,576; full, the sources wait.
        spool_max_mb: u64 = 1_024, 1..=1_048_576;
        /// Seconds for which closed bars that a live store acked are kept for `reconcile`; 0 keeps none.
        recent_s: u64 = 10_800, 0..=604_800;
        /// Mebibytes of such bars, 1 to 1,048,576; beyond it the oldest are forgotten.
        recent_max_mb: u64 = 256, 1..=1_048_576;
        /// Mebibytes of the file of late trades in the state folder, 0 to 1,048,576; 0 keeps none.
        late_max_mb: u64 = 64, 0..=1_048_576;
        /// Milliseconds between two saved places of a replay, from which it goes on after a crash; 0 saves none.
        checkpoint_every_ms: u64 = 5_000, 0..=3_600_000;
        /// Mebibytes that the queues and the requests in flight may hold together, 1 to 1,048,576.
        memory_max_mb: u64 = 512, 1..=1_048_576;
    }
}

section! {
    /// What is logged, on standard error.
    Log, "log" {
        /// The least serious event that is logged.
        level: LogLevel = LogLevel::Info;
        /// The form of a log line.
        format: LogFormat = LogFormat::Text;
    }
}

choice! {
    /// How serious an event is.
    LogLevel {
        /// The run fails.
        Error = "error",
        /// Something needs a person's eye.
        Warn = "warn",
        /// The steps of the run.
        Info = "info",
        /// What the actors decide.
        Debug = "debug",
        /// Every request.
        Trace = "trace",
    }
}

choice! {
    /// The form of a log line.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line, for machines.
        Json = "json",
    }
}
