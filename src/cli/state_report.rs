//! The reports of the commands on the state folder.

use indicatif::HumanCount;
use serde::Serialize;
use std::io::{self, Write};

/// The counts of a run that sends what the state folder holds. The names are fixed, since scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SentSummary {
    /// Recent bars compared with the store.
    pub compared: u64,
    /// Of these, bars that the store lacked or held in an older version.
    pub lacking: u64,
    /// Dead letters sent once more.
    pub redelivered: u64,
    /// Dead letters dropped because the store has the bar in this or a newer version.
    pub outdated: u64,
    /// Bars written, what waited in the spool included.
    pub bars: u64,
    /// Bars written again with a higher revision.
    pub revised: u64,
    /// Items that wait in the spool.
    pub spooled: u64,
    /// Items that the store refused in this run.
    pub dead_letters: u64,
    /// Requests sent to the store, retries included.
    pub requests: u64,
    /// Commands sent to the store, retries included.
    pub commands: u64,
    /// Milliseconds from start to end.
    pub elapsed_ms: u64,
}

impl SentSummary {
    /// Writes one line with one JSON object.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let line = serde_json::to_string(self).map_err(io::Error::from)?;
        writeln!(out, "{line}")
    }

    /// Writes a line for people about a comparison with the store at `address`.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write_compared(&self, address: &str, out: &mut dyn Write) -> io::Result<()> {
        let (compared, lacking) = (HumanCount(self.compared), HumanCount(self.lacking));
        if self.compared == 0 {
            writeln!(
                out,
                "No recent bars are kept here: live runs keep those of the last run.recent_s seconds"
            )?;
        } else {
            writeln!(
                out,
                "Compared {compared} recent bars with {address}: {lacking} missing or older"
            )?;
        }
        self.write_sent(out)
    }

    /// Writes a line for people about what was sent.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write_sent(&self, out: &mut dyn Write) -> io::Result<()> {
        let named = [
            ("dead letters sent once more", self.redelivered),
            ("dead letters dropped, the store has them", self.outdated),
            ("still in the spool", self.spooled),
            ("refused", self.dead_letters),
        ];
        write!(out, "Wrote {} bars", HumanCount(self.bars + self.revised))?;
        for (name, count) in named.into_iter().filter(|(_, count)| *count > 0) {
            write!(out, ", {} {name}", HumanCount(count))?;
        }
        writeln!(out)
    }
}

#[cfg(test)]
mod tests {
    use super::SentSummary;

    fn told(summary: &SentSummary) -> String {
        let mut out = Vec::new();
        summary
            .write_compared("redis://localhost:6379/0", &mut out)
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_was_compared_and_written_is_told_and_the_rest_only_where_there_is_any() {
        let some = SentSummary {
            compared: 1_490,
            lacking: 3,
            bars: 3,
            ..SentSummary::default()
        };
        let more = SentSummary {
            redelivered: 2,
            outdated: 1,
            spooled: 4,
            dead_letters: 5,
            ..some
        };
        insta::assert_snapshot!(told(&some) + &told(&more) + &told(&SentSummary::default()), @r"
    Compared 1,490 recent bars with redis://localhost:6379/0: 3 missing or older
    Wrote 3 bars
    Compared 1,490 recent bars with redis://localhost:6379/0: 3 missing or older
    Wrote 3 bars, 2 dead letters sent once more, 1 dead letters dropped, the store has them, 4 still in the spool, 5 refused
    No recent bars are kept here: live runs keep those of the last run.recent_s seconds
    Wrote 0 bars
    ");
    }
}
