//! The mutator of the stable driver: havoc on bytes, tokens of the formats, and splices of two inputs.

use fastrand::Rng;

/// Bytes of the longest mutated input, except where a seed is longer.
const LEN_MAX: usize = 16 << 10;

/// Texts that decoders look for, and numbers at the edges of their types.
const TOKENS: [&[u8]; 56] = [
    b"0",
    b"-1",
    b"1",
    b"00",
    b"0.",
    b".5",
    b"1e9",
    b"1E-10",
    b"1e-9999",
    b"NaN",
    b"Infinity",
    b"null",
    b"true",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"18446744073.709551615",
    b"18446744073.709551616",
    b"123794003928.5380285",
    b"340282366920938463463374607431768211456",
    b"1760535000000000000",
    b"1760535000000",
    b"99999999999999999999",
    b"0.0000000001",
    b"1762820035.982277754",
    b",",
    b"\"",
    b"\"\"",
    b"\n",
    b"\r\n",
    b"\r",
    b"\t",
    b" ",
    b"\\",
    b"\\u0000",
    b"\\\"",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xc3\x28",
    b"\x00",
    b"{",
    b"}",
    b"[",
    b"]",
    b"{}",
    b"[]",
    b":",
    b"[[[[[[[[",
    b"{\"a\":",
    b"2025-11-02T01:30:00-05:00",
    b"2262-04-11T23:47:16.854775807Z",
    b"1969-12-31T23:59:59Z",
    b"\x1f\x8b\x08\x00",
    b"\x28\xb5\x2f\xfd",
    b"PK\x03\x04",
];

/// A new input out of `seed`; `other` lends its parts.
pub fn mutate(rng: &mut Rng, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..1 << rng.u32(0..5) {
        step(rng, &mut bytes, other);
    }
    bytes.truncate(LEN_MAX.max(seed.len()));
    bytes
}

fn step(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = rng.usize(..=bytes.len());
    match rng.u32(0..13) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.u32(0..8),
        1 if at < bytes.len() => bytes[at] = rng.u8(..),
        2 => bytes.insert(at, rng.u8(..)),
        3 => drop(bytes.drain(at..(at + rng.usize(1..=8)).min(bytes.len()))),
        4 => bytes.truncate(at),
        5 => replace(
            bytes,
            at..at,
            &TOKENS[rng.usize(..TOKENS.len())].repeat(rng.usize(1..=2)),
        ),
        6 => {
            let token = TOKENS[rng.usize(..TOKENS.len())];
            let word = word_at(bytes, at);
            replace(bytes, word, token);
        }
        7 => {
            let from = word_at(bytes, rng.usize(..=bytes.len()));
            let text = bytes[from].to_vec();
            let word = word_at(bytes, at);
            replace(bytes, word, &text);
        }
        8 => {
            let line = line_at(bytes, at);
            let text = bytes[line.clone()].repeat(rng.usize(1..=3));
            replace(bytes, line.end..line.end, &text);
        }
        9 => {
            let line = line_at(bytes, at);
            drop(bytes.drain(line));
        }
        10 if !other.is_empty() => {
            let from = rng.usize(..other.len());
            let to = rng.usize(from..=other.len());
            let end = (at + rng.usize(..=16)).min(bytes.len());
            replace(bytes, at..end, &other[from..to]);
        }
        11 => change_number(rng, bytes, at),
        _ => {
            let len = rng.usize(1..=64);
            let byte = if rng.bool() { b'9' } else { rng.u8(..) };
            replace(bytes, at..at, &vec![byte; len]);
        }
    }
}

fn replace(bytes: &mut Vec<u8>, range: std::ops::Range<usize>, text: &[u8]) {
    drop(bytes.splice(range, text.iter().copied()));
}

/// The word around a place: what stands between two marks.
fn word_at(bytes: &[u8], at: usize) -> std::ops::Range<usize> {
    let is_mark = |byte: &u8| {
        matches!(
            byte,
            b',' | b'"' | b':' | b'\n' | b'\r' | b'{' | b'}' | b'[' | b']' | b' ' | b'='
        )
    };
    let start = bytes[..at]
        .iter()
        .rposition(is_mark)
        .map_or(0, |mark| mark + 1);
    let end = bytes[at..]
        .iter()
        .position(is_mark)
        .map_or(bytes.len(), |mark| at + mark);
    start..end
}

fn line_at(bytes: &[u8], at: usize) -> std::ops::Range<usize> {
    let start = bytes[..at]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |mark| mark + 1);
    let end = bytes[at..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |mark| at + mark + 1);
    start..end
}

/// Moves a digit of a number, or its point.
fn change_number(rng: &mut Rng, bytes: &mut Vec<u8>, at: usize) {
    let word = word_at(bytes, at);
    if let Some(digit) = bytes[word.clone()].iter().position(u8::is_ascii_digit) {
        let place = word.start + digit;
        match rng.u32(0..4) {
            0 => bytes[place] = rng.u8(b'0'..=b'9'),
            1 => bytes.insert(place, rng.u8(b'0'..=b'9')),
            2 => bytes.insert(word.end, rng.u8(b'0'..=b'9')),
            _ => bytes.insert(rng.usize(place..=word.end), b'.'),
        }
    }
}
