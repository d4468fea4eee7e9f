//! The metadata table in SQLite.

mod claims;
mod entry;
mod removals;
mod sketches;
mod uploads;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use iyagi_actors::ports::{Clock, MetadataFault, MetadataPage, MetadataTable, Written};
use iyagi_messages::media::{Audio, Claim, Derived, MetadataItem, Sketch, Thumbnails};
use iyagi_messages::object::{ObjectKey, Sequencer};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};

use self::entry::Entry;
use crate::embedded::sqlite::{Database, DatabaseError, Schema, WriteFault};

const SCHEMA: Schema = Schema {
    application_id: 0x6979_4d65,
    migrations: &[
        "
        CREATE TABLE entry (
            key TEXT PRIMARY KEY,
            -- JSON; absent where only a removal or early thumbnails are known.
            item TEXT,
            thumbnails TEXT,
            removed TEXT
        ) STRICT;
        CREATE INDEX entry_listed ON entry (key) WHERE item IS NOT NULL;
    ",
        claims::SCHEMA,
        sketches::SCHEMA,
        uploads::SCHEMA,
        removals::SCHEMA,
    ],
    shrinks: false,
};
/// Largest page of a listing.
const PAGE_MAX: u32 = 1000;

/// The metadata table in one SQLite file.
#[derive(Clone)]
pub struct EmbeddedMetadata {
    database: Database,
    clock: Arc<dyn Clock>,
}

impl EmbeddedMetadata {
    /// Opens or creates the file.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, DatabaseError> {
        let database = Database::open(path, &SCHEMA)?;
        Ok(Self { database, clock })
    }

    /// Resolves with the reason once a full disk, an I/O error or damage has ended all writing.
    pub async fn stopped(&self) -> String {
        self.database.stopped().await
    }

    /// Changes what is known of one object.
    async fn change<T: Send + 'static>(
        &self,
        key: &ObjectKey,
        change: impl FnOnce(&mut Entry) -> T + Send + 'static,
    ) -> Result<T, MetadataFault> {
        let (key, now) = (key.clone(), self.clock.now());
        let work = move |connection: &Connection| -> Result<T, WriteFault<Infallible>> {
            let before = find(connection, &key)?.unwrap_or_default();
            let mut after = before.clone();
            let outcome = change(&mut after);
            if after != before {
                store(connection, &key, &after)?;
                if after.is_only_removed() {
                    removals::remember(connection, &key, now)?;
                }
                removals::forget_some(connection, now)?;
            }
            Ok(outcome)
        };
        self.database
            .write(work)
            .await
            .map_err(|error| fault(&error))
    }
}

#[async_trait]
impl MetadataTable for EmbeddedMetadata {
    async fn record(&self, item: MetadataItem) -> Result<Written, MetadataFault> {
        let key = item.key.clone();
        self.change(&key, |entry| entry.record(item)).await
    }

    async fn attach_thumbnails(
        &self,
        key: &ObjectKey,
        thumbnails: Thumbnails,
    ) -> Result<Written, MetadataFault> {
        self.change(key, |entry| entry.attach(thumbnails)).await
    }

    async fn attach_audio(&self, key: &ObjectKey, audio: Audio) -> Result<Written, MetadataFault> {
        self.change(key, |entry| entry.attach(audio)).await
    }

