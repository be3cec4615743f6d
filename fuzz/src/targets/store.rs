//! What stores answer, what lies in them, and how they are named.

use super::{seed, words};
use crate::entropy::Entropy;
use crate::tree::Tree;
use barmill::{
    Bar, BarFlags, BarKey, BarState, BarUpdate, Manifest, Notional, Ohlc, Origin, Symbol, Volume,
};
use barmill_stores::{
    CommandResult, SinkUrl, StoredBar, Template, ValueForm, View, ViewKind, ViewSettings, fuzzing,
    remedy_of_http, remedy_of_text, retry_after,
};
use jiff::tz::TimeZone;

/// Answers of the REST API.
///
/// Claims: as many results as commands or an error; the error is one short line; blanks and the order of keys change
/// nothing; a body that is JSON of the documented shape is never refused.
pub fn answer(input: &[u8]) {
    let [status, expected, body @ ..] = input else {
        return;
    };
    let status = [200u16, 200, 200, 400, 401, 413, 429, 500][usize::from(status % 8)];
    let expected = usize::from(expected % 8);
    let found = fuzzing::answer(status, body, expected);
    match &found {
        Ok(results) => {
            assert_eq!(
                (status, results.len()),
                (200, expected),
                "results of another number"
            );
            results.iter().for_each(check_result);
        }
        Err(text) => assert!(
            text.len() < 1_000 && !text.chars().any(char::is_control),
            "{text:?}"
        ),
    }
    let text = String::from_utf8_lossy(body);
    let (_, _, _) = (
        remedy_of_text(&text),
        remedy_of_http(status, Some(&text), None),
        retry_after(&text, barmill::Timestamp::EPOCH),
    );
    let Some(tree) = Tree::parse(body).filter(|tree| tree.is_plain() && !body.contains(&b'\\'))
    else {
        return;
    };
    assert_eq!(
        is_documented(&tree, expected) && status == 200,
        found.is_ok(),
        "{found:?}"
    );
    for is_turned in [false, true] {
        let mut other = String::new();
        tree.write(&mut other, is_turned);
        let again = fuzzing::answer(status, other.as_bytes(), expected);
        assert_eq!(again.is_ok(), found.is_ok(), "written as {other}");
        if found.is_ok() {
            assert_eq!(again, found, "written as {other}");
        }
    }
}

fn check_result(result: &CommandResult) {
    if let Err(error) = result {
        assert!(
            error.reason.len() <= 400 && !error.reason.chars().any(char::is_control),
            "{error:?}"
        );
    }
}

/// An array of one object with a result or an error for each command.
fn is_documented(tree: &Tree, expected: usize) -> bool {
    let is_reply = |value: &Tree| {
        let is_error = value
            .get("error")
            .and_then(Tree::scalar)
            .is_some_and(|text| text.starts_with('"'));
        is_error || value.get("error").is_none() && value.get("result").is_some_and(is_result)
    };
    tree.elements()
        .is_some_and(|replies| replies.len() == expected && replies.iter().all(is_reply))
}

fn is_result(value: &Tree) -> bool {
    match value {
        Tree::Object(_) => false,
        Tree::Array(values) => values.iter().all(is_result),
        // A number beyond a double is none of Redis, and none to the JSON library.
        Tree::Scalar(text) if text.starts_with(|one: char| one == '-' || one.is_ascii_digit()) => {
            text.parse().is_ok_and(f64::is_finite)
        }
        Tree::Scalar(text) => text != "true" && text != "false",
    }
}

/// Values of bars and manifests as they may lie in a store, whoever wrote them.
///
/// Claims: what is read, written in our own form and read again is the same; an error names the part.
pub fn value(input: &[u8]) {
    let Some((&knobs, text)) = input.split_first() else {
        return;
    };
    let (symbol, spec) = (
        Symbol::intern(b"AAPL").expect("a symbol"),
        "1m".parse().expect("a spec"),
    );
    let start = (knobs & 1 == 1).then(|| "2025-10-15T13:30:00Z".parse().expect("a time"));
    match fuzzing::bar(text, symbol, spec, start) {
        Ok(bar) => again(&bar),
        Err(error) => drop(words(&error)),
    }
    let date = "2025-10-15".parse().expect("a date");
    match fuzzing::manifest(text, symbol, spec, date) {
        Ok(found) => {
            let written = fuzzing::value_of_manifest(&found.manifest, found.updated_at);
            assert_eq!(
                fuzzing::manifest(&written, symbol, spec, date),
                Ok(found),
                "{}",
                String::from_utf8_lossy(&written)
            );
        }
        Err(error) => drop(words(&error)),
    }
}

