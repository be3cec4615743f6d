//! The metrics of a run in Prometheus text format (version 0.0.4), times in seconds.

use crate::Timestamp;
use crate::daemon::SourceView;
use crate::engine::circuit::CircuitState;
use crate::pipeline::State;
use std::fmt::{Display, Write};

/// What may be spent; `None` without a bound.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Budget {
    pub(super) commands_per_day: Option<u64>,
    pub(super) commands_per_month: Option<u64>,
}

/// A text that grows metric by metric.
struct Text(String);

impl Text {
    /// One metric: its kind, its help, and its values by labels.
    fn metric<V: Display>(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        values: impl IntoIterator<Item = (String, V)>,
    ) {
        // Writing to a text does not fail.
        let _written = writeln!(
            self.0,
            "# HELP barmill_{name} {help}\n# TYPE barmill_{name} {kind}"
        );
        for (labels, value) in values {
            let _written = writeln!(self.0, "barmill_{name}{labels} {value}");
        }
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.metric((name, "counter", help), [(String::new(), value)]);
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.metric((name, "gauge", help), [(String::new(), value)]);
    }
}

/// Writes every figure.
pub(super) fn render(
    state: &State,
    sources: &[SourceView],
    budget: &Budget,
    now: Timestamp,
) -> String {
    let mut text = Text(String::new());
    of_sources(&mut text, state, sources, now);
    of_trades(&mut text, state);
    of_edges(&mut text, state, now);
    of_writer(&mut text, state);
    of_spending(&mut text, state, budget);
    text.0
}

#[expect(
    clippy::too_many_lines,
    reason = "a flat list, one metric after the other"
)]
fn of_sources(text: &mut Text, state: &State, sources: &[SourceView], now: Timestamp) {
    let named: Vec<_> = sources
        .iter()
        .zip(&state.feeds)
        .map(|(source, feed)| (label("source", &source.name), (source.stats)(), *feed))
        .collect();
    let age = named
        .iter()
        .filter(|(_, _, feed)| feed.newest != Timestamp::EPOCH);
    text.metric(
        (
            "last_trade_age_seconds",
            "gauge",
            "Time since the newest trade of a source, by its event time.",
        ),
        age.map(|(label, _, feed)| (label.clone(), seconds(now.since(feed.newest)))),
    );
    let delay = named
        .iter()
        .filter_map(|(label, stats, _)| Some((label.clone(), seconds(stats.delay_ns?))));
    text.metric(
        (
            "trade_delay_min_seconds",
            "gauge",
            "Least time from a trade to its receipt in the last minutes; below zero our clock is behind the venue's.",
        ),
        delay,
    );
    let mut each = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Source) -> u64| {
        text.metric(
            (name, kind, help),
            named.iter().map(|one| (one.0.clone(), value(one))),
        );
    };
    each(
        "feed_trades_total",
        "counter",
        "Trades delivered by a source.",
        &|one| one.2.trades,
    );
    each(
        "connections_total",
        "counter",
        "Connections opened to a source.",
        &|one| one.1.connections,
    );
    each(
        "reconnects_total",
        "counter",
        "Connections lost, or not had.",
        &|one| one.1.disconnects,
    );
    each(
        "stalls_total",
        "counter",
        "Connections given up for want of trades or of any frame.",
        &|one| one.1.stalls,
    );
    each(
        "overloads_total",
        "counter",
        "Times a source was closed because the store was too slow.",
        &|one| one.1.overloads,
    );
    each(
        "malformed_total",
        "counter",
        "Records that should be trades and are none.",
        &|one| one.1.malformed,
    );
    each(
        "filtered_total",
        "counter",
        "Trades of symbols that were not asked for.",
        &|one| one.1.filtered,
    );
    each(
        "history_requests_total",
        "counter",
        "Questions to a source's history.",
        &|one| one.1.requests,
    );
    each(
        "holes_total",
        "counter",
        "Holes seen, among them those that closed by themselves.",
        &|one| one.1.gaps.opened,
    );
    each(
        "gaps_total",
        "counter",
        "Holes that stay open; their bars are marked.",
        &|one| one.1.gaps.unfilled,
    );
    each(
        "fetched_trades_total",
        "counter",
        "Trades that came from history.",
        &|one| one.1.gaps.fetched,
    );
    each(
        "feed_duplicates_total",
        "counter",
        "Trades that a source brought again; left out.",
        &|one| one.1.gaps.duplicates,
    );
    each(
        "lost_messages_total",
        "counter",
        "Messages that a source says it sent and that did not come.",
        &|one| one.1.lost_messages,
    );
    each(
        "refetched_trades_total",
        "counter",
        "Live trades without room behind a hole, fetched later.",
        &|one| one.1.gaps.dropped,
    );
    each(
        "backlog_trades",
        "gauge",
        "Trades of a source that wait for the aggregation.",
        &|one| size(one.1.backlog_len),
    );
    each(
        "whole",
        "gauge",
        "Whether a source misses nothing, as far as is known.",
        &|one| u64::from(one.1.is_whole),
    );
}

