//! SIMD: a bit mask of the bytes of a chunk that equal a given one.
//!
//! One of two files of the crate with `unsafe`. Every x86-64 has SSE2, but calling its instructions by name is
//! `unsafe` in Rust: 6 instructions for 16 bytes, where the portable form takes 13 (`rustc -O`, counted in the
//! assembly). The portable form beside it is what other machines run and what the test compares with.
//!
//! [`dispatch`] runs the same source once more compiled for newer processors, where one is found: their bit
//! instructions (find, count and clear the lowest one) are a fifth of what a row takes. What they do in another way
//! than the plain form is behind [`Simd`].

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "measured: see the module's text")
)]

/// Bytes looked at together.
pub(crate) const CHUNK_LEN: usize = 64;

/// One bit per byte that equals `wanted`, the first byte lowest.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn mask(chunk: &[u8; CHUNK_LEN], wanted: u8) -> u64 {
    // SAFETY: the function needs SSE2 and nothing else, and every x86-64 processor has it.
    unsafe { sse2::mask(chunk, wanted) }
}

/// One bit per byte that equals `wanted`, the first byte lowest.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn mask(chunk: &[u8; CHUNK_LEN], wanted: u8) -> u64 {
    portable(chunk, wanted)
}

/// Numbers read together.
pub(crate) const NUMBERS: usize = 8;
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// Where a chunk has the bytes that matter to lines of fields; one bit per byte, the first byte lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) commas: u64,
    pub(crate) lines: u64,
    pub(crate) quotes: u64,
}

/// What a processor does with several bytes or numbers at once; every form gives the same.
pub(crate) trait Simd: Copy {
    /// Finds commas, ends of lines and quotes.
    fn marks(self, chunk: &[u8; CHUNK_LEN]) -> Marks;

    /// Bit n of the result is the parity of bits 0 to n.
    fn running_xor(self, bits: u64) -> u64;

    /// The whole numbers that end with these 8 bytes each, by their lengths in bytes, 0 to 8, where one of none is
    /// zero. `None` unless all their bytes are digits.
    fn numbers(self, words: &[u64; NUMBERS], lens: &[u32; NUMBERS]) -> Option<[u32; NUMBERS]>;
}

/// The form that every machine runs.
pub(crate) const SCALAR: Scalar = Scalar;

/// See [`SCALAR`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalar;

impl Simd for Scalar {
    #[inline]
    fn marks(self, chunk: &[u8; CHUNK_LEN]) -> Marks {
        Marks {
            commas: mask(chunk, b','),
            lines: mask(chunk, b'\n'),
            quotes: mask(chunk, b'"'),
        }
    }

    #[inline]
    fn running_xor(self, bits: u64) -> u64 {
        running_xor(bits)
    }

    fn numbers(self, words: &[u64; NUMBERS], lens: &[u32; NUMBERS]) -> Option<[u32; NUMBERS]> {
        portable_numbers(words, lens)
    }
}

/// By pairs, quads and halves, in all lanes of a number at once.
fn portable_numbers(words: &[u64; NUMBERS], lens: &[u32; NUMBERS]) -> Option<[u32; NUMBERS]> {
    let (mut values, mut wrong) = ([0; NUMBERS], 0);
    for ((value, word), len) in values.iter_mut().zip(words).zip(lens) {
        let kept = u64::MAX.checked_shl(64 - 8 * len).unwrap_or(0);
        let word = word & kept | ZEROS & !kept;
        let digits = word & 0x0f0f_0f0f_0f0f_0f0f;
        // Adding 6 carries out of the low half of a byte exactly when it is above 9.
        wrong |=
            (word ^ ZEROS | digits.wrapping_add(0x0606_0606_0606_0606)) & 0xf0f0_f0f0_f0f0_f0f0;
        let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
        let quads = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
        // Below 10^8.
        *value = u32::try_from((quads & 0xffff) * 10_000 + (quads >> 32)).unwrap_or(0);
    }
    if wrong == 0 { Some(values) } else { None }
}

/// Work that gains from the instructions of newer processors.
pub(crate) trait Work {
    /// What it gives.
    type Output;

    /// Works. Only what the compiler puts inside is compiled for the newer processor, so it is marked for that.
    fn work<S: Simd>(self, simd: S) -> Self::Output;
}

/// Works in the best form that this processor runs; all give the same.
#[inline]
pub(crate) fn dispatch<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(newer) = Avx2::of_this_processor() {
        // SAFETY: the processor was asked for each of the features before there was a `Avx2`.
        return unsafe { on_avx2(work, newer) };
    }
    work.work(SCALAR)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,pclmulqdq")]
fn on_avx2<W: Work>(work: W, newer: Avx2) -> W::Output {
    work.work(newer)
}

