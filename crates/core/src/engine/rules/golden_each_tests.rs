//! Golden cases by hand: every condition of both vendors alone, and every two of them together.
//!
//! Written from the vendors' words and not from the tables of this program: Massive's `GET
//! /v3/reference/conditions?asset_class=stocks` (consolidated update rules, 2026-09-27; id 41 as listed 2026-10-05) and
//! its knowledge base ("How does Polygon create the OHLCV aggregate bars?": any rule of no wins; trades of extended
//! hours set the prices of minute bars; the closing cross is in the day bar alone); Alpaca's "Market Data FAQ" ("How
//! are bars aggregated?": the strictest rule wins).
//!
//! Rights are three letters: `h` may set high and low; `o` open and close, `f` those only if it is the first; `v`
//! counts for volume; `-` may not.

use super::golden_tests::{with_ids, with_letters};
use super::{Eligible, OpenClose, Rules, Tape};

/// Massive: id, name, rights in minute bars, rights in day bars.
pub(in crate::engine) const MASSIVE_EACH: [(u32, &str, &str, &str); 56] = [
    (0, "Regular Sale", "hov", "hov"),
    (1, "Acquisition", "hov", "hov"),
    (2, "Average Price Trade", "--v", "--v"),
    (3, "Automatic Execution", "hov", "hov"),
    (4, "Bunched Trade", "hov", "hov"),
    (5, "Bunched Sold Trade", "h-v", "h-v"),
    (6, "CAP Election", "hov", "hov"),
    (7, "Cash Sale", "--v", "--v"),
    (8, "Closing Prints", "---", "hov"),
    (9, "Cross Trade", "hov", "hov"),
    (10, "Derivatively Priced", "h-v", "h-v"),
    (11, "Distribution", "hov", "hov"),
    (12, "Form T/Extended Hours", "hov", "--v"),
    (13, "Extended Hours (Sold Out Of Sequence)", "--v", "--v"),
    (14, "Intermarket Sweep", "hov", "hov"),
    (15, "Market Center Official Close", "---", "---"),
    (16, "Market Center Official Open", "---", "---"),
    (17, "Market Center Opening Trade", "hov", "hov"),
    (18, "Market Center Reopening Trade", "hov", "hov"),
    (19, "Market Center Closing Trade", "hov", "hov"),
    (20, "Next Day", "--v", "--v"),
    (21, "Price Variation Trade", "--v", "--v"),
    (22, "Prior Reference Price", "h-v", "h-v"),
    (23, "Rule 155 Trade (AMEX)", "hov", "hov"),
    (24, "Rule 127 (NYSE Only)", "hov", "hov"),
    (25, "Opening Prints", "hov", "hov"),
    (27, "Stopped Stock (Regular Trade)", "hov", "hov"),
    (28, "Re-Opening Prints", "hov", "hov"),
    (29, "Seller", "--v", "--v"),
    (30, "Sold Last", "hov", "hov"),
    (31, "Sold Last and Stopped Stock", "hov", "hov"),
    (32, "Sold (Out Of Sequence)", "h-v", "h-v"),
    (33, "Sold (Out of Sequence) and Stopped Stock", "h-v", "h-v"),
    (34, "Split Trade", "hov", "hov"),
    (35, "Stock Option", "hov", "hov"),
    (36, "Yellow Flag Regular Trade", "hov", "hov"),
    (37, "Odd Lot Trade", "--v", "--v"),
    (
        38,
        "Corrected Consolidated Close (per listing market)",
        "ho-",
        "ho-",
    ),
    (41, "Trade Thru Exempt", "hov", "hov"),
    (52, "Contingent Trade", "--v", "--v"),
    (53, "Qualified Contingent Trade", "--v", "--v"),
    (55, "Opening Reopening Trade Detail", "hov", "hov"),
    (57, "Short Sale Restriction Activated", "hov", "hov"),
    (58, "Short Sale Restriction Continued", "hov", "hov"),
    (59, "Short Sale Restriction Deactivated", "hov", "hov"),
    (60, "Short Sale Restriction In Effect", "hov", "hov"),
    (62, "Financial Status - Bankrupt", "hov", "hov"),
    (63, "Financial Status - Deficient", "hov", "hov"),
    (64, "Financial Status - Delinquent", "hov", "hov"),
    (
        65,
        "Financial Status - Bankrupt and Deficient",
        "hov",
        "hov",
    ),
    (
        66,
        "Financial Status - Bankrupt and Delinquent",
        "hov",
        "hov",
    ),
    (
        67,
        "Financial Status - Deficient and Delinquent",
        "hov",
        "hov",
    ),
    (
        68,
        "Financial Status - Deficient, Delinquent, and Bankrupt",
        "hov",
        "hov",
    ),
    (69, "Financial Status - Liquidation", "hov", "hov"),
    (70, "Financial Status - Creations Suspended", "hov", "hov"),
    (71, "Financial Status - Redemptions Suspended", "hov", "hov"),
];

