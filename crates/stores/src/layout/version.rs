//! The version of a bar as text; a greater text is newer.
//!
//! Order: revision, then forming before closed, then trades, then the last sequence. A number is its count of
//! digits in two digits and then itself, zero is `00`, so that texts compare as the numbers do, in any locale:
//! `001013019` is revision 0, closed, 3 trades, last sequence 9.

use barmill_core::model::{BarState, BarUpdate};

/// Appends the version of an update.
pub(crate) fn push_version(out: &mut Vec<u8>, update: &BarUpdate) {
    push_number(out, u64::from(update.revision));
    out.push(match update.state {
        BarState::Forming => b'0',
        BarState::Final => b'1',
        BarState::Revised => b'2',
    });
    push_number(out, update.bar.trades);
    push_number(out, update.bar.last_sequence);
}

fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut buffer = itoa::Buffer::new();
    let digits = if number == 0 {
        ""
    } else {
        buffer.format(number)
    };
    if digits.len() < 10 {
        out.push(b'0');
    }
    out.extend_from_slice(itoa::Buffer::new().format(digits.len()).as_bytes());
    out.extend_from_slice(digits.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::push_version;
    use crate::testing::update;
    use barmill_core::model::BarState;
    use proptest::prelude::*;

    fn version(revision: u32, state: BarState, trades: u64, last_sequence: u64) -> String {
        let mut update = update("A", "1m", "2025-10-15T13:30:00Z");
        (update.revision, update.state) = (revision, state);
        (update.bar.trades, update.bar.last_sequence) = (trades, last_sequence);
        let mut out = Vec::new();
        push_version(&mut out, &update);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_version_reads_as_documented() {
        assert_eq!(version(0, BarState::Final, 3, 9), "001013019");
        assert_eq!(
            version(12, BarState::Revised, 0, u64::MAX),
            "0212200".to_owned() + "2018446744073709551615"
        );
    }

    proptest! {
        #[test]
        fn texts_compare_as_the_versions_do(a: (u32, bool, u64, u64), b: (u32, bool, u64, u64)) {
            let state = |is_closed| if is_closed { BarState::Final } else { BarState::Forming };
            let text = |v: (u32, bool, u64, u64)| version(v.0, state(v.1), v.2, v.3);
            prop_assert_eq!(text(a).cmp(&text(b)), a.cmp(&b));
            let (near, far) = ((0, true, a.2 % 1_000, a.3), (0, true, b.2 % 1_000, b.3));
            prop_assert_eq!(text(near).cmp(&text(far)), near.cmp(&far));
        }
    }
}
