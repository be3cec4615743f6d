//! Numbers, names, instants, specs and periods as text.

use super::words;
use crate::plain::decimal;
use barmill::internals::cli::{Moment, Period};
use barmill::{BarSpec, Price, Size, Symbol, Timestamp, Volume};
use jiff::tz::TimeZone;

/// One text as everything that is read from a text.
///
/// Claims: decimals equal those of the plain reader; what is read prints as something that reads as the same.
pub fn text(input: &[u8]) {
    decimals(input);
    // An error repeats the text of an argument, which the user has before his eyes.
    if input.len() > 200 {
        return;
    }
    match Symbol::intern(input) {
        Ok(symbol) => assert_eq!(symbol.as_str().as_bytes(), input, "a symbol is its text"),
        Err(error) => drop(words(&error)),
    }
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match text.parse::<BarSpec>() {
        Ok(spec) => assert_eq!(spec.to_string().parse(), Ok(spec), "{spec} reads back"),
        Err(error) => drop(words(&error)),
    }
    match text.parse::<Timestamp>() {
        Ok(time) => assert_eq!(time.to_string().parse(), Ok(time), "{time} reads back"),
        Err(error) => drop(words(&error)),
    }
    let (from, to) = text.split_once(' ').unwrap_or((text, text));
    periods(from, to);
}

fn decimals(text: &[u8]) {
    let price = Price::parse(text);
    assert_eq!(
        price.ok().map(Price::raw).map(u128::from),
        decimal::scaled(text, 9).filter(|raw| *raw <= u128::from(u64::MAX)),
        "a price"
    );
    let size = Size::parse(text);
    assert_eq!(
        size.ok().map(Size::raw),
        decimal::scaled(text, 10).filter(|raw| *raw <= Size::MAX.raw()),
        "a size"
    );
    let volume = Volume::parse(text);
    assert_eq!(
        volume.ok().map(Volume::raw),
        decimal::scaled(text, 10),
        "a volume"
    );
    if let Err(error) = volume {
        words(&error);
    }
    if let Ok(price) = price {
        assert_eq!(price.to_string().parse(), Ok(price), "{price} reads back");
    }
    if let Ok(volume) = volume {
        assert_eq!(
            volume.to_string().parse(),
            Ok(volume),
            "{volume} reads back"
        );
    }
}

fn periods(from: &str, to: &str) {
    let (from, to): (Result<Moment, _>, Result<Moment, _>) = (from.parse(), to.parse());
    let (Ok(from), Ok(to)) = (&from, &to) else {
        return [from, to]
            .into_iter()
            .filter_map(Result::err)
            .for_each(|error| drop(words(&error)));
    };
    let mut periods = vec![Period::Between {
        from: *from,
        to: *to,
    }];
    if let Moment::Day(date) = from {
        periods.push(Period::Day(*date));
    }
    for zone in ["America/New_York", "Asia/Kathmandu", "Pacific/Apia"] {
        let zone = TimeZone::get(zone).expect("a zone");
        for period in &periods {
            match period.resolve(&zone) {
                Ok((from, to)) => assert!(from < to, "{period:?} is empty"),
                Err(error) => drop(words(&error)),
            }
        }
    }
}

/// Some of each.
pub fn text_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "255.1200",
        "1e-7",
        "18446744073.709551615",
        "123794003928538027.4890412031",
        "0.0000000001",
        "00.10",
        "1E+3",
        "-0",
        "AAPL",
        "X:BTC-USD",
        "1m",
        "90s",
        "session",
        "tick:1000",
        "volume:0.5",
        "value:1000000",
        "1d",
        "2025-10-15",
        "2025-11-02T01:30:00-05:00",
        "2025-10-15T13:30:00.123456789Z 2025-10-16",
        "2262-04-11 2262-04-12",
        "1970-01-01 1970-01-02",
        "2011-12-30 2011-12-31",
        "9999-12-31",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
