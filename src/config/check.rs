//! Checks of limits against each other.

use super::error::{Fault, Origin, Problem};
use super::section::Section;
use super::settings::Config;
use super::sink::SinkUrl;
use super::writer::Guard;
use crate::model::{BarUpdate, Trade};
use crate::pipeline::{LISTENER_LEN_MAX, UPDATES_LEN_MAX};
use barmill_stores::ViewKind;
use std::collections::BTreeMap;

const MEBIBYTE: u64 = 1 << 20;
/// Stands for the section of each source.
const EACH_SOURCE: &str = "source.*";
const NEVER: &str = "so that it could never be reached";
const WAITS: &str = "which bounds every wait";
/// Keys that may not be above another one, and what goes wrong otherwise.
const BOUNDS: [(&str, &str, &str); 12] = [
    ("redis.connect_timeout_ms", "redis.timeout_ms", NEVER),
    ("redis.read_timeout_ms", "redis.timeout_ms", NEVER),
    ("redis.connections_idle_max", "redis.connections_max", NEVER),
    (
        "writer.in_flight_max",
        "redis.connections_max",
        "so that requests would wait for a connection",
    ),
    ("source.*.connect_timeout_ms", "source.*.timeout_ms", NEVER),
    ("source.*.read_timeout_ms", "source.*.timeout_ms", NEVER),
    ("live.backoff_ms", "live.backoff_max_ms", WAITS),
    ("live.stall_ms", "live.stall_max_ms", "which bounds it"),
    (
        "live.keep_alive_ms",
        "live.silence_max_ms",
        "so that no pong could come in time",
    ),
    ("writer.backoff_ms", "writer.backoff_max_ms", WAITS),
    ("writer.probe_ms", "writer.probe_max_ms", WAITS),
    ("writer.quota_probe_ms", "writer.quota_probe_max_ms", WAITS),
];

impl Config {
    /// Bytes that queues, the batches in the actors' hands and the requests in flight may hold together: what waits in
    /// the files' reader or in each live source and its answers of history, the trades before the shards, and the bars
    /// from the shards to the store and its listeners.
    ///
    /// Not counted are open bars and the duplicate horizon, which grow with the symbols and not with any queue, and the
    /// decoder's buffers.
    pub fn memory_ceiling_bytes(&self) -> u64 {
        let Config {
            replay,
            aggregate,
            writer,
            live,
            ..
        } = self;
        let (batch, shards) = (count(replay.batch_len_max), count(aggregate.shards));
        // Per source: its backlog with the answers that fill it, as many held behind holes, two batches on their way.
        let answers = (count(live.gaps_in_flight_max) + 1) * count(live.gap_len_max);
        let source = 2 * count(live.backlog_len_max) + answers + 2 * batch;
        let sources = count(live.sources.as_slice().len()) * source;
        // Files are decoded six batches ahead, and the feed has one in its hands; so has each shard.
        let trades = sources + 7 * batch + shards * (count(replay.queue_len_max) + 1) * batch;
        let in_flight = count(writer.in_flight_max);
        // One message is in the hands of each shard, and the writer takes one in whole.
        let messages = count(writer.queue_len_max) + shards + 1;
        // The writer's queue and what is in flight; while the store is out, a commit of as many and a part of the spool.
        let batches = (in_flight + 1) + 2 * in_flight + 5;
        let bars = messages * count(UPDATES_LEN_MAX)
            + batches * count(writer.batch_len_max)
            + count(LISTENER_LEN_MAX);
        let requests = count(writer.batch_bytes_max) * in_flight;
        // The ranges of the keys keep the sum below 2^44.
        trades * count(size_of::<Trade>()) + bars * count(size_of::<BarUpdate>()) + requests
    }
}

/// Every clash between values that are right by themselves.
pub(super) fn conflicts(config: &Config, origins: &BTreeMap<String, Origin>) -> Vec<Fault> {
    let mut checker = Checker {
        config,
        origins,
        faults: Vec::new(),
    };
    checker.limits();
    checker.memory();
    checker.templates();
    checker.secrets();
    checker.faults
}

struct Checker<'a> {
    config: &'a Config,
    origins: &'a BTreeMap<String, Origin>,
    faults: Vec<Fault>,
}

