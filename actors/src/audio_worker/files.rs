//! What is derived from a recording: facts for its item, and files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iyagi_messages::media::{Audio, AudioFile, DERIVED_PREFIX};
use iyagi_messages::object::{ObjectKey, Sequencer};

use super::analysing::Analysed;
use crate::ports::{NewObject, PutOptions};

/// How long phones and caches may keep a derived file: its key changes with its content.
pub(super) const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// Part of every key. To be raised when the same bytes would give other files, or caches keep the old ones for a year.
const FILES_VERSION: u32 = 1;

/// What the files are called that are derived from every recording, in the order in which its facts list them.
pub const FILE_NAMES: [&str; 4] = [
    "waveform.json",
    "waveform.dat",
    "waveform.svg",
    "fingerprint.json",
];

/// The facts of a recording, without its renditions, and the files in the order in which the facts list them.
pub(super) fn derive(sequencer: &Sequencer, analysed: &Analysed) -> (Audio, Vec<NewObject>) {
    let Analysed {
        sha256,
        codec,
        bit_rate,
        analysis,
        ..
    } = analysed;
    let (recording, loudness) = (&analysis.recording, &analysis.loudness);
    let (waveform, fingerprint) = (&analysis.waveform, &analysis.fingerprint);
    let words = serde_json::to_vec(&fingerprint.words).expect("numbers are JSON");
    let made: [(&str, Vec<u8>); FILE_NAMES.len()] = [
        ("application/json", waveform.json().into()),
        ("application/octet-stream", waveform.dat()),
        ("image/svg+xml", waveform.svg().into()),
        ("application/json", words),
    ];
    let (files, objects) = FILE_NAMES
        .into_iter()
        .zip(made)
        .map(|(name, (content_type, bytes))| file(sha256, name, content_type, bytes))
        .unzip();
    let audio = Audio {
        sequencer: sequencer.clone(),
        duration_ms: recording.duration_ms,
        codec: codec.clone(),
        sample_rate_hz: recording.sample_rate_hz,
        channels: recording.channels,
        bit_rate: *bit_rate,
        title: recording.tags.title.clone(),
        location: recording.location,
        integrated_lufs: loudness.integrated_lufs.map(Into::into),
        range_lu: loudness.range_lu.into(),
        true_peak_dbtp: loudness.true_peak_dbtp.map(Into::into),
        clipped_percent: (loudness.clipped_ratio * 100.0).into(),
        near_silent: loudness.near_silent,
        silent_lead_ms: analysis.silence.lead_ms,
        silent_trail_ms: analysis.silence.trail_ms,
        gain_db: analysis.delivery.gain_db.into(),
        waveform: STANDARD.encode(waveform.summary()),
        fingerprint: fingerprint.hash().map(|hash| format!("{hash:08x}")),
        duplicate_of: None,
        files,
        renditions: Vec::new(),
        transcript: None,
    };
    (audio, objects)
}

/// Where a file is stored that is derived from bytes with this digest.
pub(super) fn derived_key(sha256: &str, name: &str) -> ObjectKey {
    let key = format!("{DERIVED_PREFIX}{}/{sha256}/{name}", &sha256[..2]);
    ObjectKey::new(key).expect("a digest and a plain name make a valid key")
}

/// Where the fingerprint is stored of recordings with this digest.
pub(super) fn fingerprint_key(sha256: &str) -> ObjectKey {
    file_key(sha256, "fingerprint.json")
}

fn file_key(sha256: &str, name: &str) -> ObjectKey {
    let (stem, ending) = name.split_once('.').expect("every name has an ending");
    derived_key(sha256, &format!("{stem}-{FILES_VERSION}.{ending}"))
}

fn file(sha256: &str, name: &str, content_type: &str, bytes: Vec<u8>) -> (AudioFile, NewObject) {
    let key = file_key(sha256, name);
    let described = AudioFile {
        name: name.to_owned(),
        content_type: content_type.to_owned(),
        key: key.clone(),
        size: bytes.len() as u64,
    };
    let options = PutOptions {
        content_type: Some(content_type.to_owned()),
        cache_control: Some(CACHE_CONTROL.to_owned()),
        ..PutOptions::default()
    };
    let object = NewObject {
        key,
        bytes,
        options,
    };
    (described, object)
}
