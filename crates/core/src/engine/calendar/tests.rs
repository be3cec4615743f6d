//! Tests of the calendar's data against its rules, and of the hours of each kind of day.

use super::{Calendar, CalendarError, SessionDay, SessionKind, US_EQUITIES, parse};
use jiff::ToSpan;
use jiff::civil::{Date, Time, Weekday, date, time};
use std::collections::BTreeSet;

/// Closures no rule foretells, each announced by the exchanges.
const SPECIAL_CLOSURES: [(i16, i8, i8); 10] = [
    (2001, 9, 11),
    (2001, 9, 12),
    (2001, 9, 13),
    (2001, 9, 14),
    (2004, 6, 11),
    (2007, 1, 2),
    (2012, 10, 29),
    (2012, 10, 30),
    (2018, 12, 5),
    (2025, 1, 9),
];

fn nth(year: i16, month: i8, nth: i8, weekday: Weekday) -> Date {
    date(year, month, 1)
        .nth_weekday_of_month(nth, weekday)
        .unwrap()
}

/// Easter Sunday of the Gregorian calendar, by the anonymous computus (Meeus, Astronomical Algorithms, ch. 8).
fn easter(year: i16) -> Date {
    let year = i32::from(year);
    let (golden, century, rest) = (year % 19, year / 100, year % 100);
    let sync = (century - (century + 8) / 25 + 1) / 3;
    let moon = (19 * golden + century - century / 4 - sync + 15) % 30;
    let week = (32 + 2 * (century % 4) + 2 * (rest / 4) - moon - rest % 4) % 7;
    let shift = (golden + 11 * moon + 22 * week) / 451;
    let day = moon + week - 7 * shift + 114;
    date(
        i16::try_from(year).unwrap(),
        i8::try_from(day / 31).unwrap(),
        i8::try_from(day % 31 + 1).unwrap(),
    )
}

/// NYSE rule 7.2: Saturday's holiday is kept on Friday, Sunday's on Monday.
fn observed(holiday: Date) -> Date {
    match holiday.weekday() {
        Weekday::Saturday => holiday.yesterday().unwrap(),
        Weekday::Sunday => holiday.tomorrow().unwrap(),
        Weekday::Monday
        | Weekday::Tuesday
        | Weekday::Wednesday
        | Weekday::Thursday
        | Weekday::Friday => holiday,
    }
}

fn closures_by_rule(year: i16) -> BTreeSet<Date> {
    let mut days = BTreeSet::from([
        nth(year, 1, 3, Weekday::Monday),
        nth(year, 2, 3, Weekday::Monday),
        easter(year).checked_sub(2.days()).unwrap(),
        nth(year, 5, -1, Weekday::Monday),
        observed(date(year, 7, 4)),
        nth(year, 9, 1, Weekday::Monday),
        nth(year, 11, 4, Weekday::Thursday),
        observed(date(year, 12, 25)),
    ]);
    // A Friday that ends the year's books stays open, so a New Year's Day on Saturday is not made up for.
    if date(year, 1, 1).weekday() != Weekday::Saturday {
        days.insert(observed(date(year, 1, 1)));
    }
    if year >= 2022 {
        days.insert(observed(date(year, 6, 19)));
    }
    days
}

fn early_closes_by_rule(year: i16) -> BTreeSet<Date> {
    let monday_to_thursday = |day: Date| day.weekday().to_monday_one_offset() <= 4;
    let mut days = BTreeSet::from([nth(year, 11, 4, Weekday::Thursday).tomorrow().unwrap()]);
    days.extend(Some(date(year, 12, 24)).filter(|day| monday_to_thursday(*day)));
    // Until 2012 a Thursday holiday shortened the Friday after it, not the Wednesday before.
    let before_thursday = date(year, 7, 3).weekday() == Weekday::Wednesday;
    let near_july_4 = if year < 2013 && before_thursday {
        date(year, 7, 5)
    } else {
        date(year, 7, 3)
    };
    days.extend(Some(near_july_4).filter(|_| monday_to_thursday(date(year, 7, 3))));
    // Announced for one year only.
    days.extend(Some(date(2003, 12, 26)).filter(|day| day.year() == year));
    days
}