/// The label, the live counts and the feed's counts of one source.
type Source = (
    String,
    barmill_sources::live::LiveStats,
    crate::pipeline::FeedCounts,
);

fn of_trades(text: &mut Text, state: &State) {
    let counts = &state.aggregate;
    let fates = [
        ("late", counts.late),
        ("duplicate", counts.duplicates),
        ("ineligible", counts.ineligible),
        ("outside_session", counts.outside_session),
        ("cancelled", counts.cancelled),
    ];
    text.counter("trades_total", "Trades taken in.", counts.trades);
    let left_out = (
        "trades_left_out_total",
        "counter",
        "Trades that are in no bar, by why.",
    );
    text.metric(
        left_out,
        fates.map(|(fate, count)| (label("reason", fate), count)),
    );
    text.counter(
        "corrected_total",
        "Trades that a correction replaced.",
        counts.corrected,
    );
    text.counter(
        "uncorrected_total",
        "Corrections of trades that are not kept.",
        counts.uncorrected,
    );
    text.counter("bars_closed_total", "Bars closed.", counts.bars);
    text.counter(
        "revisions_total",
        "Changes of bars after they were closed.",
        counts.revised,
    );
    let open: usize = state.shards.iter().map(|shard| shard.open_bars).sum();
    text.gauge("open_bars", "Bars that are open.", open);
}

fn of_edges(text: &mut Text, state: &State, now: Timestamp) {
    let edge = |name: &str| label("edge", name);
    let queues = state
        .shard_queues
        .iter()
        .enumerate()
        .map(|(index, len)| (edge(&format!("shard-{index}")), *len));
    let queues: Vec<_> = queues
        .chain([(edge("writer"), state.writer_queue)])
        .collect();
    text.metric(
        (
            "queue_messages",
            "gauge",
            "Messages waiting before an actor.",
        ),
        queues,
    );
    let feeds: u128 = state.feeds.iter().map(|feed| feed.blocked.as_nanos()).sum();
    let shards: u128 = state
        .shards
        .iter()
        .map(|shard| shard.blocked.as_nanos())
        .sum();
    let blocked = [
        (edge("feeds-to-shards"), nanos(feeds)),
        (edge("shards-to-writer"), nanos(shards)),
        (edge("writer"), nanos(state.writer.blocked.as_nanos())),
    ];
    text.metric(
        (
            "blocked_seconds_total",
            "counter",
            "Time for which the next actor had no room.",
        ),
        blocked,
    );
    let oldest = state
        .shards
        .iter()
        .filter_map(|shard| shard.oldest_open)
        .min();
    let lag = oldest.map(|start| (String::new(), seconds(now.since(start))));
    text.metric(
        (
            "oldest_open_bar_seconds",
            "gauge",
            "Time since the start of the oldest bar that may still change.",
        ),
        lag,
    );
    let newest = state
        .shards
        .iter()
        .map(|shard| shard.newest)
        .filter(|newest| *newest != Timestamp::EPOCH)
        .max();
    let lag = newest.map(|newest| (String::new(), seconds(now.since(newest))));
    text.metric(
        (
            "watermark_lag_seconds",
            "gauge",
            "Time since the newest event time aggregated.",
        ),
        lag,
    );
}

