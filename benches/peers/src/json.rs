//! Pages of JSON, three fields of each trade, with a bare aggregator.

use crate::{Fault, bare::Bare};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The pages of one request are of one symbol, whose name they do not repeat.
const SYMBOL: u64 = 1;

#[derive(Deserialize)]
struct Page {
    results: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    price: f64,
    sip_timestamp: i64,
    size: f64,
}

pub fn serde(folder: &Path) -> Result<Bare, Fault> {
    each(folder, |text| Ok(serde_json::from_slice(text)?))
}

pub fn sonic(folder: &Path) -> Result<Bare, Fault> {
    each(folder, |text| Ok(sonic_rs::from_slice(text)?))
}

fn each(folder: &Path, parse: impl Fn(&[u8]) -> Result<Page, Fault>) -> Result<Bare, Fault> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_, Fault>>()?;
    paths.sort();
    let mut bare = Bare::default();
    for path in paths {
        for row in parse(&std::fs::read(path)?)?.results {
            bare.push(SYMBOL, row.sip_timestamp, (row.price * 1e9).round() as i64, row.size as i64);
        }
    }
    Ok(bare)
}
