//! Breaks, losses and disorder against the whole tape.

use super::{GapManager, Now};
use crate::venue::live::settings::LiveSettings;
use crate::venue::{VenueSettings, kraken};
use barmill_core::model::{Conditions, Price, Side, Size, Symbol, Timestamp, Trade, TradeId};
use barmill_core::port::{Gap, GapError, GapFill, Remedy};
use proptest::prelude::*;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn symbol() -> Symbol {
    "CONT-USD".parse().unwrap()
}

fn trade(number: u64, millis: i64) -> Trade {
    Trade {
        symbol: symbol(),
        time: Timestamp::from_millis(1_700_000_000_000 + millis).unwrap(),
        sequence: number,
        id: TradeId::from_number(number),
        price: Price::from_raw(1 + number),
        size: Size::from_raw(7).unwrap(),
        conditions: Conditions::NONE,
        venue: 0,
        correction: 0,
        side: Side::Buy,
        sequenced: true,
    }
}

/// Trades of which up to three share a millisecond.
fn tape(len: u64) -> Vec<Trade> {
    (0..len)
        .map(|number| trade(100 + number, i64::try_from(number / 3).unwrap() * 2))
        .collect()
}

fn manager(is_contiguous: bool, change: impl FnOnce(&mut super::GapSettings)) -> GapManager {
    let mut gaps = LiveSettings::new(VenueSettings::new(&kraken::VENUE)).gaps;
    (gaps.wait, gaps.settle, gaps.backoff) = (2 * MS, 5 * MS, MS);
    (gaps.len_max, gaps.held_len_max, gaps.attempts_max) = (7, 5, 1_000);
    gaps.overlap = 10 * MS;
    change(&mut gaps);
    let mut manager = GapManager::new(&gaps, is_contiguous, 1_000_000);
    manager.follow(symbol(), None);
    manager
}

fn at(elapsed: Duration, wall: Timestamp) -> Now {
    Now { elapsed, wall }
}

fn fill(archive: &[Trade], gap: &Gap) -> GapFill {
    let inside = archive
        .iter()
        .filter(|trade| gap.from <= trade.time && trade.time < gap.to);
    let trades: Vec<Trade> = inside.copied().take(gap.len_max).collect();
    GapFill {
        is_whole: trades.len() < gap.len_max,
        trades,
    }
}

fn error(gap: &Gap, remedy: Remedy) -> GapError {
    GapError {
        symbol: gap.symbol,
        from: gap.from,
        remedy,
        source: "down".into(),
    }
}

/// What happens around one trade of the tape.
#[derive(Debug, Clone, Copy)]
enum Step {
    Deliver,
    Twice,
    Lose,
    Late,
    Break,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Deliver),
        1 => Just(Step::Twice),
        1 => Just(Step::Lose),
        1 => Just(Step::Late),
        1 => Just(Step::Break),
    ];
    proptest::collection::vec(step, 1..150)
}

struct Run {
    gaps: GapManager,
    now: Duration,
    asked: u32,
    delivered: Vec<Trade>,
}

impl Run {
    /// Lets time pass, with an archive that fails every third time.
    fn pass(&mut self, archive: &[Trade], time: Duration) {
        self.now += time;
        let wall = archive.last().map_or(Timestamp::EPOCH, |trade| trade.time);
        while let Some(gap) = self.gaps.ask(at(self.now, wall)) {
            self.asked += 1;
            let failed = self.asked.is_multiple_of(3);
            let answer = if failed {
                Err(error(&gap, Remedy::Reconnect))
            } else {
                Ok(fill(archive, &gap))
            };
            self.gaps.on_fill(gap.symbol, &answer, at(self.now, wall));
        }
        self.delivered.extend(self.gaps.take_ready());
    }

    fn live(&mut self, trade: &Trade) {
        self.gaps.on_trade(trade, at(self.now, trade.time));
    }
}

