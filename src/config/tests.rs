//! Tests of the error texts of a wrong config.

use super::{Config, Environment, Flag, Layers, Loaded, Origin, load};
use proptest::prelude::*;

fn load_file(text: &str) -> Result<Loaded, String> {
    let environment = Environment::default();
    let layers = Layers {
        file: Some(("my.toml", text.as_bytes())),
        ..Layers::new(&environment)
    };
    load(&layers).map_err(|error| error.to_string())
}

fn faults(lines: &[&str]) -> String {
    load_file(&lines.join("\n")).unwrap_err()
}

#[test]
fn a_mistyped_key_or_section_is_met_with_the_nearest() {
    let shown = faults(&[
        "[bars]",
        r#"spec = ["1m"]"#,
        "[writter]",
        "linger_ms = 1",
        "in_flight_max = 2",
    ]);
    insta::assert_snapshot!(shown, @r#"
    2 faults
    my.toml:2:1: bars.spec: unknown key, did you mean "specs"?
    my.toml:3:2: writter: unknown section, did you mean "writer"?
    "#);
}

#[test]
fn a_key_in_the_wrong_section_is_sent_to_its_own() {
    let shown = faults(&["[bars]", "linger_ms = 5"]);
    insta::assert_snapshot!(shown, @r#"my.toml:2:1: bars.linger_ms: unknown key, did you mean "writer.linger_ms"?"#);
}

#[test]
fn a_key_like_no_other_gets_the_list() {
    let shown = faults(&["[aggregate]", "threads = 4", "[kafka]", "brokers = 3"]);
    insta::assert_snapshot!(shown, @r"
    2 faults
    my.toml:2:1: aggregate.threads: unknown key, known keys of the section are shards
    my.toml:3:2: kafka: unknown section, known sections are bars, replay, source.massive, source.alpaca, source.binance, source.coinbase, source.kraken, live, aggregate, sink, redis, view, writer, plan, status, run, log
    ");
}

#[test]
fn a_value_of_the_wrong_type_says_what_is_needed() {
    let shown = faults(&[
        "[bars]",
        r#"specs = "1m""#,
        r#"lateness_ms = "2s""#,
        "[replay]",
        "format = 7",
        "batch_len_max = 1.5",
    ]);
    insta::assert_snapshot!(shown, @r"
    4 faults
    my.toml:2:9: bars.specs: a string where a list of strings is needed
    my.toml:3:15: bars.lateness_ms: a string where an integer is needed
    my.toml:5:10: replay.format: an integer where a string is needed
    my.toml:6:17: replay.batch_len_max: a number with a fraction where an integer is needed
    ");
}

#[test]
fn a_number_out_of_range_names_the_range() {
    let shown = faults(&[
        "[aggregate]",
        "shards = 0",
        "[writer]",
        "attempts_max = -3",
        "linger_ms = 1_000_000",
    ]);
    insta::assert_snapshot!(shown, @r"
    3 faults
    my.toml:2:10: aggregate.shards: 0 is out of range, allowed is 1 to 64
    my.toml:4:16: writer.attempts_max: -3 is out of range, allowed is 1 to 100
    my.toml:5:13: writer.linger_ms: 1000000 is out of range, allowed is 0 to 600000
    ");
}

#[test]
fn a_text_that_is_no_choice_is_met_with_the_choices() {
    let shown = faults(&[
        "[bars]",
        r#"specs = ["1m", "7m"]"#,
        r#"session = "regullar""#,
        r#"zone = "EST5""#,
        "[replay]",
        r#"speed = "fast""#,
        r#"on_bad_row = "skpi""#,
    ]);
    insta::assert_snapshot!(shown, @r#"
    5 faults
    my.toml:2:9: bars.specs: bar spec "7m" does not divide a day
    my.toml:3:11: bars.session: "regullar" is not known, allowed is all-hours, pre, regular, post, all or HH:MM-HH:MM with the end after the start, did you mean "regular"?
    my.toml:4:8: bars.zone: "EST5" is not known, allowed is source or an IANA zone such as America/New_York or UTC
    my.toml:6:9: replay.speed: "fast" is not known, allowed is max or a multiple from 0.001x to 1000000x, such as 1x or 60x
    my.toml:7:14: replay.on_bad_row: "skpi" is not known, allowed is stop, skip, did you mean "skip"?
    "#);
}

#[test]
fn list_of_specs_has_one_at_least() {
    let shown = faults(&["[bars]", "specs = []"]);
    insta::assert_snapshot!(shown, @"my.toml:2:9: bars.specs: the list is empty, at least one entry is needed");
}

#[test]
fn every_layer_is_named_by_its_faults_and_all_come_at_once() {
    let environment = Environment::from_pairs([
        ("BARMILL__WRITER__LINGER_MS", "soon"),
        ("BARMILL__WRITER", "1"),
        ("BARMILL__BARS__SPEC", "1m"),
    ]);
    let layers = Layers {
        file: Some(("my.toml", b"[log]\nlevel = \"loud\"")),
        environment: &environment,
        set: &[
            "replay.queue_len_max=0".to_owned(),
            "view.ttl_s".to_owned(),
            "speed=1x".to_owned(),
        ],
        flags: &[Flag {
            name: "--bars".to_owned(),
            key: "bars.specs".to_owned(),
            value: "1m,2x".to_owned(),
        }],
    };
    insta::assert_snapshot!(load(&layers).unwrap_err(), @r#"
    8 faults
    my.toml:2:9: log.level: "loud" is not known, allowed is error, warn, info, debug, trace
    environment variable BARMILL__BARS__SPEC: bars.spec: unknown key, did you mean "specs"?
    environment variable BARMILL__WRITER: does not name a key; expected BARMILL__SECTION__KEY
    environment variable BARMILL__WRITER__LINGER_MS: writer.linger_ms: a string where an integer is needed
    --set replay.queue_len_max: replay.queue_len_max: 0 is out of range, allowed is 1 to 4096
    --set speed: does not name a key; expected --set SECTION.KEY=VALUE
    --set view.ttl_s: does not name a key; expected --set SECTION.KEY=VALUE
    --bars: bars.specs: bar spec "2x" is not one of 1s 5s 1m 5m 15m 1h 4h 1d session tick:N volume:N value:N
    "#);
}

#[test]
fn a_config_with_blanks_around_a_set_key_prints_as_one_that_reads_back() {
    let environment = Environment::default();
    let set = ["\u{c}writer.linger_ms\u{b} = 0".to_owned()];
    let printed = load(&Layers {
        set: &set,
        ..Layers::new(&environment)
    })
    .unwrap()
    .to_toml();
    let again = load(&Layers {
        file: Some(("again.toml", printed.as_bytes())),
        ..Layers::new(&environment)
    });
    assert_eq!(again.unwrap().config.writer.linger_ms, 0, "{printed}");
}

#[test]
fn control_characters_of_a_config_do_not_reach_the_terminal() {
    let environment = Environment::from_pairs([("BARMILL__\u{1b}[2J__X", "1")]);
    let set = ["a\u{7}.b=1".to_owned()];
    let layers = Layers {
        set: &set,
        ..Layers::new(&environment)
    };
    let text = load(&layers).unwrap_err().to_string();
    assert!(
        text.contains(r"BARMILL__\u{1b}[2J__X") && text.contains(r"--set a\u{7}.b"),
        "{text}"
    );
    assert!(
        !text.replace('\n', "").chars().any(char::is_control),
        "{text:?}"
    );
}

#[test]
fn a_secret_in_the_file_is_refused_unseen() {
    let text = &["[sink]", r#"url = "rediss://:hunter2@host""#];
    insta::assert_snapshot!(faults(text), @"my.toml:2:7: sink.url: secrets are not allowed in the config; set the environment variable REDIS_URL, or REDIS_URL_FILE naming a file that holds it");
    let keys = &[
        "[redis]",
        r#"password = "hunter2""#,
        r#"rest_token = "hunter2""#,
        r#"rest_token_env = "hunter2""#,
        "[massive]",
        r#"api_key = "hunter2""#,
    ];
    let shown = faults(keys);
    assert!(!shown.contains("hunter2"));
    insta::assert_snapshot!(shown, @r"
    5 faults
    my.toml:2:1: redis.password: secrets are not allowed in the config; set the environment variable REDIS_URL, or REDIS_URL_FILE naming a file that holds it
    my.toml:3:1: redis.rest_token: secrets are not allowed in the config; set the environment variable UPSTASH_REDIS_REST_TOKEN, or UPSTASH_REDIS_REST_TOKEN_FILE naming a file that holds it
    my.toml:4:18: redis.rest_token_env: the text (not shown, as it may be a secret) is not the name of an environment variable (A-Z, 0-9 and _)
    my.toml:5:2: massive: unknown section, known sections are bars, replay, source.massive, source.alpaca, source.binance, source.coinbase, source.kraken, live, aggregate, sink, redis, view, writer, plan, status, run, log
    my.toml:6:1: massive.api_key: secrets are not allowed in the config; set the environment variable MASSIVE_API_KEY, or MASSIVE_API_KEY_FILE naming a file that holds it
    ");
}

#[test]
fn a_source_is_set_in_every_layer_and_its_key_in_none() {
    let environment = Environment::from_pairs([("BARMILL__SOURCE__MASSIVE__PAGING", "restart")]);
    let layers = Layers {
        file: Some((
            "my.toml",
            b"[source.massive]\nwrap = \"data.results\"\n[source.kraken]\npage_len = 500",
        )),
        set: &["source.massive.key_header=X-Own-Key".to_owned()],
        ..Layers::new(&environment)
    };
    let source = load(&layers).unwrap().config.source;
    let of = |name| source.of(super::source_name(name).unwrap());
    let massive = of("massive").venue_settings();
    assert_eq!(
        ["wrap", "key_header", "paging"].map(|name| massive.get(name)),
        ["data.results", "X-Own-Key", "restart"]
    );
    assert_eq!(of("kraken").common.page_len, 500);
    let shown = faults(&[
        "[source.massive]",
        r#"api_key = "hunter2""#,
        r#"base_url = "https://hunter2@api.massive.com""#,
        "[source.nyse]",
    ]);
    insta::assert_snapshot!(shown, @r"
    3 faults
    my.toml:2:1: source.massive.api_key: secrets are not allowed in the config; set the environment variable MASSIVE_API_KEY, or MASSIVE_API_KEY_FILE naming a file that holds it
    my.toml:3:12: source.massive.base_url: the text (not shown, as it may be a secret) is not https://HOST or http://127.0.0.1:PORT with a path at most
    my.toml:4:9: source.nyse: unknown section, known sections are bars, replay, source.massive, source.alpaca, source.binance, source.coinbase, source.kraken, live, aggregate, sink, redis, view, writer, plan, status, run, log
    ");
    let shown = faults(&["[source.kraken]", "timeout_ms = 12000"]);
    insta::assert_snapshot!(shown, @"my.toml:2:14: source.kraken.read_timeout_ms: 15000 is above source.kraken.timeout_ms = 12000, so that it could never be reached");
}

#[test]
fn a_password_is_taken_from_the_environment_and_not_from_the_command_line() {
    let environment = Environment::from_pairs([("BARMILL__SINK__URL", "redis://:hunter2@host")]);
    let loaded = load(&Layers::new(&environment)).unwrap();
    assert!(!format!("{loaded:?}{}", loaded.to_toml()).contains("hunter2"));
    let flags = [Flag {
        name: "--sink".to_owned(),
        key: "sink.url".to_owned(),
        value: "redis://:hunter2@host".to_owned(),
    }];
    let layers = Layers {
        flags: &flags,
        ..Layers::new(&environment)
    };
    insta::assert_snapshot!(load(&layers).unwrap_err(), @"--sink: sink.url: secrets are not allowed in the config; set the environment variable REDIS_URL, or REDIS_URL_FILE naming a file that holds it");
}

#[test]
fn limits_that_contradict_each_other_are_reported_where_they_were_set() {
    let text = &[
        "[redis]",
        "timeout_ms = 5000",
        "connections_max = 2",
        "[writer]",
        "backoff_ms = 60000",
        "[replay]",
        "batch_len_max = 65536",
        "queue_len_max = 4096",
    ];
    insta::assert_snapshot!(faults(text), @r"
    6 faults
    my.toml:2:14: redis.connect_timeout_ms: 10000 is above redis.timeout_ms = 5000, so that it could never be reached
    my.toml:2:14: redis.read_timeout_ms: 10000 is above redis.timeout_ms = 5000, so that it could never be reached
    my.toml:3:19: redis.connections_idle_max: 10 is above redis.connections_max = 2, so that it could never be reached
    my.toml:3:19: writer.in_flight_max: 4 is above redis.connections_max = 2, so that requests would wait for a connection
    my.toml:5:14: writer.backoff_ms: 60000 is above writer.backoff_max_ms = 30000, which bounds every wait
    my.toml:8:17: run.memory_max_mb: queues and requests in flight may hold 20545 MiB, allowed are 512 MiB; lower replay.queue_len_max, replay.batch_len_max or writer.queue_len_max, or raise this
    ");
}

#[test]
fn a_view_under_which_bars_would_collide_is_refused() {
    let text = &[
        "[bars]",
        r#"specs = ["1m", "5m"]"#,
        "[view]",
        r#"kind = "key-per-bar""#,
        r#"field = "{time}""#,
    ];
    insta::assert_snapshot!(faults(text), @r#"
    2 faults
    my.toml:4:8: view.key: "intraday:{namespace}:{date}:{symbol}:{time}" needs {spec}, or different bars would overwrite each other
    my.toml:5:9: view.field: the view key-per-bar has no fields, leave it empty
    "#);
    let shown = faults(&[
        "[view]",
        r#"key = "bars:{ticker}""#,
        r#"field = "m:{spec""#,
        r#"namespace = """#,
    ]);
    insta::assert_snapshot!(shown, @r#"
    3 faults
    my.toml:2:7: view.key: {ticker} is not a placeholder, allowed is {namespace}, {spec}, {date}, {symbol} and {time}
    my.toml:3:9: view.field: the template "m:{spec" has an unpaired brace
    my.toml:4:13: view.namespace: the text is empty
    "#);
}

#[test]
fn broken_toml_is_shown_by_line_and_column() {
    let shown = faults(&[
        "[bars]",
        r#"specs = ["1m""#,
        "[replay]",
        r#"speed = "max"#,
        "shards = = 4",
    ]);
    insta::assert_snapshot!(shown, @r"
    3 faults
    my.toml:3:1: not valid TOML: missing comma between array elements, expected `,`
    my.toml:4:1: not valid TOML: missing comma between array elements, expected `,`
    my.toml:5:1: not valid TOML: missing comma between array elements, expected `,`
    ");
    let shown = faults(&[
        r#"speed = "max""#,
        "[bars]",
        r#"fill = "none""#,
        r#"fill = "none""#,
    ]);
    insta::assert_snapshot!(shown, @"my.toml:4:1: not valid TOML: duplicate key");
    let shown = faults(&[r#"speed = "max""#, "[[bars]]"]);
    insta::assert_snapshot!(shown, @r"
    2 faults
    my.toml:1:1: speed: a string where a section is needed, such as [bars]
    my.toml:2:3: bars: a list where a section is needed, such as [bars]
    ");
}

#[test]
fn columns_count_characters_and_bad_bytes_have_a_place() {
    let shown = faults(&["[view]", r#"namespace = "äöü""#, r#""größe" = 1"#]);
    insta::assert_snapshot!(shown, @"my.toml:3:1: view.größe: unknown key, known keys of the section are kind, namespace, key, field, also, stream_key, stream_len_max, channel, value, ttl_s");
    let environment = Environment::default();
    let layers = Layers {
        file: Some(("my.toml", b"[bars]\nx = \"\xff\"")),
        ..Layers::new(&environment)
    };
    assert_eq!(
        load(&layers).unwrap_err().to_string(),
        "my.toml:2:6: not UTF-8"
    );
}

#[test]
fn later_layers_win_and_every_value_knows_its_origin() {
    let environment =
        Environment::from_pairs([("BARMILL__BARS__FILL", "previous-close"), ("OTHER", "x")]);
    let layers = Layers {
        file: Some((
            "my.toml",
            b"[bars]\nfill = \"none\"\nspecs = [\"1h\"]\n[view]\nttl_s = 0",
        )),
        environment: &environment,
        set: &["bars.specs=5m".to_owned()],
        flags: &[Flag {
            name: "--bars".to_owned(),
            key: "bars.specs".to_owned(),
            value: "1m,1d".to_owned(),
        }],
    };
    let loaded = load(&layers).unwrap();
    assert_eq!(loaded.config.view.ttl_s, 0);
    assert_eq!(
        *loaded.origin("bars.specs"),
        Origin::Flag("--bars".to_owned())
    );
    let resolved = loaded.to_toml();
    let changed: Vec<&str> = resolved
        .lines()
        .filter(|line| line.contains("  # "))
        .collect();
    insta::assert_snapshot!(changed.join("\n"), @r#"
    specs = ["1m", "1d"]  # --bars
    fill = "previous-close"  # environment variable BARMILL__BARS__FILL
    ttl_s = 0  # my.toml:5:9
    "#);
}

#[test]
fn the_resolved_config_read_again_is_the_same_config() {
    let text = &[
        "[bars]",
        r#"session = "09:30-16:00""#,
        r#"zone = "America/New_York""#,
        "[replay]",
        r#"speed = "0.5x""#,
        "[view]",
        r#"key = "b:{spec}:{date}:{symbol}""#,
    ];
    let loaded = load_file(&text.join("\n")).unwrap();
    assert_eq!(load_file(&loaded.to_toml()).unwrap().config, loaded.config);
}

#[test]
fn the_default_ceiling_is_far_below_the_default_limit_and_grows_with_every_bound() {
    let base = Config::default();
    assert!(
        base.memory_ceiling_bytes() < 64 << 20,
        "{}",
        base.memory_ceiling_bytes()
    );
    let grow: [fn(&mut Config); 5] = [
        |config| config.replay.queue_len_max += 1,
        |config| config.replay.batch_len_max += 1,
        |config| config.aggregate.shards += 1,
        |config| config.writer.queue_len_max += 1,
        |config| config.writer.batch_bytes_max += 1,
    ];
    for change in grow {
        let mut config = base.clone();
        change(&mut config);
        assert!(base.memory_ceiling_bytes() < config.memory_ceiling_bytes());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_config_or_faults(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let environment = Environment::default();
        let _verdict = load(&Layers { file: Some(("my.toml", &bytes)), ..Layers::new(&environment) });
    }

    #[test]
    fn any_value_of_any_known_key_is_taken_or_refused(
        index in 0usize..200,
        value in "[\\[\\]{}\"'a-z0-9:/@.,=\\-#\\\\\n ]{0,40}",
    ) {
        let config = Config::default();
        let mut paths = Vec::new();
        for section in config.sections() {
            paths.extend(section.keys().iter().map(|key| format!("{}.{key}", section.name())));
        }
        let path = &paths[index % paths.len()];
        let environment = Environment::default();
        let set = [format!("{path}={value}")];
        let _verdict = load(&Layers { set: &set, ..Layers::new(&environment) });
        let _verdict = load_file(&format!("{path} = {value}"));
        let _verdict = load_file(&format!("{path} = {value:?}"));
    }
}
