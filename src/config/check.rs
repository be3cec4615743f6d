//! Checks of limits against each other.

use super::error::{Fault, Origin, Problem};
use super::load::Loaded;
use super::settings::Config;
use super::sink::SinkUrl;
use super::view::ViewKind;
use super::writer::Guard;
use crate::model::{BarUpdate, Trade};

const MEBIBYTE: u64 = 1 << 20;

impl Config {
    /// Bytes that queues, the batches in the actors' hands and the requests in flight may hold together.
    ///
    /// Counted are what waits in each live source and its answers of history, one edge of trades per shard, the edge of
    /// bars to the writer, and its requests. Not counted
    /// are open bars and the duplicate horizon, which grow with the symbols and not with any queue, and the
    /// decoder's buffers.
    pub fn memory_ceiling_bytes(&self) -> u64 {
        let Config {
            replay,
            aggregate,
            writer,
            live,
            ..
        } = self;
        // One batch more than the queue: the one that its sender or receiver holds.
        let edge = |queue_len_max: usize| count(replay.batch_len_max) * (count(queue_len_max) + 1);
        let trades = edge(replay.queue_len_max) * count(aggregate.shards);
        let in_flight = count(writer.in_flight_max);
        let bars = edge(writer.queue_len_max) + count(writer.batch_len_max) * (in_flight + 1);
        let requests = count(writer.batch_bytes_max) * in_flight;
        // Per source: its backlog with the answers that fill it, as many held behind holes, two batches on their way.
        let answers = (count(live.gaps_in_flight_max) + 1) * count(live.gap_len_max);
        let source = 2 * count(live.backlog_len_max) + answers;
        let source = source + 2 * count(replay.batch_len_max);
        let trades = trades + count(live.sources.as_slice().len()) * source;
        // The ranges of the keys keep the sum below 2^43.
        trades * count(size_of::<Trade>()) + bars * count(size_of::<BarUpdate>()) + requests
    }
}

/// Every clash between values that are right by themselves.
pub(super) fn conflicts(loaded: &Loaded) -> Vec<Fault> {
    let mut checker = Checker {
        loaded,
        faults: Vec::new(),
    };
    checker.limits();
    checker.memory();
    checker.templates();
    checker.secrets();
    checker.faults
}

struct Checker<'a> {
    loaded: &'a Loaded,
    faults: Vec<Fault>,
}

