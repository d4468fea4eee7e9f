//! How much each person has uploaded on a day.

use std::convert::Infallible;

use async_trait::async_trait;
use iyagi_actors::ports::MetadataFault;
use iyagi_messages::ids::PersonId;
use rusqlite::{Connection, OptionalExtension};

use super::{EmbeddedMetadata, fault};
use crate::embedded::sqlite::WriteFault;
use crate::upload_quota::{Counted, Day, UploadCounts, UploadQuota, Uploaded};

pub(super) const SCHEMA: &str = "
    CREATE TABLE uploaded (
        day INTEGER NOT NULL,
        person TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        files INTEGER NOT NULL,
        PRIMARY KEY (day, person)
    ) STRICT, WITHOUT ROWID;
";

#[async_trait]
impl UploadCounts for EmbeddedMetadata {
    async fn count(
        &self,
        person: &PersonId,
        day: Day,
        bytes: u64,
        quota: &UploadQuota,
    ) -> Result<Counted, MetadataFault> {
        let (person, quota) = (person.clone(), *quota);
        let work = move |connection: &Connection| -> Result<Counted, WriteFault<Infallible>> {
            Ok(count(connection, &person, day, bytes, quota)?)
        };
        let counted = self.database.write(work).await;
        counted.map_err(|error| fault(&error))
    }
}

fn count(
    connection: &Connection,
    person: &PersonId,
    day: Day,
    bytes: u64,
    quota: UploadQuota,
) -> rusqlite::Result<Counted> {
    let uploaded = connection
        .prepare_cached("SELECT bytes, files FROM uploaded WHERE day = ?1 AND person = ?2")?
        .query_row((day.number(), person.as_str()), |row| {
            Ok(Uploaded {
                bytes: row.get::<_, i64>(0)?.unsigned_abs(),
                files: row.get::<_, i64>(1)?.unsigned_abs(),
            })
        })
        .optional()?
        .unwrap_or_default();
    if !quota.takes(uploaded, bytes) {
        return Ok(Counted::Beyond(uploaded));
    }
    connection
        .prepare_cached("DELETE FROM uploaded WHERE day < ?1")?
        .execute([day.number()])?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO uploaded (day, person, bytes, files) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((
            day.number(),
            person.as_str(),
            // No quota is more than the largest of them.
            (uploaded.bytes + bytes).cast_signed(),
            (uploaded.files + 1).cast_signed(),
        ))?;
    Ok(Counted::Yes)
}
