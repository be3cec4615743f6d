//! Bars to Redis by hand: one HSET and one EXPIRE per symbol, in one write.

use crate::{Fault, bare::Bar};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// 2025-10-15 in New York is four hours behind UTC.
const OFFSET_MINUTES: i64 = -240;

pub fn write(port: u16, bars: &[Bar]) -> Result<(), Fault> {
    let mut symbols: BTreeMap<u64, Vec<&Bar>> = BTreeMap::new();
    for bar in bars {
        symbols.entry(bar.ticker).or_default().push(bar);
    }
    let mut out = Vec::new();
    for (ticker, bars) in &symbols {
        let name: Vec<u8> = ticker.to_be_bytes().into_iter().filter(|byte| *byte != 0).collect();
        let key = format!("bars:1m:2025-10-15:{}", String::from_utf8_lossy(&name));
        write!(out, "*{}\r\n$4\r\nHSET\r\n${}\r\n{key}\r\n", 2 + 2 * bars.len(), key.len())?;
        for bar in bars {
            let minute = (bar.minute + OFFSET_MINUTES).rem_euclid(1_440);
            let value = format!(
                "{{\"timestamp\":{},\"open\":{},\"high\":{},\"low\":{},\"close\":{},\"volume\":{}}}",
                bar.minute * 60_000,
                decimal(bar.open),
                decimal(bar.high),
                decimal(bar.low),
                decimal(bar.close),
                bar.volume
            );
            write!(out, "$5\r\n{:02}:{:02}\r\n${}\r\n{value}\r\n", minute / 60, minute % 60, value.len())?;
        }
        write!(out, "*3\r\n$6\r\nEXPIRE\r\n${}\r\n{key}\r\n$4\r\n7200\r\n", key.len())?;
    }
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.write_all(&out)?;
    let (mut reader, mut line) = (BufReader::new(stream), String::new());
    for _ in 0..2 * symbols.len() {
        line.clear();
        reader.read_line(&mut line)?;
        if !line.starts_with(':') {
            return Err(line.into());
        }
    }
    Ok(())
}

fn decimal(raw: i64) -> String {
    let text = format!("{}.{:09}", raw / 1_000_000_000, raw % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