/// A bar that was read, without what cannot be written back: the average, which needs the notional.
fn again(bar: &StoredBar) {
    let detail = bar.detail;
    let update = BarUpdate {
        bar: Bar {
            symbol: bar.symbol,
            spec: bar.spec,
            start: bar.start,
            end: bar.window_end(),
            prices: bar.prices,
            volume: bar.volume,
            notional: Notional::ZERO,
            notional_volume: Volume::ZERO,
            trades: detail.map_or(0, |detail| detail.trades),
            buy_volume: detail.map_or(Volume::ZERO, |detail| detail.buy_volume),
            sell_volume: detail.map_or(Volume::ZERO, |detail| detail.sell_volume),
            first_sequence: detail.map_or(0, |detail| detail.first_sequence),
            last_sequence: detail.map_or(0, |detail| detail.last_sequence),
            flags: detail.map_or(BarFlags::default(), |detail| detail.flags),
        },
        state: detail.map_or(BarState::Final, |detail| detail.state),
        revision: detail.map_or(0, |detail| detail.revision),
        trades_added: 0,
    };
    round_trip(&update, detail.is_some());
}

fn round_trip(update: &BarUpdate, is_full: bool) {
    let full = StoredBar::of(&update.bar, update.state, update.revision);
    for form in [ValueForm::Csv, ValueForm::JsonSix, ValueForm::JsonFull] {
        let text = fuzzing::value_of_bar(update, form);
        assert!(text.len() < 1_000, "a value of {} bytes", text.len());
        let detail = full
            .detail
            .filter(|_| form == ValueForm::JsonFull && is_full);
        let found = fuzzing::bar(&text, full.symbol, full.spec, Some(full.start));
        let found = found.map(|bar| StoredBar {
            detail: bar.detail.filter(|_| is_full),
            ..bar
        });
        assert_eq!(
            found,
            Ok(StoredBar { detail, ..full }),
            "{}",
            String::from_utf8_lossy(&text)
        );
        assert!(
            form == ValueForm::Csv || Tree::parse(&text).is_some_and(|tree| tree.is_plain()),
            "is JSON"
        );
    }
}

/// Any bar and manifest, written and read back in every form.
pub fn bar(input: &[u8]) {
    let mut entropy = Entropy::new(input);
    let update = update(&mut entropy);
    round_trip(&update, true);
    let zone = ["UTC", "America/New_York", "a\"b\\\u{7f}\n"][entropy.below(3)].to_owned();
    let manifest = Manifest {
        spec: entropy.spec(),
        date: jiff::civil::date(2025, 11, 2),
        symbol: entropy.symbol(),
        zone,
        from: entropy.time(),
        to: entropy.time(),
        complete: entropy.below(2) == 1,
        gapless: entropy.below(2) == 1,
        bars: entropy.u64(),
        trades: entropy.u64(),
        revision: u32::try_from(entropy.u64() >> 32).unwrap_or(0),
        origin: (entropy.below(2) == 1).then(|| Origin {
            source: ["massive", "alpaca iex", "a\"b\\\u{7f}\n"][entropy.below(3)].to_owned(),
            rules: ["massive-minute", "all, carry volume"][entropy.below(2)].to_owned(),
        }),
    };
    let updated_at = entropy.time();
    let text = fuzzing::value_of_manifest(&manifest, updated_at);
    let found = fuzzing::manifest(&text, manifest.symbol, manifest.spec, manifest.date)
        .expect("a manifest reads back");
    assert_eq!((found.manifest, found.updated_at), (manifest, updated_at));
}

