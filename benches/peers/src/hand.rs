//! A hand-written loop for one file layout: a structural index by AVX2, then the digits, nothing checked.

use crate::{COLUMNS, Fault, PRICE, SIZE, TICKER, TIME, bare::Bare};
use std::fs::File;
use std::io::Read;
use std::path::Path;

const BUFFER_LEN: usize = 1 << 20;

pub fn read(path: &Path) -> Result<Bare, Fault> {
    let mut file = File::open(path)?;
    let mut bytes = vec![0; BUFFER_LEN + 64];
    let (mut kept, mut ends, mut bare) = (0, Vec::new(), Bare::default());
    let mut is_first = true;
    loop {
        let read = file.read(&mut bytes[kept..BUFFER_LEN])?;
        if read == 0 {
            return Ok(bare);
        }
        let len = kept + read;
        ends.clear();
        index(&bytes[..len.next_multiple_of(64)], len, &mut ends);
        let mut start = 0;
        for row in ends.chunks_exact(COLUMNS) {
            let field = |column: usize| {
                let from = if column == 0 { start } else { row[column - 1] as usize + 1 };
                &bytes[from..row[column] as usize]
            };
            if !is_first {
                bare.add(field(TICKER), field(TIME), field(PRICE), field(SIZE));
            }
            is_first = false;
            start = row[COLUMNS - 1] as usize + 1;
        }
        bytes.copy_within(start..len, 0);
        kept = len - start;
    }
}

/// Appends the places of the commas and line ends outside quotes, below `len`.
fn index(bytes: &[u8], len: usize, ends: &mut Vec<u32>) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { index_avx2(bytes, len, ends) };
    }
    let mut quoted = false;
    for (place, byte) in bytes[..len].iter().enumerate() {
        quoted ^= *byte == b'"';
        if !quoted && matches!(byte, b',' | b'\n') {
            ends.push(place as u32);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn index_avx2(bytes: &[u8], len: usize, ends: &mut Vec<u32>) {
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8,
    };
    let (commas, lines, quotes) =
        (_mm256_set1_epi8(b',' as i8), _mm256_set1_epi8(b'\n' as i8), _mm256_set1_epi8(b'"' as i8));
    let mut carry = 0u64;
    for (block, chunk) in bytes.chunks_exact(64).enumerate() {
        let mut masks = [0u64; 3];
        for half in 0..2 {
            // SAFETY: a chunk has 64 bytes.
            let part = unsafe { _mm256_loadu_si256(chunk.as_ptr().add(32 * half).cast::<__m256i>()) };
            for (mask, wanted) in masks.iter_mut().zip([commas, lines, quotes]) {
                let equal = _mm256_movemask_epi8(_mm256_cmpeq_epi8(part, wanted)) as u32;
                *mask |= u64::from(equal) << (32 * half);
            }
        }
        let mut inside = masks[2];
        for shift in [1, 2, 4, 8, 16, 32] {
            inside ^= inside << shift;
        }
        inside ^= carry;
        carry = if inside >> 63 == 1 { u64::MAX } else { 0 };
        let mut found = (masks[0] | masks[1]) & !inside;
        let base = block * 64;
        if base + 64 > len {
            found &= (1u64 << (len - base)) - 1;
        }
        while found != 0 {
            ends.push((base as u32) + found.trailing_zeros());
            found &= found - 1;
        }
    }
}
