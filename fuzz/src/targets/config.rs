//! The config: files, `--set` and the environment.

use super::seed;
use barmill::internals::config::{ConfigError, Environment, Layers, Loaded, Origin, load};

const DEFAULTS: &str = include_str!("../../../config.toml");

/// The config as it prints itself loads as the same config.
fn reload(loaded: &Loaded) {
    let text = loaded.to_toml();
    let environment = Environment::default();
    let again = load(&Layers {
        file: Some(("again.toml", text.as_bytes())),
        ..Layers::new(&environment)
    });
    match again {
        // A URL may have been given without its default port, so the texts are compared.
        Ok(again) => assert_eq!(values(&again.to_toml()), values(&text)),
        Err(error) => panic!("{error} in\n{text}"),
    }
}

/// The lines without the origins behind them.
fn values(text: &str) -> Vec<&str> {
    text.lines()
        .map(|line| line.rsplit_once("  # ").map_or(line, |(value, _)| value))
        .collect()
}

/// Each fault names a place that exists, and is told without control characters.
fn check(error: &ConfigError, text: &[u8]) {
    assert!(!error.faults.is_empty(), "an error without a fault");
    let lines = text.split(|byte| *byte == b'\n').count();
    for fault in &error.faults {
        if let Origin::File { line, column, .. } = fault.origin {
            assert!(line <= lines, "line {line} of {lines}: {fault}");
            assert_eq!(line == 0, column == 0, "line {line} and column {column}");
        }
        let said = fault.to_string();
        assert!(
            !said.replace('\n', " ").chars().any(char::is_control),
            "a control character in {said:?}"
        );
        assert!(said.len() < 4_000, "a fault of {} bytes", said.len());
    }
}

/// A file.
pub fn file(text: &[u8]) {
    let environment = Environment::default();
    match load(&Layers {
        file: Some(("x.toml", text)),
        ..Layers::new(&environment)
    }) {
        Ok(loaded) => reload(&loaded),
        Err(error) => check(&error, text),
    }
}

/// Lines as `--set`, or as variables of the environment.
pub fn set(input: &[u8]) {
    let Some((&knobs, text)) = input.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let is_set = knobs & 1 == 1;
    let pairs = lines.iter().filter_map(|line| line.split_once('='));
    let variables = pairs.map(|(name, value)| {
        (
            format!("BARMILL__{}", name.replace('.', "__").to_uppercase()),
            value.to_owned(),
        )
    });
    let environment = if is_set {
        Environment::default()
    } else {
        Environment::from_pairs(variables)
    };
    let set: &[String] = if is_set { &lines } else { &[] };
    match load(&Layers {
        set,
        ..Layers::new(&environment)
    }) {
        Ok(loaded) => reload(&loaded),
        Err(error) => check(&error, b""),
    }
}

/// The file of all defaults in parts, and faults of each kind.
pub fn file_seeds() -> Vec<Vec<u8>> {
    let bare: Vec<&str> = DEFAULTS
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    let mut seeds = vec![bare.join("\n").into_bytes()];
    let starts: Vec<usize> = bare
        .iter()
        .enumerate()
        .filter(|(_, line)| line.starts_with('['))
        .map(|(at, _)| at)
        .collect();
    for (place, start) in starts.iter().enumerate() {
        let end = starts.get(place + 1).copied().unwrap_or(bare.len());
        seeds.push(bare[*start..end].join("\n").into_bytes());
    }
    let faults = [
        "[bars]\nspecs = []\nzone = \"Mars/Olympus\"\nlateness_ms = -1\nsession = \"09:30-09:30\"\n",
        "[redis]\npassword = \"x\"\n[sink]\nurl = \"redis://:x@h:99999\"\n",
        "[view]\r\nkey = \"{symbol}\"\r\nfield = \"{time\"\r\n[vieww]\nx=1\n",
        "[bars\nspecs = [\"1m\", 1, 1.5, 2025-10-15, {a=1}, [true]]\n",
        "bars.specs = [\"1m\"]\n[bars]\nspecs = [\"5m\"]\n[[writer]]\n",
        "\u{feff}[bars]\nspecs = \"\"\"1m\n5m\"\"\"\n[source]\nx.y.z = 1\n",
    ];
    seeds.extend(faults.map(|text| text.as_bytes().to_vec()));
    seeds
}

/// A few keys of each type.
pub fn set_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "bars.specs=1m,5m,tick:7\nbars.zone=Europe/Berlin\nbars.session=09:30-16:00",
        "writer.batch_len_max=500\nwriter.linger_ms=0\nview.kind=key-per-bar\nview.namespace=a_1",
        "view.key=x:{spec}:{date}:{symbol}\nview.also=stream,publish\nsink.url=redis://localhost:6379/1",
        "source.massive.base_url=http://127.0.0.1:1/x\nsource.massive.path=/{ticker}\nlog.level=debug",
        "redis.password=x\nbars.specs\nx=1\n.=\nreplay.speed=60x\nwriter.fence_ttl_ms=1e4",
    ];
    texts
        .iter()
        .flat_map(|text| [seed(0, text), seed(1, text)])
        .collect()
}