/// Any update that the types allow.
pub fn update(entropy: &mut Entropy<'_>) -> BarUpdate {
    let prices = (entropy.below(4) > 0).then(|| Ohlc {
        open: entropy.price(),
        high: entropy.price(),
        low: entropy.price(),
        close: entropy.price(),
    });
    BarUpdate {
        bar: Bar {
            symbol: entropy.symbol(),
            spec: entropy.spec(),
            start: entropy.time(),
            end: entropy.time(),
            prices,
            volume: Volume::from_raw(entropy.u128()),
            notional: Notional::from_raw(entropy.u64(), entropy.u128()),
            notional_volume: Volume::from_raw(entropy.u128()),
            trades: entropy.u64(),
            buy_volume: Volume::from_raw(entropy.u128()),
            sell_volume: Volume::from_raw(entropy.u128()),
            first_sequence: entropy.u64(),
            last_sequence: entropy.u64(),
            flags: BarFlags::from_bits(entropy.byte()),
        },
        state: [BarState::Forming, BarState::Final, BarState::Revised][entropy.below(3)],
        revision: u32::try_from(entropy.u64() >> 32).unwrap_or(0),
        trades_added: entropy.u64(),
    }
}

/// Templates of keys, as a user may write them.
///
/// Claims: a template prints as it was read; under a view that is accepted two different bars have different places.
pub fn key(input: &[u8]) {
    let Some((&knobs, rest)) = input.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    let (first, second) = text.split_once('\n').unwrap_or((text, ""));
    // An error repeats the template, which the user has before his eyes.
    if text.len() > 200 {
        return;
    }
    let key = match first.parse::<Template>() {
        Ok(template) => template,
        Err(error) => return drop(words(&error)),
    };
    assert_eq!(key.to_string().parse(), Ok(key.clone()), "{key} reads back");
    let kind = [
        ViewKind::SymbolDay,
        ViewKind::Minute,
        ViewKind::KeyPerBar,
        ViewKind::Stream,
    ][usize::from(knobs & 3)];
    let zone = TimeZone::get("America/New_York").expect("a zone");
    let mut settings = ViewSettings::new(kind, zone).expect("the defaults");
    settings.key = key;
    if !second.is_empty() {
        settings.field = second.parse().ok();
    }
    let specs = ["1s", "1m", "1h", "1d"].map(|spec| spec.parse().expect("a spec"));
    let view = match View::new(settings, &specs) {
        Ok(view) => view,
        Err(error) => return drop(words(&error)),
    };
    // A symbol or number that a literal of the template could be mistaken for is not asked here.
    let names = ["AAPL", "BRK.B"].map(|name| Symbol::intern(name.as_bytes()).expect("a symbol"));
    let times = [
        "2025-11-02T05:30:00Z",
        "2025-11-02T06:30:00Z",
        "2025-11-02T06:30:01Z",
        "2025-11-03T06:30:00Z",
    ];
    let mut places = Vec::new();
    for symbol in names {
        for spec in specs {
            for start in times {
                let start = start.parse().expect("a time");
                places.push((
                    view.cell(&BarKey {
                        symbol,
                        spec,
                        start,
                    }),
                    symbol,
                    spec,
                    start,
                ));
            }
        }
    }
    if kind != ViewKind::Stream {
        let is_aligned = |spec: &str, start: &str| spec == "1s" || start.ends_with("00Z");
        places.retain(|(_, _, spec, start)| is_aligned(&spec.to_string(), &start.to_string()));
        places.sort_by(|one, other| one.0.cmp(&other.0));
        for pair in places.windows(2) {
            assert_ne!(
                pair[0].0, pair[1].0,
                "{:?} and {:?} share a place",
                pair[0], pair[1]
            );
        }
    }
}

/// Addresses of stores, with a password in them.
///
/// Claims: no text about the address holds the password; what is accepted prints as something that is accepted.
pub fn url(input: &[u8]) {
    let Some((&knobs, rest)) = input.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    check_url(text);
    const PASSWORD: &str = "hunter2hunter2";
    let scheme = ["redis", "rediss", "https", "http"][usize::from(knobs & 3)];
    let (before, behind) = text.split_once(' ').unwrap_or((text, "host"));
    for address in [
        format!("{scheme}://{before}:{PASSWORD}@{behind}"),
        format!("{scheme}://{PASSWORD}@{behind}"),
        format!("{scheme}://{behind}?token={PASSWORD}"),
    ] {
        // Behind a slash or a further at sign it is a path or a host, and no secret.
        let is_secret = !before.contains(['/', '\\', '?', '#', '@']) && !behind.contains('@')
            || address.contains("?token");
        let said = check_url(&address);
        assert!(
            !is_secret || !said.contains(PASSWORD),
            "{address} is told as {said}"
        );
    }
}

