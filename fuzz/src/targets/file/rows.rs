//! The JSON layouts of files, against plain trees, and the layout told by itself.

use super::read::{Outcome, agree};
use crate::plain::csv::Rows;
use crate::plain::json;
use crate::targets::seed;
use crate::tree::Tree;
use barmill_sources::file::Format;

/// Bytes of the shortest row that is a trade.
const ROW_MIN: usize = 20;
/// Levels of nesting that every reader takes.
const DEPTH_MAX: usize = 12;

/// Massive and Kraken replies, and lines of Binance frames.
pub fn json(input: &[u8]) {
    let Some((&knobs, text)) = input.split_first() else {
        return;
    };
    let symbol = "BTCUSDT".parse().expect("a symbol");
    match knobs % 3 {
        0 => {
            let found = agree(text, "massive-json", knobs, ROW_MIN);
            compare(&found, text, |tree| json::massive(tree, symbol));
        }
        1 => {
            let found = agree(text, "kraken-json", knobs, ROW_MIN);
            compare(&found, text, json::kraken);
        }
        _ => {
            let found = agree(text, "binance-ws", knobs, ROW_MIN);
            compare_frames(&found, text);
        }
    }
}

/// Compares where the text is one JSON value that every reader must see alike.
fn compare(found: &Outcome, text: &[u8], rows: impl Fn(&Tree) -> Rows) {
    let Some(tree) = Tree::parse(text).filter(|tree| is_alike(text, tree)) else {
        return;
    };
    let rows = rows(&tree);
    let trades: Vec<_> = rows.iter().copied().flatten().collect();
    assert_eq!(found.trades, trades, "the plain decoder sees other trades");
    assert_eq!(
        found.stats.malformed,
        (rows.len() - trades.len()) as u64,
        "the plain decoder counts other bad rows"
    );
    assert!(
        rows.is_empty() || found.error.is_none(),
        "the plain decoder sees no fault: {:?}",
        found.error
    );
}

/// Escapes and repeated keys are read in more than one way; a byte order mark is no JSON.
fn is_alike(text: &[u8], tree: &Tree) -> bool {
    let depth = text
        .iter()
        .filter(|byte| matches!(byte, b'{' | b'['))
        .count();
    matches!(tree, Tree::Object(_))
        && !text.contains(&b'\\')
        && tree.is_plain()
        && depth <= DEPTH_MAX
}

fn compare_frames(found: &Outcome, text: &[u8]) {
    let mut rows = Vec::new();
    for line in text
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    {
        let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let frame = line
            .get(digits + 1..)
            .filter(|_| digits > 0 && line[digits] == b' ');
        match frame.map(|frame| Tree::parse(frame).filter(|tree| is_alike(frame, tree))) {
            _ if line.is_empty() => {}
            None => rows.push(None),
            Some(None) => return,
            // Only frames with this word in them are looked at.
            Some(Some(_)) if !line.windows(7).any(|part| part == br#""trade""#) => {}
            Some(Some(tree)) => match json::binance_frame(&tree) {
                Some(Some(trade)) => rows.push(Some(trade)),
                Some(None) => {}
                None => rows.push(None),
            },
        }
    }
    let trades: Vec<_> = rows.iter().copied().flatten().collect();
    if found.error.is_none() && !text.starts_with(b"\xef\xbb\xbf") {
        assert_eq!(found.trades, trades, "the plain decoder sees other trades");
        assert_eq!(
            found.stats.malformed,
            (rows.len() - trades.len()) as u64,
            "and other bad rows"
        );
    }
}

/// Any layout and container that tells itself, through a pipe; and any layout by its name.
pub fn auto(input: &[u8]) {
    let Some((&knobs, text)) = input.split_first() else {
        return;
    };
    agree(text, "auto", knobs, 0);
    let named = Format::all().nth(usize::from(knobs) % Format::all().count());
    agree(text, named.expect("a layout").name(), knobs, 0);
}

/// One of each layout.
pub fn json_seeds() -> Vec<Vec<u8>> {
    let massive = r#"{"status":"OK","data":{"results":[{"conditions":[12,37],"correction":0,"exchange":4,"id":"71","price":156.43,"sequence_number":9,"participant_timestamp":1,"sip_timestamp":1651181822461979400,"size":0,"decimal_size":"0.25","trf_id":3},{"participant_timestamp":1651181822461979401,"price":1e2,"size":7}],"next_url":"x"}}"#;
    let kraken = r#"{"error":[],"result":{"XBTUSDT":[["105433.60000","0.00027625",1762820035.982277754,"s","l","",10218208],["105433.6","1",1762820036.5,"b","m","x",10218209]],"last":"1762820036500000000"}}"#;
    let frames = "1723161253937085768 {\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1723161255342,\"s\":\"BTCUSDT\",\"t\":5,\"p\":\"61837.63\",\"q\":\"0.02\",\"T\":1723161255342,\"m\":true,\"M\":true}}\n\
                  1723161253937085769 {\"data\":{\"e\":\"depthUpdate\",\"a\":[]}}\n1723161253937085770 {\"e\":\"trade\",\"s\":\"BTCUSDT\",\"t\":6,\"p\":\"1\",\"q\":\"2\",\"T\":1723161255343001,\"m\":false}\n";
    vec![
        seed(0, massive),
        seed(0x91, kraken),
        seed(0x4d, frames),
        seed(0x1e, r#"{"results":[]}"#),
    ]
}

/// One of each layout in its plain form and packed.
pub fn auto_seeds() -> Vec<Vec<u8>> {
    let text = "ticker,price,sip_timestamp,size\nA,1.5,1760535000000000001,1\nA,1.25,1760535000000000002,1\n";
    let mut seeds = vec![
        seed(0, text),
        seed(
            1,
            "4359185,93576.0,0.00012,11.22,1735689600012345,True,True\n",
        ),
        seed(2, "14400464,1674100,100,P,20002000,0\n"),
    ];
    seeds.extend(json_seeds());
    seeds.push([&[0x23], super::pack::gzip(text.as_bytes()).as_slice()].concat());
    seeds.push([&[0x45], super::pack::zstd(text.as_bytes()).as_slice()].concat());
    seeds
}
