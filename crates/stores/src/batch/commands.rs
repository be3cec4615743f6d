//! A batch as plain commands, and the fate of its items.

use super::groups::{Batch, Group, GroupKind, GroupsOfItem};
use crate::key_store::command::{Command, Fields};
use crate::key_store::port::CommandResult;
use crate::layout::view::View;
use barmill_core::port::ItemResult;
use std::ops::Range;
use std::sync::Arc;

/// Commands for a batch, in order, and which of them decide about an item.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) commands: Vec<Command>,
    /// Where the commands of each group are.
    ranges: Vec<Range<usize>>,
    /// The command of the first notice.
    first_notice: usize,
    /// For each item.
    groups_of_items: Vec<GroupsOfItem>,
}

/// Makes the commands of a batch.
pub(crate) fn plan(view: &View, batch: Batch) -> Plan {
    let mut commands = Vec::with_capacity(batch.groups.len() * 2 + batch.notices.len());
    let mut ranges = Vec::with_capacity(batch.groups.len());
    for group in &batch.groups {
        let first = commands.len();
        push_group(&mut commands, view, &batch, group);
        ranges.push(first..commands.len());
    }
    let first_notice = commands.len();
    let notices = batch.notices.into_iter();
    commands.extend(notices.map(|(channel, message)| Command::Publish { channel, message }));
    Plan {
        commands,
        ranges,
        first_notice,
        groups_of_items: batch.groups_of_items,
    }
}

fn push_group(commands: &mut Vec<Command>, view: &View, batch: &Batch, group: &Group) {
    let ttl_s = view.settings().ttl_s;
    let key = batch.slice(&group.key);
    match group.kind {
        GroupKind::Text => commands.extend(batch.entries(group).iter().map(|entry| Command::Set {
            key: key.clone(),
            value: batch.slice(&entry.value()),
            seconds: ttl_s,
        })),
        GroupKind::Hash | GroupKind::Manifest => {
            let (text, entries) = (batch.text.clone(), Arc::clone(&batch.entries));
            commands.push(Command::HashSet {
                key: key.clone(),
                fields: Fields::new(text, entries, group.entries.clone()),
            });
            commands.extend(ttl_s.map(|seconds| Command::Expire { key, seconds }));
        }
        GroupKind::Stream => commands.push(Command::StreamAdd {
            key,
            entries: batch.stream_entries(group),
            len_max: view.settings().stream_len_max,
            seconds: ttl_s,
            has_text: false,
        }),
    }
}

impl Plan {
    /// How many items it is of.
    pub(crate) fn items(&self) -> usize {
        self.groups_of_items.len()
    }

    /// The first command of an item's own group.
    pub(crate) fn first_command(&self, item: usize) -> Option<usize> {
        Some(self.ranges[self.groups_of_items.get(item)?.base?].start)
    }

