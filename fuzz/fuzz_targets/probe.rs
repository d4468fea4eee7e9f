//! Headers of whatever kind: known or refused with a reason, and never a panic.
#![no_main]

use iyagi_media::heif::{Codec, Still};
use iyagi_media::{Limits, probe, sniff};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let format = sniff(bytes);
    match probe(bytes) {
        Ok(probe) => {
            let still = Still::read(bytes, &Limits::default());
            assert!(Codec::of(probe.format).is_some() || still.is_err());
            assert_eq!(probe.format, format);
            assert!(probe.pixels() > 0 && (1..=8).contains(&probe.orientation));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
