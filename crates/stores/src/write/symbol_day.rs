//! A batch of bars by symbol and day, written where it is sent without a text of its own in between.
//!
//! Takes what bulk brings and nothing else: bars of whole minutes in a `symbol-day` view whose field is `{time}`, those
//! of each key in order of time. Late revisions, hours that clocks repeat, manifests, streams and notices are left to
//! `batch` and `commands`, which are its model: a test holds the commands of both against each other.

use super::batch::encode;
use super::commands::{self, fate};
use crate::key_store::command::Command;
use crate::key_store::encoder::{CommandEncoder, Listed};
use crate::key_store::port::CommandResult;
use crate::layout::key_time::Stamps;
use crate::layout::settings::ViewKind;
use crate::layout::template::Placeholder;
use crate::layout::value::push_value;
use crate::layout::view::View;
use barmill_core::model::{BarSpec, BarUpdate, Symbol, Timestamp};
use barmill_core::port::{ItemResult, WriteItem};
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Bytes that most values and their framing need.
const VALUE_LEN: usize = 160;

/// The bars of one symbol and civil day, as the places of their items.
#[derive(Debug, Clone, Copy)]
struct Day {
    first: usize,
    last: usize,
    count: usize,
}

/// One bar of a day.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    update: &'a BarUpdate,
    /// Its place among the days.
    day: usize,
    /// Minutes since midnight.
    minute: u16,
    /// The item with the next bar of the day.
    next: usize,
}

/// A batch as commands of hashes, in the order in which their keys first occur.
#[derive(Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "they are the days, and it is made of them"
)]
pub struct Days<'a> {
    view: &'a View,
    places: Vec<Place<'a>>,
    days: Vec<Day>,
}

impl<'a> Days<'a> {
    /// Groups the items; `None` for a batch that is left to the plain way.
    pub(crate) fn of(view: &'a View, items: &'a [WriteItem]) -> Option<Days<'a>> {
        let settings = view.settings();
        let is_usual = settings.kind == ViewKind::SymbolDay
            && settings
                .field
                .as_ref()
                .is_some_and(|field| field.is(Placeholder::Time))
            && view.stream().is_none()
            && view.channel().is_none();
        if !is_usual {
            return None;
        }
        let mut stamps = Stamps::new(&settings.zone);
        let mut known: HashMap<(Symbol, BarSpec, i64), usize, FixedState> = HashMap::default();
        let mut days = Days {
            view,
            places: Vec::with_capacity(items.len()),
            days: Vec::new(),
        };
        for (index, item) in items.iter().enumerate() {
            let WriteItem::Bar(update) = item else {
                return None;
            };
            let (date, minute) = stamps.minute(update.bar.start, update.bar.spec)?;
            let next = days.days.len();
            let day = match known.entry((update.bar.symbol, update.bar.spec, date)) {
                Entry::Vacant(entry) => {
                    days.days.push(Day {
                        first: index,
                        last: index,
                        count: 1,
                    });
                    *entry.insert(next)
                }
                Entry::Occupied(entry) => {
                    days.join(*entry.get(), index, update.bar.start)?;
                    *entry.get()
                }
            };
            days.places.push(Place {
                update,
                day,
                minute,
                next: 0,
            });
        }
        Some(days)
    }

    /// Adds an item behind the others of its day; `None` when its bar does not start after theirs.
    fn join(&mut self, day: usize, index: usize, start: Timestamp) -> Option<()> {
        let day = self.days.get_mut(day)?;
        let last = self.places.get_mut(day.last)?;
        last.next = index;
        *day = Day {
            first: day.first,
            last: index,
            count: day.count + 1,
        };
        (last.update.bar.start < start).then_some(())
    }

    /// How many commands it is.
    pub fn command_count(&self) -> usize {
        self.days.len() * self.commands_per_day()
    }

    fn commands_per_day(&self) -> usize {
        1 + usize::from(self.view.settings().ttl_s.is_some())
    }

    #[cfg(feature = "redis")]
    /// Whether the keys get a time to live.
    pub(crate) fn expire(&self) -> bool {
        self.view.settings().ttl_s.is_some()
    }

    /// Writes the commands, in order.
    pub(crate) fn write(&self, out: &mut impl CommandEncoder) {
        let settings = self.view.settings();
        let mut stamps = Stamps::new(&settings.zone);
        let (mut key, mut value) = (Vec::new(), Vec::with_capacity(VALUE_LEN));
        let ttl = settings.ttl_s.map(|seconds| seconds.to_string());
        for day in &self.days {
            let first = self.places[day.first].update.bar.key();
            key.clear();
            self.view
                .push_key(&mut key, &first, &stamps.of(first.start, first.spec));
            out.begin("HSET", 1 + 2 * day.count, key.len() + day.count * VALUE_LEN);
            out.argument(&key);
            let mut index = day.first;
            for _ in 0..day.count {
                let Place {
                    update,
                    minute,
                    next,
                    ..
                } = self.places[index];
                out.argument(&civil(minute));
                value.clear();
                push_value(&mut value, update, settings.value);
                out.argument(&value);
                index = next;
            }
            out.end();
            if let Some(ttl) = &ttl {
                out.begin("EXPIRE", 2, key.len() + ttl.len());
                out.argument(&key);
                out.argument(ttl.as_bytes());
                out.end();
            }
        }
    }

    /// The same commands one by one.
    pub fn commands(&self) -> Vec<Command> {
        let mut listed = Listed::default();
        self.write(&mut listed);
        listed.commands
    }

    /// The fate of each item, from the results of the commands.
    pub(crate) fn fates(&self, results: &[CommandResult]) -> Vec<ItemResult> {
        if results.iter().all(Result::is_ok) {
            return vec![Ok(()); self.places.len()];
        }
        let per_day = self.commands_per_day();
        let of_place = |place: &Place<'_>| {
            let commands = place.day * per_day..(place.day + 1) * per_day;
            fate(results, std::slice::from_ref(&commands))
        };
        self.places.iter().map(of_place).collect()
    }
}

