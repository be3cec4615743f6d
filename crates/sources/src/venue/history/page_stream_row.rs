//! Streaming parser of one row of a Massive page: the fields that a trade needs.
//!
//! Two ways read it. The usual one knows the order in which the vendor writes the members, and passes each name as one
//! run of known bytes; whatever it does not know it leaves to the other, which takes members in any order with blanks
//! between them. A test holds the two against each other.

use super::page_stream_cursor::{Cursor, Stop};
use barmill_core::model::{Conditions, Price, Side, Size, Symbol, Timestamp, Trade, TradeId};

/// The fields of one row that a trade needs; `None` where the row has none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    conditions: Option<Conditions>,
    correction: Option<u64>,
    decimal_size: Option<&'a [u8]>,
    exchange: Option<u64>,
    id: Option<&'a [u8]>,
    price: Option<&'a [u8]>,
    sequence_number: Option<u64>,
    sip_timestamp: Option<u64>,
    size: Option<&'a [u8]>,
    trf_id: Option<u64>,
}

impl<'a> Row<'a> {
    pub(crate) fn read(walk: &mut Cursor<'a>) -> Result<Row<'a>, Stop> {
        match Row::usual(walk) {
            Some(row) => Ok(row),
            None => Row::any(walk),
        }
    }

    /// A row as the vendor writes it; `None` for anything else, and then the walk stands where it stood.
    fn usual(walk: &mut Cursor<'a>) -> Option<Row<'a>> {
        let mut row = Row::default();
        let mut next = *walk;
        next.peek().ok()?;
        next.past(b"{")?;
        if next.passes(br#""conditions":"#) {
            row.conditions = Some(next.conditions().ok()?);
            next.past(b",")?;
        }
        if next.passes(br#""correction":"#) {
            row.correction = Some(next.whole().ok()?);
            next.past(b",")?;
        }
        if next.passes(br#""decimal_size":"#) {
            row.decimal_size = Some(next.scalar().ok()?);
            next.past(b",")?;
        }
        row.exchange = Some(next.past(br#""exchange":"#)?.whole().ok()?);
        row.id = Some(next.past(br#","id":"#)?.scalar().ok()?);
        next.past(br#","participant_timestamp":"#)?.number().ok()?;
        row.price = Some(next.past(br#","price":"#)?.number().ok()?);
        row.sequence_number = Some(next.past(br#","sequence_number":"#)?.whole().ok()?);
        row.sip_timestamp = Some(next.past(br#","sip_timestamp":"#)?.whole().ok()?);
        row.size = Some(next.past(br#","size":"#)?.number().ok()?);
        next.past(br#","tape":"#)?.number().ok()?;
        if next.passes(br#","trf_id":"#) {
            row.trf_id = Some(next.whole().ok()?);
            next.past(br#","trf_timestamp":"#)?.number().ok()?;
        }
        next.passes(b"}").then(|| {
            *walk = next;
            row
        })
    }

    fn any(walk: &mut Cursor<'a>) -> Result<Row<'a>, Stop> {
        let mut row = Row::default();
        walk.expect(b'{')?;
        loop {
            let key = walk.string()?;
            walk.expect(b':')?;
            row.take(key, walk)?;
            match walk.next()? {
                b',' => {}
                b'}' => return Ok(row),
                _ => return Err(Stop::Unsupported),
            }
        }
    }

    fn take(&mut self, key: &[u8], walk: &mut Cursor<'a>) -> Result<(), Stop> {
        match key {
            b"conditions" => set(&mut self.conditions, walk.conditions()?),
            b"correction" => set(&mut self.correction, walk.whole()?),
            b"decimal_size" => set(&mut self.decimal_size, walk.scalar()?),
            b"exchange" => set(&mut self.exchange, walk.whole()?),
            b"id" => set(&mut self.id, walk.scalar()?),
            b"price" => set(&mut self.price, walk.scalar()?),
            b"sequence_number" => set(&mut self.sequence_number, walk.whole()?),
            b"sip_timestamp" => set(&mut self.sip_timestamp, walk.whole()?),
            b"size" => set(&mut self.size, walk.scalar()?),
            b"trf_id" => set(&mut self.trf_id, walk.whole()?),
            _ => walk.scalar().map(drop),
        }
    }

    /// The trade, as `massive::decode_row` makes it; `None` where that one would refuse the row.
    pub(crate) fn trade(&self, symbol: Symbol) -> Option<Trade> {
        let price = Price::parse(self.price?)
            .ok()
            .filter(|price| *price != Price::ZERO)?;
        let exchange = u8::try_from(self.exchange?).ok()?;
        let facility = u8::try_from(self.trf_id.unwrap_or(0)).ok()?;
        Some(Trade {
            symbol,
            time: Timestamp::from_nanos(i64::try_from(self.sip_timestamp?).ok()?)?,
            sequence: self.sequence_number?,
            id: self.id.map_or(TradeId::NONE, TradeId::from_text),
            price,
            size: Size::parse(self.decimal_size.or(self.size)?).ok()?,
            conditions: self.conditions.unwrap_or_default(),
            venue: u16::from(facility) << 8 | u16::from(exchange),
            correction: u8::try_from(self.correction.unwrap_or(0)).ok()?,
            side: Side::Unknown,
            sequenced: true,
        })
    }
}

/// Sets a field that must not come twice.
fn set<T>(field: &mut Option<T>, value: T) -> Result<(), Stop> {
    if field.replace(value).is_some() {
        Err(Stop::Unsupported)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Row};
    use proptest::prelude::*;

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
            let (mut usual, mut any) = (Cursor::new(bytes.as_bytes(), 0), Cursor::new(bytes.as_bytes(), 0));
            if let Some(row) = Row::usual(&mut usual) {
                prop_assert_eq!(Ok(row), Row::any(&mut any));
                prop_assert_eq!(usual.at(), any.at());
            } else {
                prop_assert_eq!(usual.at(), 0);
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
            let mut walk = Cursor::new(text.as_bytes(), 0);
            let row = Row::usual(&mut walk).expect("as the vendor writes it");
            assert_eq!(
                (row.sequence_number, row.sip_timestamp),
                (Some(9_219_591), Some(1_760_557_480_241_314_530))
            );
            assert_eq!(walk.at(), text.len());
        }
    }
}
