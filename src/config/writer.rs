//! `[writer]`: how bars are batched, paced and retried.

use super::section::{choice, section};

section! {
    /// How bars are batched, paced and retried.
    Writer, "writer" {
        /// Bars of one batch, 1 to 100,000.
        batch_len_max: usize = 1_000, 1..=100_000;
        /// Bytes of one batch, 1 KiB to 10 MB (Upstash's smallest limit of a request).
        batch_bytes_max: usize = 1_048_576, 1_024..=10_000_000;
        /// Milliseconds a bar may wait for its batch to fill; 0 sends at once when nothing is in flight.
        linger_ms: u64 = 5_000, 0..=600_000;
        /// Whether a live run sends at once while nothing is in flight.
        eager: bool = true;
        /// Requests in flight, 1 to 256.
        in_flight_max: usize = 4, 1..=256;
        /// Batches of bars waiting before the writer, 1 to 4,096; each holds at most `replay.batch_len_max` bars.
        queue_len_max: usize = 16, 1..=4_096;
        /// Commands a second, retries included; 0 is no limit.
        commands_per_second: u32 = 10_000, 0..=10_000_000;
        /// Requests a second, retries included; 0 is no limit.
        requests_per_second: u32 = 1_000, 0..=1_000_000;
        /// Attempts of one write, the first included, 1 to 100.
        attempts_max: u32 = 3, 1..=100;
        /// Milliseconds before the second attempt; doubles with each further one, with jitter.
        backoff_ms: u64 = 500, 1..=600_000;
        /// Milliseconds of the longest wait between attempts; at least `backoff_ms`.
        backoff_max_ms: u64 = 30_000, 1..=3_600_000;
        /// Commands a UTC day, retries included; 0 is no limit. Counted for Redis and Upstash, over restarts.
        commands_per_day: u64 = 0, 0..=1_000_000_000_000;
        /// Commands a UTC month, retries included; 0 is no limit.
        commands_per_month: u64 = 0, 0..=1_000_000_000_000;
        /// Milliseconds before the first probe of a store that is out; doubles with each further one, with jitter.
        probe_ms: u64 = 1_000, 100..=600_000;
        /// Milliseconds of the longest wait between such probes; at least `probe_ms`.
        probe_max_ms: u64 = 30_000, 100..=3_600_000;
        /// Milliseconds before the first probe of a used-up quota; doubles with each further one, with jitter.
        quota_probe_ms: u64 = 60_000, 1_000..=86_400_000;
        /// Milliseconds of the longest wait between such probes; at least `quota_probe_ms`.
        quota_probe_max_ms: u64 = 900_000, 1_000..=86_400_000;
        /// Whether recent bars are compared with the store after a failure that may have been a failover.
        reconcile_on_reconnect: bool = false;
        /// Whether a second writer of the namespace is kept out.
        guard: Guard = Guard::Off;
        /// Milliseconds that the lease of `guard = "fence"` lives without renewal.
        fence_ttl_ms: u64 = 30_000, 1_000..=3_600_000;
        /// Whether the living lease of another writer is taken.
        take_over: TakeOver = TakeOver::No;
    }
}

choice! {
    /// Whether a second writer of the namespace is kept out.
    Guard {
        /// Nobody looks.
        Off = "off",
        /// By a lease with a fencing number, and by versions.
        Fence = "fence",
    }
}

choice! {
    /// Whether the living lease of another writer is taken.
    TakeOver {
        /// The start is refused.
        No = "no",
        /// The other writer is fenced out.
        Yes = "yes",
    }
}