fn play(is_contiguous: bool, steps: &[Step]) -> (Vec<Trade>, Vec<Trade>, GapManager) {
    let tape = tape(steps.len() as u64 + 1);
    let mut run = Run {
        gaps: manager(is_contiguous, |_| {}),
        now: MS,
        asked: 0,
        delivered: Vec::new(),
    };
    run.gaps.on_live(&[symbol()], at(run.now, tape[0].time));
    run.live(&tape[0]);
    let mut late: Option<Trade> = None;
    for (number, step) in steps.iter().enumerate() {
        let next = tape[number + 1];
        match step {
            Step::Twice => (0..2).for_each(|_| run.live(&next)),
            // Only identities without holes tell of these.
            Step::Lose if is_contiguous => {}
            Step::Late if is_contiguous => late = Some(next),
            Step::Break => {
                run.gaps.on_down(&[symbol()], at(run.now, next.time));
                run.gaps.on_live(&[symbol()], at(run.now, next.time));
            }
            Step::Deliver | Step::Lose | Step::Late => run.live(&next),
        }
        if let Some(trade) = late.filter(|trade| trade.sequence < next.sequence) {
            run.live(&trade);
            late = None;
        }
        run.pass(&tape[..number + 2], MS);
    }
    run.gaps.on_down(&[symbol()], at(run.now, tape[0].time));
    run.gaps
        .on_live(&[symbol()], at(run.now, tape[steps.len()].time));
    (0..2_000).for_each(|_| run.pass(&tape, MS));
    (run.delivered, tape, run.gaps)
}

proptest! {
    #[test]
    fn every_trade_comes_once_and_in_order_where_identities_are_contiguous(steps in steps()) {
        let (delivered, tape, gaps) = play(true, &steps);
        prop_assert_eq!(delivered, tape);
        prop_assert!(gaps.is_whole() && gaps.stats().unfilled == 0);
    }

    #[test]
    fn every_trade_comes_once_and_in_order_where_only_breaks_tell(steps in steps()) {
        let (delivered, tape, gaps) = play(false, &steps);
        prop_assert_eq!(delivered, tape);
        prop_assert!(gaps.is_whole() && gaps.stats().unfilled == 0);
    }
}

#[test]
fn trades_out_of_order_close_their_hole_without_the_archive() {
    let mut gaps = manager(true, |_| {});
    let tape = tape(4);
    gaps.on_live(&[tape[0].symbol], at(MS, tape[0].time));
    for number in [0, 2, 3, 1] {
        gaps.on_trade(&tape[number], at(MS, tape[number].time));
    }
    assert_eq!(gaps.take_ready(), tape);
    assert_eq!((gaps.ask_at(), gaps.is_whole()), (None, true));
}

#[test]
fn hole_that_the_archive_refuses_stays_open_and_is_told_once() {
    for is_contiguous in [true, false] {
        let mut gaps = manager(is_contiguous, |_| {});
        let tape = tape(4);
        gaps.on_live(&[tape[0].symbol], at(MS, tape[0].time));
        gaps.on_trade(&tape[0], at(MS, tape[0].time));
        gaps.on_down(&[tape[0].symbol], at(MS, tape[0].time));
        gaps.on_live(&[tape[0].symbol], at(MS, tape[2].time));
        gaps.on_trade(&tape[3], at(MS, tape[3].time));
        let gap = gaps.ask(at(3 * MS, tape[3].time)).unwrap();
        assert_eq!(
            (gap.after, gap.before),
            (tape[0].key(), Some(tape[3].key()))
        );
        gaps.on_fill(
            symbol(),
            &Err(error(&gap, Remedy::Fatal)),
            at(3 * MS, tape[3].time),
        );
        assert_eq!(gaps.take_ready(), [tape[0], tape[3]]);
        let told: Vec<_> = gaps
            .take_unfilled()
            .iter()
            .map(|gap| (gap.after, gap.before))
            .collect();
        assert_eq!(told, [(tape[0].key(), Some(tape[3].key()))]);
        assert!(gaps.is_whole());
    }
}

#[test]
fn archive_that_lags_is_asked_until_its_attempts_are_over() {
    let mut gaps = manager(false, |gaps| gaps.attempts_max = 3);
    let tape = tape(2);
    gaps.on_live(&[tape[0].symbol], at(MS, tape[0].time));
    gaps.on_trade(&tape[0], at(MS, tape[0].time));
    gaps.on_down(&[tape[0].symbol], at(MS, tape[0].time));
    gaps.on_trade(&tape[1], at(MS, tape[1].time));
    for second in 1..=3 {
        assert_eq!(gaps.take_unfilled(), []);
        let now = Duration::from_secs(second);
        let gap = gaps.ask(at(now, tape[1].time)).unwrap();
        gaps.on_fill(symbol(), &Ok(fill(&tape[..1], &gap)), at(now, tape[1].time));
    }
    assert_eq!(gaps.take_unfilled().len(), 1);
    assert_eq!(gaps.take_ready(), tape);
}

