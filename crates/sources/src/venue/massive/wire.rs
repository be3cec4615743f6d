//! Wire formats of Massive: a row of `/v3/trades`, which recorded replies hold too, and a record of the stocks cluster.

use crate::json::{Codes, DecodeError, Field, JsonError, Reader};
use barmill_core::model::{Side, Symbol, Trade};
use serde::Deserialize;

/// A row of `results` (vendor's `OpenAPI` description, July 2026).
///
/// ```json
/// {"conditions":[12,37],"correction":0,"exchange":11,"id":"52983525029461","participant_timestamp":1517562000015577000,
///  "price":171.55,"sequence_number":1063,"sip_timestamp":1517562000016036600,"size":100,"tape":3,"trf_id":0,
///  "trf_timestamp":0}
/// ```
///
/// Times are nanoseconds. Since 2026-02 fractional shares are in `decimal_size` only. The symbol is that of the request.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(crate) struct Row<'a> {
    conditions: Codes<'a, false>,
    correction: Field<'a>,
    decimal_size: Field<'a>,
    exchange: Field<'a>,
    id: Field<'a>,
    pub(crate) participant_timestamp: Field<'a>,
    price: Field<'a>,
    sequence_number: Field<'a>,
    pub(crate) sip_timestamp: Field<'a>,
    size: Field<'a>,
    trf_id: Field<'a>,
}

impl<'a> Row<'a> {
    /// Reads the next row; most are written as [`Row::usual`] knows them.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Row<'a>, JsonError> {
        let mut ahead = reader.clone();
        match Row::usual(&mut ahead) {
            Some(row) => {
                *reader = ahead;
                Ok(row)
            }
            None => Row::deserialize(reader),
        }
    }

    /// A row in the order in which the vendor writes the members, each name passed as one run of bytes; `None` for any
    /// other. Half of a row's time is in the names: with this a page is read in 0.6x of the instructions.
    fn usual(reader: &mut Reader<'a>) -> Option<Row<'a>> {
        let mut row = Row::default();
        reader.peek()?;
        reader.past(b"{")?;
        if reader.past(br#""conditions":"#).is_some() {
            let add = |reader: &mut Reader<'a>| {
                row.conditions.add(Field::new(reader.scalar()?));
                Ok::<(), JsonError>(())
            };
            reader.array(add).ok()?;
            reader.past(b",")?;
        }
        let value = |reader: &mut Reader<'a>| reader.scalar().ok().map(Field::new);
        if reader.past(br#""correction":"#).is_some() {
            row.correction = value(reader)?;
            reader.past(b",")?;
        }
        if reader.past(br#""decimal_size":"#).is_some() {
            row.decimal_size = value(reader)?;
            reader.past(b",")?;
        }
        reader.past(br#""exchange":"#)?;
        row.exchange = value(reader)?;
        reader.past(br#","id":"#)?;
        row.id = value(reader)?;
        reader.past(br#","participant_timestamp":"#)?;
        row.participant_timestamp = value(reader)?;
        reader.past(br#","price":"#)?;
        row.price = value(reader)?;
        reader.past(br#","sequence_number":"#)?;
        row.sequence_number = value(reader)?;
        reader.past(br#","sip_timestamp":"#)?;
        row.sip_timestamp = value(reader)?;
        reader.past(br#","size":"#)?;
        row.size = value(reader)?;
        reader.past(br#","tape":"#)?;
        reader.scalar().ok()?;
        if reader.past(br#","trf_id":"#).is_some() {
            row.trf_id = value(reader)?;
            reader.past(br#","trf_timestamp":"#)?;
            reader.scalar().ok()?;
        }
        reader.past(b"}")?;
        Some(row)
    }

    /// The trade; its sequence is 0 where the row has none.
    pub(crate) fn trade(&self, symbol: Symbol) -> Result<Trade, DecodeError> {
        let sequenced = !self.sequence_number.is_missing();
        let size = self.decimal_size.or(self.size).or(Field::EMPTY);
        Ok(Trade {
            symbol,
            time: self.sip_timestamp.nanos("sip_timestamp")?,
            sequence: if sequenced {
                self.sequence_number.whole("sequence_number")?
            } else {
                0
            },
            id: self.id.id(),
            price: self.price.price("price")?,
            size: size.size("size")?,
            conditions: self.conditions.conditions("conditions")?,
            venue: place_of(
                self.exchange.small("exchange")?,
                self.trf_id.small("trf_id")?,
            ),
            correction: self.correction.small("correction")?,
            side: Side::Unknown,
            sequenced,
        })
    }
}

/// A record of a frame (massive.com WebSocket documents and official clients, 2026-07): a trade, where `ev` is `T`, or a
/// word on the connection, where it is `status`.
///
/// ```json
/// {"ev":"T","sym":"MSFT","x":4,"i":"12345","z":3,"p":114.125,"s":0,"ds":"0.25","c":[0,12],"t":1536036818784,"q":3681328,
///  "trfi":201,"trft":1536036818700}
/// {"ev":"status","status":"connected","message":"Connected Successfully"}
/// ```
///
/// `t` is the SIP's time in milliseconds, `ds` the size as a decimal (`s` is whole shares), `trfi` the reporting facility.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(crate) struct Record<'a> {
    pub(super) ev: Field<'a>,
    pub(super) status: Field<'a>,
    pub(super) message: Field<'a>,
    sym: Field<'a>,
    x: Field<'a>,
    i: Field<'a>,
    p: Field<'a>,
    s: Field<'a>,
    ds: Field<'a>,
    c: Codes<'a, false>,
    t: Field<'a>,
    q: Field<'a>,
    trfi: Field<'a>,
}

impl Record<'_> {
    /// The trade.
    pub(crate) fn trade(&self) -> Result<Trade, DecodeError> {
        Ok(Trade {
            symbol: self.sym.symbol("sym")?,
            time: self.t.millis("t")?,
            sequence: self.q.whole("q")?,
            id: self.i.id(),
            price: self.p.price("p")?,
            size: self.ds.or(self.s).size("ds")?,
            conditions: self.c.conditions("c")?,
            venue: place_of(self.x.small("x")?, self.trfi.small("trfi")?),
            correction: 0,
            side: Side::Unknown,
            sequenced: true,
        })
    }
}

/// Identities are unique within an exchange and, off exchange, within a reporting facility.
fn place_of(exchange: u8, facility: u8) -> u16 {
    u16::from(facility) << 8 | u16::from(exchange)
}
