//! The names that users see: a change of them shows in review.

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
