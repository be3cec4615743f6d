//! The layers import downward only: `model < engine < port < {adapter, actor} < pipeline < main`.
//!
//! Owns the table of what each layer may name; `support::source` reads the files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::source::{Mention, mentions, test_modules};

/// What each layer may name of the crate. What is not listed is refused.
const ALLOWED: [(&str, &[&str]); 5] = [
    ("model", &["model"]),
    ("engine", &["engine", "model"]),
    ("port", &["port", "engine", "model"]),
    // Of `adapter` its own folder only, see `refusal`.
    ("adapter", &["adapter", "port", "engine", "model"]),
    ("actor", &["actor", "port", "engine", "model"]),
];

/// What the pure layers never name: runtimes, clocks, files, sockets, stores, chance.
const IMPURE: [&str; 13] = [
    "tokio",
    "reqwest",
    "redis",
    "redb",
    "fastrand",
    "Rng::new",
    "std::fs",
    "std::net",
    "std::io",
    "std::env",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
];
/// Chance from a seed repeats, and is no chance.
const SEEDED: [&str; 2] = ["fastrand::Rng", "fastrand::Rng::with_seed"];
/// A module whose whole import would bring impure names along.
const IMPURE_PARENT: &str = "std::time";

/// Who may name `config`, besides itself.
const CONFIG_READERS: [&str; 4] = ["config", "pipeline", "cli", "main"];

/// Why the module may not name the path; `None` if it may.
///
/// `roots` maps what the crate's root re-exports to its layer.
fn refusal(module: &[&str], mention: &Mention, roots: &[(String, String)]) -> Option<String> {
    let layer = *module.first()?;
    let path = mention.path.join("::");
    let is_pure = layer == "model" || layer == "engine";
    if mention.path[0] != "crate" {
        let names = |impure: &str| path == impure || path.starts_with(&format!("{impure}::"));
        let is_whole = path == IMPURE_PARENT || path == format!("{IMPURE_PARENT}::*");
        let is_impure = !SEEDED.contains(&path.as_str()) && (is_whole || IMPURE.into_iter().any(names));
        // Tests of a pure layer may read recorded data; the layer itself may not.
        return (is_pure && is_impure && !mention.is_in_tests).then(|| format!("{layer} names {path}"));
    }
    let named = mention.path.get(1).map(String::as_str)?;
    let target = roots.iter().find(|(name, _)| name == named).map_or(named, |(_, layer)| layer.as_str());
    if target == "config" && !CONFIG_READERS.contains(&layer) {
        return Some(format!("{layer} names {path}: config is seen by pipeline, cli and main only"));
    }
    let (_, allowed) = ALLOWED.iter().find(|(name, _)| *name == layer)?;
    if !allowed.contains(&target) {
        return Some(format!("{layer} names {path}, and may name {} only", allowed.join(", ")));
    }
    let folder = mention.path.get(2).map(String::as_str);
    let own = module.get(1).copied();
    // The layer's own `mod.rs` lists them all.
    let is_stranger = target == "adapter" && own.is_some() && folder != own;
    is_stranger.then(|| format!("adapter {} names {path}, another adapter", module[1..].join("::")))
}

/// All refusals of one file, as `file:line: reason`; `tests` are the modules that are there for tests only.
fn refusals(file: &Path, source: &str, roots: &[(String, String)], tests: &[Vec<String>]) -> Vec<String> {
    let module = module_of(file);
    let is_test_file = tests.iter().any(|test| module.starts_with(test));
    let module: Vec<&str> = module.iter().map(String::as_str).collect();
    let found = mentions(&module, source).into_iter().filter_map(|mut mention| {
        mention.is_in_tests |= is_test_file;
        refusal(&module, &mention, roots)
            .map(|reason| format!("src/{}:{}: {reason}", file.display(), mention.line))
    });
    found.collect()
}

/// `adapter/redis/mod.rs` is `adapter::redis`, `adapter/redis.rs` too; the root is `main` or nothing.
fn module_of(file: &Path) -> Vec<String> {
    let mut words: Vec<String> =
        file.with_extension("").components().map(|word| word.as_os_str().to_string_lossy().into()).collect();
    if words.last().is_some_and(|word| word == "mod" || word == "lib") {
        words.pop();
    }
    words
}

/// What `lib.rs` re-exports from where: (`Price`, `model`).
fn roots(lib: &str) -> Vec<(String, String)> {
    let exports = mentions(&[], lib).into_iter().map(|mention| mention.path);
    let exports = exports.map(|path| path.into_iter().skip_while(|word| word == "crate").collect::<Vec<_>>());
    exports.filter_map(|path| Some((path.last()?.clone(), path.first()?.clone()))).collect()
}

fn test_modules_of(file: &Path, source: &str) -> Vec<Vec<String>> {
    let module = module_of(file);
    test_modules(&module.iter().map(String::as_str).collect::<Vec<_>>(), source)
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files =
        entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] }.into_iter());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