/// `HH:MM`.
fn civil(minute: u16) -> [u8; 5] {
    let [hour, minute] = [minute / 60, minute % 60].map(|part| u8::try_from(part).unwrap_or(0));
    [
        b'0' + hour / 10,
        b'0' + hour % 10,
        b':',
        b'0' + minute / 10,
        b'0' + minute % 10,
    ]
}

/// The commands of a batch the plain way.
pub(crate) fn plan(view: &View, items: &[WriteItem], now: Timestamp) -> commands::Plan {
    commands::plan(view, encode(view, items, now, false))
}

#[cfg(test)]
mod tests {
    use super::{Days, plan};
    use crate::key_store::command::Command;
    use crate::key_store::counters::resp_len;
    use crate::key_store::encoder::{JsonBody, RespPipeline};
    use crate::key_store::port::Reply;
    use crate::key_store::remedy::item_error;
    use crate::layout::settings::{ValueForm, ViewKind, ViewSettings};
    use crate::layout::view::View;
    use crate::testing::{manifest, update};
    use crate::upstash::store::encode;
    use crate::write::commands::fate;
    use barmill_core::model::{BarState, BarUpdate, Price, Timestamp};
    use barmill_core::port::WriteItem;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn view(zone: &str, form: ValueForm, ttl_s: Option<u64>) -> View {
        let mut settings =
            ViewSettings::new(ViewKind::SymbolDay, TimeZone::get(zone).unwrap()).unwrap();
        (settings.value, settings.ttl_s) = (form, ttl_s);
        View::new(settings, &[]).unwrap()
    }

    /// Bars of a few symbols from so many minutes after midnight of 2025-11-02 in New York, where clocks are set back.
    fn bars(steps: &[(usize, i64, u64)]) -> Vec<WriteItem> {
        let midnight: Timestamp = "2025-11-02T04:00:00Z".parse().unwrap();
        let item = |(kind, minute, price): &(usize, i64, u64)| {
            let (symbol, spec) = [("A", "1m"), ("B", "1m"), ("A", "5m"), ("B", "1s")][*kind];
            let start = midnight.saturating_add(minute * 60_000_000_000);
            let mut update: BarUpdate = update(symbol, spec, &start.to_string());
            update.bar.prices.as_mut().unwrap().close = Price::from_raw(*price);
            if price % 2 == 1 {
                (update.state, update.revision) = (BarState::Revised, 1);
            }
            WriteItem::Bar(update)
        };
        steps.iter().map(item).collect()
    }

