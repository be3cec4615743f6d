//! The list of the state folder, as a JSON object or as text.

use crate::engine::budget::BudgetUse;
use crate::port::SpoolStats;
use barmill_stores::state::StateSummary;
use indicatif::{BinaryBytes, HumanCount};
use serde_json::{Value, json};

/// What lies in the state folder: what waits for each store.
pub(super) struct FolderListing {
    /// What the spool and the dead letters of one store may take together, in bytes.
    pub(super) bytes_max: u64,
    /// What is kept for each store.
    pub(super) targets: Vec<TargetListing>,
}

/// What is kept for one store.
pub(super) struct TargetListing {
    /// Names the target on the command line.
    pub(super) id: String,
    /// The store and the keys in it; `None` for items from before targets were recorded.
    pub(super) target: Option<String>,
    /// What is kept.
    pub(super) summary: StateSummary,
    /// The first rows of the table asked for.
    pub(super) rows: Vec<Value>,
}

impl FolderListing {
    /// One JSON object: the sums of all stores, their rows, and `targets` with each store's own. The names are fixed, since
    /// scripts rely on them.
    pub(super) fn json(&self) -> Value {
        let of_target = |one: &TargetListing| {
            let mut object = object(&one.summary, self.bytes_max, &one.rows);
            (object["id"], object["target"]) = (json!(one.id), json!(one.target));
            object
        };
        let rows: Vec<Value> = self
            .targets
            .iter()
            .flat_map(|one| one.rows.clone())
            .collect();
        let mut sum = object(&self.sum(), self.bytes_max, &rows);
        sum["targets"] = self.targets.iter().map(of_target).collect();
        sum
    }

    /// What is kept for each store, one after the other.
    pub(super) fn text(&self) -> String {
        if self.targets.is_empty() {
            return text(&self.sum(), self.bytes_max, &[]);
        }
        let of_target = |one: &TargetListing| {
            let target = one.target.as_deref().unwrap_or("no store is named");
            let kept = text(&one.summary, self.bytes_max, &one.rows);
            format!("target {}: {target}\n{kept}", one.id)
        };
        self.targets.iter().map(of_target).collect()
    }

    fn sum(&self) -> StateSummary {
        let mut sum = StateSummary {
            spool: SpoolStats::default(),
            recent: 0,
            checkpoints: Vec::new(),
            budget: None,
        };
        for TargetListing { summary, .. } in &self.targets {
            sum.spool.items += summary.spool.items;
            sum.spool.bytes += summary.spool.bytes;
            let oldest = sum.spool.oldest.into_iter().chain(summary.spool.oldest);
            sum.spool.oldest = oldest.min();
            sum.spool.dead_letters += summary.spool.dead_letters;
            sum.spool.dead_bytes += summary.spool.dead_bytes;
            sum.recent += summary.recent;
            sum.checkpoints.extend(summary.checkpoints.iter().cloned());
            sum.budget = both(sum.budget, summary.budget);
        }
        sum
    }
}

/// The commands of two stores together; of an older day only where there are no newer ones.
fn both(one: Option<BudgetUse>, other: Option<BudgetUse>) -> Option<BudgetUse> {
    match (one, other) {
        (Some(one), Some(other)) if one.day == other.day => Some(BudgetUse {
            day_commands: one.day_commands + other.day_commands,
            month_commands: one.month_commands + other.month_commands,
            ..one
        }),
        (Some(one), Some(other)) => Some(if one.day < other.day { other } else { one }),
        (one, other) => one.or(other),
    }
}

fn object(summary: &StateSummary, bytes_max: u64, rows: &[Value]) -> Value {
    let checkpoints = summary.checkpoints.iter();
    json!({
        "items": summary.spool.items,
        "bytes": summary.spool.bytes,
        "oldest": summary.spool.oldest.map(|time| time.to_string()),
        "dead_letters": summary.spool.dead_letters,
        "dead_bytes": summary.spool.dead_bytes,
        "bytes_max": bytes_max,
        "recent": summary.recent,
        "checkpoints": checkpoints.map(|(name, place)| json!([name, place.0])).collect::<Vec<_>>(),
        "budget": summary.budget.map(|used| json!({
            "day": used.day.to_string(),
            "day_commands": used.day_commands,
            "month_commands": used.month_commands,
        })),
        "rows": rows,
    })
}

