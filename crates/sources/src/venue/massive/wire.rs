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

#[cfg(test)]
mod tests {
    use super::{Reader, Row};
    use proptest::prelude::*;
    use serde::Deserialize;

    /// A row in the vendor's order, with some members left out and a byte here and there that is not his.
    fn row() -> impl Strategy<Value = String> {
        let number = || {
            prop_oneof![0u64..20, 10_000_000u64..99_999_999, any::<u64>()]
                .prop_map(|one| one.to_string())
        };
        let decimal = (number(), "[0-9]{0,9}").prop_map(|(whole, part)| format!("{whole}.{part}"));
        let value = prop_oneof![6 => number(), 2 => decimal, 1 => "\"[a-z0-9.]{0,20}\"", 1 => r"\[[0-9, ]{0,9}\]"];
        let names = [
            "conditions",
            "correction",
            "decimal_size",
            "exchange",
            "id",
            "participant_timestamp",
            "price",
            "sequence_number",
            "sip_timestamp",
            "size",
            "tape",
            "trf_id",
            "trf_timestamp",
        ];
        let chosen = prop::sample::subsequence(names.to_vec(), 8..=13);
        (
            chosen,
            prop::collection::vec(value, 13),
            any::<prop::sample::Index>(),
            "[ ,}\"a]?",
        )
            .prop_map(|(names, values, place, more)| {
                let members = names.iter().zip(values).map(|(name, value)| match *name {
                    "conditions" => format!("\"{name}\":[{},37]", value.len()),
                    _ => format!("\"{name}\":{value}"),
                });
                let mut text = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
                text.insert_str(place.index(text.len()), &more);
                text
            })
    }

    proptest! {
        #[test]
        fn usual_rows_are_read_as_any_row_is(text in row()) {
            let bytes = format!("{text},");
            let (mut usual, mut any) = (Reader::new(bytes.as_bytes(), 0), Reader::new(bytes.as_bytes(), 0));
            let row = Row::usual(&mut usual);
            if let Some(row) = row.filter(|_| usual.is_plain()) {
                prop_assert_eq!(Ok(row), Row::deserialize(&mut any));
                prop_assert_eq!(usual.at(), any.at());
            }
        }
    }

    #[test]
    fn a_row_as_the_vendor_writes_it_is_a_usual_one() {
        let more = [
            r#""conditions":[14,37,41],"#,
            r#""conditions":[1],"correction":1,"decimal_size":"0.5","#,
            "",
        ];
        let end = [r#","trf_id":202,"trf_timestamp":1760557480241302390}"#, "}"];
        for (more, end) in more.iter().flat_map(|more| end.map(|end| (more, end))) {
            let text = format!(
                r#"{{{more}"exchange":4,"id":"450002","participant_timestamp":1760557480241160740,"price":264.09,"sequence_number":9219591,"sip_timestamp":1760557480241314530,"size":100,"tape":3{end}"#
            );
            let mut reader = Reader::new(text.as_bytes(), 0);
            let row = Row::usual(&mut reader).expect("as the vendor writes it");
            let trade = row.trade("AAPL".parse().unwrap()).unwrap();
            assert_eq!(
                (trade.sequence, trade.time.as_nanos()),
                (9_219_591, 1_760_557_480_241_314_530)
            );
            assert_eq!((reader.at(), reader.is_plain()), (text.len(), true));
        }
    }
}
