//! Wire format of Alpaca: trades of `/v2/stocks/trades`, and the records of the v2 stock feeds, which name them alike.

use crate::json::{Codes, DecodeError, Field, List};
use barmill_core::engine::rules::Tape;
use barmill_core::model::{Side, Symbol, Trade};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A trade of REST, or a record of a frame (docs.alpaca.markets and the official Go client, 2026).
///
/// ```json
/// {"t":"2021-02-22T15:51:44.208123456Z","x":"D","p":126.55,"s":1,"c":["@","I"],"i":96921,"z":"C","u":"corrected"}
/// {"T":"t","S":"AAPL","i":96921,"x":"D","p":126.55,"s":1,"t":"2021-02-22T15:51:44.208Z","c":["@","I"],"z":"C"}
/// {"T":"c","S":"EEM","x":"M","oi":52983525033527,"op":39.1582,"os":440000,"oc":[" ","7"],"ci":52983525034326,
///  "cp":39.1809,"cs":440000,"cc":[" ","7"],"z":"B","t":"2023-04-06T14:25:06.542305024Z"}
/// {"T":"x","S":"GOOGL","i":465,"x":"D","p":105.31,"s":300,"a":"C","z":"C","t":"2023-04-06T13:15:42.83540958Z"}
/// {"T":"success","msg":"connected"} {"T":"subscription","trades":["AAPL"]} {"T":"error","code":402,"msg":"auth failed"}
/// ```
///
/// A condition is one character, which means what the tape `z` makes of it; both become conditions as the tape rules
/// number them. There is no sequence: trades of one nanosecond are ordered by identity.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(crate) struct Record<'a> {
    #[serde(rename = "T")]
    pub(super) kind: Field<'a>,
    #[serde(rename = "S")]
    symbol: Field<'a>,
    i: Field<'a>,
    x: Field<'a>,
    p: Field<'a>,
    s: Field<'a>,
    t: Field<'a>,
    c: Codes<'a, true>,
    z: Field<'a>,
    u: Field<'a>,
    /// Of a cancel: `C`, or `E` for an error.
    pub(super) a: Field<'a>,
    oi: Field<'a>,
    op: Field<'a>,
    os: Field<'a>,
    oc: Codes<'a, true>,
    ci: Field<'a>,
    cp: Field<'a>,
    cs: Field<'a>,
    cc: Codes<'a, true>,
    pub(super) msg: Field<'a>,
    pub(super) code: Field<'a>,
    pub(super) trades: List<IgnoredAny>,
}

impl Record<'_> {
    /// The trade of a record, with this code of correction.
    pub(crate) fn trade(&self, correction: u8) -> Result<Trade, DecodeError> {
        self.with(self.symbol.symbol("S")?, correction)
    }

    /// The trade of REST, whose symbol is that of the request.
    pub(crate) fn row(&self, symbol: Symbol) -> Result<Trade, DecodeError> {
        // The NYSE code of an update: `corrected` is the correction of an earlier trade, which then is `incorrect`.
        let correction = match self.u.bytes() {
            b"" => 0,
            b"corrected" => 12,
            b"incorrect" => 7,
            b"canceled" => 8,
            _ => return Err(self.u.unknown("u", &["canceled", "corrected", "incorrect"])),
        };
        self.with(symbol, correction)
    }

    /// The trade that a correction replaces, and what it should have been.
    pub(crate) fn correction(&self) -> Result<(Trade, Option<Trade>), DecodeError> {
        let original = Record {
            i: self.oi,
            p: self.op,
            s: self.os,
            c: self.oc,
            ..self.shared()
        };
        let corrected = Record {
            i: self.ci,
            p: self.cp,
            s: self.cs,
            c: self.cc,
            ..self.shared()
        };
        Ok((original.trade(11)?, Some(corrected.trade(12)?)))
    }

    fn shared(&self) -> Self {
        Record {
            symbol: self.symbol,
            x: self.x,
            t: self.t,
            z: self.z,
            ..Record::default()
        }
    }

    fn with(&self, symbol: Symbol, correction: u8) -> Result<Trade, DecodeError> {
        let conditions = self.c.conditions("c")?;
        // The overnight feeds have letters of tapes of their own, which no rule table knows.
        let tape = match self.z.bytes() {
            [letter] => Tape::from_letter(*letter),
            _ => None,
        };
        Ok(Trade {
            symbol,
            time: self.t.rfc3339("t")?,
            sequence: 0,
            id: self.i.id(),
            price: self.p.price("p")?,
            size: self.s.size("s")?,
            conditions: tape
                .and_then(|tape| conditions.with(tape.condition()))
                .unwrap_or(conditions),
            venue: self.x.bytes().first().copied().map_or(0, u16::from),
            correction,
            side: Side::Unknown,
            sequenced: false,
        })
    }
}
