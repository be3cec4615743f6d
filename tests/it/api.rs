//! The names that users see: a change of them shows in review, and each has an example or leads to one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Names at most; the methods of a type are not counted.
const NAMES_MAX: usize = 150;

/// What `src/lib.rs` re-exports, hidden names left out.
fn names() -> Vec<String> {
    let page = include_str!("../../src/lib.rs");
    let mut names = Vec::new();
    for (at, _) in page.match_indices("\npub use ") {
        if page[..at].ends_with("#[doc(hidden)]") {
            continue;
        }
        let text = &page[at + "\npub use ".len()..];
        let statement = text.split(';').next().expect("a statement");
        let list = match statement.split_once('{') {
            Some((_, list)) => list.trim_end_matches('}'),
            None => statement.rsplit("::").next().expect("a name"),
        };
        for name in list.split(',') {
            let name = name.rsplit(" as ").next().expect("a name").trim();
            if !name.is_empty() {
                names.push(name.to_owned());
            }
        }
    }
    names.sort();
    names
}

#[test]
fn names_of_the_library_are_these() {
    let names = names();
    assert!(names.len() <= NAMES_MAX, "{} names", names.len());
    insta::assert_snapshot!(names.join(" "), @"Alpaca Bar BarDetail BarFlags BarKey BarReader BarSink BarSpec BarState BarUpdate BarUpdates Binance BuildError CatchUp Coinbase Conditions ControlEvent Cost Covered DecimalError Embedded End FeedError FeedStats Files Fill Finished Gap Handle Health ItemError ItemResult Kraken Manifest Massive Notional Null Ohlc Origin Pipeline PipelineBuilder PipelineError Position Price ReadError Redis Remedy RunError Running Side SimulatedSource Sink SinkError SinkStats Size Source SpecError State Stdout Store StoredBar StreamFeed Summary Symbol SymbolError Timestamp TimestampError Trade TradeBatch TradeFeed TradeId TradeKey Upstash VenueSource Volume WriteItem");
}

/// The `.rs` files below a folder.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

/// The name of the type or trait that a line declares, alone or in the table of venues.
fn declared(line: &str) -> Option<&str> {
    if line.starts_with('#') {
        return None;
    }
    let kinds = ["pub struct ", "pub enum ", "pub trait ", "pub type "];
    let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind));
    let rest = rest.or_else(|| line.split_once(" = \"").map(|(name, _)| name))?;
    rest.split(|letter: char| !letter.is_alphanumeric()).next()
}

/// The doc comments of all types, by name.
fn docs() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in [
        "src",
        "crates/core/src",
        "crates/sources/src",
        "crates/stores/src",
    ] {
        sources(&root.join(folder), &mut files);
    }
    let mut docs: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        let (text, mut doc) = (
            std::fs::read_to_string(file).expect("a file"),
            String::new(),
        );
        for line in text.lines().map(str::trim) {
            if let Some(comment) = line.strip_prefix("///") {
                doc += comment;
            } else if let Some(name) = declared(line) {
                *docs.entry(name.to_owned()).or_default() += &std::mem::take(&mut doc);
            } else if line.is_empty() || line.ends_with(['{', '}', ';']) {
                doc.clear();
            }
        }
    }
    docs
}

#[test]
fn each_name_has_an_example_or_leads_to_one() {
    let docs = docs();
    let has_example = |name: &str| docs.get(name).is_some_and(|doc| doc.contains("```"));
    let leads_to_one = |name: &str| {
        let doc = docs.get(name).map_or("", String::as_str);
        let mut links = doc
            .split("[`")
            .skip(1)
            .filter_map(|link| link.split(['`', ':']).next());
        links.any(has_example)
    };
    let names = names().into_iter();
    let lacking: Vec<_> = names
        .filter(|name| !has_example(name) && !leads_to_one(name))
        .collect();
    assert!(lacking.is_empty(), "{lacking:?}");
}
