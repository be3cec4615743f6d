//! Trades made from a seed, written as each vendor writes them, with bars by a model of their own.
//!
//! Prices are whole numbers of ten thousandths and sizes whole numbers, which every layout can write. The model of bars
//! is the naive one: all trades of a minute, looked at together.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Midnight of 2025-10-15 in New York, in milliseconds since the Unix epoch.
const MIDNIGHT_MS: u64 = 1_760_500_800_000;
const MINUTE_MS: u64 = 60_000;

/// One made trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeTrade {
    /// Event time, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Identity and order, without holes.
    pub id: u64,
    /// The price in ten thousandths, above zero.
    pub price: u64,
    /// The size, above zero.
    pub size: u64,
    /// Whether the taker bought.
    pub is_buy: bool,
}

impl MadeTrade {
    /// The price as a decimal with four places.
    pub fn price_text(&self) -> String {
        decimal(self.price)
    }
}

fn decimal(price: u64) -> String {
    format!("{}.{:04}", price / 10_000, price % 10_000)
}

/// One bar of a minute by the naive model; prices in ten thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeBar {
    /// Open, high, low and close.
    pub prices: [u64; 4],
    /// The sum of the sizes.
    pub volume: u64,
    /// How many trades.
    pub trades: u64,
}

/// The trades of one symbol on one morning, in order of time and identity.
#[derive(Debug, Clone)]
pub struct Tape {
    /// The trades.
    pub trades: Vec<MadeTrade>,
}

impl Tape {
    /// Makes `count` trades from 09:30 in New York on; the same seed makes the same ones.
    pub fn new(seed: u64, count: u64) -> Tape {
        let mut dice = seed;
        let mut below = |bound: u64| {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % bound
        };
        let mut time_ms = MIDNIGHT_MS + 570 * MINUTE_MS;
        let mut price = 2_500_000 + below(100_000);
        let trades = (0..count)
            .map(|number| {
                // Some trades share a millisecond, some minutes have none.
                time_ms += if below(40) == 0 {
                    below(200_000)
                } else {
                    below(3) * below(2_500)
                };
                price = (price + below(401) - 200).max(1);
                MadeTrade {
                    time_ms,
                    id: 10_000_001 + number,
                    price,
                    size: 1 + below(900),
                    is_buy: below(2) == 0,
                }
            })
            .collect();
        Tape { trades }
    }

    /// The bars of minutes by the naive model, by their start in milliseconds since the Unix epoch.
    pub fn minutes(&self) -> BTreeMap<u64, MadeBar> {
        let mut minutes: BTreeMap<u64, Vec<&MadeTrade>> = BTreeMap::new();
        for trade in &self.trades {
            let start = trade.time_ms / MINUTE_MS * MINUTE_MS;
            minutes.entry(start).or_default().push(trade);
        }
        let bar = |trades: Vec<&MadeTrade>| {
            let prices: Vec<u64> = trades.iter().map(|trade| trade.price).collect();
            let [high, low] = [prices.iter().max(), prices.iter().min()].map(Option::unwrap);
            MadeBar {
                prices: [prices[0], *high, *low, prices[prices.len() - 1]],
                volume: trades.iter().map(|trade| trade.size).sum(),
                trades: trades.len() as u64,
            }
        };
        minutes
            .into_iter()
            .map(|(start, trades)| (start, bar(trades)))
            .collect()
    }

    fn joined(&self, separator: &str, row: impl Fn(&MadeTrade) -> String) -> String {
        let rows: Vec<String> = self.trades.iter().map(row).collect();
        rows.join(separator)
    }

    /// A Massive flat file of stocks.
    pub fn massive_csv(&self, symbol: &str) -> String {
        let mut text =
            "ticker,conditions,correction,exchange,id,participant_timestamp,price,sequence_number,\
                        sip_timestamp,size,tape,trf_id,trf_timestamp\n"
                .to_owned();
        for trade in &self.trades {
            let (id, time, price) = (trade.id, trade.time_ms, trade.price_text());
            let conditions = ["", "14", "\"14,41\""][usize::try_from(id % 3).unwrap()];
            writeln!(
                text,
                "{symbol},{conditions},0,11,{id},{time}000000,{price},{id},{time}000000,{size},3,0,0",
                size = trade.size
            )
            .unwrap();
        }
        text
    }

