#![no_main]

libfuzzer_sys::fuzz_target!(
    |data: &[u8]| (barmill_fuzz::targets::named("file_binance_csv").run)(data)
);