#[test]
fn layers_import_downward_only() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let roots = roots(&fs::read_to_string(folder.join("lib.rs")).unwrap());
    let files = rust_files(&folder);
    assert!(files.len() > 10, "the sources are not where they are looked for");
    let sources = files.into_iter().map(|file| {
        let source = fs::read_to_string(&file).unwrap();
        (file.strip_prefix(&folder).unwrap().to_owned(), source)
    });
    let sources: Vec<(PathBuf, String)> = sources.collect();
    let tests: Vec<Vec<String>> =
        sources.iter().flat_map(|(file, source)| test_modules_of(file, source)).collect();
    let found = sources.iter().flat_map(|(file, source)| refusals(file, source, &roots, &tests));
    let found: Vec<String> = found.collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The refusals of a made-up file in a crate whose root re-exports `Price` and `Pipeline`.
fn of(file: &str, source: &str) -> Vec<String> {
    let roots = roots("pub use model::{Price, Size};\npub use pipeline::Pipeline;");
    refusals(Path::new(file), source, &roots, &[])
}

#[test]
fn an_upward_import_is_found_with_its_line() {
    let source = "//! Doc.\n\nuse crate::model::Price;\nuse crate::port::Clock;\n";
    assert_eq!(
        of("engine/watermark.rs", source),
        ["src/engine/watermark.rs:4: engine names crate::port::Clock, and may name engine, model only"]
    );
}

#[test]
fn imports_are_found_in_trees_and_bodies_and_over_super() {
    for (file, source, count) in [
        ("model/bar.rs", "use crate::{model::Price, engine::{Batch, Retry}};", 2),
        ("model/bar.rs", "fn f() { let x = crate::engine::go(); }", 1),
        ("model/bar.rs", "use super::super::engine::Batch;", 1),
        ("model/bar.rs", "mod tests { use super::super::Price; use super::super::super::port::Clock; }", 1),
        ("model/mod.rs", "use super::adapter;", 1),
        ("port/sink.rs", "use crate::actor::Writer; use crate::engine::Batch;", 1),
        ("actor/writer.rs", "use crate::adapter::redis::Client;", 1),
        ("adapter/redis/rest.rs", "use crate::actor::Writer;", 1),
        ("adapter/redis/rest.rs", "use crate::adapter::redb::Store; use crate::adapter::redis::View;", 1),
        ("adapter/redis/rest.rs", "use super::view::View; use super::super::redb::Store;", 1),
        ("adapter/redis.rs", "use crate::config::Config;", 1),
        ("adapter/mod.rs", "pub use self::redis::Client;", 0),
        ("pipeline.rs", "use crate::{config::Config, actor, adapter};", 0),
        ("engine/batch.rs", "use crate::Price; use crate::Pipeline;", 1),
    ] {
        let found = of(file, source);
        assert_eq!(found.len(), count, "{file}: {source}\n{found:?}");
    }
}

#[test]
fn pure_layers_name_no_runtime_clock_file_or_socket() {
    for (source, count) in [
        ("use tokio::sync::mpsc;", 1),
        ("use std::time::{Duration, Instant};", 1),
        ("use std::time;", 1),
        ("use std::time::*;", 1),
        ("use std::{fmt, time, fs};", 2),
        ("fn f() -> std::time::SystemTime { todo() }", 1),
        ("fn f() { let n = fastrand::u64(..); }", 1),
        ("use fastrand::Rng; fn f() { Rng::with_seed(1); }", 0),
        ("use fastrand::Rng; fn f() { Rng::new(); }", 1),
        ("use std::collections::BTreeMap; use std::time::Duration;", 0),
        ("#[cfg(test)]\nmod tests { use std::fs::File; }", 0),
        ("mod inner { use std::fs::File; }", 1),
    ] {
        let found = of("engine/a.rs", source);
        assert_eq!(found.len(), count, "{source}\n{found:?}");
    }
    assert!(of("adapter/file/a.rs", "use std::fs::File; use tokio::fs;").is_empty());
}

#[test]
fn a_file_that_is_a_test_module_may_read_data_and_may_not_import_upward() {
    let parent = "#[cfg(test)]\npub(crate) mod golden;\nmod other;";
    let tests = test_modules_of(Path::new("engine/rules.rs"), parent);
    assert_eq!(tests, [["engine", "rules", "golden"]]);
    let source = "use std::fs::read;\nuse crate::port::Clock;";
    let found = |file| refusals(Path::new(file), source, &[], &tests).len();
    assert_eq!((found("engine/rules/golden.rs"), found("engine/rules/other.rs")), (1, 2));
}

#[test]
fn comments_and_texts_are_no_imports() {
    let source = r##"
        //! crate::adapter::x
        /* use crate::actor::Writer; */
        const A: &str = "use crate::actor::Writer \" crate::port::X";
        const B: &str = r#"crate::actor::Writer " "#;
        const C: char = '"';
        const D: char = '\'';
        fn f<'a>(x: &'a str) -> &'a str { x }
        const E: u8 = b'"';
    "##;
    assert_eq!(of("model/bar.rs", source), Vec::<String>::new());
    let after = format!("{source}\nuse crate::port::Clock;");
    assert_eq!(of("model/bar.rs", &after).len(), 1);
}
