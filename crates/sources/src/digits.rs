//! Whole numbers from their digits, eight at once in plain integers; a test compares that with the standard parser.

/// Reads a whole number of 1 to 19 digits.
#[inline]
pub(crate) fn whole(text: &[u8]) -> Option<u64> {
    let (Some(first), 8..=19) = (text.first_chunk::<8>(), text.len()) else {
        return few_digits(text);
    };
    // The digits before the whole words, moved behind as many zeros as make a word of them.
    let lead_bits = 8 * u32::try_from(text.len() % 8).unwrap_or(0);
    let mut value = 0;
    if lead_bits > 0 {
        let lead = u64::from_le_bytes(*first) << (64 - lead_bits) | ZEROS >> lead_bits;
        value = eight_digits(lead.to_le_bytes())?;
    }
    // Nineteen digits stay below 2^64, so nothing wraps.
    let (words, _) = text[text.len() % 8..].as_chunks::<8>();
    for &word in words {
        value = value
            .wrapping_mul(100_000_000)
            .wrapping_add(eight_digits(word)?);
    }
    Some(value)
}

/// Eight times the digit 0.
pub(crate) const ZEROS: u64 = 0x3030_3030_3030_3030;

fn few_digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 7 {
        return None;
    }
    text.iter().try_fold(0u64, |value, &byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then(|| value.wrapping_mul(10).wrapping_add(u64::from(digit)))
    })
}

/// Eight digits at once, by pairs, quads and halves.
#[expect(
    clippy::inline_always,
    reason = "only what is inside `simd::dispatch` is compiled for the newer processor"
)]
#[inline(always)]
pub(crate) fn eight_digits(word: [u8; 8]) -> Option<u64> {
    let word = u64::from_le_bytes(word);
    let high = word & 0xf0f0_f0f0_f0f0_f0f0;
    // Adding 6 carries out of the low half of a byte exactly when it is above 9.
    let carried = word.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0;
    if high != ZEROS || carried != high {
        return None;
    }
    let digits = word & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (digits.wrapping_mul(10) + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((quads.wrapping_mul(10_000) + (quads >> 32)) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::whole;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whole_number_equals_the_standard_parser(text in "[0-9]{0,21}|[ -~]{0,10}|[0-9]{3,8}[ -~][0-9]{3,8}") {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() < 20;
            prop_assert_eq!(whole(text.as_bytes()), text.parse().ok().filter(|_| plain));
        }
    }
}