impl Checker<'_> {
    /// Reports `key` where it was set, else where the first of the `related` keys was.
    fn fault(&mut self, key: &'static str, related: &[&'static str], problem: Problem) {
        let keys = std::iter::once(&key).chain(related);
        let mut origins = keys.map(|name| self.loaded.origin(name));
        let origin = origins
            .find(|origin| **origin != Origin::Default)
            .unwrap_or(&Origin::Default)
            .clone();
        self.faults.push(Fault {
            origin,
            key: Some(key.to_owned()),
            problem,
        });
    }

    /// Reports `key` when it is above `other`.
    fn at_most(
        &mut self,
        (key, value): (&'static str, u64),
        (other, bound): (&'static str, u64),
        why: &'static str,
    ) {
        if bound < value {
            self.fault(
                key,
                &[other],
                Problem::Above {
                    value,
                    other,
                    bound,
                    why,
                },
            );
        }
    }

    fn limits(&mut self) {
        let Config { redis, writer, .. } = &self.loaded.config;
        let total = ("redis.timeout_ms", redis.timeout_ms);
        let never = "so that it could never be reached";
        self.at_most(
            ("redis.connect_timeout_ms", redis.connect_timeout_ms),
            total,
            never,
        );
        self.at_most(
            ("redis.read_timeout_ms", redis.read_timeout_ms),
            total,
            never,
        );
        let connections = ("redis.connections_max", count(redis.connections_max));
        self.at_most(
            (
                "redis.connections_idle_max",
                count(redis.connections_idle_max),
            ),
            connections,
            never,
        );
        let in_flight = ("writer.in_flight_max", count(writer.in_flight_max));
        self.at_most(
            in_flight,
            connections,
            "so that requests would wait for a connection",
        );
        self.source_limits();
        let live = &self.loaded.config.live;
        let backoff_max = ("live.backoff_max_ms", live.backoff_max_ms);
        self.at_most(
            ("live.backoff_ms", live.backoff_ms),
            backoff_max,
            "which bounds every wait",
        );
        let stall_max = ("live.stall_max_ms", live.stall_max_ms);
        self.at_most(
            ("live.stall_ms", live.stall_ms),
            stall_max,
            "which bounds it",
        );
        let silence = ("live.silence_max_ms", live.silence_max_ms);
        self.at_most(
            ("live.keep_alive_ms", live.keep_alive_ms),
            silence,
            "so that no pong could come in time",
        );
        let backoff_max = ("writer.backoff_max_ms", writer.backoff_max_ms);
        self.at_most(
            ("writer.backoff_ms", writer.backoff_ms),
            backoff_max,
            "which bounds every wait",
        );
        let probe_max = ("writer.probe_max_ms", writer.probe_max_ms);
        self.at_most(
            ("writer.probe_ms", writer.probe_ms),
            probe_max,
            "which bounds every wait",
        );
        let quota_max = ("writer.quota_probe_max_ms", writer.quota_probe_max_ms);
        self.at_most(
            ("writer.quota_probe_ms", writer.quota_probe_ms),
            quota_max,
            "which bounds every wait",
        );
        self.budget();
    }

    /// A batch that costs more than a whole budget would never go.
    fn budget(&mut self) {
        let Config { writer, view, .. } = &self.loaded.config;
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
        let batch = ("writer.batch_len_max", count(writer.batch_len_max));
        let (day, month) = (writer.commands_per_day, writer.commands_per_month);
        let never = "so that a batch of it could never be sent within the budget";
        for (key, commands) in [
            ("writer.commands_per_day", day),
            ("writer.commands_per_month", month),
        ] {
            if commands > 0 {
                self.at_most(batch, (key, commands / (per_bar + beside)), never);
            }
        }
    }

    fn source_limits(&mut self) {
        let never = "so that it could never be reached";
        let names = ["timeout_ms", "connect_timeout_ms", "read_timeout_ms"];
        let limits: Vec<[(&'static str, u64); 3]> = self
            .loaded
            .config
            .source
            .iter()
            .map(|source| {
                let common = &source.common;
                let values = [
                    common.timeout_ms,
                    common.connect_timeout_ms,
                    common.read_timeout_ms,
                ];
                std::array::from_fn(|index| (source.path(names[index]), values[index]))
            })
            .collect();
        for [total, connect, read] in limits {
            self.at_most(connect, total, never);
            self.at_most(read, total, never);
        }
    }

    fn memory(&mut self) {
        let ceiling_mb = self.loaded.config.memory_ceiling_bytes().div_ceil(MEBIBYTE);
        let max_mb = self.loaded.config.run.memory_max_mb;
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
        let Config { view, bars, .. } = &self.loaded.config;
        let place = [
            view.key_template(),
            view.field_template().unwrap_or_default(),
        ]
        .join(" ");
        let spec: &[&str] = if bars.specs.as_slice().len() > 1 {
            &["spec"]
        } else {
            &[]
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
        if view.field.is_some() && view.kind.default_field().is_none() {
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
        let SinkUrl::Redis(url) = &self.loaded.config.sink.url else {
            return;
        };
        if !url.has_password() {
            return;
        }
        match self.loaded.origin("sink.url") {
            Origin::Environment(_) | Origin::Default => {}
            Origin::File { .. } | Origin::Set(_) | Origin::Flag(_) => {
                let variable = self.loaded.config.redis.url_env.as_str().to_owned();
                self.fault("sink.url", &[], Problem::Secret { variable });
            }
        }
    }
}

fn count(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
