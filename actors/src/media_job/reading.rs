//! Which write of an object was read.
//!
//! A notification tells of one write and gives its place in the order of writes; the object is read later and may be
//! another one by then. A store that says the order of what it reads settles it. S3 does not, so the notification's
//! version and entity tag are compared with those of what was read:
//!
//! - the same: it is the notification's write, and gets its sequencer. A bucket without versions can hold the same bytes
//!   again under the same entity tag: what is derived from them is the same, and the later write's own notification
//!   brings the later sequencer.
//! - another: a later write has replaced it, since a read after a notification cannot find an earlier one. The later
//!   write has a notification of its own, so this one is done. S3 promises that only of buckets with versions; in others
//!   two writes at the same moment may raise a single notification.

use async_trait::async_trait;
use iyagi_media::{Format, SNIFF_BYTES, sniff};
use iyagi_messages::object::{ObjectEvent, ObjectKey, Sequencer};

use crate::ports::{LocalFile, ObjectInfo, ObjectStore, StoreFault};

/// How often an object is read anew that changes while it is looked at.
const READ_ATTEMPTS_MAX: u32 = 3;

/// How an object is had: as bytes in memory, or as a file, whose size does not matter.
#[async_trait]
pub trait Whole: Sized {
    /// The object and its facts, if it has at most `bytes_max`.
    async fn get(
        store: &dyn ObjectStore,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<(Self, ObjectInfo), StoreFault>;
}

#[async_trait]
impl Whole for Vec<u8> {
    async fn get(
        store: &dyn ObjectStore,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<(Self, ObjectInfo), StoreFault> {
        store.get(key, bytes_max).await
    }
}

#[async_trait]
impl Whole for LocalFile {
    async fn get(
        store: &dyn ObjectStore,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<(Self, ObjectInfo), StoreFault> {
        store.get_file(key, bytes_max).await
    }
}

/// What came of reading the object of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading<W> {
    /// All of it.
    Whole {
        /// Its bytes.
        whole: W,
        /// What stands beside them.
        info: ObjectInfo,
        /// Which write they are.
        sequencer: Sequencer,
    },
    /// It is there, but its bytes are not to be had.
    Unread {
        /// What is known of it all the same.
        info: ObjectInfo,
        /// Which write it is.
        sequencer: Sequencer,
        /// Why: [`StoreFault::TooLarge`] or [`StoreFault::Unreadable`].
        fault: StoreFault,
    },
    /// Removed or replaced meanwhile, which has an event of its own.
    Superseded,
}

/// Reads the object that an event tells of; none if it is not of this kind by its content, which costs its first bytes.
pub async fn read_write_of<W: Whole>(
    store: &dyn ObjectStore,
    event: &ObjectEvent,
    bytes_max: u64,
    kind: fn(Format) -> bool,
) -> Result<Option<Reading<W>>, StoreFault> {
    let sniffed = match store.get_start(&event.key, SNIFF_BYTES as u64).await {
        Ok((start, info)) if !kind(sniff(&start)) && sequencer_of(event, &info).is_some() => {
            return Ok(None);
        }
        Ok((_, info)) => Some(info.etag),
        Err(fault @ (StoreFault::Full(_) | StoreFault::Unavailable(_))) => return Err(fault),
        // What there is to say of it is said by whoever reads it whole.
        Err(_) => None,
    };
    let reading = read_write(store, event, bytes_max).await?;
    Ok(Some(match reading {
        // Nobody has looked at what it is now.
        Reading::Whole { info, .. } if sniffed.as_ref() != Some(&info.etag) => {
            superseded(event, &info)
        }
        reading => reading,
    }))
}

/// Reads the object that an event tells of.
pub async fn read_write<W: Whole>(
    store: &dyn ObjectStore,
    event: &ObjectEvent,
    bytes_max: u64,
) -> Result<Reading<W>, StoreFault> {
    for _ in 0..READ_ATTEMPTS_MAX {
        let fault = match W::get(store, &event.key, bytes_max).await {
            Ok((whole, info)) => {
                return Ok(match sequencer_of(event, &info) {
                    Some(sequencer) => Reading::Whole {
                        whole,
                        info,
                        sequencer,
                    },
                    None => superseded(event, &info),
                });
            }
            Err(StoreFault::NotFound(_)) => return Ok(Reading::Superseded),
            Err(fault @ (StoreFault::TooLarge { .. } | StoreFault::Unreadable { .. })) => fault,
            Err(fault) => return Err(fault),
        };
        let info = match store.head(&event.key).await {
            Ok(info) => info,
            Err(StoreFault::NotFound(_)) => return Ok(Reading::Superseded),
            Err(fault) => return Err(fault),
        };
        if matches!(fault, StoreFault::TooLarge { .. }) && info.size <= bytes_max {
            // Replaced between the two calls by something that can be read.
            continue;
        }
        return Ok(match sequencer_of(event, &info) {
            Some(sequencer) => Reading::Unread {
                info,
                sequencer,
                fault,
            },
            None => superseded(event, &info),
        });
    }
    Err(StoreFault::Unavailable(format!(
        "object `{}` changed {READ_ATTEMPTS_MAX} times while it was looked at",
        event.key
    )))
}

/// The place in the order of writes of what was read; none if it is a later write than the event's.
fn sequencer_of(event: &ObjectEvent, info: &ObjectInfo) -> Option<Sequencer> {
    if let Some(sequencer) = &info.sequencer {
        return Some(sequencer.clone());
    }
    let version = event.version_id.as_ref().zip(info.version_id.as_ref());
    let version = version.map(|(told, found)| told == found);
    let etag = event.etag.as_ref().map(|told| *told == info.etag);
    // Of a version called `null` there can be several in a row, so the entity tag has its say too.
    let same = match (version, etag) {
        (Some(version), Some(etag)) => version && etag,
        (Some(same), None) | (None, Some(same)) => same,
        (None, None) => false,
    };
    same.then(|| event.sequencer.clone())
}

fn superseded<W>(event: &ObjectEvent, info: &ObjectInfo) -> Reading<W> {
    tracing::info!(
        key = %event.key, sequencer = %event.sequencer,
        told.etag = event.etag, told.version = event.version_id,
        found.etag = info.etag, found.version = info.version_id,
        "a later write has replaced the object; its own notification follows"
    );
    Reading::Superseded
}

#[cfg(test)]
mod tests {
    use iyagi_messages::object::{ObjectEventKind, ObjectKey};

