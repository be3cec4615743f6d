//! The writer, from bars in memory to a store that has acked them, and the same by hand.

use super::Line;
use super::support::http;
use super::support::redis::RedisServer;
use super::support::upstash::{TOKEN, UpstashOptions, UpstashServer};
use barmill::internals::pipeline::clock::SystemClock;
use barmill::internals::pipeline::{PaceSettings, Pipeline, PipelineSettings, WriterPorts};
use barmill::internals::pipeline::{ShardMessage, Writer};
use barmill::{
    Bar, BarFlags, BarSpec, BarState, BarUpdate, Notional, Ohlc, Price, Symbol, Timestamp, Volume,
};
use barmill_core::port::BarSink;
use barmill_stores::{
    RespSettings, SinkUrl, StoreSettings, ValueForm, View, ViewKind, ViewSettings, connect,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

const SYMBOLS: u64 = 200;
const MINUTES: u64 = 500;
const MINUTE_NS: i64 = 60_000_000_000;
/// 2025-10-15 12:00 UTC.
const START: i64 = 1_760_529_600_000_000_000;
/// As `[writer] batch_len_max` and `in_flight_max`.
const BATCH_LEN: usize = 1_000;
const IN_FLIGHT: usize = 4;
/// The delay of a distant store, for each request.
const DELAY: Duration = Duration::from_millis(20);

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn bar(symbol: Symbol, minute: u64, number: u64) -> BarUpdate {
    let start = Timestamp::from_nanos(START + MINUTE_NS * i64::try_from(minute).unwrap()).unwrap();
    let price = |cents: u64| Price::from_raw((25_000 + (number * 7 + cents) % 1_000) * 10_000_000);
    let volume: Volume = (100 + number % 9_000).to_string().parse().unwrap();
    let bar = Bar {
        symbol,
        spec: BarSpec::MINUTE,
        start,
        end: start.saturating_add(MINUTE_NS),
        prices: Some(Ohlc {
            open: price(1),
            high: price(9),
            low: price(0),
            close: price(4),
        }),
        volume,
        notional: Notional::from_raw(0, 1 << 90),
        notional_volume: volume,
        trades: 1 + number % 100,
        buy_volume: Volume::ZERO,
        sell_volume: Volume::ZERO,
        first_sequence: number,
        last_sequence: number + 100,
        flags: BarFlags::default(),
    };
    BarUpdate {
        bar,
        state: BarState::Final,
        revision: 0,
        trades_added: 1,
    }
}

/// Bars as a tape by time closes them: all symbols of a minute, then the next minute.
fn bars(symbols: u64, minutes: u64) -> Vec<BarUpdate> {
    let symbols: Vec<Symbol> = (0..symbols)
        .map(|number| Symbol::intern(format!("S{number}").as_bytes()).unwrap())
        .collect();
    let of_minute = |minute: u64| {
        let numbered = symbols.iter().zip(0u64..);
        numbered.map(move |(symbol, place)| bar(*symbol, minute, minute * 211 + place))
    };
    (0..minutes).flat_map(of_minute).collect()
}

fn view(value: ValueForm) -> View {
    let zone = jiff::tz::TimeZone::get("America/New_York").unwrap();
    let mut settings = ViewSettings::new(ViewKind::SymbolDay, zone).unwrap();
    settings.value = value;
    View::new(settings, &[BarSpec::MINUTE]).unwrap()
}

/// The settings of a replay, without a pace: a server of one's own has no plan that limits commands.
fn settings() -> PipelineSettings {
    let mut settings = None;
    drop(Pipeline::builder().settings(|all| settings = Some(all.clone())));
    let mut settings = settings.unwrap();
    settings.writer.pace = PaceSettings {
        commands_per_second: None,
        requests_per_second: None,
    };
    settings
}

async fn opened(url: &str, value: ValueForm, store: &StoreSettings) -> Arc<dyn BarSink> {
    let url: SinkUrl = url.parse().unwrap();
    let sink = connect(&url, view(value), store, Arc::new(SystemClock))
        .await
        .unwrap()
        .sink;
    sink.ping().await.unwrap();
    sink
}

/// The whole writer: delivery, batches, retries and acks, from the shard's messages until every bar is acked, and the
/// requests of the whole run. Manifests that do not go with the last bars follow their acks and are not in the time.
async fn write_all(sink: Arc<dyn BarSink>, bars: Vec<BarUpdate>) -> (Duration, u64) {
    let settings = settings();
    let (to_writer, inbox) = mpsc::channel(settings.writer_queue_len_max);
    let (acked, _) = broadcast::channel(16);
    let count = bars.len();
    let requests = Arc::clone(&sink);
    let ports = WriterPorts {
        sink,
        state: None,
        clock: Arc::new(SystemClock),
    };
    let (writer, mut counts) = Writer::pair(
        ports,
        settings.writer,
        (inbox, 1),
        CancellationToken::new(),
        acked,
    );
    let start = Instant::now();
    let sending = async move {
        for updates in bars.chunks(4_096) {
            to_writer
                .send(ShardMessage::Updates {
                    shard: 0,
                    updates: updates.to_vec(),
                })
                .await
                .unwrap();
        }
        to_writer.send(ShardMessage::End).await.unwrap();
    };
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(sending);
    tasks.spawn(async { writer.run().await.unwrap() });
    counts
        .wait_for(|counts| counts.bars == count as u64)
        .await
        .unwrap();
    let took = start.elapsed();
    tasks.join_all().await;
    (took, requests.stats().requests)
}

/// A hundred thousand bars to the Redis at this port, as values of the six names that the loop by hand writes too.
pub(super) fn resp(port: &str) -> Line {
    let bars = bars(SYMBOLS, MINUTES);
    let items = bars.len();
    let store = StoreSettings {
        resp: RespSettings::default(),
        ..StoreSettings::default()
    };
    let (took, _) = runtime().block_on(async {
        let sink = opened(
            &format!("redis://127.0.0.1:{port}"),
            ValueForm::JsonSix,
            &store,
        )
        .await;
        write_all(sink, bars).await
    });
    Line {
        ns: took.as_nanos(),
        items,
        rest: String::new(),
    }
}

/// The same commands by hand: one HSET and one EXPIRE per symbol of a batch, four batches in flight.
pub(super) fn resp_hand(port: &str) -> Line {
    let bars = bars(SYMBOLS, MINUTES);
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    let mut waiting = std::collections::VecDeque::new();
    let mut out = Vec::new();
    let start = Instant::now();
    let mut take = |count: usize| {
        for _ in 0..count {
            line.clear();
            replies.read_line(&mut line).unwrap();
            assert!(line.starts_with(':'), "{line}");
        }
    };
    for batch in bars.chunks(BATCH_LEN) {
        out.clear();
        waiting.push_back(push_by_hand(&mut out, batch));
        if waiting.len() > IN_FLIGHT {
            take(waiting.pop_front().unwrap());
        }
        stream.write_all(&out).unwrap();
    }
    waiting.into_iter().for_each(take);
    Line {
        ns: start.elapsed().as_nanos(),
        items: bars.len(),
        rest: String::new(),
    }
}

/// Appends the commands of one batch and tells how many they are.
fn push_by_hand(out: &mut Vec<u8>, batch: &[BarUpdate]) -> usize {
    let mut groups: BTreeMap<Symbol, Vec<&Bar>> = BTreeMap::new();
    for update in batch {
        groups
            .entry(update.bar.symbol)
            .or_default()
            .push(&update.bar);
    }
    let (mut key, mut value) = (String::new(), Vec::new());
    for (symbol, bars) in &groups {
        key.clear();
        write!(key, "bars:1m:2025-10-15:{}", symbol.as_str()).unwrap();
        write!(
            out,
            "*{}\r\n$4\r\nHSET\r\n${}\r\n{key}\r\n",
            2 + 2 * bars.len(),
            key.len()
        )
        .unwrap();
        for bar in bars {
            let ms = bar.start.as_millis();
            // New York is four hours behind UTC on that day.
            let minute = (ms / 60_000 - 240).rem_euclid(1_440);
            let ohlc = bar.prices.unwrap();
            value.clear();
            write!(value, "{{\"timestamp\":{ms},\"open\":").unwrap();
            ohlc.open.push_text(&mut value);
            value.extend_from_slice(b",\"high\":");
            ohlc.high.push_text(&mut value);
            value.extend_from_slice(b",\"low\":");
            ohlc.low.push_text(&mut value);
            value.extend_from_slice(b",\"close\":");
            ohlc.close.push_text(&mut value);
            value.extend_from_slice(b",\"volume\":");
            bar.volume.push_text(&mut value);
            value.push(b'}');
            write!(
                out,
                "$5\r\n{:02}:{:02}\r\n${}\r\n",
                minute / 60,
                minute % 60,
                value.len()
            )
            .unwrap();
            out.extend_from_slice(&value);
            out.extend_from_slice(b"\r\n");
        }
        write!(
            out,
            "*3\r\n$6\r\nEXPIRE\r\n${}\r\n{key}\r\n$4\r\n7200\r\n",
            key.len()
        )
        .unwrap();
    }
    2 * groups.len()
}

/// A server that speaks Upstash's protocol over TLS in front of a real Redis, twenty milliseconds away.
fn distant() -> (RedisServer, UpstashServer) {
    let redis = RedisServer::start();
    let server = UpstashOptions::default().tls().start(&redis);
    server.set_delay(DELAY);
    (redis, server)
}

/// A day of one symbol on a warm connection.
pub(super) fn rest() -> Line {
    let (_redis, server) = distant();
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, server.ca_pem().unwrap()).unwrap();
    let mut store = StoreSettings {
        token: Some(TOKEN.to_owned().into()),
        ..StoreSettings::default()
    };
    store.rest.ca_file = Some(authority);
    let bars = bars(1, 490);
    let items = bars.len();
    let (took, requests) = runtime().block_on(async {
        let sink = opened(&server.url(), ValueForm::JsonFull, &store).await;
        let before = sink.stats().requests;
        let (took, requests) = write_all(sink, bars).await;
        (took, requests - before)
    });
    Line {
        ns: took.as_nanos(),
        items,
        rest: format!(",\"round_trips\":{requests}"),
    }
}

/// One request per bar on one warm connection, as the backend that barmill replaces wrote them; `count` of the bars.
pub(super) fn rest_per_bar(count: &str) -> Line {
    let (_redis, server) = distant();
    let bars = bars(1, count.parse().unwrap());
    let client = http::client(&server);
    let took = runtime().block_on(async {
        let post = async |body: serde_json::Value| {
            assert_eq!(
                http::post(&client, &server, "/", &body)
                    .await
                    .unwrap()
                    .status,
                200
            );
        };
        post(serde_json::json!(["PING"])).await;
        let start = Instant::now();
        for update in &bars {
            let bar = &update.bar;
            let key = format!("intraday:model_7:2025-10-15:S0:{}", bar.start.as_millis());
            let value = serde_json::json!({
                "timestamp": bar.start.as_millis(),
                "open": bar.prices.map(|ohlc| ohlc.open.to_string()),
                "volume": bar.volume.to_string(),
            });
            post(serde_json::json!(["SETEX", key, 7_200, value.to_string()])).await;
        }
        start.elapsed()
    });
    Line {
        ns: took.as_nanos(),
        items: bars.len(),
        rest: String::new(),
    }
}