    async fn remove(
        &self,
        key: &ObjectKey,
        sequencer: &Sequencer,
    ) -> Result<(Written, Option<Thumbnails>), MetadataFault> {
        let sequencer = sequencer.clone();
        let removed = self.change(key, |entry| entry.remove(sequencer)).await;
        removed.map(|(written, derived)| (written, derived.and_then(Derived::into_thumbnails)))
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<MetadataItem>, MetadataFault> {
        let key = key.clone();
        let found = self
            .database
            .read(move |connection| find(connection, &key))
            .await;
        let found = found.map_err(|error| fault(&error))?;
        Ok(found.and_then(Entry::into_item))
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: u32,
    ) -> Result<MetadataPage, MetadataFault> {
        let (prefix, after) = (prefix.to_owned(), after.cloned());
        let limit = limit.clamp(1, PAGE_MAX) as usize;
        let page = self
            .database
            .read(move |connection| list(connection, &prefix, after.as_ref(), limit))
            .await;
        page.map_err(|error| fault(&error))
    }

    async fn claim(&self, claim: Claim) -> Result<(), MetadataFault> {
        let work = move |connection: &Connection| -> Result<(), WriteFault<Infallible>> {
            Ok(claims::claim(connection, &claim)?)
        };
        let claimed = self.database.write(work).await;
        claimed.map_err(|error| fault(&error))
    }

    async fn release(&self, claim: &Claim) -> Result<Vec<ObjectKey>, MetadataFault> {
        let claim = claim.clone();
        let work =
            move |connection: &Connection| -> Result<Vec<ObjectKey>, WriteFault<Infallible>> {
                Ok(claims::release(connection, &claim)?)
            };
        let released = self.database.write(work).await;
        released.map_err(|error| fault(&error))
    }

    async fn claimants(
        &self,
        sha256: &str,
        files: &[ObjectKey],
        limit: usize,
    ) -> Result<Vec<(ObjectKey, Sequencer)>, MetadataFault> {
        let (sha256, files) = (sha256.to_owned(), files.to_vec());
        let found = self
            .database
            .read(move |connection| claims::claimants(connection, &sha256, &files, limit))
            .await;
        found.map_err(|error| fault(&error))
    }

    async fn index_sketch(&self, sha256: &str, sketch: &Sketch) -> Result<usize, MetadataFault> {
        let (sha256, sketch) = (sha256.to_owned(), sketch.clone());
        let work = move |connection: &Connection| -> Result<usize, WriteFault<Infallible>> {
            Ok(sketches::index(connection, &sha256, &sketch)?)
        };
        let indexed = self.database.write(work).await;
        indexed.map_err(|error| fault(&error))
    }

    async fn sketched_alike(&self, sketch: &Sketch) -> Result<Vec<String>, MetadataFault> {
        let sketch = sketch.clone();
        let found = self
            .database
            .read(move |connection| sketches::alike(connection, &sketch))
            .await;
        found.map_err(|error| fault(&error))
    }

    async fn unindex_sketch(&self, sha256: &str, sketch: &Sketch) -> Result<(), MetadataFault> {
        let (sha256, sketch) = (sha256.to_owned(), sketch.clone());
        let work = move |connection: &Connection| -> Result<(), WriteFault<Infallible>> {
            Ok(sketches::unindex(connection, &sha256, &sketch)?)
        };
        let unindexed = self.database.write(work).await;
        unindexed.map_err(|error| fault(&error))
    }
}

fn fault(error: &DatabaseError) -> MetadataFault {
    MetadataFault(error.to_string())
}

fn find(connection: &Connection, key: &ObjectKey) -> rusqlite::Result<Option<Entry>> {
    connection
        .prepare_cached("SELECT item, thumbnails, removed FROM entry WHERE key = ?1")?
        .query_row([key.as_str()], read)
        .optional()
}

fn store(connection: &Connection, key: &ObjectKey, entry: &Entry) -> rusqlite::Result<()> {
    let item = entry.item.as_ref().map(json);
    let derived = entry.derived.as_ref().map(json);
    let removed = entry.removed.as_ref().map(|removed| &removed.0);
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO entry (key, item, thumbnails, removed) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((key.as_str(), item, derived, removed))?;
    Ok(())
}

fn list(
    connection: &Connection,
    prefix: &str,
    after: Option<&ObjectKey>,
    limit: usize,
) -> rusqlite::Result<MetadataPage> {
    let mut statement = connection.prepare_cached(
        "SELECT item, thumbnails, removed FROM entry
         WHERE item IS NOT NULL AND key >= ?1 AND (?2 IS NULL OR key > ?2) ORDER BY key",
    )?;
    // Seek to whichever is further on, or a deep page would walk over all before it.
    let from = after.map_or(prefix, |after| after.as_str().max(prefix));
    let mut rows = statement.query((from, after.map(ObjectKey::as_str)))?;
    let mut items: Vec<MetadataItem> = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(item) = read(row)?.into_item() else {
            continue;
        };
        // Keys of one prefix stand together, so the first other one ends them; `LIKE` would take `%` for a wildcard.
        if !item.key.as_str().starts_with(prefix) {
            break;
        }
        if items.len() == limit {
            let next = items.last().map(|item| item.key.clone());
            return Ok(MetadataPage { items, next });
        }
        items.push(item);
    }
    Ok(MetadataPage { items, next: None })
}

fn read(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let item: Option<String> = row.get("item")?;
    let thumbnails: Option<String> = row.get("thumbnails")?;
    let removed: Option<String> = row.get("removed")?;
    Ok(Entry {
        item: item.as_deref().map(parse).transpose()?,
        derived: thumbnails.as_deref().map(parse).transpose()?,
        removed: removed.map(Sequencer),
    })
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data is JSON")
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error)))
}
