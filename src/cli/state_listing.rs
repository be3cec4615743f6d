//! The list of the state folder, as a JSON object or as text.

use indicatif::{BinaryBytes, HumanCount};
use serde::Serialize;
use serde_json::Value;
use std::io::{self, Write};

/// What lies in the state folder: what waits for each store. The names are fixed, since scripts rely on them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FolderListing {
    /// What the spool and the dead letters of one store may take together, in bytes.
    pub bytes_max: u64,
    /// What is kept for each store.
    pub targets: Vec<TargetListing>,
}

/// What is kept for one store.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetListing {
    /// Names the target on the command line.
    pub id: String,
    /// The store and the keys in it; `None` for items from before targets were recorded.
    pub target: Option<String>,
    /// What is kept.
    #[serde(flatten)]
    pub listing: StateListing,
}

impl FolderListing {
    /// Writes one line with one JSON object: the sums of all stores, their rows, and `targets` with each store's own.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut sum = serde_json::to_value(self.sum()).map_err(io::Error::from)?;
        sum["targets"] = serde_json::to_value(&self.targets).map_err(io::Error::from)?;
        writeln!(out, "{sum}")
    }

    /// Writes what is kept for each store, one after the other.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.targets.is_empty() {
            return self.sum().write_text(out);
        }
        for target in &self.targets {
            let text = target.target.as_deref().unwrap_or("no store is named");
            writeln!(out, "target {}: {text}", target.id)?;
            target.listing.write_text(out)?;
        }
        Ok(())
    }

    fn sum(&self) -> StateListing {
        let mut sum = StateListing {
            bytes_max: self.bytes_max,
            ..StateListing::default()
        };
        for TargetListing { listing, .. } in &self.targets {
            sum.items += listing.items;
            sum.bytes += listing.bytes;
            sum.oldest = match (sum.oldest, listing.oldest.clone()) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            sum.dead_letters += listing.dead_letters;
            sum.dead_bytes += listing.dead_bytes;
            sum.recent += listing.recent;
            sum.checkpoints.extend(listing.checkpoints.iter().cloned());
            sum.rows.extend(listing.rows.iter().cloned());
            sum.budget = both(sum.budget, listing.budget.clone());
        }
        sum
    }
}

/// The commands of two stores together; of an older day only where there are no newer ones.
fn both(one: Option<BudgetUsed>, other: Option<BudgetUsed>) -> Option<BudgetUsed> {
    match (one, other) {
        (Some(one), Some(other)) if one.day == other.day => Some(BudgetUsed {
            day: one.day,
            day_commands: one.day_commands + other.day_commands,
            month_commands: one.month_commands + other.month_commands,
        }),
        (Some(one), Some(other)) => Some(if one.day < other.day { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// What is kept for one store, or for all of them together.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct StateListing {
    /// Items that wait for the store.
    pub items: u64,
    /// Their bytes as stored.
    pub bytes: u64,
    /// When the first of them came, RFC 3339 in UTC.
    pub oldest: Option<String>,
    /// Items that the store refused.
    pub dead_letters: u64,
    /// Their bytes as stored.
    pub dead_bytes: u64,
    /// What both may take together.
    pub bytes_max: u64,
    /// Closed bars kept for a store that loses what it acked.
    pub recent: u64,
    /// Where feeds go on, by name.
    pub checkpoints: Vec<(String, u64)>,
    /// The commands counted so far.
    pub budget: Option<BudgetUsed>,
    /// The first rows of the table asked for.
    pub rows: Vec<Value>,
}

/// Commands sent to the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BudgetUsed {
    /// The UTC day, which also names the month.
    pub day: String,
    /// In that day.
    pub day_commands: u64,
    /// In its month.
    pub month_commands: u64,
}

impl StateListing {
    /// Writes a line for each kind of content, then a line for each row.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let oldest = self
            .oldest
            .as_ref()
            .map_or_else(String::new, |time| format!(", the oldest since {time}"));
        writeln!(
            out,
            "spool: {} items, {}{oldest}",
            HumanCount(self.items),
            BinaryBytes(self.bytes)
        )?;
        let (letters, bytes) = (HumanCount(self.dead_letters), BinaryBytes(self.dead_bytes));
        writeln!(out, "dead letters: {letters}, {bytes}")?;
        writeln!(out, "bound of both: {}", BinaryBytes(self.bytes_max))?;
        writeln!(out, "recent bars: {}", HumanCount(self.recent))?;
        for (name, place) in &self.checkpoints {
            writeln!(out, "checkpoint: {place} of {name}")?;
        }
        if let Some(BudgetUsed {
            day,
            day_commands,
            month_commands,
        }) = &self.budget
        {
            let (of_day, of_month) = (HumanCount(*day_commands), HumanCount(*month_commands));
            writeln!(
                out,
                "commands: {of_day} on {day} UTC, {of_month} in its month"
            )?;
        }
        for row in &self.rows {
            writeln!(out, "{}", line(row))?;
        }
        Ok(())
    }
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
    use super::{BudgetUsed, StateListing};
    use serde_json::json;

    #[test]
    fn every_kind_of_content_and_every_row_is_a_line() {
        let bar = json!({"kind": "bar", "symbol": "AAPL", "spec": "1m", "start": "2025-10-15T13:30:00Z",
            "state": "final", "revision": 0, "place": 7, "time": "2025-10-15T13:31:02Z", "reason": "WRONGTYPE"});
        let manifest = json!({"kind": "manifest", "symbol": "AAPL", "spec": "1m", "date": "2025-10-15",
            "place": 8, "time": "2025-10-15T13:31:02Z"});
        let listing = StateListing {
            items: 1_024,
            bytes: 2_048,
            oldest: Some("2025-10-15T13:31:02Z".to_owned()),
            bytes_max: 1 << 30,
            checkpoints: vec![("replay x".to_owned(), 4_096)],
            budget: Some(BudgetUsed {
                day: "2025-10-15".to_owned(),
                day_commands: 12,
                month_commands: 3_400,
            }),
            rows: vec![bar, manifest, json!({"place": 9, "fault": "checksum"})],
            ..StateListing::default()
        };
        let mut out = Vec::new();
        listing.write_text(&mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
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