    /// The fate of each item: the first failure among its commands.
    pub(crate) fn item_results(&self, results: &[CommandResult]) -> Vec<ItemResult> {
        if results.iter().all(Result::is_ok) {
            return vec![Ok(()); self.groups_of_items.len()];
        }
        let fate = |groups_of_item: &GroupsOfItem| {
            let groups = [groups_of_item.base, groups_of_item.stream]
                .into_iter()
                .flatten();
            let of_groups = groups.flat_map(|group| &results[self.ranges[group].clone()]);
            let notice = groups_of_item
                .notice
                .map(|notice| &results[self.first_notice + notice]);
            match of_groups
                .chain(notice)
                .find_map(|result| result.as_ref().err())
            {
                Some(error) => Err(error.clone()),
                None => Ok(()),
            }
        };
        self.groups_of_items.iter().map(fate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{GroupsOfItem, Plan, Range, plan};
    use crate::batch::groups::{count_commands, encode};
    use crate::key_store::command::Command;
    use crate::layout::settings::{ValueForm, ViewKind, ViewSettings};
    use crate::layout::view::View;
    use crate::testing::{manifest, update};
    use barmill_core::model::{BarState, Timestamp};
    use barmill_core::port::WriteItem;
    use jiff::tz::TimeZone;

    const EVERY: [ViewKind; 5] = [
        ViewKind::SymbolDay,
        ViewKind::Minute,
        ViewKind::KeyPerBar,
        ViewKind::Stream,
        ViewKind::Publish,
    ];

    fn settings(kind: ViewKind) -> ViewSettings {
        let mut settings =
            ViewSettings::new(kind, TimeZone::get("America/New_York").unwrap()).unwrap();
        settings.namespace = "model_7".to_owned();
        settings.value = ValueForm::Csv;
        settings
    }

    fn view(kind: ViewKind) -> View {
        View::new(settings(kind), &[]).unwrap()
    }

    fn item(symbol: &str, start: &str) -> WriteItem {
        WriteItem::Bar(update(symbol, "1m", start))
    }

    /// The commands that decide about each item: of its hash or string, of its stream, of its notice.
    fn carriers(plan: &Plan) -> Vec<[Range<usize>; 3]> {
        let carriers = |groups_of_item: &GroupsOfItem| {
            let of_group =
                |group: Option<usize>| group.map_or(0..0, |one| plan.ranges[one].clone());
            let notice = groups_of_item.notice.map_or(0..0, |index| {
                plan.first_notice + index..plan.first_notice + index + 1
            });
            [
                of_group(groups_of_item.base),
                of_group(groups_of_item.stream),
                notice,
            ]
        };
        plan.groups_of_items.iter().map(carriers).collect()
    }

    /// The plan, whose commands must be as many as announced; those inside a script count.
    fn planned(view: &View, items: &[WriteItem]) -> Plan {
        let plan = plan(view, encode(view, items, Timestamp::EPOCH, false));
        let expire = usize::from(view.settings().ttl_s.is_some());
        let inside = |command: &Command| {
            if let Command::StreamAdd { entries, .. } = command {
                entries.len() + expire
            } else {
                0
            }
        };
        let inside: usize = plan.commands.iter().map(inside).sum();
        assert_eq!(
            count_commands(view, items, false),
            plan.commands.len() + inside
        );
        plan
    }

    fn lines(plan: &Plan) -> Vec<String> {
        let line = |command: &Command| {
            let mut words = vec![command.name().to_owned()];
            command.each_argument(|argument| {
                words.push(String::from_utf8(argument.to_vec()).unwrap());
            });
            words.join(" ")
        };
        plan.commands.iter().map(line).collect()
    }

    const CSV: &str = "255.1,256.25,254.000000001,255,1200.5";

    #[test]
    fn a_symbol_day_is_one_hset_and_one_expire() {
        let items = [
            item("A", "2025-10-15T13:30:00Z"),
            item("B", "2025-10-15T13:30:00Z"),
            item("A", "2025-10-15T13:31:00Z"),
        ];
        let plan = planned(&view(ViewKind::SymbolDay), &items);
        assert_eq!(
            lines(&plan),
            [
                format!("HSET bars:1m:2025-10-15:A 09:30 {CSV} 09:31 {CSV}"),
                "EXPIRE bars:1m:2025-10-15:A 7200".to_owned(),
                format!("HSET bars:1m:2025-10-15:B 09:30 {CSV}"),
                "EXPIRE bars:1m:2025-10-15:B 7200".to_owned(),
            ]
        );
        let carriers = carriers(&plan);
        let [first, second, third] = carriers.as_slice() else {
            panic!("three items")
        };
        assert_eq!(
            (&first[0], &second[0], &third[0]),
            (&(0..2), &(2..4), &(0..2))
        );
    }

    #[test]
    fn a_minute_of_many_symbols_is_one_hset() {
        let items = [
            item("A", "2025-10-15T13:30:00Z"),
            item("B", "2025-10-15T13:30:00Z"),
        ];
        let plan = planned(&view(ViewKind::Minute), &items);
        assert_eq!(
            lines(&plan)[0],
            format!("HSET bars:1m:2025-10-15:09:30 A {CSV} B {CSV}")
        );
        assert_eq!(plan.commands.len(), 2);
    }

    #[test]
    fn key_per_bar_has_the_keys_of_the_original() {
        let items = [
            item("AAPL", "2025-10-15T13:30:00Z"),
            item("AAPL", "2025-01-15T14:30:00Z"),
        ];
        let lines = lines(&planned(&view(ViewKind::KeyPerBar), &items));
        assert_eq!(
            lines[0],
            format!("SET intraday:model_7:2025-10-15:AAPL:09:30 {CSV} EX 7200")
        );
        assert_eq!(
            lines[1],
            format!("SET intraday:model_7:2025-01-15:AAPL:09:30 {CSV} EX 7200")
        );
    }

    #[test]
    fn a_stream_takes_every_closed_update_and_no_forming_one() {
        let mut updates = [BarState::Forming, BarState::Final, BarState::Revised].map(|state| {
            let mut update = update("A", "1m", "2025-10-15T13:30:00Z");
            update.state = state;
            update
        });
        updates[2].revision = 1;
        let plan = planned(&view(ViewKind::Stream), &updates.map(WriteItem::Bar));
        let [line] = lines(&plan).try_into().unwrap();
        let (_, arguments) = line.split_once(" 1 bars:1m:A 7200 10000 ").unwrap();
        let entry = |n: &str, version: &str| {
            format!("1760535000000-{n} 2025-10-15T13:30:00Z {version} {CSV}")
        };
        let (first, second) = (entry("0", "001013019"), entry("1", "0112013019"));
        assert_eq!(arguments, format!("1760535000000-0 {first} {second}"));
        assert!(carriers(&plan)[0].iter().all(std::ops::Range::is_empty));
        assert_eq!(carriers(&plan)[2], [0..0, 0..1, 0..0]);
    }

    #[test]
    fn a_stream_and_a_notice_come_beside_a_view() {
        let mut settings = settings(ViewKind::Minute);
        settings.ttl_s = None;
        settings.also_stream = Some("s:{symbol}".parse().unwrap());
        settings.also_publish = Some("news:{namespace}".parse().unwrap());
        let view = View::new(settings, &["1m".parse().unwrap()]).unwrap();
        let items = [
            item("A", "2025-10-15T13:30:00Z"),
            WriteItem::Manifest(manifest("A", "1m")),
        ];
        let plan = planned(&view, &items);
        let names: Vec<&str> = plan.commands.iter().map(Command::name).collect();
        assert_eq!(names, ["HSET", "EVALSHA", "HSET", "PUBLISH"]);
        assert!(lines(&plan)[3].starts_with(
            "PUBLISH news:model_7 {\"date\":\"2025-10-15\",\"time\":\"09:30\",\"bars\":1,"
        ));
        assert_eq!(carriers(&plan), [[0..1, 1..2, 3..4], [2..3, 0..0, 0..0]]);
    }

    #[test]
    fn the_last_update_of_a_bar_wins_and_carries_the_earlier_ones() {
        let mut later = update("A", "1m", "2025-10-15T13:30:00Z");
        later.state = BarState::Revised;
        later.bar.volume = "7".parse().unwrap();
        for kind in [ViewKind::SymbolDay, ViewKind::KeyPerBar] {
            let items = [item("A", "2025-10-15T13:30:00Z"), WriteItem::Bar(later)];
            let plan = planned(&view(kind), &items);
            assert!(lines(&plan)[0].contains(",255,7"), "{:?}", lines(&plan));
            assert!(!lines(&plan)[0].contains("1200.5"));
            assert_eq!(carriers(&plan)[0], carriers(&plan)[1]);
        }
    }

    #[test]
    fn manifests_of_a_day_share_one_hash() {
        let items = ["A", "B"].map(|symbol| WriteItem::Manifest(manifest(symbol, "1m")));
        for kind in EVERY {
            let plan = planned(&view(kind), &items);
            let head = "HSET manifest:model_7:1m:2025-10-15 A {\"zone\":\"America/New_York\",";
            assert!(lines(&plan)[0].starts_with(head), "{kind}");
            assert_eq!(plan.commands.len(), 2);
        }
    }
}
