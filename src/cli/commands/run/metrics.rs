//! The metrics of a run in Prometheus text format (version 0.0.4), times in seconds.
//!
//! The text is written here and not by a client library: those keep figures that a run would have to update, while ours are
//! read from its state; and their numbers are `f64`, or their text is that of `OpenMetrics`.

use crate::Timestamp;
use crate::daemon::SourceView;
use crate::engine::budget::BudgetLimits;
use crate::engine::circuit::CircuitState;
use crate::pipeline::{FeedCounts, State};
use barmill_sources::live::LiveStats;
use std::fmt::{Display, Write};

/// Every metric with its help, in the order of the page. What ends in `_total` is a counter, the rest are gauges.
const HELP: &str = "\
last_trade_age_seconds Time since the newest trade of a source, by its event time.
trade_delay_min_seconds Least time from a trade to its receipt in the last minutes; below zero our clock is behind the venue's.
feed_trades_total Trades delivered by a source.
connections_total Connections opened to a source.
reconnects_total Connections lost, or not had.
stalls_total Connections given up for want of trades or of any frame.
overloads_total Times a source was closed because the store was too slow.
malformed_total Records that should be trades and are none.
filtered_total Trades of symbols that were not asked for.
history_requests_total Questions to a source's history.
holes_total Holes seen, among them those that closed by themselves.
gaps_total Holes that stay open; their bars are marked.
fetched_trades_total Trades that came from history.
feed_duplicates_total Trades that a source brought again; left out.
lost_messages_total Messages that a source says it sent and that did not come.
refetched_trades_total Live trades without room behind a hole, fetched later.
backlog_trades Trades of a source that wait for the aggregation.
whole Whether a source misses nothing, as far as is known.
trades_total Trades taken in.
trades_left_out_total Trades that are in no bar, by why.
corrected_total Trades that a correction replaced.
uncorrected_total Corrections of trades that are not kept.
bars_closed_total Bars closed.
revisions_total Changes of bars after they were closed.
open_bars Bars that are open.
queue_messages Messages waiting before an actor.
blocked_seconds_total Time for which the next actor had no room.
oldest_open_bar_seconds Time since the start of the oldest bar that may still change.
watermark_lag_seconds Time since the newest event time aggregated.
bars_written_total Final bars in the store.
revised_written_total Revised bars in the store.
coalesced_total Forming updates replaced by newer ones.
writer_queued Items waiting in the writer.
in_flight Batches under way.
retries_total Attempts after the first.
failed_attempts_total Attempts that failed, by what the failure calls for.
spool_items Items in the spool.
spool_bytes Bytes of spool and dead letters.
dead_letters_total Items that the store refuses.
circuit 0 while the store takes what comes, 1 while the spool drains, 2 while the store is out, 3 while the budget is used up.
requests_total Requests to the store, retries included.
commands_total Commands to the store, retries included.
store_connections_total Connections opened to the store.
pace_percent Share of the pace in use, below 100 after failures.
budget_used_commands Commands sent in the UTC day and month.
budget_commands Commands that may be sent in the UTC day and month.
";

/// The page as it grows, metric by metric.
struct Page(String);

impl Page {
    /// One metric with its values by labels.
    fn metric<V: Display>(&mut self, name: &str, values: impl IntoIterator<Item = (String, V)>) {
        let helps = HELP.lines().filter_map(|line| line.split_once(' '));
        let help = helps
            .filter(|(known, _)| *known == name)
            .map(|(_, help)| help);
        let help: String = help.collect();
        let kind = if name.ends_with("_total") {
            "counter"
        } else {
            "gauge"
        };
        // Writing to a text does not fail.
        let _written = writeln!(
            self.0,
            "# HELP barmill_{name} {help}\n# TYPE barmill_{name} {kind}"
        );
        for (labels, value) in values {
            let _written = writeln!(self.0, "barmill_{name}{labels} {value}");
        }
    }

    /// A metric of one value.
    fn value(&mut self, name: &str, value: impl Display) {
        self.metric(name, [(String::new(), value)]);
    }

    /// A metric with a value for each name of a label.
    fn by<V: Display, const N: usize>(&mut self, name: &str, key: &str, values: [(&str, V); N]) {
        self.metric(name, values.map(|(name, value)| (label(key, name), value)));
    }
}

/// Writes every figure.
pub(super) fn render(
    state: &State,
    sources: &[SourceView],
    budget: &BudgetLimits,
    now: Timestamp,
) -> String {
    let mut page = Page(String::new());
    of_sources(&mut page, state, sources, now);
    of_trades(&mut page, state);
    of_queues(&mut page, state, now);
    of_writer(&mut page, state);
    of_store(&mut page, state, budget);
    page.0
}

/// One source: its label, its live counts and its feed's counts.
type Source = (String, LiveStats, FeedCounts);

