//! Numbers from digits, unchecked.

/// Places of a price after the point.
pub const PLACES: usize = 9;

pub fn whole(text: &[u8]) -> i64 {
    text.iter().fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'))
}

/// A price in units of 1e-9.
pub fn price(text: &[u8]) -> i64 {
    let (mut sum, mut places) = (0i64, None);
    for byte in text {
        match byte {
            b'.' => places = Some(0),
            digit => {
                sum = sum * 10 + i64::from(digit - b'0');
                places = places.map(|count: usize| count + 1);
            }
        }
    }
    sum * 10i64.pow((PLACES - places.unwrap_or(0)) as u32)
}
