//! Which bytes of a chunk equal a wanted one, as bits.
//!
//! The one file of the crate with `unsafe`. Every x86-64 has SSE2, but calling its instructions by name is
//! `unsafe` in Rust: 6 instructions for 16 bytes, where the portable form takes 13 (`rustc -O`, counted in the
//! assembly). The portable form beside it is what other machines run and what the test compares with.

#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "measured: see the module's text"))]

/// Bytes looked at together.
pub(super) const CHUNK_LEN: usize = 64;

/// One bit per byte that equals `wanted`, the first byte lowest.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn mask(chunk: &[u8; CHUNK_LEN], wanted: u8) -> u64 {
    // SAFETY: the function needs SSE2 and nothing else, and every x86-64 processor has it.
    unsafe { sse2::mask(chunk, wanted) }
}

/// One bit per byte that equals `wanted`, the first byte lowest.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(super) fn mask(chunk: &[u8; CHUNK_LEN], wanted: u8) -> u64 {
    portable(chunk, wanted)
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use super::CHUNK_LEN;
    use std::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn mask(chunk: &[u8; CHUNK_LEN], wanted: u8) -> u64 {
        let wanted = _mm_set1_epi8(wanted.cast_signed());
        let (lanes, _) = chunk.as_chunks::<16>();
        let mut bits = 0;
        // No closures: the compiler does not take them into a function with a feature of its own.
        for (lane, bytes) in lanes.iter().enumerate() {
            let equal = _mm_movemask_epi8(_mm_cmpeq_epi8(load(bytes), wanted));
            bits |= u64::from(equal.cast_unsigned()) << (16 * lane);
        }
        bits
    }

    /// One load; the two halves exist only in the source.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(bytes: &[u8; 16]) -> __m128i {
        let (halves, _) = bytes.as_chunks::<8>();
        _mm_set_epi64x(i64::from_le_bytes(halves[1]), i64::from_le_bytes(halves[0]))
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn portable(chunk: &[u8; CHUNK_LEN], wanted: u8) -> u64 {
    // The comparison becomes vector instructions; the multiplication gathers one bit of each byte.
    let mut equal = [0u8; CHUNK_LEN];
    for (flag, &byte) in equal.iter_mut().zip(chunk) {
        *flag = if byte == wanted { 0xff } else { 0 };
    }
    let (words, _) = equal.as_chunks::<8>();
    words.iter().rev().fold(0, |bits, &word| {
        let gathered = (u64::from_le_bytes(word) & 0x8040_2010_0804_0201).wrapping_mul(0x0101_0101_0101_0101);
        bits << 8 | gathered >> 56
    })
}

/// Bit n of the result is the parity of bits 0 to n.
#[inline]
pub(super) fn running_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::{mask, portable, running_xor};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_form_tells_each_byte(bytes in proptest::collection::vec(0u8..4, 64), wanted in 0u8..4) {
            let chunk: [u8; 64] = bytes.try_into().unwrap();
            let plain = (0..64).filter(|&at| chunk[at] == wanted).fold(0, |bits, at| bits | 1u64 << at);
            prop_assert_eq!(mask(&chunk, wanted), plain);
            prop_assert_eq!(portable(&chunk, wanted), plain);
        }

        #[test]
        fn running_xor_is_the_parity_so_far(bits in any::<u64>()) {
            let parity = |at: u32| u64::from((bits << (63 - at)).count_ones() % 2) << at;
            prop_assert_eq!(running_xor(bits), (0..64).fold(0, |all, at| all | parity(at)));
        }
    }
}
