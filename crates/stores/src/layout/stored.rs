//! Bars and manifests as read back from a store.
//!
//! Owns the way from the texts of `value` to exact numbers. What a form does not carry is absent, never guessed.

use super::value::FLAG_NAMES;
use barmill_core::model::{
    Bar, BarFlags, BarKey, BarSpec, BarState, DecimalError, Manifest, Ohlc, Origin, Price, Symbol,
    Timestamp, Volume,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A bar as read from a store; the stored form decides which fields it has.
///
/// See the example of [`BarReader`](crate::BarReader).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBar {
    /// The instrument.
    pub symbol: Symbol,
    /// Its spec, such as `1m`.
    pub spec: BarSpec,
    /// Start of the window, included.
    pub start: Timestamp,
    /// The prices; `None` when no trade of the window may set one.
    pub prices: Option<Ohlc>,
    /// Sum of the sizes that count for volume.
    pub volume: Volume,
    /// The other fields; `None` if the value is CSV or has only the six names of `key-per-bar`.
    pub detail: Option<BarDetail>,
}

/// What only the full form of a value carries.
///
/// See the example of [`BarReader`](crate::BarReader).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarDetail {
    /// End of the window, excluded.
    pub end: Timestamp,
    /// The volume-weighted average price.
    pub vwap: Option<Price>,
    /// Trades that count for volume.
    pub trades: u64,
    /// Volume whose taker bought.
    pub buy_volume: Volume,
    /// Volume whose taker sold.
    pub sell_volume: Volume,
    /// Sequence of the first trade.
    pub first_sequence: u64,
    /// Sequence of the last trade.
    pub last_sequence: u64,
    /// How far the publication had come.
    pub state: BarState,
    /// Changes behind the watermark.
    pub revision: u32,
    /// Its flags.
    pub flags: BarFlags,
}

/// A manifest as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredManifest {
    /// What is covered.
    pub manifest: Manifest,
    /// When it was written, by the writer's wall clock.
    pub updated_at: Timestamp,
}

impl StoredBar {
    /// End of the window as far as it is known: stored, or start and length of the spec, else the start itself.
    pub fn window_end(&self) -> Timestamp {
        let length = self
            .spec
            .interval_ns()
            .and_then(|length| i64::try_from(length).ok());
        self.detail.map_or_else(
            || self.start.saturating_add(length.unwrap_or(0)),
            |detail| detail.end,
        )
    }

    /// Takes everything of an update that the full form carries.
    pub fn of(bar: &Bar, state: BarState, revision: u32) -> StoredBar {
        let detail = BarDetail {
            end: bar.end,
            vwap: bar.vwap(),
            trades: bar.trades,
            buy_volume: bar.buy_volume,
            sell_volume: bar.sell_volume,
            first_sequence: bar.first_sequence,
            last_sequence: bar.last_sequence,
            state,
            revision,
            flags: bar.flags,
        };
        let Bar {
            symbol,
            spec,
            start,
            prices,
            volume,
            ..
        } = *bar;
        StoredBar {
            symbol,
            spec,
            start,
            prices,
            volume,
            detail: Some(detail),
        }
    }
}

/// Why a stored value does not decode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Neither the JSON nor the CSV form.
    #[error("{reason}")]
    Shape {
        /// What the parser met.
        reason: String,
    },
    /// A number that is no exact decimal.
    #[error("{name} is {text:?}")]
    Number {
        /// The value's name.
        name: &'static str,
        /// The refused text, at most 40 bytes.
        text: String,
        /// The cause.
        #[source]
        source: DecimalError,
    },
    /// A part that contradicts another, or is missing.
    #[error("{name} is missing or wrong")]
    Part {
        /// The value's name.
        name: &'static str,
    },
}

/// Both JSON forms; the six-name form has the first six only.
#[derive(Deserialize)]
struct JsonBar<'a> {
    timestamp: i64,
    #[serde(borrow)]
    open: Option<&'a RawValue>,
    #[serde(borrow)]
    high: Option<&'a RawValue>,
    #[serde(borrow)]
    low: Option<&'a RawValue>,
    #[serde(borrow)]
    close: Option<&'a RawValue>,
    #[serde(borrow)]
    volume: &'a RawValue,
    #[serde(borrow)]
    vwap: Option<&'a RawValue>,
    trades: Option<u64>,
    #[serde(borrow)]
    buy_volume: Option<&'a RawValue>,
    #[serde(borrow)]
    sell_volume: Option<&'a RawValue>,
    first_sequence: Option<u64>,
    last_sequence: Option<u64>,
    start: Option<&'a str>,
    end: Option<&'a str>,
    state: Option<&'a str>,
    revision: Option<u32>,
    flags: Option<Vec<&'a str>>,
}