/// Alpaca: letter, tapes, name, rights in minute bars, rights in day bars.
pub(in crate::engine) const ALPACA_EACH: [(&str, &str, &str, &str, &str); 32] = [
    (" ", "AB", "Regular Sale", "hov", "hov"),
    ("@", "CO", "Regular Sale", "hov", "hov"),
    ("A", "C", "Acquisition", "hov", "hov"),
    ("B", "AB", "Average Price Trade", "--v", "--v"),
    ("B", "C", "Bunched Trade", "hov", "hov"),
    ("C", "ABCO", "Cash Sale", "--v", "--v"),
    ("D", "C", "Distribution", "hov", "hov"),
    ("E", "AB", "Automatic Execution", "hov", "hov"),
    ("F", "ABC", "Intermarket Sweep", "hov", "hov"),
    ("G", "C", "Bunched Sold Trade", "--v", "hfv"),
    ("H", "ABC", "Price Variation Trade", "--v", "--v"),
    ("I", "ABCO", "Odd Lot Trade", "--v", "--v"),
    ("K", "ABC", "Rule 127 or Rule 155", "hov", "hov"),
    ("L", "ABC", "Sold Last", "hov", "hov"),
    ("M", "ABC", "Market Center Official Close", "---", "---"),
    ("N", "ABCO", "Next Day", "--v", "--v"),
    ("O", "ABC", "Market Center Opening Trade", "hov", "hov"),
    ("P", "ABCO", "Prior Reference Price", "--v", "hfv"),
    ("Q", "ABC", "Market Center Official Open", "---", "---"),
    ("R", "ABCO", "Seller", "--v", "--v"),
    ("T", "ABCO", "Extended Hours Trade", "hov", "--v"),
    ("U", "ABCO", "Extended Trading Hours", "--v", "--v"),
    ("V", "ABC", "Contingent Trade", "--v", "--v"),
    ("W", "CO", "Average Price Trade", "--v", "--v"),
    ("X", "ABC", "Cross Trade", "hov", "hov"),
    ("Y", "C", "Yellow Flag Regular Trade", "hov", "hov"),
    ("Z", "ABC", "Sold Out Of Sequence", "--v", "hfv"),
    ("4", "ABC", "Derivatively Priced", "--v", "hfv"),
    ("5", "ABC", "Market Center Reopening Trade", "hov", "hov"),
    ("6", "ABC", "Market Center Closing Trade", "hov", "hov"),
    ("7", "ABC", "Qualified Contingent Trade", "--v", "--v"),
    ("9", "ABC", "Corrected Consolidated Close", "---", "ho-"),
];

/// The strictest of several rights, letter by letter.
fn strictest(all: &[&str]) -> String {
    let at = |place: usize| all.iter().map(move |rights| rights.as_bytes()[place]);
    let letter = |place| {
        if at(place).any(|right| right == b'-') {
            '-'
        } else if at(place).any(|right| right == b'f') {
            'f'
        } else {
            char::from(all[0].as_bytes()[place])
        }
    };
    [letter(0), letter(1), letter(2)].iter().collect()
}

fn rights(can: Eligible) -> String {
    let ends = match can.open_close() {
        OpenClose::Yes => 'o',
        OpenClose::OnlyIfFirst => 'f',
        OpenClose::No => '-',
    };
    let or_not = |is_allowed, letter| if is_allowed { letter } else { '-' };
    [or_not(can.high_low(), 'h'), ends, or_not(can.volume(), 'v')]
        .iter()
        .collect()
}

fn profiles(vendor: &str) -> (Rules, Rules) {
    let of = |bars| Rules::by_name(&format!("{vendor}-{bars}")).unwrap();
    (of("minute"), of("daily"))
}

#[test]
fn each_condition_of_massive_alone_and_beside_every_other() {
    let (minute, daily) = profiles("massive");
    for (id, name, in_minute, in_day) in MASSIVE_EACH {
        let alone = with_ids(&[id]);
        assert_eq!(
            rights(minute.eligibility(&alone)),
            in_minute,
            "minute, {id} {name}"
        );
        assert_eq!(
            rights(daily.eligibility(&alone)),
            in_day,
            "day, {id} {name}"
        );
        assert_eq!(
            rights(minute.daily_eligibility(&alone)),
            in_day,
            "day of minute rules, {id} {name}"
        );
        for (other, other_name, other_minute, other_day) in MASSIVE_EACH {
            let both = with_ids(&[id, other]);
            let what = format!("{id} {name} with {other} {other_name}");
            assert_eq!(
                rights(minute.eligibility(&both)),
                strictest(&[in_minute, other_minute]),
                "{what}"
            );
            assert_eq!(
                rights(daily.eligibility(&both)),
                strictest(&[in_day, other_day]),
                "{what}"
            );
        }
    }
}

#[test]
fn each_letter_of_alpaca_alone_and_beside_every_other_of_its_tape() {
    let (minute, daily) = profiles("alpaca");
    for letter in *b"ABCO" {
        let tape = Tape::from_letter(letter);
        let own: Vec<_> = ALPACA_EACH
            .iter()
            .filter(|(_, tapes, ..)| tapes.as_bytes().contains(&letter))
            .collect();
        for (code, _, name, in_minute, in_day) in &own {
            let alone = with_letters(tape, code);
            assert_eq!(
                rights(minute.eligibility(&alone)),
                *in_minute,
                "minute, {tape:?} {code} {name}"
            );
            assert_eq!(
                rights(daily.eligibility(&alone)),
                *in_day,
                "day, {tape:?} {code} {name}"
            );
            // The vwap is over trades that count for high and low, and for volume.
            let can = minute.eligibility(&alone);
            assert_eq!(
                can.vwap(),
                can.high_low() && can.volume(),
                "{tape:?} {code} {name}"
            );
            for (other, _, other_name, other_minute, other_day) in &own {
                let both = with_letters(tape, &format!("{code}{other}"));
                let what = format!("{tape:?} {code} {name} with {other} {other_name}");
                assert_eq!(
                    rights(minute.eligibility(&both)),
                    strictest(&[in_minute, other_minute]),
                    "{what}"
                );
                assert_eq!(
                    rights(daily.eligibility(&both)),
                    strictest(&[in_day, other_day]),
                    "{what}"
                );
            }
        }
    }
}
