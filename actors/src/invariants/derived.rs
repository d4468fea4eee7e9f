//! What is derived from a recording is a function of its bytes: it is claimed before it is listed, for the same write and
//! under the digest of its bytes, and an analysis lists the whole of it.

use std::collections::{BTreeMap, BTreeSet};

use iyagi_messages::fact::{AudioAnalysed, DerivedClaimed, Fact, RenditionMade};
use iyagi_messages::media::DERIVED_PREFIX;
use iyagi_messages::object::{ObjectKey, Sequencer};

use crate::audio_worker::FILE_NAMES;

/// What is derived from which write, as far as the journal says.
#[derive(Default)]
pub(super) struct Derived {
    claimed: BTreeMap<(ObjectKey, Sequencer), BTreeSet<ObjectKey>>,
    recordings: BTreeSet<ObjectKey>,
    settled: BTreeSet<ObjectKey>,
}

impl Derived {
    /// Takes in the next fact, and yields what must not be about it.
    pub(super) fn fact(&mut self, fact: &Fact) -> Option<String> {
        match fact {
            Fact::DerivedClaimed(claimed) => self.claim(claimed),
            Fact::AudioAnalysed(analysed) => {
                self.settled.insert(analysed.key.clone());
                self.analysed(analysed)
            }
            Fact::AudioRefused(refused) => {
                self.settled.insert(refused.key.clone());
                None
            }
            Fact::RenditionMade(made) => self.made(made),
            Fact::MetadataRecorded(recorded) if recorded.content_type.starts_with("audio/") => {
                self.recordings.insert(recorded.key.clone());
                None
            }
            Fact::MetadataRemoved(removed) => {
                self.recordings.remove(&removed.key);
                None
            }
            _ => None,
        }
    }

    /// Recordings below these prefixes that are neither analysed nor refused.
    pub(super) fn recordings_without_outcome(&self, prefixes: &[&str]) -> Vec<ObjectKey> {
        let below = |key: &&ObjectKey| prefixes.iter().any(|one| key.as_str().starts_with(one));
        let open = self.recordings.difference(&self.settled).filter(below);
        open.cloned().collect()
    }

    fn claim(&mut self, claim: &DerivedClaimed) -> Option<String> {
        let DerivedClaimed {
            key,
            sequencer,
            sha256,
            files,
            ..
        } = claim;
        let write = (key.clone(), sequencer.clone());
        let held = self.claimed.entry(write).or_default();
        held.extend(files.iter().cloned());
        let shelf = sha256.get(..2).unwrap_or_default();
        let folder = format!("{DERIVED_PREFIX}{shelf}/{sha256}/");
        let stray = files
            .iter()
            .find(|file| !file.as_str().starts_with(&folder));
        stray.map(|stray| format!("{key} claims {stray}, which is not of its bytes"))
    }

    fn analysed(&self, analysed: &AudioAnalysed) -> Option<String> {
        let AudioAnalysed {
            key,
            sequencer,
            files,
            ..
        } = analysed;
        if !files.iter().map(|file| &*file.name).eq(FILE_NAMES) {
            return Some(format!(
                "{key} is analysed, but its files are not all there"
            ));
        }
        let unclaimed = files
            .iter()
            .find(|file| !self.is_claimed(key, sequencer, &file.key));
        unclaimed.map(|file| format!("{key} has {}, which it never claimed", file.key))
    }

    fn made(&self, made: &RenditionMade) -> Option<String> {
        let RenditionMade {
            key,
            sequencer,
            file,
            ..
        } = made;
        (!self.is_claimed(key, sequencer, &file.key))
            .then(|| format!("{key} has {}, which it never claimed", file.key))
    }

    fn is_claimed(&self, key: &ObjectKey, sequencer: &Sequencer, file: &ObjectKey) -> bool {
        let write = (key.clone(), sequencer.clone());
        let held = self.claimed.get(&write);
        held.is_some_and(|held| held.contains(file))
    }
}