/// Two trades of a millisecond, the first from the archive with its finer clock, the second over the socket.
#[test]
fn archive_copy_is_timed_as_the_socket_times_what_follows_it() {
    for is_contiguous in [true, false] {
        let mut gaps = manager(is_contiguous, |_| {});
        let tape = tape(6);
        let mut precise = tape.clone();
        for trade in &mut precise {
            trade.time = trade.time.saturating_add(123_456);
        }
        gaps.on_live(&[tape[0].symbol], at(MS, tape[0].time));
        gaps.on_trade(&tape[0], at(MS, tape[0].time));
        gaps.on_down(&[tape[0].symbol], at(MS, tape[0].time));
        gaps.on_live(&[tape[0].symbol], at(MS, tape[4].time));
        gaps.on_trade(&tape[4], at(MS, tape[4].time));
        let gap = gaps.ask(at(3 * MS, tape[4].time)).unwrap();
        gaps.on_fill(
            symbol(),
            &Ok(fill(&precise[..5], &gap)),
            at(3 * MS, tape[4].time),
        );
        gaps.on_trade(&tape[5], at(MS, tape[5].time));
        assert_eq!(gaps.take_ready(), tape);
    }
}

#[test]
fn restart_from_a_known_trade_delivers_neither_it_nor_what_is_before() {
    for is_contiguous in [true, false] {
        let mut gaps = manager(is_contiguous, |_| {});
        let mut tape = tape(5);
        for trade in &mut tape {
            trade.symbol = "RESUMED".parse().unwrap();
        }
        gaps.follow(tape[0].symbol, Some(tape[2].key()));
        gaps.on_live(&[tape[0].symbol], at(MS, tape[4].time));
        let gap = gaps.ask(at(10 * MS, tape[4].time)).unwrap();
        gaps.on_fill(
            gap.symbol,
            &Ok(fill(&tape, &gap)),
            at(10 * MS, tape[4].time),
        );
        assert_eq!(gaps.take_ready(), tape[3..]);
    }
}

#[test]
fn start_at_an_instant_takes_the_archive_from_there() {
    for is_contiguous in [true, false] {
        let mut gaps = manager(is_contiguous, |gaps| gaps.len_max = 4);
        let mut tape = tape(12);
        for trade in &mut tape {
            trade.symbol = "OPENED".parse().unwrap();
        }
        let open = barmill_core::model::TradeKey {
            time: tape[3].time,
            sequence: 0,
            id: TradeId::NONE,
            price: Price::ZERO,
        };
        gaps.follow(tape[0].symbol, Some(open));
        gaps.on_live(&[tape[0].symbol], at(MS, tape[9].time));
        gaps.on_trade(&tape[9], at(MS, tape[9].time));
        let mut delivered = Vec::new();
        for _ in 0..50 {
            let Some(gap) = gaps.ask(at(10 * MS, tape[9].time)) else {
                break;
            };
            gaps.on_fill(
                gap.symbol,
                &Ok(fill(&tape[..10], &gap)),
                at(10 * MS, tape[9].time),
            );
            delivered.extend(gaps.take_ready());
        }
        assert_eq!(delivered, tape[3..10]);
    }
}

