//! Notifications: one small message per batch and channel, for clients that then read the bars.
//!
//! Form: `{"date":"2025-10-15","time":"09:31","bars":2,"specs":["1m"],"symbols":["AAPL","MSFT"],"more":0}`. Date and
//! time are those of the newest bar, `bars` counts every bar of the batch, `symbols` are the first
//! [`SYMBOLS_LEN_MAX`] in their order, and `more` counts those left out. A notice is a hint: it may come twice, it is
//! lost for whoever does not listen, and it comes after the writes it speaks of.

use crate::key_store::command::push_json_string;
use crate::layout::key_time::KeyTime;
use crate::layout::template::push_display;
use barmill_core::model::{BarSpec, BarUpdate, Symbol, Timestamp};
use std::collections::HashSet;

/// Symbols that one notice names.
pub(crate) const SYMBOLS_LEN_MAX: usize = 32;

/// What a batch holds for one channel.
#[derive(Debug, Default)]
pub(crate) struct Notice {
    newest: Option<(Timestamp, KeyTime)>,
    bars: usize,
    specs: Vec<BarSpec>,
    symbols: Vec<Symbol>,
    seen: HashSet<Symbol>,
}

impl Notice {
    /// Adds a bar.
    pub(crate) fn add(&mut self, update: &BarUpdate, key_time: &KeyTime) {
        let bar = &update.bar;
        if self
            .newest
            .as_ref()
            .is_none_or(|(start, _)| *start < bar.start)
        {
            self.newest = Some((bar.start, *key_time));
        }
        self.bars += 1;
        if !self.specs.contains(&bar.spec) {
            self.specs.push(bar.spec);
        }
        if self.seen.insert(bar.symbol) && self.symbols.len() < SYMBOLS_LEN_MAX {
            self.symbols.push(bar.symbol);
        }
    }

    /// The message.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut out = b"{".to_vec();
        if let Some((_, key_time)) = &self.newest {
            out.extend_from_slice(b"\"date\":\"");
            key_time.push_date(&mut out);
            out.extend_from_slice(b"\",\"time\":\"");
            key_time.push_time(&mut out);
            out.extend_from_slice(b"\",");
        }
        out.extend_from_slice(b"\"bars\":");
        push_display(&mut out, self.bars);
        out.extend_from_slice(b",\"specs\":[");
        for (index, spec) in self.specs.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
            push_display(&mut out, spec);
            out.push(b'"');
        }
        out.extend_from_slice(b"],\"symbols\":[");
        for (index, symbol) in self.symbols.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"" } else { b"," });
            push_json_string(&mut out, symbol.as_str());
        }
        out.extend_from_slice(b"],\"more\":");
        push_display(&mut out, self.seen.len() - self.symbols.len());
        out.push(b'}');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::Notice;
    use crate::layout::key_time::KeyTime;
    use crate::testing::update;
    use jiff::tz::TimeZone;

    #[test]
    fn a_notice_tells_the_newest_time_and_names_no_more_symbols_than_it_may() {
        let mut notice = Notice::default();
        for index in 0..100 {
            let start = if index == 50 {
                "2025-10-15T13:31:00Z"
            } else {
                "2025-10-15T13:30:00Z"
            };
            let update = update(&format!("S{}", index % 40), "1m", start);
            notice.add(
                &update,
                &KeyTime::of(update.bar.start, update.bar.spec, &TimeZone::UTC),
            );
        }
        let text = String::from_utf8(notice.text()).unwrap();
        let head = r#"{"date":"2025-10-15","time":"13:31","bars":100,"specs":["1m"],"symbols":["S0","S1","#;
        assert!(
            text.starts_with(head) && text.ends_with(r#""S31"],"more":8}"#),
            "{text}"
        );
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }
}
