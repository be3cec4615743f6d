//! CPU prefetch of memory that is needed soon.
//!
//! The tables of many symbols do not fit into the near caches, and one trade or bar after the other would wait for its
//! own. One of two files of the crate with `unsafe`: the instruction is only reached by an unsafe name, and does nothing
//! but fill a cache. On processors without it nothing happens.

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "measured: see the module's text")
)]

/// Bytes that come together.
const LINE_LEN: usize = 64;

/// Fetches the first `lines` lines of the cache that a value fills.
#[inline]
pub(in crate::engine) fn fetch<T>(value: &T, lines: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..lines {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let place = std::ptr::from_ref(value)
            .cast::<i8>()
            .wrapping_add(line * LINE_LEN);
        // SAFETY: a prefetch reads and writes nothing that a program could see, and no address makes it fail.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (value, lines, LINE_LEN);
}