fn of_writer(text: &mut Text, state: &State) {
    let writer = &state.writer;
    text.counter(
        "bars_written_total",
        "Final bars in the store.",
        writer.bars,
    );
    text.counter(
        "revised_written_total",
        "Revised bars in the store.",
        writer.revised,
    );
    text.counter(
        "coalesced_total",
        "Forming updates replaced by newer ones.",
        writer.coalesced,
    );
    text.gauge(
        "writer_queued",
        "Items waiting in the writer.",
        writer.queued,
    );
    text.gauge("in_flight", "Batches under way.", writer.in_flight);
    text.counter("retries_total", "Attempts after the first.", writer.retries);
    let failures = &writer.failures;
    let causes = [
        ("throttled", failures.throttled),
        ("retry", failures.retry),
        ("reconnect", failures.reconnect),
        ("pause", failures.pause),
        ("refuse", failures.refuse),
        ("fatal", failures.fatal),
    ];
    let failed = (
        "failed_attempts_total",
        "counter",
        "Attempts that failed, by what the failure calls for.",
    );
    text.metric(
        failed,
        causes.map(|(cause, count)| (label("remedy", cause), count)),
    );
    text.gauge("spool_items", "Items in the spool.", writer.spooled);
    text.gauge(
        "spool_bytes",
        "Bytes of spool and dead letters.",
        writer.spool_bytes,
    );
    text.counter(
        "dead_letters_total",
        "Items that the store refuses.",
        writer.dead_letters,
    );
    let circuit = match writer.circuit {
        CircuitState::Closed => 0,
        CircuitState::Draining { .. } => 1,
        CircuitState::Open { .. } => 2,
        CircuitState::Paused { .. } => 3,
    };
    text.gauge(
        "circuit",
        "0 while the store takes what comes, 1 while the spool drains, 2 while the store is out, 3 while the budget is used up.",
        circuit,
    );
}

fn of_spending(text: &mut Text, state: &State, budget: &Budget) {
    let writer = &state.writer;
    text.counter(
        "requests_total",
        "Requests to the store, retries included.",
        writer.sink.requests,
    );
    text.counter(
        "commands_total",
        "Commands to the store, retries included.",
        writer.sink.commands,
    );
    text.counter(
        "store_connections_total",
        "Connections opened to the store.",
        writer.sink.connections,
    );
    text.gauge(
        "pace_percent",
        "Share of the pace in use, below 100 after failures.",
        writer.pace_percent,
    );
    let period = |name: &str| label("period", name);
    let used = [
        (period("day"), writer.day_commands),
        (period("month"), writer.month_commands),
    ];
    text.metric(
        (
            "budget_used_commands",
            "gauge",
            "Commands sent in the UTC day and month.",
        ),
        used,
    );
    let bounds = [
        ("day", budget.commands_per_day),
        ("month", budget.commands_per_month),
    ];
    let bounds = bounds
        .into_iter()
        .filter_map(|(name, bound)| Some((period(name), bound?)));
    text.metric(
        (
            "budget_commands",
            "gauge",
            "Commands that may be sent in the UTC day and month.",
        ),
        bounds,
    );
}

/// One label; names and values of ours need no escape.
fn label(name: &str, value: &str) -> String {
    format!("{{{name}=\"{value}\"}}")
}

/// Nanoseconds as exact decimal seconds.
fn seconds(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    format!(
        "{sign}{}.{:09}",
        nanos / 1_000_000_000,
        nanos % 1_000_000_000
    )
}

fn nanos(nanos: u128) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

fn size(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn seconds_are_exact_decimals() {
        for (nanos, text) in [
            (0, "0.000000000"),
            (1_500_000_000, "1.500000000"),
            (-20_000_000, "-0.020000000"),
        ] {
            assert_eq!(seconds(nanos), text);
        }
    }
}