impl Checker<'_> {
    /// Reports `key` where it was set, else where the first of the `related` keys was.
    fn fault(&mut self, key: &str, related: &[&str], problem: Problem) {
        let mut keys = std::iter::once(&key).chain(related);
        let origin = keys.find_map(|name| self.origins.get(*name));
        let origin = origin.unwrap_or(&Origin::Default).clone();
        self.faults.push(Fault::new(origin, Some(key), problem));
    }

    /// The number that a key of the config holds.
    fn number(&self, path: &str) -> u64 {
        let (name, key) = path.rsplit_once('.').unwrap_or((path, ""));
        let sections = self.config.sections();
        let section = sections.iter().find(|section| section.name() == name);
        let shown = section.and_then(|section| section.show(key));
        shown.and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// Reports `key` when it is above what `other` allows.
    fn at_most(&mut self, key: &str, (other, bound): (&str, u64), why: &'static str) {
        let value = self.number(key);
        if bound < value {
            let problem = Problem::Above {
                value,
                other: other.to_owned(),
                bound,
                why,
            };
            self.fault(key, &[other], problem);
        }
    }

    fn limits(&mut self) {
        let sources = self.config.source.iter();
        let sources: Vec<String> = sources.map(|one| one.name().to_owned()).collect();
        for (key, other, why) in BOUNDS {
            let names = if key.starts_with(EACH_SOURCE) {
                sources.as_slice()
            } else {
                &[String::new()]
            };
            for name in names {
                let [key, other] = [key, other].map(|path| path.replace(EACH_SOURCE, name));
                self.at_most(&key, (&other, self.number(&other)), why);
            }
        }
        self.budget();
    }

    /// A batch that costs more than a whole budget would never go.
    fn budget(&mut self) {
        let Config { writer, view, .. } = self.config;
        // As `barmill_stores` counts, when every bar of the batch has a key of its own; docs/stores.md tells the costs.
        let per_bar = match (view.kind, writer.guard) {
            (ViewKind::SymbolDay | ViewKind::Minute, Guard::Off) => 2,
            (ViewKind::SymbolDay | ViewKind::Minute, Guard::Fence) => 7,
            (ViewKind::KeyPerBar, Guard::Off) | (ViewKind::Publish, _) => 1,
            (ViewKind::KeyPerBar, Guard::Fence) => 4,
            (ViewKind::Stream, _) => 3,
        };
        let beside =
            u64::from(view.also_stream().is_some()) * 3 + u64::from(view.also_publish().is_some());
        let (day, month) = (writer.commands_per_day, writer.commands_per_month);
        let never = "so that a batch of it could never be sent within the budget";
        for (key, commands) in [
            ("writer.commands_per_day", day),
            ("writer.commands_per_month", month),
        ] {
            if commands > 0 {
                let bound = commands / (per_bar + beside);
                self.at_most("writer.batch_len_max", (key, bound), never);
            }
        }
    }

    fn memory(&mut self) {
        let ceiling_mb = self.config.memory_ceiling_bytes().div_ceil(MEBIBYTE);
        let max_mb = self.config.run.memory_max_mb;
        if max_mb < ceiling_mb {
            let related = [
                "live.backlog_len_max",
                "live.gap_len_max",
                "replay.queue_len_max",
                "replay.batch_len_max",
                "writer.queue_len_max",
                "aggregate.shards",
                "writer.batch_len_max",
                "writer.batch_bytes_max",
                "writer.in_flight_max",
            ];
            self.fault(
                "run.memory_max_mb",
                &related,
                Problem::Memory { ceiling_mb, max_mb },
            );
        }
    }

    fn templates(&mut self) {
        let Config { view, bars, .. } = self.config;
        let field = view.field_template().unwrap_or_default();
        let place = format!("{} {field}", view.key_template());
        let spec: &[&str] = match bars.specs.as_slice() {
            [_] => &[],
            _ => &["spec"],
        };
        let needed: &[&str] = match view.kind {
            ViewKind::SymbolDay | ViewKind::Minute | ViewKind::KeyPerBar => {
                &["symbol", "date", "time"]
            }
            ViewKind::Stream => &["symbol"],
            ViewKind::Publish => &[],
        };
        let spec_of_key = if view.kind == ViewKind::Publish {
            &[]
        } else {
            spec
        };
        for placeholder in needed.iter().chain(spec_of_key) {
            self.placeholder("view.key", place.trim_end(), placeholder);
        }
        for placeholder in ["symbol"].iter().chain(spec) {
            self.placeholder(
                "view.stream_key",
                view.also_stream().unwrap_or("{symbol}{spec}"),
                placeholder,
            );
        }
        if view.field.is_some() && view.kind.field_template().is_none() {
            self.fault(
                "view.field",
                &[],
                Problem::NoField {
                    kind: view.kind.as_str(),
                },
            );
        }
    }

    fn placeholder(&mut self, key: &'static str, template: &str, placeholder: &'static str) {
        if !template.contains(&format!("{{{placeholder}}}")) {
            self.fault(
                key,
                &["view.kind", "view.field", "bars.specs"],
                Problem::Collision {
                    template: template.to_owned(),
                    placeholder,
                },
            );
        }
    }

    /// A password may come from the environment only: a file is read by many, a command line by all.
    fn secrets(&mut self) {
        let SinkUrl::Given(store) = &self.config.sink.url else {
            return;
        };
        if !store.has_password() {
            return;
        }
        match self.origins.get("sink.url").unwrap_or(&Origin::Default) {
            Origin::Environment(_) | Origin::Default => {}
            Origin::File { .. } | Origin::Set(_) | Origin::Flag(_) => {
                let variable = self.config.redis.url_env.as_str().to_owned();
                self.fault("sink.url", &[], Problem::Secret { variable });
            }
        }
    }
}

fn count(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
