#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = mtc_fuzz_entry::trusted_set(data);
});