#[test]
fn first_trade_behind_an_empty_archive_is_shown_by_it_to_be_the_first() {
    for is_contiguous in [true, false] {
        let mut gaps = manager(is_contiguous, |_| {});
        let mut tape = tape(2);
        for trade in &mut tape {
            trade.symbol = "AWAKE".parse().unwrap();
        }
        let (start, end) = (tape[0].time, tape[1].time);
        let open = barmill_core::model::TradeKey {
            time: start,
            sequence: 0,
            id: TradeId::NONE,
            price: Price::ZERO,
        };
        gaps.follow(tape[0].symbol, Some(open));
        gaps.on_live(&[tape[0].symbol], at(MS, start));
        let gap = gaps.ask(at(10 * MS, start)).unwrap();
        gaps.on_fill(gap.symbol, &Ok(fill(&[], &gap)), at(10 * MS, start));
        assert!(gaps.is_live(tape[0].symbol) && gaps.take_ready().is_empty());
        // The socket loses the first trade.
        gaps.on_trade(&tape[1], at(11 * MS, tape[1].time));
        if !is_contiguous {
            assert_eq!(gaps.take_ready(), tape[1..]);
            continue;
        }
        assert!(!gaps.is_live(tape[0].symbol) && gaps.take_ready().is_empty());
        let gap = gaps.ask(at(20 * MS, end)).unwrap();
        gaps.on_fill(gap.symbol, &Ok(fill(&tape, &gap)), at(20 * MS, end));
        assert_eq!(gaps.take_ready(), tape);
        assert!(gaps.is_live(tape[0].symbol));
    }
}

#[test]
fn what_many_symbols_hold_together_is_bounded_and_the_rest_is_fetched() {
    const SYMBOLS: usize = 20;
    for is_contiguous in [true, false] {
        let mut gaps = manager(is_contiguous, |gaps| {
            (gaps.held_sum_max, gaps.len_max, gaps.held_len_max) = (10, 100, 100);
        });
        let names = (0..SYMBOLS).map(|number| format!("CROWD{number}").parse().unwrap());
        let tapes: Vec<Vec<Trade>> = names
            .map(|symbol| {
                tape(8)
                    .into_iter()
                    .map(|trade| Trade { symbol, ..trade })
                    .collect()
            })
            .collect();
        let symbols: Vec<Symbol> = tapes.iter().map(|tape| tape[0].symbol).collect();
        for symbol in &symbols {
            gaps.follow(*symbol, None);
        }
        let end = tapes[0][7].time;
        gaps.on_live(&symbols, at(MS, tapes[0][0].time));
        let mut delivered: Vec<Trade> = Vec::new();
        for number in [0, 2, 3, 4, 5, 6, 7] {
            if number == 2 {
                gaps.on_down(&symbols, at(MS, end));
                gaps.on_live(&symbols, at(MS, end));
            }
            for tape in &tapes {
                gaps.on_trade(&tape[number], at(MS, tape[number].time));
            }
            assert!(gaps.held <= 10, "{}", gaps.held);
        }
        delivered.extend(gaps.take_ready());
        for millis in 1..500 {
            while let Some(gap) = gaps.ask(at(millis * MS, end)) {
                let tape = tapes
                    .iter()
                    .find(|tape| tape[0].symbol == gap.symbol)
                    .unwrap();
                gaps.on_fill(gap.symbol, &Ok(fill(tape, &gap)), at(millis * MS, end));
            }
            delivered.extend(gaps.take_ready());
        }
        assert!(gaps.stats().dropped > 0 && gaps.held == 0);
        for tape in &tapes {
            let of_symbol = delivered
                .iter()
                .filter(|trade| trade.symbol == tape[0].symbol);
            assert_eq!(&of_symbol.copied().collect::<Vec<_>>(), tape);
        }
    }
}

#[test]
fn archive_that_numbers_its_answers_is_matched_by_identity() {
    let mut gaps = manager(false, |_| {});
    let mut tape = tape(4);
    for trade in &mut tape {
        (trade.sequence, trade.sequenced) = (0, false);
    }
    let numbered: Vec<Trade> = (50..)
        .zip(&tape)
        .map(|(sequence, trade)| Trade { sequence, ..*trade })
        .collect();
    gaps.on_live(&[tape[0].symbol], at(MS, tape[0].time));
    gaps.on_trade(&tape[0], at(MS, tape[0].time));
    gaps.on_down(&[tape[0].symbol], at(MS, tape[0].time));
    gaps.on_live(&[tape[0].symbol], at(MS, tape[3].time));
    gaps.on_trade(&tape[3], at(MS, tape[3].time));
    let gap = gaps.ask(at(3 * MS, tape[3].time)).unwrap();
    gaps.on_fill(
        symbol(),
        &Ok(fill(&numbered, &gap)),
        at(3 * MS, tape[3].time),
    );
    assert_eq!(gaps.take_ready(), tape);
    assert!(gaps.is_whole());
}
