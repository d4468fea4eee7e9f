//! Folded state, in the object store, where each host finds what another one folded.

use std::sync::Arc;

use iyagi_actors::journal::{JournalFault, Snapshot};
use iyagi_actors::ports::{ObjectStore, PutOptions, StoreFault};
use iyagi_messages::ids::Pos;
use iyagi_messages::object::ObjectKey;

/// Where snapshots lie. Uploads raise notifications only under the configured prefixes, and this is none of them.
const PREFIX: &str = "journal/snapshots/";
/// Snapshots that are kept of each name: the newest, and one more in case it is damaged.
const KEPT: usize = 2;
/// Snapshots in one look at the store.
const PAGE: u32 = 1_000;
/// A larger one is not one of ours.
const BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Bytes of the checksum, which comes first.
const SUM_BYTES: usize = 4;

/// Snapshots in an object store.
pub struct Snapshots {
    store: Arc<dyn ObjectStore>,
}

/// A snapshot's key: its name, its position, so that they lie in order, and its code version.
struct Place {
    key: ObjectKey,
    pos: Pos,
    code_version: u32,
}

impl Snapshots {
    /// The snapshots in `store`.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }

    /// Keeps a snapshot, and of the older ones of its name one.
    pub async fn save(&self, name: &str, snapshot: Snapshot) -> Result<(), JournalFault> {
        let Snapshot {
            code_version,
            pos,
            body,
        } = snapshot;
        let mut bytes = crc32fast::hash(&body).to_le_bytes().to_vec();
        bytes.extend(body);
        let key = ObjectKey::new(format!("{PREFIX}{name}/{:020}-{code_version}", pos.0));
        let key = key.map_err(|error| JournalFault::Unreadable(error.to_string()))?;
        let put = self.store.put(&key, bytes, PutOptions::default()).await;
        put.map_err(|fault| unwritable(&fault))?;
        for old in self.places(name).await?.into_iter().rev().skip(KEPT) {
            let deleted = self.store.delete(&old.key).await;
            deleted.map_err(|fault| unwritable(&fault))?;
        }
        Ok(())
    }

    /// The newest snapshot of a name and code version that is whole.
    pub async fn newest(
        &self,
        name: &str,
        code_version: u32,
    ) -> Result<Option<Snapshot>, JournalFault> {
        let places = self.places(name).await?;
        for place in places.into_iter().rev() {
            if place.code_version != code_version {
                let key = &place.key;
                tracing::warn!(%key, code_version, "snapshot of another code version passed over");
                continue;
            }
            let bytes = match self.store.get(&place.key, BYTES_MAX).await {
                Ok((bytes, _)) => bytes,
                // Another host has newer ones and has removed it meanwhile.
                Err(StoreFault::NotFound(_)) => continue,
                Err(fault) => return Err(unreadable(&fault)),
            };
            if let Some(body) = body_of(&bytes) {
                return Ok(Some(Snapshot {
                    code_version,
                    pos: place.pos,
                    body,
                }));
            }
            tracing::warn!(key = %place.key, "a snapshot is damaged and passed over");
        }
        Ok(None)
    }

    /// Every snapshot of a name, the oldest first.
    async fn places(&self, name: &str) -> Result<Vec<Place>, JournalFault> {
        let prefix = format!("{PREFIX}{name}/");
        let mut places = Vec::new();
        let mut after = None;
        loop {
            let page = self.store.list(&prefix, after.as_ref(), PAGE).await;
            let page = page.map_err(|fault| unreadable(&fault))?;
            for object in page.objects {
                places.extend(Place::parse(&prefix, object.key));
            }
            after = page.next;
            if after.is_none() {
                return Ok(places);
            }
        }
    }
}

impl Place {
    fn parse(prefix: &str, key: ObjectKey) -> Option<Self> {
        let (pos, code_version) = key.as_str().strip_prefix(prefix)?.split_once('-')?;
        let (pos, code_version) = (Pos(pos.parse().ok()?), code_version.parse().ok()?);
        Some(Self {
            key,
            pos,
            code_version,
        })
    }
}

fn body_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let (sum, body) = bytes.split_at_checked(SUM_BYTES)?;
    (crc32fast::hash(body).to_le_bytes() == sum).then(|| body.to_vec())
}

fn unreadable(fault: &StoreFault) -> JournalFault {
    JournalFault::Unreadable(format!("its snapshots: {fault}"))
}

fn unwritable(fault: &StoreFault) -> JournalFault {
    JournalFault::Unreadable(format!("no snapshot can be kept: {fault}"))
}
