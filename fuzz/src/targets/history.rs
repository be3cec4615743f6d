//! Pages of REST history: of each venue, their compression, and the links in them.

use super::file::gzip;
use super::{seed, words};
use crate::tree::Tree;
use barmill_sources::history::fuzzing::{self, Page};
use barmill_sources::history::{HistorySettings, SymbolRange};
use barmill_sources::venue::{Venue, VenueSettings};

const KEY: &str = "hunter2-the-key";

/// A form of a venue: its name, its settings, and a symbol as it writes them.
type Form = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

/// The venues in all their forms.
const FORMS: [Form; 7] = [
    ("massive", &[], "AAPL"),
    (
        "massive",
        &[("paging", "restart"), ("wrap", "data.results")],
        "AAPL",
    ),
    ("alpaca", &[], "AAPL"),
    ("binance", &[], "BTCUSDT"),
    ("binance", &[("trades", "single")], "BTCUSDT"),
    ("coinbase", &[], "BTC-USD"),
    ("kraken", &[], "XBTUSD"),
];
const VENUES: usize = FORMS.len();

fn venue(number: usize) -> (HistorySettings, &'static str) {
    let (name, values, symbol) = FORMS[number.min(VENUES - 1)];
    let mut venue = VenueSettings::new(Venue::by_name(name).expect("a venue"));
    for (name, value) in values {
        venue.set(name, *value).expect("a setting");
    }
    for secret in venue.venue().secrets {
        let key = KEY.to_owned().into();
        venue.set_secret(secret.setting, key).expect("a secret");
    }
    let mut settings = HistorySettings::new(venue);
    settings.skip_malformed = false;
    (settings, symbol)
}

fn walk(
    settings: &HistorySettings,
    symbol: &str,
    body: &[u8],
    piece_len: Option<usize>,
) -> (Vec<Page>, Option<String>) {
    let range = SymbolRange {
        symbol: symbol.parse().expect("a symbol"),
        from: "2025-10-15T00:00:00Z".parse().expect("a time"),
        to: "2025-10-16T00:00:00Z".parse().expect("a time"),
    };
    let (pages, end) = fuzzing::pages(settings, range, body, 3, piece_len);
    (pages, end.err().map(|fault| words(&fault)))
}

/// The body of one page, asked for from the start and then wherever it points.
///
/// Claims: at most one trade for each row; bad rows are counted when they are skipped; the next page is asked of the
/// same host, and without a key in the address; blanks and the order of keys change nothing.
pub fn page(input: &[u8]) {
    let Some((&knobs, body)) = input.split_first() else {
        return;
    };
    let (mut settings, symbol) = venue(usize::from(knobs) % VENUES);
    settings.skip_malformed = knobs & 0x80 != 0;
    let (pages, fault) = walk(&settings, symbol, body, None);
    for page in &pages {
        assert!(
            page.trades.len() + usize::try_from(page.malformed).unwrap_or(usize::MAX) <= page.read
        );
        assert!(
            page.read <= body.len(),
            "{} rows in {} bytes",
            page.read,
            body.len()
        );
        if let Some(next) = &page.next {
            assert!(
                next.starts_with(&settings.base_url),
                "{next} leaves {}",
                settings.base_url
            );
            assert!(!next.contains(KEY), "a key in {next}");
        }
    }
    for piece_len in [1, 7, 64, 4096] {
        let early = format!("{:?}", walk(&settings, symbol, body, Some(piece_len)));
        assert_eq!(
            early,
            format!("{:?}", (&pages, &fault)),
            "read while it arrives, by {piece_len} bytes"
        );
    }
    let Some(tree) = Tree::parse(body).filter(|tree| tree.is_plain() && !body.contains(&b'\\'))
    else {
        return;
    };
    for is_turned in [false, true] {
        let mut other = String::new();
        tree.write(&mut other, is_turned);
        let (again, other_fault) = walk(&settings, symbol, other.as_bytes(), None);
        assert_eq!(
            format!("{again:?}"),
            format!("{pages:?}"),
            "written as {other}"
        );
        // A fault may name its line and column, or the first of several rows of another symbol.
        assert_eq!(
            other_fault.is_some(),
            fault.is_some(),
            "written as {other}: {other_fault:?}, before {fault:?}"
        );
    }
}

/// Bodies as they are and packed, in chunks, with a bound.
pub fn body(input: &[u8]) {
    let [knobs, bound, wire @ ..] = input else {
        return;
    };
    let bytes_max = usize::from(*bound) * 64;
    let encoding: Option<&[u8]> =
        [None, Some(&b"gzip"[..]), Some(b"identity"), Some(b"br")][usize::from(knobs & 3)];
    let whole = fuzzing::expand(encoding, &[wire], bytes_max).map_err(|fault| words(&fault));
    let chunks: Vec<&[u8]> = wire.chunks(usize::from(knobs >> 2) + 1).collect();
    let parts = fuzzing::expand(encoding, &chunks, bytes_max).map_err(|fault| words(&fault));
    assert_eq!(
        parts.is_ok(),
        whole.is_ok(),
        "{parts:?} in chunks, {whole:?} at once"
    );
    if let (Ok(parts), Ok(whole)) = (parts, whole) {
        assert!(whole.len() <= bytes_max, "{} bytes", whole.len());
        assert_eq!(parts, whole, "chunks change the body");
    }
}