/// A line for each kind of content, then a line for each row.
fn text(summary: &StateSummary, bytes_max: u64, rows: &[Value]) -> String {
    let spool = &summary.spool;
    let oldest = match spool.oldest {
        Some(time) => format!(", the oldest since {time}"),
        None => String::new(),
    };
    let (items, bytes) = (HumanCount(spool.items), BinaryBytes(spool.bytes));
    let (letters, dead) = (
        HumanCount(spool.dead_letters),
        BinaryBytes(spool.dead_bytes),
    );
    let mut lines = vec![
        format!("spool: {items} items, {bytes}{oldest}"),
        format!("dead letters: {letters}, {dead}"),
        format!("bound of both: {}", BinaryBytes(bytes_max)),
        format!("recent bars: {}", HumanCount(summary.recent)),
    ];
    for (name, place) in &summary.checkpoints {
        lines.push(format!("checkpoint: {} of {name}", place.0));
    }
    if let Some(used) = &summary.budget {
        let (day, month) = (
            HumanCount(used.day_commands),
            HumanCount(used.month_commands),
        );
        lines.push(format!(
            "commands: {day} on {} UTC, {month} in its month",
            used.day
        ));
    }
    lines.extend(rows.iter().map(line));
    lines.join("\n") + "\n"
}

/// Place, time, what it is, and why it was refused or cannot be read.
fn line(row: &Value) -> String {
    let text = |name: &str| match &row[name] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Some(other.to_string())
        }
    };
    let names: &[&str] = match row["kind"].as_str() {
        Some("bar") => &[
            "place", "time", "kind", "symbol", "spec", "start", "state", "revision",
        ],
        Some(_) | None => &["place", "time", "kind", "symbol", "spec", "date"],
    };
    let mut words: Vec<String> = names.iter().filter_map(|name| text(name)).collect();
    for (name, before) in [("reason", "refused: "), ("fault", "damaged: ")] {
        words.extend(text(name).map(|text| format!("{before}{text}")));
    }
    words.join("  ")
}

#[cfg(test)]
mod tests {
    use super::{StateSummary, text};
    use crate::Position;
    use crate::engine::budget::BudgetUse;
    use crate::port::SpoolStats;
    use serde_json::json;

    #[test]
    fn every_kind_of_content_and_every_row_is_a_line() {
        let bar = json!({"kind": "bar", "symbol": "AAPL", "spec": "1m", "start": "2025-10-15T13:30:00Z",
            "state": "final", "revision": 0, "place": 7, "time": "2025-10-15T13:31:02Z", "reason": "WRONGTYPE"});
        let manifest = json!({"kind": "manifest", "symbol": "AAPL", "spec": "1m", "date": "2025-10-15",
            "place": 8, "time": "2025-10-15T13:31:02Z"});
        let summary = StateSummary {
            spool: SpoolStats {
                items: 1_024,
                bytes: 2_048,
                oldest: Some("2025-10-15T13:31:02Z".parse().unwrap()),
                ..SpoolStats::default()
            },
            recent: 0,
            checkpoints: vec![("replay x".to_owned(), Position(4_096))],
            budget: Some(BudgetUse {
                day: "2025-10-15".parse().unwrap(),
                day_commands: 12,
                month_commands: 3_400,
            }),
        };
        let rows = [bar, manifest, json!({"place": 9, "fault": "checksum"})];
        insta::assert_snapshot!(text(&summary, 1 << 30, &rows), @r"
    spool: 1,024 items, 2.00 KiB, the oldest since 2025-10-15T13:31:02Z
    dead letters: 0, 0 B
    bound of both: 1.00 GiB
    recent bars: 0
    checkpoint: 4096 of replay x
    commands: 12 on 2025-10-15 UTC, 3,400 in its month
    7  2025-10-15T13:31:02Z  bar  AAPL  1m  2025-10-15T13:30:00Z  final  0  refused: WRONGTYPE
    8  2025-10-15T13:31:02Z  manifest  AAPL  1m  2025-10-15
    9  damaged: checksum
    ");
    }
}