fn of_sources(page: &mut Page, state: &State, sources: &[SourceView], now: Timestamp) {
    let sources = sources.iter().zip(&state.feeds);
    let source = |(source, feed): (&SourceView, &FeedCounts)| {
        (label("source", &source.name), (source.stats)(), *feed)
    };
    let sources: Vec<Source> = sources.map(source).collect();
    let seen = sources
        .iter()
        .filter(|one| one.2.newest != Timestamp::EPOCH);
    let age = seen.map(|one| (one.0.clone(), seconds(now.since(one.2.newest))));
    page.metric("last_trade_age_seconds", age);
    let delay = sources
        .iter()
        .filter_map(|one| Some((one.0.clone(), seconds(one.1.delay_ns?))));
    page.metric("trade_delay_min_seconds", delay);
    let mut each = |name: &str, value: fn(&Source) -> u64| {
        page.metric(name, sources.iter().map(|one| (one.0.clone(), value(one))));
    };
    each("feed_trades_total", |one| one.2.trades);
    each("connections_total", |one| one.1.connections);
    each("reconnects_total", |one| one.1.disconnects);
    each("stalls_total", |one| one.1.stalls);
    each("overloads_total", |one| one.1.overloads);
    each("malformed_total", |one| one.1.malformed);
    each("filtered_total", |one| one.1.filtered);
    each("history_requests_total", |one| one.1.requests);
    each("holes_total", |one| one.1.gaps.opened);
    each("gaps_total", |one| one.1.gaps.unfilled);
    each("fetched_trades_total", |one| one.1.gaps.fetched);
    each("feed_duplicates_total", |one| one.1.gaps.duplicates);
    each("lost_messages_total", |one| one.1.lost_messages);
    each("refetched_trades_total", |one| one.1.gaps.dropped);
    each("backlog_trades", |one| size(one.1.backlog_len));
    each("whole", |one| u64::from(one.1.is_whole));
}

fn of_trades(page: &mut Page, state: &State) {
    let counts = &state.aggregate;
    page.value("trades_total", counts.trades);
    let left_out = [
        ("late", counts.late),
        ("duplicate", counts.duplicates),
        ("ineligible", counts.ineligible),
        ("outside_session", counts.outside_session),
        ("cancelled", counts.cancelled),
    ];
    page.by("trades_left_out_total", "reason", left_out);
    page.value("corrected_total", counts.corrected);
    page.value("uncorrected_total", counts.uncorrected);
    page.value("bars_closed_total", counts.bars);
    page.value("revisions_total", counts.revised);
    let open: usize = state.shards.iter().map(|shard| shard.open_bars).sum();
    page.value("open_bars", open);
}

fn of_queues(page: &mut Page, state: &State, now: Timestamp) {
    let shards = state.shard_queues.iter().enumerate();
    let queues = shards.map(|(index, len)| (label("edge", &format!("shard-{index}")), *len));
    let queues = queues.chain([(label("edge", "writer"), state.writer_queue)]);
    page.metric("queue_messages", queues);
    let feeds = state.feeds.iter().map(|feed| feed.blocked.as_nanos());
    let shards = state.shards.iter().map(|shard| shard.blocked.as_nanos());
    let blocked = [
        ("feeds-to-shards", total_seconds(feeds.sum())),
        ("shards-to-writer", total_seconds(shards.sum())),
        ("writer", total_seconds(state.writer.blocked.as_nanos())),
    ];
    page.by("blocked_seconds_total", "edge", blocked);
    let since = |time: Timestamp| (String::new(), seconds(now.since(time)));
    let oldest = state.shards.iter().filter_map(|shard| shard.oldest_open);
    page.metric("oldest_open_bar_seconds", oldest.min().map(since));
    let newest = state.shards.iter().map(|shard| shard.newest);
    let newest = newest.filter(|newest| *newest != Timestamp::EPOCH);
    page.metric("watermark_lag_seconds", newest.max().map(since));
}

fn of_writer(page: &mut Page, state: &State) {
    let (writer, failures) = (&state.writer, &state.writer.failures);
    page.value("bars_written_total", writer.bars);
    page.value("revised_written_total", writer.revised);
    page.value("coalesced_total", writer.coalesced);
    page.value("writer_queued", writer.queued);
    page.value("in_flight", writer.in_flight);
    page.value("retries_total", writer.retries);
    let failed = [
        ("throttled", failures.throttled),
        ("retry", failures.retry),
        ("reconnect", failures.reconnect),
        ("pause", failures.pause),
        ("refuse", failures.refuse),
        ("fatal", failures.fatal),
    ];
    page.by("failed_attempts_total", "remedy", failed);
    page.value("spool_items", writer.spooled);
    page.value("spool_bytes", writer.spool_bytes);
    page.value("dead_letters_total", writer.dead_letters);
    let circuit = match writer.circuit {
        CircuitState::Closed => 0,
        CircuitState::Draining => 1,
        CircuitState::Open => 2,
        CircuitState::Paused => 3,
    };
    page.value("circuit", circuit);
}

fn of_store(page: &mut Page, state: &State, budget: &BudgetLimits) {
    let writer = &state.writer;
    page.value("requests_total", writer.sink.requests);
    page.value("commands_total", writer.sink.commands);
    page.value("store_connections_total", writer.sink.connections);
    page.value("pace_percent", writer.pace_percent);
    let used = [
        ("day", writer.day_commands),
        ("month", writer.month_commands),
    ];
    page.by("budget_used_commands", "period", used);
    let bounds = [("day", budget.per_day), ("month", budget.per_month)].into_iter();
    let bounds = bounds.filter_map(|(name, bound)| Some((label("period", name), bound?)));
    page.metric("budget_commands", bounds);
}

/// One label; names and values of ours need no escape.
fn label(name: &str, value: &str) -> String {
    format!("{{{name}=\"{value}\"}}")
}

/// Nanoseconds as exact decimal seconds.
fn seconds(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    sign.to_owned() + &total_seconds(nanos.unsigned_abs().into())
}

fn total_seconds(nanos: u128) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

fn size(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{BudgetLimits, HELP, State, Timestamp, render, seconds};

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

    #[test]
    fn every_metric_of_the_table_is_written_with_its_help_in_its_order() {
        let page = render(
            &State::default(),
            &[],
            &BudgetLimits::default(),
            Timestamp::EPOCH,
        );
        let helps = page
            .lines()
            .filter_map(|line| line.strip_prefix("# HELP barmill_"));
        assert_eq!(helps.collect::<Vec<_>>(), HELP.lines().collect::<Vec<_>>());
    }
}