    fn assert_as_plain(view: &View, items: &[WriteItem]) {
        let Some(days) = Days::of(view, items) else {
            return;
        };
        let plan = plan(view, items, Timestamp::EPOCH);
        assert_eq!(days.commands(), plan.commands);
        assert_eq!(days.command_count(), plan.commands.len());
        let mut body = JsonBody::default();
        days.write(&mut body);
        assert_eq!(body.finish(), encode(&plan.commands));
        let mut pipeline = RespPipeline::default();
        days.write(&mut pipeline);
        assert_eq!(pipeline.len(), resp_len(&plan.commands));
        let mut expected = redis::Pipeline::new();
        for command in &plan.commands {
            expected.add_command(command.to_resp());
        }
        assert_eq!(
            pipeline.finish().get_packed_pipeline(),
            expected.get_packed_pipeline()
        );
        for failed in 0..plan.commands.len() {
            let result = |index| {
                if index == failed {
                    Err(item_error("WRONGTYPE"))
                } else {
                    Ok(Reply::Integer(1))
                }
            };
            let results: Vec<_> = (0..plan.commands.len()).map(result).collect();
            let fates: Vec<_> = plan
                .carriers
                .iter()
                .map(|carriers| fate(&results, carriers))
                .collect();
            assert_eq!(days.fates(&results), fates);
        }
    }

    proptest! {
        #[test]
        fn days_are_the_commands_of_the_plain_way(
            mut steps in prop::collection::vec((0usize..4, -600i64..2_000, 1u64..1_000_000_000_000), 1..40),
            is_sorted in any::<bool>(),
            zone in prop::sample::select(vec!["America/New_York", "UTC", "Australia/Lord_Howe"]),
            form in prop::sample::select(vec![ValueForm::Csv, ValueForm::JsonSix, ValueForm::JsonFull]),
            ttl_s in prop::sample::select(vec![None, Some(7_200)]),
        ) {
            if is_sorted {
                steps.sort_by_key(|step| step.1);
                steps.retain(|step| step.0 != 3);
            }
            assert_as_plain(&view(zone, form, ttl_s), &bars(&steps));
        }
    }

    #[test]
    fn minutes_of_many_symbols_are_days_and_the_rest_is_left() {
        let view = view("America/New_York", ValueForm::JsonSix, Some(7_200));
        let minutes: Vec<(usize, i64, u64)> = (-600..-200)
            .flat_map(|minute| [(0, minute, 2), (1, minute, 4)])
            .collect();
        let days = Days::of(&view, &bars(&minutes)).map(|days| days.commands());
        let names: Vec<&str> = days.iter().flatten().map(Command::name).collect();
        assert_eq!(names, ["HSET", "EXPIRE", "HSET", "EXPIRE"]);
        assert_as_plain(&view, &bars(&minutes));
        let is_left = |items: &[WriteItem]| Days::of(&view, items).is_none();
        assert!(
            is_left(&bars(&[(0, -300, 2), (0, -300, 3)])),
            "a revision beside its bar"
        );
        assert!(
            is_left(&bars(&[(0, -299, 2), (0, -300, 3)])),
            "an older bar"
        );
        assert!(is_left(&bars(&[(3, -300, 2)])), "seconds");
        assert!(is_left(&bars(&[(0, 130, 2)])), "an hour that comes twice");
        assert!(is_left(&[WriteItem::Manifest(manifest("A", "1m"))]));
    }

    #[test]
    fn other_views_are_left_to_the_plain_way() {
        let items = bars(&[(0, -300, 2)]);
        let zone = TimeZone::get("America/New_York").unwrap();
        for kind in [
            ViewKind::Minute,
            ViewKind::KeyPerBar,
            ViewKind::Stream,
            ViewKind::Publish,
        ] {
            let view = View::new(ViewSettings::new(kind, zone.clone()).unwrap(), &[]).unwrap();
            assert!(Days::of(&view, &items).is_none(), "{kind}");
        }
        let mut settings = ViewSettings::new(ViewKind::SymbolDay, zone).unwrap();
        settings.also_stream = Some("s:{symbol}".parse().unwrap());
        let beside = View::new(settings.clone(), &["1m".parse().unwrap()]).unwrap();
        assert!(Days::of(&beside, &items).is_none(), "a stream beside it");
        (settings.also_stream, settings.field) = (None, Some("at {time}".parse().unwrap()));
        let named = View::new(settings, &[]).unwrap();
        assert!(Days::of(&named, &items).is_none(), "another field");
    }
}
