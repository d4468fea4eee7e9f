//! Which objects are meant to be recordings.

use iyagi_messages::object::ObjectKey;

/// File name endings that say "recording". What ends like this and is none is a dead letter, not somebody else's work.
/// Those of containers that hold video as often are left out.
const RECORDING_ENDINGS: [&str; 12] = [
    "m4a", "mp3", "ogg", "oga", "opus", "flac", "wav", "aif", "aiff", "caf", "aac", "amr",
];

/// Whether a key's ending says "recording".
pub fn claims_to_be_a_recording(key: &ObjectKey) -> bool {
    let ending = key.as_str().rsplit_once('.');
    let ending = ending.map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| RECORDING_ENDINGS.contains(&ending.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_of_sound_claim_to_be_recordings_and_others_do_not() {
        let claims = |key: &str| claims_to_be_a_recording(&ObjectKey::new(key).expect("valid"));
        assert!(claims("posts/1/한글.M4A") && claims("posts/1/a.opus"));
        assert!(!claims("posts/1/a.mp4") && !claims("posts/1/m4a") && !claims("posts/m4a/x.jpg"));
    }
}
