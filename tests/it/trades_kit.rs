//! The made-up trades are what their parameters say.

use std::collections::{BTreeMap, BTreeSet};

use barmill::{Price, Size};

use crate::support::trades::{MadeDay, Order};

const DAY: MadeDay = MadeDay {
    trades: 20_000,
    symbols: 300,
    minutes: 490,
    seed: 7,
    order: Order::Time,
};

/// The rows as fields; the quoted list of conditions is one field.
fn rows(text: &str) -> Vec<Vec<String>> {
    let split = |line: &str| {
        let mut fields = vec![String::new()];
        let mut is_quoted = false;
        for c in line.chars() {
            match c {
                '"' => is_quoted = !is_quoted,
                ',' if !is_quoted => fields.push(String::new()),
                _ => fields.last_mut().unwrap().push(c),
            }
        }
        fields
    };
    text.lines().map(split).collect()
}

fn sip(row: &[String]) -> u64 {
    row[8].parse().unwrap()
}

#[test]
fn the_same_parameters_make_the_same_bytes() {
    assert_eq!(DAY.massive_csv(), DAY.massive_csv());
    assert_ne!(DAY.massive_csv(), MadeDay { seed: 8, ..DAY }.massive_csv());
}

#[test]
fn every_row_has_the_header_s_columns_and_exact_numbers() {
    let rows = rows(&DAY.massive_csv());
    assert_eq!(rows.len(), 20_001);
    assert_eq!(rows[0][6], "price");
    for row in &rows[1..] {
        assert_eq!(row.len(), rows[0].len(), "{row:?}");
        assert_eq!(row[6].parse::<Price>().unwrap().to_string(), row[6]);
        assert_eq!(row[9].parse::<Size>().unwrap().to_string(), row[9]);
    }
}

#[test]
fn trades_are_in_order_of_time_and_in_every_minute() {
    let rows = rows(&DAY.massive_csv());
    assert!(rows[1..].is_sorted_by_key(|row| sip(row)));
    let minutes: BTreeSet<u64> = rows[1..]
        .iter()
        .map(|row| sip(row) / 60_000_000_000)
        .collect();
    assert_eq!(minutes.len(), 490);
}

#[test]
fn the_order_by_ticker_holds_the_same_trades() {
    let by_ticker = rows(
        &MadeDay {
            order: Order::Ticker,
            ..DAY
        }
        .massive_csv(),
    );
    assert!(by_ticker[1..].is_sorted_by_key(|row| (row[0].clone(), sip(row))));
    let sorted = |mut rows: Vec<Vec<String>>| {
        rows.sort();
        rows
    };
    assert_eq!(sorted(by_ticker), sorted(rows(&DAY.massive_csv())));
}

#[test]
fn sequence_numbers_rise_within_a_symbol_and_symbols_are_distinct() {
    let rows = rows(&DAY.massive_csv());
    let mut last = BTreeMap::<&str, u64>::new();
    for row in &rows[1..] {
        let sequence = row[7].parse().unwrap();
        assert!(
            last.insert(&row[0], sequence)
                .is_none_or(|before| before < sequence),
            "{row:?}"
        );
    }
    assert!(
        last.len() > 250 && last.len() <= 300,
        "{} symbols",
        last.len()
    );
    let one = MadeDay {
        trades: 100,
        symbols: 1,
        ..DAY
    }
    .massive_csv();
    assert!(one.lines().skip(1).all(|line| line.starts_with("AAPL,")));
    let crowd = self::rows(
        &MadeDay {
            trades: 50_000,
            symbols: 5_000,
            ..DAY
        }
        .massive_csv(),
    );
    let mut ids = BTreeSet::new();
    assert!(
        crowd[1..]
            .iter()
            .all(|row| ids.insert((row[0].clone(), row[4].clone())))
    );
}