/// Decodes a bar; `start` is what the key and field say, when they say it.
///
/// # Errors
/// [`ValueError`] names the part; also when the value's start is not the place's.
pub(crate) fn decode_bar(
    value: &[u8],
    symbol: Symbol,
    spec: BarSpec,
    start: Option<Timestamp>,
) -> Result<StoredBar, ValueError> {
    if value.first() != Some(&b'{') {
        let key = BarKey {
            symbol,
            spec,
            start: start.ok_or(ValueError::Part { name: "start" })?,
        };
        return decode_csv(value, &key);
    }
    let json: JsonBar<'_> = from_json(value)?;
    let at_ms =
        Timestamp::from_millis(json.timestamp).ok_or(ValueError::Part { name: "timestamp" })?;
    let exact = json
        .start
        .map(|text| time("start", Some(text)))
        .transpose()?;
    let found = exact.or(start).unwrap_or(at_ms);
    if found.as_millis() != json.timestamp {
        return Err(ValueError::Part { name: "timestamp" });
    }
    if start.is_some_and(|start| start != found) {
        return Err(ValueError::Part { name: "start" });
    }
    let prices =
        prices([json.open, json.high, json.low, json.close].map(|raw| raw.map(RawValue::get)))?;
    let volume = volume("volume", Some(json.volume))?;
    let detail = json.state.is_some().then(|| detail(&json)).transpose()?;
    Ok(StoredBar {
        symbol,
        spec,
        start: found,
        prices,
        volume,
        detail,
    })
}

fn detail(json: &JsonBar<'_>) -> Result<BarDetail, ValueError> {
    let missing = |name| ValueError::Part { name };
    let mut bits = 0;
    for name in json.flags.as_ref().ok_or(missing("flags"))? {
        let bit = FLAG_NAMES
            .iter()
            .position(|flag| flag == name)
            .ok_or(missing("flags"))?;
        bits |= 1 << bit;
    }
    Ok(BarDetail {
        end: time("end", json.end)?,
        vwap: json.vwap.map(|raw| price("vwap", raw.get())).transpose()?,
        trades: json.trades.ok_or(missing("trades"))?,
        buy_volume: volume("buy_volume", json.buy_volume)?,
        sell_volume: volume("sell_volume", json.sell_volume)?,
        first_sequence: json.first_sequence.ok_or(missing("first_sequence"))?,
        last_sequence: json.last_sequence.ok_or(missing("last_sequence"))?,
        state: json
            .state
            .and_then(BarState::from_name)
            .ok_or(missing("state"))?,
        revision: json.revision.ok_or(missing("revision"))?,
        flags: BarFlags::from_bits(bits),
    })
}

fn decode_csv(value: &[u8], key: &BarKey) -> Result<StoredBar, ValueError> {
    let shape = || ValueError::Shape {
        reason: "neither a JSON object nor five values with commas".to_owned(),
    };
    let text = std::str::from_utf8(value).map_err(|_| shape())?;
    let mut parts = text.split(',');
    let mut next = || parts.next().ok_or_else(shape);
    let four = [next()?, next()?, next()?, next()?];
    let last = next()?;
    if parts.next().is_some() {
        return Err(shape());
    }
    let volume = Volume::parse(last.as_bytes()).map_err(|source| number("volume", last, source))?;
    let prices = prices(four.map(|text| Some(text).filter(|text| !text.is_empty())))?;
    let BarKey {
        symbol,
        spec,
        start,
    } = *key;
    Ok(StoredBar {
        symbol,
        spec,
        start,
        prices,
        volume,
        detail: None,
    })
}

/// All four prices or none.
fn prices(texts: [Option<&str>; 4]) -> Result<Option<Ohlc>, ValueError> {
    match texts {
        [None, None, None, None] => Ok(None),
        [Some(open), Some(high), Some(low), Some(close)] => Ok(Some(Ohlc {
            open: price("open", open)?,
            high: price("high", high)?,
            low: price("low", low)?,
            close: price("close", close)?,
        })),
        _ => Err(ValueError::Part {
            name: "open, high, low or close",
        }),
    }
}

#[derive(Deserialize)]
struct JsonManifest<'a> {
    zone: String,
    from: &'a str,
    to: &'a str,
    complete: bool,
    #[serde(default)]
    gapless: bool,
    bars: u64,
    trades: u64,
    revision: u32,
    source: Option<String>,
    rules: Option<String>,
    updated_at: &'a str,
}

/// Decodes a manifest.
///
/// # Errors
/// [`ValueError`] names the part.
pub(crate) fn decode_manifest(
    value: &[u8],
    symbol: Symbol,
    spec: BarSpec,
    date: jiff::civil::Date,
) -> Result<StoredManifest, ValueError> {
    let json: JsonManifest<'_> = from_json(value)?;
    let (from, to) = (time("from", Some(json.from))?, time("to", Some(json.to))?);
    let JsonManifest {
        zone,
        complete,
        gapless,
        bars,
        trades,
        revision,
        ..
    } = json;
    let origin = json
        .source
        .zip(json.rules)
        .map(|(source, rules)| Origin { source, rules });
    let manifest = Manifest {
        spec,
        date,
        symbol,
        zone,
        from,
        to,
        complete,
        gapless,
        bars,
        trades,
        revision,
        origin,
    };
    Ok(StoredManifest {
        manifest,
        updated_at: time("updated_at", Some(json.updated_at))?,
    })
}