fn check_url(text: &str) -> String {
    let config = barmill::internals::config::SinkUrl::parse(text);
    let config = config.map_or_else(|error| words(&error), |url| format!("{url} {url:?}"));
    let url: Result<SinkUrl, _> = text.parse();
    match url {
        Ok(url) => {
            let printed = url.to_string();
            let again: Result<SinkUrl, _> = printed.replace("***@", "").parse();
            assert!(again.is_ok(), "{printed} is refused: {again:?}");
            format!("{printed} {url:?} {config}")
        }
        Err(error) => format!("{} {config}", words(&error)),
    }
}

/// Answers to three commands, and refusals.
pub fn answer_seeds() -> Vec<Vec<u8>> {
    let bodies = [
        r#"[{"result":"OK"},{"error":"WRONGTYPE Operation against a key"},{"result":[null,2,"x",["a"]]}]"#,
        r#"[{"result":1},{"result":-9223372036854775808},{"result":1.5e300}]"#,
        r#"{"error":"ERR max requests limit exceeded. Limit: 500000, Usage: 500000."}"#,
        r#"{"error":"Unauthorized"}"#,
        "<html><body>502 Bad Gateway</body></html>",
        "[]",
        r#"[{"result":true},{},{"result":{},"error":null}]"#,
        "Wed, 21 Oct 2015 07:28:00 GMT",
    ];
    bodies
        .iter()
        .map(|body| [&[0, 3], body.as_bytes()].concat())
        .collect()
}

/// Values in all forms.
pub fn value_seeds() -> Vec<Vec<u8>> {
    let bars = [
        "255.1,256.25,254.000000001,255,1200.5",
        ",,,,0",
        r#"{"timestamp":1760535000000,"open":255.1,"high":256.25,"low":254.000000001,"close":255,"volume":1200.5}"#,
        r#"{"timestamp":1760535000000,"open":null,"high":null,"low":null,"close":null,"volume":0,"vwap":255.5,"trades":3,"buy_volume":1000,"sell_volume":200.5,"first_sequence":1,"last_sequence":9,"start":"2025-10-15T13:30:00Z","end":"2025-10-15T13:31:00Z","state":"final","revision":0,"flags":["gap"]}"#,
        r#"{"zone":"America/New_York","from":"2025-10-15T13:30:00Z","to":"2025-10-15T20:00:00Z","complete":true,"gapless":true,"bars":390,"trades":1000,"revision":2,"updated_at":"2025-10-16T00:00:00.5Z"}"#,
    ];
    bars.iter()
        .flat_map(|text| [seed(0, text), seed(1, text)])
        .collect()
}

/// Entropy.
pub fn bar_seeds() -> Vec<Vec<u8>> {
    (1u8..5)
        .map(|step| {
            (0u8..=255)
                .map(|byte| byte.wrapping_mul(step * 2 + 1))
                .collect()
        })
        .collect()
}

/// The templates of the kinds, and some that are refused.
pub fn key_seeds() -> Vec<Vec<u8>> {
    let templates = [
        (0, "bars:{spec}:{date}:{symbol}\n{time}"),
        (1, "bars:{spec}:{date}:{time}\n{symbol}"),
        (2, "intraday:{namespace}:{date}:{symbol}:{time}"),
        (2, "{spec}|{symbol}|{start}"),
        (3, "bars:{spec}:{symbol}"),
        (0, "{{{symbol}}}:{spec}:{date}\n{start}"),
        (2, "{dat}{time"),
    ];
    templates.map(|(kind, text)| seed(kind, text)).to_vec()
}

/// The schemes.
pub fn url_seeds() -> Vec<Vec<u8>> {
    let texts = [
        (0, "user host:6379/3"),
        (1, "default eu1.upstash.io:6379"),
        (2, " name.upstash.io"),
        (3, " 127.0.0.1:8080"),
        (0, "embedded:./bars"),
        (1, "stdout:"),
        (2, "redis://[::1]:7000/1"),
        (3, "http://[::1]:8080/x/"),
        (0, "rediss://host/#insecure"),
        (0, "null:"),
        (1, "redis+unix:///tmp/x"),
        (2, "https://name.upstash.io:443/a/"),
        (0, "user %41%@host"),
    ];
    texts.map(|(knobs, text)| seed(knobs, text)).to_vec()
}