/// Proof that the processor has AVX2 and the bit instructions that come with it: there is none without.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    #[inline]
    fn of_this_processor() -> Option<Avx2> {
        let has_all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("pclmulqdq");
        if has_all { Some(Avx2(())) } else { None }
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(
    clippy::inline_always,
    reason = "else they are calls in the middle of a loop that is compiled for them"
)]
impl Simd for Avx2 {
    #[inline(always)]
    fn marks(self, chunk: &[u8; CHUNK_LEN]) -> Marks {
        // SAFETY: the function needs AVX2 and nothing else, which the processor has, or there were no `Avx2`.
        unsafe { avx2::marks(chunk) }
    }

    #[inline(always)]
    fn running_xor(self, bits: u64) -> u64 {
        // SAFETY: as above, of the multiplication without carries.
        unsafe { avx2::running_xor(bits) }
    }

    #[inline(always)]
    fn numbers(self, words: &[u64; NUMBERS], lens: &[u32; NUMBERS]) -> Option<[u32; NUMBERS]> {
        // SAFETY: as above.
        unsafe { avx2::numbers(words, lens) }
    }
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use super::CHUNK_LEN;
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8,
    };

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(crate) fn mask(chunk: &[u8; CHUNK_LEN], wanted: u8) -> u64 {
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

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{CHUNK_LEN, Marks, NUMBERS};
    use std::arch::x86_64::{
        __m256i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi64x,
        _mm256_and_si256, _mm256_andnot_si256, _mm256_cmpeq_epi8, _mm256_extract_epi32,
        _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_max_epu8, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_packus_epi32, _mm256_set_epi64x, _mm256_set1_epi8,
        _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_sllv_epi64,
        _mm256_sub_epi8, _mm256_sub_epi64,
    };

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn marks(chunk: &[u8; CHUNK_LEN]) -> Marks {
        let (words, _) = chunk.as_chunks::<8>();
        let (first, second) = (load(words, 0), load(words, 4));
        Marks {
            commas: equal(first, second, b','),
            lines: equal(first, second, b'\n'),
            quotes: equal(first, second, b'"'),
        }
    }

    /// A product without carries by all ones adds to each bit those below it.
    #[inline]
    #[target_feature(enable = "avx2,pclmulqdq")]
    pub(crate) fn running_xor(bits: u64) -> u64 {
        let product =
            _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, bits.cast_signed()), _mm_set1_epi64x(-1));
        _mm_cvtsi128_si64(product).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn equal(first: __m256i, second: __m256i, wanted: u8) -> u64 {
        let wanted = _mm256_set1_epi8(wanted.cast_signed());
        let low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(first, wanted)).cast_unsigned();
        let high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(second, wanted)).cast_unsigned();
        u64::from(low) | u64::from(high) << 32
    }

    /// One load; the four chunks exist only in the source.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(words: &[[u8; 8]], at: usize) -> __m256i {
        let [a, b, c, d] =
            [words[at], words[at + 1], words[at + 2], words[at + 3]].map(i64::from_le_bytes);
        _mm256_set_epi64x(d, c, b, a)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn numbers(words: &[u64; NUMBERS], lens: &[u32; NUMBERS]) -> Option<[u32; NUMBERS]> {
        let (first, second) = (digits(words, lens, 0), digits(words, lens, 4));
        let nine = _mm256_set1_epi8(9);
        // As numbers without a sign, everything that is no digit is above nine.
        let above = _mm256_max_epu8(_mm256_max_epu8(first, second), nine);
        if _mm256_movemask_epi8(_mm256_cmpeq_epi8(above, nine)) != -1 {
            return None;
        }
        let (first, second) = (quads(first), quads(second));
        let halves = _mm256_set1_epi32(0x0001_2710);
        // Packing takes two numbers of each in turn.
        let all = _mm256_madd_epi16(_mm256_packus_epi32(first, second), halves);
        Some([
            _mm256_extract_epi32::<0>(all).cast_unsigned(),
            _mm256_extract_epi32::<1>(all).cast_unsigned(),
            _mm256_extract_epi32::<4>(all).cast_unsigned(),
            _mm256_extract_epi32::<5>(all).cast_unsigned(),
            _mm256_extract_epi32::<2>(all).cast_unsigned(),
            _mm256_extract_epi32::<3>(all).cast_unsigned(),
            _mm256_extract_epi32::<6>(all).cast_unsigned(),
            _mm256_extract_epi32::<7>(all).cast_unsigned(),
        ])
    }

    /// The digits of four numbers, zeros in front of them.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn digits(words: &[u64; NUMBERS], lens: &[u32; NUMBERS], at: usize) -> __m256i {
        let zeros = _mm256_set1_epi8(b'0'.cast_signed());
        let [a, b, c, d] = [lens[at], lens[at + 1], lens[at + 2], lens[at + 3]].map(i64::from);
        let bits = _mm256_set_epi64x(8 * d, 8 * c, 8 * b, 8 * a);
        // A shift by all 64 bits leaves nothing.
        let kept = _mm256_sllv_epi64(
            _mm256_set1_epi64x(-1),
            _mm256_sub_epi64(_mm256_set1_epi64x(64), bits),
        );
        let [a, b, c, d] =
            [words[at], words[at + 1], words[at + 2], words[at + 3]].map(u64::cast_signed);
        let text = _mm256_and_si256(kept, _mm256_set_epi64x(d, c, b, a));
        _mm256_sub_epi8(
            _mm256_or_si256(text, _mm256_andnot_si256(kept, zeros)),
            zeros,
        )
    }

    /// Two numbers of four digits for each of eight.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn quads(digits: __m256i) -> __m256i {
        let pairs = _mm256_maddubs_epi16(digits, _mm256_set1_epi16(0x010a));
        _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x0001_0064))
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
        let gathered =
            (u64::from_le_bytes(word) & 0x8040_2010_0804_0201).wrapping_mul(0x0101_0101_0101_0101);
        bits << 8 | gathered >> 56
    })
}