fn from_json<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, ValueError> {
    serde_json::from_slice(value).map_err(|error| ValueError::Shape {
        reason: error.to_string(),
    })
}

fn time(name: &'static str, text: Option<&str>) -> Result<Timestamp, ValueError> {
    text.and_then(|text| text.parse().ok())
        .ok_or(ValueError::Part { name })
}

fn price(name: &'static str, text: &str) -> Result<Price, ValueError> {
    Price::parse(text.as_bytes()).map_err(|source| number(name, text, source))
}

fn volume(name: &'static str, raw: Option<&RawValue>) -> Result<Volume, ValueError> {
    let text = raw.ok_or(ValueError::Part { name })?.get();
    Volume::parse(text.as_bytes()).map_err(|source| number(name, text, source))
}

fn number(name: &'static str, text: &str, source: DecimalError) -> ValueError {
    ValueError::Number {
        name,
        text: text.chars().take(40).collect(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::{StoredBar, decode_bar, decode_manifest};
    use crate::layout::settings::ValueForm;
    use crate::layout::value::{push_manifest, push_value};
    use crate::testing::{bar, manifest, update};
    use barmill_core::model::{BarFlags, BarState, Manifest};

    fn text(form: ValueForm) -> String {
        let mut out = Vec::new();
        push_value(
            &mut out,
            &update("AAPL", "1m", "2025-10-15T13:30:00Z"),
            form,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_three_forms_read_as_documented() {
        assert_eq!(
            text(ValueForm::Csv),
            "255.1,256.25,254.000000001,255,1200.5"
        );
        assert_eq!(
            text(ValueForm::JsonSix),
            r#"{"timestamp":1760535000000,"open":255.1,"high":256.25,"low":254.000000001,"close":255.0,"volume":1200.5}"#
        );
        assert_eq!(
            text(ValueForm::JsonFull),
            concat!(
                r#"{"timestamp":1760535000000,"open":255.1,"high":256.25,"low":254.000000001,"close":255.0,"volume":1200.5,"#,
                r#""vwap":255.5,"trades":3,"buy_volume":1000.0,"sell_volume":200.5,"first_sequence":1,"last_sequence":9,"#,
                r#""start":"2025-10-15T13:30:00Z","end":"2025-10-15T13:31:00Z","state":"final","revision":0,"flags":[]}"#
            )
        );
    }

    #[test]
    fn every_form_round_trips_as_far_as_it_carries() {
        let mut update = update("AAPL", "tick:10", "2025-10-15T13:30:00.000000001Z");
        update.bar.flags = BarFlags {
            gap: true,
            partial: false,
            filled: true,
        };
        update.state = BarState::Revised;
        for prices in [update.bar.prices, None] {
            update.bar.prices = prices;
            let full = StoredBar::of(&update.bar, update.state, update.revision);
            for form in [ValueForm::Csv, ValueForm::JsonSix, ValueForm::JsonFull] {
                let mut out = Vec::new();
                push_value(&mut out, &update, form);
                let back = decode_bar(&out, full.symbol, full.spec, Some(full.start)).unwrap();
                let detail = full.detail.filter(|_| form == ValueForm::JsonFull);
                assert_eq!(back, StoredBar { detail, ..full });
            }
        }
    }

    #[test]
    fn a_value_that_contradicts_its_place_is_refused() {
        let bar = bar("AAPL", "1m", "2025-10-15T13:31:00Z");
        let decode =
            |value: &str| decode_bar(value.as_bytes(), bar.symbol, bar.spec, Some(bar.start));
        for (value, part) in [
            (text(ValueForm::JsonFull), "start"),
            (text(ValueForm::JsonSix), "timestamp"),
            (
                text(ValueForm::JsonFull).replace("1760535000000", "1760535000001"),
                "timestamp",
            ),
            ("1,2,3,4".to_owned(), "five values"),
            ("1,2,3,,5".to_owned(), "open, high, low or close"),
            ("1,2,3,x,5".to_owned(), "close is \"x\""),
            (String::new(), "five values"),
            ("{".to_owned(), "EOF"),
        ] {
            let error = decode(&value).unwrap_err().to_string();
            assert!(error.contains(part), "{value}: {error}");
        }
    }

    #[test]
    fn a_manifest_round_trips() {
        // Manifests of earlier versions do not tell the origin.
        for origin in [manifest("AAPL", "1m").origin, None] {
            let manifest = Manifest {
                origin,
                ..manifest("AAPL", "1m")
            };
            let at = "2025-10-16T00:00:00.25Z".parse().unwrap();
            let mut out = Vec::new();
            push_manifest(&mut out, &manifest, at);
            let back =
                decode_manifest(&out, manifest.symbol, manifest.spec, manifest.date).unwrap();
            assert_eq!((back.manifest, back.updated_at), (manifest, at));
        }
    }
}