#[test]
fn closures_of_2000_to_2030_are_the_rule_and_the_announced_ones() {
    let calendar = Calendar::us_equities().unwrap();
    let special = SPECIAL_CLOSURES.map(|(year, month, day)| date(year, month, day));
    let expected: BTreeSet<Date> = (2000..=2030)
        .flat_map(closures_by_rule)
        .chain(special)
        .collect();
    let is_closed = |day: &Date| matches!(calendar.session(*day), Ok(SessionDay::Holiday(_)));
    let days = date(2000, 1, 1)
        .series(1.day())
        .take_while(|day| day.year() <= 2030);
    assert_eq!(days.filter(is_closed).collect::<BTreeSet<Date>>(), expected);
}

#[test]
fn early_closes_of_2000_to_2030_are_the_rule_and_the_announced_one() {
    let calendar = Calendar::us_equities().unwrap();
    let one = time(13, 0, 0, 0);
    let is_early = |day: &Date| calendar.session(*day) == Ok(SessionDay::EarlyClose(one));
    let days = date(2000, 1, 1)
        .series(1.day())
        .take_while(|day| day.year() <= 2030);
    let expected: BTreeSet<Date> = (2000..=2030).flat_map(early_closes_by_rule).collect();
    assert_eq!(days.filter(is_early).collect::<BTreeSet<Date>>(), expected);
}

#[test]
fn no_line_of_the_data_falls_on_a_weekend_or_outside_its_range() {
    for (day, _) in parse(US_EQUITIES).unwrap() {
        assert!(
            !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday),
            "{day}"
        );
        assert!((2000..=2030).contains(&day.year()), "{day}");
    }
    assert!(US_EQUITIES.contains("# Range: 2000-01-01..2030-12-31"));
}

#[test]
fn known_years_have_their_known_count_of_sessions() {
    let calendar = Calendar::us_equities().unwrap();
    let sessions = |year: i16| {
        let days = date(year, 1, 1)
            .series(1.day())
            .take_while(|day| day.year() == year);
        days.filter(|day| {
            calendar
                .hours(*day, SessionKind::Regular)
                .unwrap()
                .is_some()
        })
        .count()
    };
    assert_eq!([2024, 2025, 2001].map(sessions), [252, 250, 248]);
}

#[test]
fn hours_follow_the_kind_of_session_and_day() {
    let calendar = Calendar::us_equities().unwrap();
    let (normal, early) = (date(2025, 10, 21), date(2024, 7, 3));
    let custom = SessionKind::Custom(time(10, 0, 0, 0), time(15, 0, 0, 0));
    for (day, kind, open, close) in [
        (normal, SessionKind::Pre, (4, 0), (9, 30)),
        (normal, SessionKind::Regular, (9, 30), (16, 0)),
        (normal, SessionKind::Post, (16, 0), (20, 0)),
        (normal, SessionKind::All, (4, 0), (20, 0)),
        (normal, custom, (10, 0), (15, 0)),
        (early, SessionKind::Pre, (4, 0), (9, 30)),
        (early, SessionKind::Regular, (9, 30), (13, 0)),
        (early, SessionKind::Post, (13, 0), (17, 0)),
        (early, SessionKind::All, (4, 0), (17, 0)),
        (early, custom, (10, 0), (15, 0)),
    ] {
        let expected = (time(open.0, open.1, 0, 0), time(close.0, close.1, 0, 0));
        assert_eq!(
            calendar.hours(day, kind).unwrap(),
            Some(expected),
            "{day} {kind:?}"
        );
    }
}