#[cfg(test)]
mod tests {
    use iyagi_messages::fact::MetadataRecorded;
    use iyagi_messages::media::{AudioFile, RenditionFile, Sketch};

    use super::*;

    fn key(text: &str) -> ObjectKey {
        ObjectKey::new(text).expect("valid")
    }

    fn derived(name: &str) -> ObjectKey {
        key(&format!("derived/ab/abc/{name}"))
    }

    fn claim(number: &str, files: Vec<ObjectKey>) -> Fact {
        let claim = DerivedClaimed {
            key: key("posts/1/a.m4a"),
            sequencer: Sequencer(number.to_owned()),
            sha256: "abc".to_owned(),
            files,
            sketch: Sketch::default(),
        };
        claim.into()
    }

    fn analysed(number: &str, names: &[&str]) -> Fact {
        let files = names.iter().map(|name| AudioFile {
            name: (*name).to_owned(),
            content_type: String::new(),
            key: derived(name),
            size: 1,
        });
        let analysed = AudioAnalysed {
            key: key("posts/1/a.m4a"),
            sequencer: Sequencer(number.to_owned()),
            duration_ms: 1,
            codec: "opus".to_owned(),
            integrated_lufs: None,
            files: files.collect(),
            duplicate_of: None,
        };
        analysed.into()
    }

    fn made(number: &str) -> Fact {
        let made = RenditionMade {
            key: key("posts/1/a.m4a"),
            sequencer: Sequencer(number.to_owned()),
            name: "opus-32k".to_owned(),
            file: RenditionFile {
                key: derived("rendition"),
                size: 1,
                duration_ms: 1,
                bit_rate: 1,
                integrated_lufs: None,
                true_peak_dbtp: None,
            },
        };
        made.into()
    }

    fn whole() -> Vec<ObjectKey> {
        let names = FILE_NAMES.into_iter().chain(["rendition"]);
        names.map(derived).collect()
    }

    /// What is wrong, if anything is.
    fn said(facts: &[Fact]) -> Vec<String> {
        let mut sets = Derived::default();
        facts.iter().filter_map(|fact| sets.fact(fact)).collect()
    }

    #[test]
    fn what_was_claimed_for_the_same_write_may_be_listed() {
        let facts = [claim("1", whole()), analysed("1", &FILE_NAMES), made("1")];
        assert_eq!(said(&facts), [""; 0]);
    }

    #[test]
    fn what_was_never_claimed_or_for_another_write_may_not() {
        let facts = [claim("1", whole()), analysed("2", &FILE_NAMES), made("2")];
        let said = said(&facts);
        assert_eq!(said.len(), 2);
        let unclaimed = |text: &String| text.contains("never claimed");
        assert!(said.iter().all(unclaimed), "{said:?}");
    }

    #[test]
    fn an_analysis_lists_every_file_and_a_claim_names_none_of_other_bytes() {
        let facts = [claim("1", whole()), analysed("1", &FILE_NAMES[..3])];
        assert!(said(&facts)[0].contains("not all there"));
        let stray = [claim("1", vec![key("derived/cd/cde/waveform")])];
        assert!(said(&stray)[0].contains("not of its bytes"));
    }

    #[test]
    fn a_recording_is_open_until_it_is_analysed_or_gone() {
        let mut sets = Derived::default();
        let recorded = MetadataRecorded {
            key: key("posts/1/a.m4a"),
            sequencer: Sequencer("1".to_owned()),
            content_type: "audio/mp4".to_owned(),
            size: 1,
            sha256: None,
        };
        sets.fact(&recorded.into());
        assert_eq!(sets.recordings_without_outcome(&["posts/"]).len(), 1);
        assert_eq!(sets.recordings_without_outcome(&["profile/"]).len(), 0);
        sets.fact(&claim("1", whole()));
        sets.fact(&analysed("1", &FILE_NAMES));
        assert_eq!(sets.recordings_without_outcome(&["posts/"]).len(), 0);
    }
}
