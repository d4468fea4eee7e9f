//! Recordings that are not in memory: read from place to place, a little at a time.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use iyagi_media::audio::{Analysis, AudioError, AudioLimits, analyse_sound};

use crate::sample::{GAPPED, MADE, measured, noise, wav};

/// A file on a slow disk, which yields few bytes at a time, or fails behind some.
struct Disk<'a> {
    bytes: Cursor<&'a [u8]>,
    at_once_max: usize,
    /// The most that was ever asked for at once.
    asked_max: usize,
    /// Bytes that it yields before it fails.
    sound_bytes: u64,
}

impl<'a> Disk<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes: Cursor::new(bytes),
            at_once_max: usize::MAX,
            asked_max: 0,
            sound_bytes: u64::MAX,
        }
    }
}

impl Read for Disk<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.asked_max = self.asked_max.max(into.len());
        let length = into.len().min(self.at_once_max);
        let read = self.bytes.read(&mut into[..length])?;
        let left = self.sound_bytes.checked_sub(read as u64);
        self.sound_bytes = left.ok_or_else(|| io::Error::other("a bad sector"))?;
        Ok(read)
    }
}

impl Seek for Disk<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

fn analysed(disk: &mut Disk<'_>) -> Result<Analysis, AudioError> {
    analyse_sound(disk, &AudioLimits::default(), &|| false)
}

#[test]
fn a_file_that_comes_in_crumbs_is_measured_as_one_in_memory() {
    for made in MADE.iter().chain(GAPPED) {
        for end in [made.bytes.len(), made.bytes.len() / 2] {
            let bytes = &made.bytes[..end];
            let mut disk = Disk::new(bytes);
            disk.at_once_max = 7;
            assert_eq!(analysed(&mut disk), measured(bytes), "{}", made.name);
        }
    }
}

#[test]
fn a_long_file_is_never_asked_for_as_a_whole() {
    /// What buffers take.
    const AT_ONCE_MAX: usize = 64 << 10;
    let bytes = wav(8_000, 1, noise(1, 8_000 * 60 * 10));
    let mut disk = Disk::new(&bytes);
    let analysis = analysed(&mut disk).unwrap();
    assert_eq!(analysis.recording.duration_ms, 600_000);
    assert!(disk.asked_max <= AT_ONCE_MAX, "{} bytes", disk.asked_max);
}

#[test]
fn a_disk_that_fails_is_no_fault_of_the_recording() {
    for made in MADE.iter().chain(GAPPED) {
        for sound_bytes in [0, 600, made.bytes.len() as u64 / 2] {
            let mut disk = Disk::new(made.bytes);
            disk.sound_bytes = sound_bytes;
            let error = analysed(&mut disk).unwrap_err();
            assert_eq!(error, AudioError::Unreadable("a bad sector".to_owned()));
            assert!(!error.deterministic(), "{}", made.name);
        }
    }
}
