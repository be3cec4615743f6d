//! Memory does not grow with the input.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::support::program::Program;

const SYMBOLS: u64 = 50;
const HEADER: &str = "ticker,price,size,sip_timestamp,sequence_number,id\n";
/// 2025-10-15T04:00:00Z in nanoseconds since the Unix epoch.
const START_NS: u64 = 1_760_500_800_000_000_000;
/// Between two trades: a day holds twelve million.
const STEP_NS: u64 = 7_200_000;

/// The most memory, in KiB, of a replay of so many trades of fifty symbols.
fn peak_kib(trades: u64) -> u64 {
    let program = Program::new();
    let mut running = program.start(&["replay", "-", "--sink", "null:", "--json"]);
    running.input().write_all(HEADER.as_bytes()).unwrap();
    let mut text = String::new();
    for number in 0..trades {
        let (symbol, cents) = (number * 7 % SYMBOLS, number % 90 + 10);
        let time = START_NS + number * STEP_NS;
        writeln!(text, "S{symbol},100.{cents},100,{time},{number},{number}").unwrap();
        if text.len() > 1 << 16 || number + 1 == trades {
            running.input().write_all(text.as_bytes()).unwrap();
            text.clear();
        }
    }
    // All but what the pipe and the queues hold has gone through; with the input open the process still lives.
    let peak = running.status("VmHWM:");
    let ended = running.wait();
    assert_eq!(
        (ended.code, &ended.json()["trades"]),
        (Some(0), &trades.into()),
        "{}",
        ended.err
    );
    peak
}

#[test]
fn three_times_the_trades_need_no_more_memory() {
    let (one, three) = (peak_kib(1_000_000), peak_kib(3_000_000));
    // How full the queues stood differs by some MiB with the load; two million more trades held would be over 100.
    assert!(
        three < one + 16 * 1_024,
        "{one} KiB for a million trades, {three} KiB for three"
    );
}