    /// A page of Massive's `/v3/trades`, the newest row last.
    pub fn massive_json(&self) -> String {
        let rows = self.joined(",", |trade| {
            let (id, time, price, size) = (trade.id, trade.time_ms, trade.price_text(), trade.size);
            format!(
                r#"{{"conditions":[14,41],"exchange":11,"id":"{id}","participant_timestamp":{time}000000,"price":{price},"sequence_number":{id},"sip_timestamp":{time}000000,"size":{size},"tape":3}}"#
            )
        });
        format!(r#"{{"results":[{rows}],"status":"OK","request_id":"1"}}"#)
    }

    /// A page of Alpaca's `/v2/stocks/trades`, the last one.
    pub fn alpaca_json(&self, symbol: &str) -> String {
        let rows = self.joined(",", |trade| {
            let (id, price, size) = (trade.id, trade.price_text(), trade.size);
            let time = utc(trade.time_ms);
            format!(r#"{{"t":"{time}","x":"V","p":{price},"s":{size},"c":["@"],"i":{id},"z":"C"}}"#)
        });
        format!(r#"{{"trades":{{"{symbol}":[{rows}]}},"next_page_token":null}}"#)
    }

    /// A reply of Kraken's `/0/public/Trades`.
    pub fn kraken_json(&self, pair: &str) -> String {
        let rows = self.joined(",", |trade| {
            let (id, price, size) = (trade.id, trade.price_text(), trade.size);
            let (seconds, ms) = (trade.time_ms / 1_000, trade.time_ms % 1_000);
            let taker = if trade.is_buy { 'b' } else { 's' };
            format!(r#"["{price}","{size}.00000000",{seconds}.{ms:03},"{taker}","m","",{id}]"#)
        });
        let last = self.trades.last().map_or(0, |trade| trade.time_ms);
        format!(r#"{{"error":[],"result":{{"{pair}":[{rows}],"last":"{last}000000"}}}}"#)
    }

    /// A file of Binance's public data, spot trades.
    pub fn binance_csv(&self) -> String {
        let rows = self.joined("\n", |trade| {
            let (id, price, size) = (trade.id, trade.price_text(), trade.size);
            let maker = if trade.is_buy { "False" } else { "True" };
            format!(
                "{id},{price},{size}.00000000,0,{time}000,{maker},True",
                time = trade.time_ms
            )
        });
        format!("{rows}\n")
    }

    /// Frames of Binance's combined stream among those of an order book, each behind the time it came.
    pub fn binance_frames(&self, symbol: &str) -> String {
        let rows = self.joined("\n", |trade| {
            let (id, price, size, time) = (trade.id, trade.price_text(), trade.size, trade.time_ms);
            let maker = !trade.is_buy;
            let stream = symbol.to_ascii_lowercase();
            format!(
                "{time}000000 {{\"stream\":\"{stream}@depth\",\"data\":{{\"e\":\"depthUpdate\",\"E\":{time},\"s\":\"{symbol}\",\"U\":1,\"u\":2,\"b\":[],\"a\":[]}}}}\n\
                 {time}000001 {{\"stream\":\"{stream}@trade\",\"data\":{{\"e\":\"trade\",\"E\":{time},\"s\":\"{symbol}\",\"t\":{id},\"p\":\"{price}\",\"q\":\"{size}.00000000\",\"T\":{time},\"m\":{maker},\"M\":true}}}}"
            )
        });
        format!("{rows}\n")
    }

    /// A LEAN day of ticks; its name must hold 20251015 and the symbol.
    pub fn lean_csv(&self) -> String {
        let rows = self.joined("\n", |trade| {
            let ms = trade.time_ms - MIDNIGHT_MS;
            format!(
                "{ms},{price},{size},Q,0,0",
                price = trade.price,
                size = trade.size
            )
        });
        format!("{rows}\n")
    }
}

/// RFC 3339 of an instant on 2025-10-15.
fn utc(time_ms: u64) -> String {
    // Midnight in New York is 04:00 in UTC.
    let of_day = time_ms - MIDNIGHT_MS + 240 * MINUTE_MS;
    let (hour, minute) = (of_day / 3_600_000, of_day / MINUTE_MS % 60);
    let (second, ms) = (of_day / 1_000 % 60, of_day % 1_000);
    format!("2025-10-15T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}