    use super::*;
    use crate::ports::PutOptions;

    fn event(etag: Option<&str>, version: Option<&str>) -> ObjectEvent {
        ObjectEvent {
            kind: ObjectEventKind::Created,
            bucket: "media".to_owned(),
            key: ObjectKey::new("posts/1/a.jpg").expect("valid"),
            size: Some(1),
            etag: etag.map(str::to_owned),
            version_id: version.map(str::to_owned),
            sequencer: Sequencer("1".to_owned()),
        }
    }

    fn found(etag: &str, version: Option<&str>, sequencer: Option<&str>) -> ObjectInfo {
        ObjectInfo {
            key: event(None, None).key,
            size: 1,
            etag: etag.to_owned(),
            sha256: None,
            version_id: version.map(str::to_owned),
            sequencer: sequencer.map(|text| Sequencer(text.to_owned())),
            options: PutOptions::default(),
        }
    }

    #[test]
    fn a_store_that_knows_the_order_is_believed() {
        let told = sequencer_of(&event(Some("a"), None), &found("b", None, Some("2")));
        assert_eq!(told, Some(Sequencer("2".to_owned())));
    }

    #[test]
    fn a_later_write_is_never_taken_for_the_events_own() {
        let own = Some(Sequencer("1".to_owned()));
        for (told, read, expected) in [
            ((Some("a"), None), ("a", None), own.clone()),
            ((Some("a"), None), ("b", None), None),
            ((Some("a"), Some("v1")), ("a", Some("v1")), own.clone()),
            // The same bytes again are another version.
            ((Some("a"), Some("v1")), ("a", Some("v2")), None),
            ((None, Some("v1")), ("a", Some("v1")), own.clone()),
            ((None, Some("v1")), ("a", Some("v2")), None),
            // A bucket whose versions are suspended calls every write `null`.
            ((Some("a"), Some("null")), ("b", Some("null")), None),
            ((Some("a"), Some("null")), ("a", Some("null")), own),
            // Versions were switched on or off in between.
            ((Some("a"), None), ("b", Some("v2")), None),
            // It does not say which write it tells of.
            ((None, None), ("a", Some("v1")), None),
        ] {
            let read = found(read.0, read.1, None);
            assert_eq!(
                sequencer_of(&event(told.0, told.1), &read),
                expected,
                "{told:?} {read:?}"
            );
        }
    }
}