#[test]
fn holidays_and_weekends_have_no_hours_of_any_kind() {
    let calendar = Calendar::us_equities().unwrap();
    assert_eq!(
        calendar.session(date(2025, 12, 25)),
        Ok(SessionDay::Holiday("Christmas Day"))
    );
    assert_eq!(
        calendar.session(date(2025, 10, 18)),
        Ok(SessionDay::Weekend)
    );
    let custom = SessionKind::Custom(time(10, 0, 0, 0), time(15, 0, 0, 0));
    for kind in [
        SessionKind::Pre,
        SessionKind::Regular,
        SessionKind::Post,
        SessionKind::All,
        custom,
    ] {
        assert_eq!(calendar.hours(date(2025, 12, 25), kind), Ok(None));
        assert_eq!(calendar.hours(date(2025, 10, 18), kind), Ok(None));
    }
}

#[test]
fn dates_outside_the_data_are_refused_unless_normal_days_are_assumed() {
    let calendar = Calendar::us_equities().unwrap();
    for day in [date(1999, 12, 31), date(2031, 1, 2)] {
        let refused = CalendarError::OutsideRange {
            date: day,
            first: 2000,
            last: 2030,
        };
        assert_eq!(calendar.session(day), Err(refused));
        assert_eq!(
            calendar.clone().assume_normal().session(day),
            Ok(SessionDay::Normal)
        );
    }
    assert_eq!(
        calendar.clone().assume_normal().session(date(2031, 1, 4)),
        Ok(SessionDay::Weekend)
    );
    assert!(calendar.session(date(2000, 1, 3)).is_ok());
    assert!(calendar.session(date(2030, 12, 31)).is_ok());
}

#[test]
fn a_market_that_never_closes_is_open_from_midnight_to_midnight() {
    let (calendar, sunday) = (Calendar::always_open(), date(1971, 12, 26));
    for kind in [
        SessionKind::Pre,
        SessionKind::Regular,
        SessionKind::Post,
        SessionKind::All,
    ] {
        assert_eq!(
            calendar.hours(sunday, kind),
            Ok(Some((Time::midnight(), Time::midnight())))
        );
    }
    let custom = (time(10, 0, 0, 0), time(15, 0, 0, 0));
    assert_eq!(
        calendar.hours(sunday, SessionKind::Custom(custom.0, custom.1)),
        Ok(Some(custom))
    );
}

#[test]
fn a_damaged_line_is_named_with_its_number() {
    for text in [
        "2025-12-25,closed,",
        "2025-13-25,closed,,Christmas Day",
        "2025-12-25,closed,13:00,Christmas Day",
        "2025-12-24,early,,Christmas Eve",
        "2025-12-24,open,,Christmas Eve",
        "",
    ] {
        let text: &'static str = Box::leak(format!("# head\n{text}\n").into_boxed_str());
        assert!(
            matches!(parse(text), Err(CalendarError::Line { line: 2, .. })),
            "{text}"
        );
    }
    let unordered = "2025-12-25,closed,,Christmas Day\n2025-12-25,closed,,Christmas Day\n";
    assert!(matches!(
        parse(unordered),
        Err(CalendarError::Line { line: 2, .. })
    ));
}

#[test]
fn sessions_are_named_or_an_interval_and_others_are_refused() {
    for text in [
        "pre",
        "regular",
        "post",
        "all",
        "09:30-24:00",
        "00:00-24:00",
        "23:59-24:00",
    ] {
        let kind: SessionKind = text.parse().unwrap();
        assert_eq!(kind.to_string(), text);
    }
    let refused = [
        "",
        "open",
        "9:30-16:00",
        "09:30",
        "09:30-09:30",
        "16:00-09:30",
        "09:60-10:00",
        "09:30-24:01",
    ];
    for text in refused {
        assert!(text.parse::<SessionKind>().is_err(), "{text}");
    }
    let evening = SessionKind::Custom(time(9, 30, 0, 0), Time::midnight());
    assert_eq!("09:30-24:00".parse(), Ok(evening));
}
