//! The command as its users run it: what it prints is true, and it ends when told.

use crate::simulate::stage::trades;
use crate::support::program::Program;
use barmill_sources::file::RecordingWriter;
use barmill_sources::venue::{VENUES, Venue, kraken};
use serde_json::Value;

/// A folder with a recording of an hour.
fn program(venue: &'static Venue) -> Program {
    let program = Program::new();
    let mut writer = RecordingWriter::create(&program.folder().join("hour.rec")).unwrap();
    writer
        .write(&trades(venue, 3_000, 3_600_000_000_000, 5))
        .unwrap();
    writer.finish().unwrap();
    program
}

async fn get(command: &str) -> String {
    let words: Vec<&str> = command.split('\'').collect();
    let url = words.iter().find(|word| word.starts_with("http")).unwrap();
    // A second installation is refused, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut request = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .get(*url);
    for header in words.iter().filter_map(|word| word.split_once(": ")) {
        request = request.header(header.0, header.1);
    }
    request.send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn printed_request_gives_the_first_trades_of_every_venue() {
    for venue in VENUES {
        let program = program(venue);
        let arguments = [
            "simulate",
            "hour.rec",
            "--listen",
            "127.0.0.1:0",
            "--speed",
            "1000000x",
        ];
        let mut running =
            program.start(&[&arguments[..], &["--venue", venue.name, "--json"]].concat());
        assert!(running.out_line("Playing").contains("3000 trades of"));
        let curl = running.out_line("curl");
        let run = running.out_line("barmill run");
        assert!(
            run.contains(&format!("--source {0} ", venue.name)) && run.contains(".ws_url='ws://"),
            "{run}"
        );
        // The clock needs a moment for the whole hour.
        let mut count = 0;
        while count < 3 {
            let reply: Value = serde_json::from_str(&get(&curl).await).unwrap();
            count = rows(&reply);
        }
        running.signal("TERM");
        let ended = running.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(ended.json()["requests"].as_u64() >= Some(1));
    }
}

/// The length of the longest list of a reply, in whatever object it lies.
fn rows(reply: &Value) -> usize {
    match reply {
        Value::Array(rows) => rows.len(),
        Value::Object(fields) => fields.values().map(rows).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

#[test]
fn command_ends_with_the_recording_where_that_is_asked() {
    let program = program(&kraken::VENUE);
    let arguments = [
        "simulate",
        "hour.rec",
        "--venue",
        "kraken",
        "--listen",
        "127.0.0.1:0",
    ];
    let counts =
        program.run(&[&arguments[..], &["--speed", "1000000x", "--once", "--now"]].concat());
    assert_eq!(counts.code, Some(0), "{}", counts.err);
    assert!(
        counts
            .err
            .contains("Played 3000 trades: 0 sent over 0 connections"),
        "{}",
        counts.err
    );
}

#[test]
fn what_cannot_be_played_is_refused_before_it_listens() {
    let program = program(&kraken::VENUE);
    let refused = |more: &[&str]| {
        let ended = program.run(&[&["simulate", "hour.rec", "--venue", "kraken"], more].concat());
        (
            ended.code,
            ended.err.lines().last().unwrap_or_default().to_owned(),
        )
    };
    let (code, words) = refused(&["--fault", "dorp=5"]);
    assert_eq!(
        (code, words.contains("\"dorp\" is not a kind of fault")),
        (Some(2), true),
        "{words}"
    );
    let (code, words) = refused(&["--trades-max", "100"]);
    assert_eq!(
        (code, words.contains("has more than 100 trades")),
        (Some(1), true),
        "{words}"
    );
    let (code, words) = refused(&["--symbol", "NONE/USD"]);
    assert_eq!(
        (code, words.contains("has no trades")),
        (Some(1), true),
        "{words}"
    );
}
