//! Exports: files that hold every event that ever was, day by day and without a gap. Only what is in one may be taken out.
//!
//! An export lies at `YYYY/MM/DD/<first>-<last>.jsonl.zst`, by the day of its first event in UTC, and is made of the lines
//! that `iyagi journal export` prints, but for bodies of older schemas, which are as they were written. Its manifest beside
//! it says what is in it, and names the manifest before by its hash, so that no export can be left out or changed unnoticed.
//!
//! # Layout
//! - this file: what an export is, and what the journal remembers of each
//! - `writing`: how the next one is made
//! - `checking`: how one is read back
//! - `place`: where they are kept

mod checking;
mod place;
mod writing;

use std::io;
use std::path::{Path, PathBuf};

use iyagi_actors::journal::JournalFault;
use iyagi_actors::ports::StoreFault;
use iyagi_messages::fact::JournalExported;
use iyagi_messages::ids::{EventId, Pos, Seq, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;
use utoipa::ToSchema;

pub use self::place::{Bucket, Place};
pub(super) use self::writing::write_next;
use super::holes::Holes;
use super::rows::Stored;

/// An export, as the journal remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = JournalExport)]
pub struct Export {
    /// Its first event.
    pub first: Pos,
    /// Its last.
    pub last: Pos,
    /// Where it lies below the folder of exports.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// SHA-256 of the manifest's file, hexadecimal.
    #[serde(skip)]
    pub(super) manifest_sha256: String,
}

/// What is written beside an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) first: Pos,
    pub(super) last: Pos,
    pub(super) events: u64,
    /// When the first event was appended, and the last, in milliseconds since 1970.
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) file: String,
    pub(super) bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    pub(super) sha256: String,
    /// SHA-256 of the lines in it, hexadecimal.
    pub(super) lines_sha256: String,
    /// The export before it.
    pub(super) previous: Option<Previous>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Previous {
    pub(super) manifest: String,
    /// SHA-256 of the manifest's file, hexadecimal.
    pub(super) sha256: String,
}

/// An event as a line of an export.
#[derive(Serialize)]
struct Line<'a> {
    pos: Pos,
    id: EventId,
    entity: &'a str,
    seq: Seq,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<EventId>,
    corr: &'a str,
    actor: &'a str,
    kind: &'a str,
    v: u16,
    body: &'a RawValue,
}

/// Why there is no export, or why one cannot be trusted.
#[derive(Debug, Error)]
pub enum ExportFault {
    /// A file cannot be written or read.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} is not what was exported: {reason}", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is different.
        reason: String,
    },
    /// The bucket cannot be written or read.
    #[error(transparent)]
    Store(StoreFault),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalFault),
}

impl ExportFault {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    fn wrong(path: &Path, reason: impl Into<String>) -> Self {
        Self::Wrong {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}

impl Export {
    /// Where its manifest lies below the folder of exports.
    pub(super) fn manifest(&self) -> String {
        match self.file.strip_suffix(SUFFIX) {
            Some(stem) => format!("{stem}{MANIFEST_SUFFIX}"),
            None => format!("{}{MANIFEST_SUFFIX}", self.file),
        }
    }

    fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let unsigned = |index| row.get::<_, i64>(index).map(|value| value as u64);
        Ok(Self {
            first: Pos(unsigned(0)?),
            last: Pos(unsigned(1)?),
            file: row.get(2)?,
            bytes: unsigned(3)?,
            sha256: row.get(4)?,
            manifest_sha256: row.get(5)?,
        })
    }
}

impl From<&JournalExported> for Export {
    fn from(exported: &JournalExported) -> Self {
        Self {
            first: exported.first,
            last: exported.last,
            file: exported.file.clone(),
            bytes: exported.bytes,
            sha256: exported.sha256.clone(),
            manifest_sha256: exported.manifest_sha256.clone(),
        }
    }
}

impl From<&Export> for JournalExported {
    fn from(export: &Export) -> Self {
        Self {
            first: export.first,
            last: export.last,
            file: export.file.clone(),
            bytes: export.bytes,
            sha256: export.sha256.clone(),
            manifest_sha256: export.manifest_sha256.clone(),
        }
    }
}

/// How an export's name ends, and its manifest's.
const SUFFIX: &str = ".jsonl.zst";
const MANIFEST_SUFFIX: &str = ".manifest.json";
const COLUMNS: &str = "first, last, file, bytes, sha256, manifest_sha256";

impl<'a> Line<'a> {
    fn of(stored: &'a Stored<'_>) -> serde_json::Result<Self> {
        let (content, place) = (&stored.content, stored.place);
        Ok(Self {
            pos: Pos(place.pos),
            id: content.id,
            entity: content.entity,
            seq: Seq(place.seq),
            at: place.at,
            cause: content.cause,
            corr: content.corr,
            actor: content.actor,
            kind: content.kind,
            v: content.version,
            body: serde_json::from_str(content.body)?,
        })
    }
}

/// The last export.
pub(super) fn last(connection: &Connection) -> rusqlite::Result<Option<Export>> {
    let sql = format!("SELECT {COLUMNS} FROM export ORDER BY first DESC LIMIT 1");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row([], Export::of_row).optional()
}

/// The export that holds the event at a position.
fn holding(connection: &Connection, pos: Pos) -> rusqlite::Result<Option<Export>> {
    let sql = format!("SELECT {COLUMNS} FROM export WHERE first <= ?1 ORDER BY first DESC LIMIT 1");
    let mut statement = connection.prepare_cached(&sql)?;
    let export = statement
        .query_row([pos.0 as i64], Export::of_row)
        .optional()?;
    Ok(export.filter(|export| export.last >= pos))
}

/// The export that holds the event at a position, if that event was taken out.
pub(super) fn of_taken_out(connection: &Connection, pos: Pos) -> rusqlite::Result<Option<Export>> {
    if Holes::within(connection, pos.0, pos.0)?.holds(pos.0) {
        holding(connection, pos)
    } else {
        Ok(None)
    }
}

/// Every export, in order of position.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Export>> {
    let sql = format!("SELECT {COLUMNS} FROM export ORDER BY first");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map([], Export::of_row)?.collect()
}

/// Remembers an export: from here on, what is in it may be taken out.
pub(super) fn remember(connection: &Connection, export: &Export) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO export(first, last, file, bytes, sha256, manifest_sha256) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            export.first.0 as i64,
            export.last.0 as i64,
            &export.file,
            export.bytes as i64,
            &export.sha256,
            &export.manifest_sha256,
        ))?;
    Ok(())
}