/// Bit n of the result is the parity of bits 0 to n.
#[inline]
pub(crate) fn running_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "x86_64")]
    use super::Avx2;
    use super::{CHUNK_LEN, Marks, NUMBERS, SCALAR, Simd, mask, portable};
    use proptest::prelude::*;

    /// What every form gives that this processor runs, and whether they agree.
    fn each<T: PartialEq + std::fmt::Debug>(plain: T, newer: impl FnOnce() -> Option<T>) -> T {
        if let Some(other) = newer() {
            assert_eq!(plain, other);
        }
        plain
    }

    fn marks(chunk: &[u8; CHUNK_LEN]) -> Marks {
        #[cfg(target_arch = "x86_64")]
        return each(SCALAR.marks(chunk), || {
            Avx2::of_this_processor().map(|newer| newer.marks(chunk))
        });
        #[cfg(not(target_arch = "x86_64"))]
        SCALAR.marks(chunk)
    }

    fn running_xor(bits: u64) -> u64 {
        #[cfg(target_arch = "x86_64")]
        return each(SCALAR.running_xor(bits), || {
            Avx2::of_this_processor().map(|newer| newer.running_xor(bits))
        });
        #[cfg(not(target_arch = "x86_64"))]
        SCALAR.running_xor(bits)
    }

    fn numbers(words: &[u64; NUMBERS], lens: &[u32; NUMBERS]) -> Option<[u32; NUMBERS]> {
        #[cfg(target_arch = "x86_64")]
        return each(SCALAR.numbers(words, lens), || {
            Avx2::of_this_processor().map(|newer| newer.numbers(words, lens))
        });
        #[cfg(not(target_arch = "x86_64"))]
        SCALAR.numbers(words, lens)
    }

    proptest! {
        #[test]
        fn every_form_tells_each_byte(bytes in proptest::collection::vec(prop::sample::select(b"a,\n\"".to_vec()), 64)) {
            let chunk: [u8; 64] = bytes.try_into().unwrap();
            let plain = |wanted| (0..64).filter(|&at| chunk[at] == wanted).fold(0, |bits, at| bits | 1u64 << at);
            let marks = marks(&chunk);
            prop_assert_eq!([marks.commas, marks.lines, marks.quotes], [plain(b','), plain(b'\n'), plain(b'"')]);
            for wanted in *b"a,\n\"b" {
                prop_assert_eq!(mask(&chunk, wanted), plain(wanted));
                prop_assert_eq!(portable(&chunk, wanted), plain(wanted));
            }
        }

        #[test]
        fn every_form_reads_each_number(
            texts in proptest::collection::vec("[0-9]{0,8}|[0-9]{0,3}[ -~][0-9]{0,4}", 8),
            front in any::<u8>(),
        ) {
            let word = |text: &String| {
                let mut bytes = [front; 8];
                bytes[8 - text.len()..].copy_from_slice(text.as_bytes());
                u64::from_le_bytes(bytes)
            };
            let words: Vec<u64> = texts.iter().map(word).collect();
            let lens: Vec<u32> = texts.iter().map(|text| u32::try_from(text.len()).unwrap()).collect();
            let (words, lens) = (words.try_into().unwrap(), lens.try_into().unwrap());
            let is_digits = |text: &String| text.bytes().all(|byte| byte.is_ascii_digit());
            let value = |text: &String| is_digits(text).then(|| format!("0{text}").parse().unwrap());
            let plain: Option<Vec<u32>> = texts.iter().map(value).collect();
            prop_assert_eq!(numbers(&words, &lens).map(Vec::from), plain);
        }

        #[test]
        fn running_xor_is_the_parity_so_far(bits in any::<u64>()) {
            let parity = |at: u32| u64::from((bits << (63 - at)).count_ones() % 2) << at;
            prop_assert_eq!(running_xor(bits), (0..64).fold(0, |all, at| all | parity(at)));
        }
    }
}
