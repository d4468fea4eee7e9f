//! The renditions that a recording is to have, and what each stored one says of itself.
//!
//! A derived file carries its facts as metadata, so that another recording of the same bytes, or the same one after a
//! crash, uses it as it is: encoding is the dearest work that there is.

use std::collections::BTreeMap;

use iyagi_media::audio::{Rendition, RenditionFacts};
use iyagi_messages::media::{self, Hundredths, RenditionFile, RenditionState};
use iyagi_messages::object::ObjectKey;

use super::files::{CACHE_CONTROL, derived_key};
use crate::ports::{ObjectInfo, PutOptions};

const DURATION_MS: &str = "iyagi-duration-ms";
const BIT_RATE: &str = "iyagi-bit-rate";
const LOUDNESS: &str = "iyagi-lufs";
const TRUE_PEAK: &str = "iyagi-dbtp";

/// One rendition that a recording is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) rendition: Rendition,
    pub(super) key: ObjectKey,
}

/// All of them, in the order in which they are configured.
pub(super) fn wanted(sha256: &str, renditions: &[Rendition]) -> Vec<Wanted> {
    let each = renditions.iter().map(|rendition| Wanted {
        rendition: *rendition,
        key: rendition_key(sha256, *rendition),
    });
    each.collect()
}

/// Where a rendition is stored of a recording with these bytes. One that is made in another way has another key.
pub fn rendition_key(sha256: &str, rendition: Rendition) -> ObjectKey {
    let (name, digest, ending) = (rendition.name(), rendition.digest(), rendition.ending());
    derived_key(sha256, &format!("rendition-{name}-{digest}.{ending}"))
}

/// All of them, as if none was made yet.
pub(super) fn pending(wanted: &[Wanted]) -> Vec<media::Rendition> {
    let each = wanted.iter();
    each.map(|one| one.in_state(RenditionState::Pending))
        .collect()
}

impl Wanted {
    /// Whether it was made as it would be made now, or cannot be, as an item tells.
    pub(super) fn settled(&self, renditions: &[media::Rendition]) -> bool {
        let mine = |one: &&media::Rendition| one.name == self.rendition.name();
        let state = renditions.iter().find(mine).map(|one| &one.state);
        match state {
            Some(RenditionState::Made(file)) => file.key == self.key,
            Some(RenditionState::Failed { .. }) => true,
            Some(RenditionState::Pending) | None => false,
        }
    }

    /// The rendition as readers see it.
    pub(super) fn in_state(&self, state: RenditionState) -> media::Rendition {
        media::Rendition {
            name: self.rendition.name().to_owned(),
            content_type: self.rendition.content_type().to_owned(),
            state,
        }
    }

    /// The file that was made.
    pub(super) fn file(&self, facts: &RenditionFacts, size: u64) -> RenditionFile {
        RenditionFile {
            key: self.key.clone(),
            size,
            duration_ms: facts.duration_ms,
            bit_rate: facts.bit_rate,
            integrated_lufs: facts.integrated_lufs.map(Into::into),
            true_peak_dbtp: facts.true_peak_dbtp.map(Into::into),
        }
    }

    /// What is stored beside its bytes.
    pub(super) fn options(&self, file: &RenditionFile) -> PutOptions {
        let mut metadata = BTreeMap::from([
            (DURATION_MS.to_owned(), file.duration_ms.to_string()),
            (BIT_RATE.to_owned(), file.bit_rate.to_string()),
        ]);
        let levels = [
            (LOUDNESS, file.integrated_lufs),
            (TRUE_PEAK, file.true_peak_dbtp),
        ];
        for (name, level) in levels {
            let level = level.map(|level| f64::from(level).to_string());
            metadata.extend(level.map(|level| (name.to_owned(), level)));
        }
        PutOptions {
            content_type: Some(self.rendition.content_type().to_owned()),
            cache_control: Some(CACHE_CONTROL.to_owned()),
            metadata,
        }
    }

    /// What a stored file says of itself; nothing if it does not speak.
    pub(super) fn read(&self, info: &ObjectInfo) -> Option<RenditionFile> {
        let said = |name| info.options.metadata.get(name);
        let level = |name| -> Option<Hundredths> {
            let level: f64 = said(name)?.parse().ok()?;
            Some(level.into())
        };
        Some(RenditionFile {
            key: self.key.clone(),
            size: info.size,
            duration_ms: said(DURATION_MS)?.parse().ok()?,
            bit_rate: said(BIT_RATE)?.parse().ok()?,
            integrated_lufs: level(LOUDNESS),
            true_peak_dbtp: level(TRUE_PEAK),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_of_itself_is_what_was_known_when_it_was_stored() {
        let wanted = &wanted(&"ab".repeat(32), &Rendition::ALL)[0];
        for level in [Some(-16.02), None] {
            let facts = RenditionFacts {
                duration_ms: 6_687,
                bit_rate: 31_950,
                integrated_lufs: level,
                true_peak_dbtp: level,
            };
            let file = wanted.file(&facts, 7);
            let mut info = ObjectInfo {
                key: wanted.key.clone(),
                size: 7,
                etag: String::new(),
                version_id: None,
                sequencer: None,
                options: wanted.options(&file),
                sha256: None,
            };
            assert_eq!(wanted.read(&info), Some(file));
            info.options.metadata.clear();
            assert_eq!(wanted.read(&info), None);
        }
    }

    #[test]
    fn a_rendition_that_is_listed_is_settled_once_it_is_made_as_it_would_be_now_or_cannot_be() {
        let wanted = &wanted(&"ab".repeat(32), &Rendition::ALL)[0];
        let file = |key: &ObjectKey| RenditionFile {
            key: key.clone(),
            size: 7,
            duration_ms: 1,
            bit_rate: 1,
            integrated_lufs: None,
            true_peak_dbtp: None,
        };
        let earlier = derived_key(&"ab".repeat(32), "rendition-2-opus-32k.opus");
        let failed = RenditionState::Failed {
            reason: "refused".to_owned(),
            detail: String::new(),
        };
        for (state, settled) in [
            (RenditionState::Pending, false),
            (RenditionState::Made(file(&earlier)), false),
            (RenditionState::Made(file(&wanted.key)), true),
            (failed, true),
        ] {
            assert_eq!(wanted.settled(&[wanted.in_state(state)]), settled);
        }
        assert!(!wanted.settled(&[]));
    }

    #[test]
    fn renditions_have_keys_of_their_own() {
        let keys = wanted(&"ab".repeat(32), &Rendition::ALL);
        let keys: Vec<&str> = keys.iter().map(|wanted| wanted.key.as_str()).collect();
        let folder = format!("derived/ab/{}", "ab".repeat(32));
        assert_eq!(
            keys,
            [
                format!("{folder}/rendition-opus-32k-90cc1986256801d5.opus"),
                format!("{folder}/rendition-aac-64k-d038c0fad43ed30a.m4a"),
            ]
        );
    }
}