/// Links to the next page: the key goes nowhere else.
pub fn link(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let asked = "https://api.test:8443/a/v3/trades/AAPL";
    match fuzzing::link(asked, text) {
        Some(Ok(next)) => {
            let rest = next
                .strip_prefix(asked)
                .unwrap_or_else(|| panic!("{text:?} leads to {next}"));
            assert!(
                rest.is_empty() || rest.starts_with('?'),
                "{text:?} leads to {next}"
            );
            let mut names = rest
                .trim_start_matches('?')
                .split('&')
                .filter_map(|pair| pair.split('=').next());
            assert!(
                !names.any(|name| name.eq_ignore_ascii_case("apikey")),
                "a key in {next}"
            );
        }
        Some(Err(fault)) => drop(words(&fault)),
        None => panic!("{asked} is an address"),
    }
}

/// A page of each venue in each form.
pub fn page_seeds() -> Vec<Vec<u8>> {
    let rows = r#"[{"conditions":[12],"exchange":4,"id":"71","price":156.43,"sequence_number":9,"participant_timestamp":1760535000000000000,"sip_timestamp":1760535000000000001,"size":100,"decimal_size":"100.5","trf_id":3},{"exchange":4,"price":156.44,"sequence_number":10,"sip_timestamp":1760535000000000002,"size":1}]"#;
    let massive = format!(
        r#"{{"status":"OK","request_id":"x","results":{rows},"next_url":"https://api.massive.com/v3/trades/AAPL?cursor=abc"}}"#
    );
    let wrapped = format!(r#"{{"data":{{"status":"OK","results":{rows},"next_url":"x"}}}}"#);
    let alpaca = r#"{"trades":{"AAPL":[{"t":"2025-10-15T13:30:00.000000001Z","x":"V","p":255.12,"s":100,"c":["@","I"],"i":71,"z":"C"},{"t":"2025-10-15T13:30:00.5Z","x":"D","p":1e2,"s":1,"c":[" "],"i":72,"z":"C","u":"corrected"}]},"next_page_token":"QUFQTA=="}"#;
    let aggregate = r#"[{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1760535000000123,"m":true,"M":true},{"a":26130,"p":"0.01633102","q":"4","f":27782,"l":27783,"T":1760535000000,"m":false,"M":true}]"#;
    let single = r#"[{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1760535000000123,"isBuyerMaker":true,"isBestMatch":true}]"#;
    let coinbase = r#"[{"trade_id":75,"side":"sell","size":"0.01","price":"67000.1","time":"2025-10-15T13:30:00.123456Z"},{"trade_id":74,"side":"buy","size":"0.01","price":"67000.1","time":"2025-10-15T13:29:00Z"}]"#;
    let kraken = r#"{"error":[],"result":{"XXBTZUSD":[["105433.60000","0.00027625",1760535000.982277754,"s","l","",10218208],["105433.6","1",1760535001.5,"b","m","",10218209]],"last":"1760535001500000123"}}"#;
    let refused = r#"{"status":"ERROR","error":"hunter2","message":"Unknown API Key"}"#;
    let bodies = [
        massive.as_str(),
        &wrapped,
        alpaca,
        aggregate,
        single,
        coinbase,
        kraken,
    ];
    let mut seeds: Vec<Vec<u8>> = (0u8..7)
        .zip(bodies)
        .map(|(number, body)| seed(number, body))
        .collect();
    seeds.extend(
        (0u8..7)
            .zip(bodies)
            .map(|(number, body)| seed(number + 133, body)),
    );
    seeds.extend((0u8..7).map(|number| seed(number, refused)));
    seeds.push(seed(0, "<html><body>502 Bad Gateway</body></html>"));
    seeds
}

/// Plain, packed, two members, and one that unpacks to more than is allowed.
pub fn body_seeds() -> Vec<Vec<u8>> {
    let packed = gzip(br#"{"results":[]}"#);
    let two = [packed.as_slice(), &packed].concat();
    let bomb = gzip(&vec![b' '; 1 << 20]);
    let seeds = [
        (0u8, br#"{"results":[]}"#.as_slice()),
        (5, &packed),
        (9, &two),
        (0xfd, &bomb),
        (3, b"x"),
    ];
    seeds
        .map(|(knobs, wire)| [&[knobs, 0xff], wire].concat())
        .to_vec()
}

/// Links that stay and links that leave.
pub fn link_seeds() -> Vec<Vec<u8>> {
    let links = [
        "https://api.test:8443/a/v3/trades/AAPL?cursor=abc",
        "?cursor=abc&apiKey=hunter2",
        "/a/v3/trades/AAPL?cursor=%00",
        "//evil.test/a/v3/trades/AAPL",
        "https://user:pass@api.test:8443/a/v3/trades/AAPL",
        "https://api.test:8443/a/v3/trades/../../x",
        "http://api.test:8443/a/v3/trades/AAPL",
        "AAPL?x#y",
    ];
    links.map(|link| link.as_bytes().to_vec()).to_vec()
}
