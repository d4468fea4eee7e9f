//! An export of the graph, in the folder that `neptune-export --format neptuneStreamsJson` writes.
//!
//! Source of the shapes: the repository aws/neptune-export. Files named `*.json` below `nodes/` and `edges/` hold one
//! record of the change log after the other, all of them additions, with positions that are the exporter's own. With
//! `--include-last-event-id` a file `lastEventId.json` beside them says which operation of the log the export contains
//! last.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use iyagi_actors::subscription_matcher::bootstrap::{Bootstrap, BootstrapError, Read};
use iyagi_actors::subscription_matcher::graph::GraphModel;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::ElementId;
use iyagi_messages::stream::{Op, StreamRecord};
use serde::Deserialize;
use thiserror::Error;

/// Why an export cannot be used.
#[derive(Debug, Error)]
pub enum ExportError {
    /// A file or a folder.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No file of records is there.
    #[error(
        "{} is no export: it has no *.json below nodes/ or edges/. Give the folder that neptune-export wrote with \
         --format neptuneStreamsJson",
        .folder.display()
    )]
    Empty {
        /// The folder.
        folder: PathBuf,
    },
    /// Something that is not a record of the change log.
    #[error("{}: what follows record {after} is no record of the change log: {source}", .path.display())]
    NoRecord {
        /// The file.
        path: PathBuf,
        /// How many records of the file were read.
        after: u64,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A record that takes something away: then this is no export.
    #[error(
        "{}: the record of {id} is a removal, but an export only adds: give the folder that neptune-export wrote with \
         --format neptuneStreamsJson",
        .path.display()
    )]
    Removal {
        /// The file.
        path: PathBuf,
        /// Of which element.
        id: ElementId,
    },
    /// A record that no export has.
    #[error("{}: {source}", .path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BootstrapError,
    },
    /// Nobody says as of when the export is.
    #[error(
        "nothing says which operation of the change log the export contains last: export with \
         --include-last-event-id, or say it by --watermark COMMIT:OPERATION"
    )]
    NoWatermark,
    /// The file that says it.
    #[error("{} says no position: {source}", .path.display())]
    NoPosition {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// What `lastEventId.json` says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LastEventId {
    commit_num: u64,
    op_num: u64,
}

/// How many records are read between two words of progress.
const PROGRESS_RECORDS: u64 = 100_000;

/// An export that is there.
pub struct Export {
    files: Vec<PathBuf>,
    watermark: Cursor,
}

impl Export {
    /// Looks what a folder has. A `watermark` that is given counts, whatever the export says.
    pub fn open(folder: &Path, watermark: Option<Cursor>) -> Result<Self, ExportError> {
        fs::read_dir(folder).map_err(|source| ExportError::Unreadable {
            path: folder.to_owned(),
            source,
        })?;
        let watermark = match watermark {
            Some(watermark) => watermark,
            None => last_event_id(folder)?,
        };
        let mut files = Vec::new();
        for part in ["nodes", "edges"] {
            files.extend(record_files(&folder.join(part))?);
        }
        if files.is_empty() {
            let folder = folder.to_owned();
            return Err(ExportError::Empty { folder });
        }
        Ok(Self { files, watermark })
    }

    /// Which operation of the change log it contains last.
    pub fn watermark(&self) -> Cursor {
        self.watermark
    }

    /// Its records, all of them additions, with the file of each.
    pub fn records(&self) -> impl Iterator<Item = Result<(&Path, StreamRecord), ExportError>> {
        self.files.iter().flat_map(|path| {
            let (file, unreadable) = match open(path) {
                Ok(file) => (Some(file), None),
                Err(error) => (None, Some(Err(error))),
            };
            let records = file.into_iter().flat_map(|file| {
                serde_json::Deserializer::from_reader(BufReader::new(file)).into_iter()
            });
            let records = (0..).zip(records).map(|(after, record)| match record {
                Ok(StreamRecord {
                    op: Op::Remove,
                    data,
                    ..
                }) => Err(ExportError::Removal {
                    path: path.clone(),
                    id: data.id,
                }),
                Ok(record) => Ok((path.as_path(), record)),
                Err(source) => Err(ExportError::NoRecord {
                    path: path.clone(),
                    after,
                    source,
                }),
            });
            unreadable.into_iter().chain(records)
        })
    }
}

/// Reads a whole export. `progress` is told now and then.
pub fn read_export(
    folder: &Path,
    watermark: Option<Cursor>,
    model: &GraphModel,
    mut progress: impl FnMut(Read),
) -> Result<Bootstrap, ExportError> {
    let export = Export::open(folder, watermark)?;
    let mut bootstrap = Bootstrap::default();
    for (number, record) in (1..).zip(export.records()) {
        let (path, record) = record?;
        let absorbed = bootstrap.absorb(&record, model);
        absorbed.map_err(|source| ExportError::Refused {
            path: path.to_owned(),
            source,
        })?;
        if number % PROGRESS_RECORDS == 0 {
            progress(bootstrap.read());
        }
    }
    progress(bootstrap.read());
    Ok(bootstrap.as_of(export.watermark()))
}

fn last_event_id(folder: &Path) -> Result<Cursor, ExportError> {
    let path = folder.join("lastEventId.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ExportError::NoWatermark);
        }
        Err(source) => return Err(ExportError::Unreadable { path, source }),
    };
    let last: LastEventId =
        serde_json::from_slice(&text).map_err(|source| ExportError::NoPosition { path, source })?;
    Ok(Cursor::new(last.commit_num, last.op_num))
}

/// The files of records in a folder, by name; none if there is no such folder.
fn record_files(folder: &Path) -> Result<Vec<PathBuf>, ExportError> {
    let unreadable = |source| ExportError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(unreadable(source)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn open(path: &Path) -> Result<File, ExportError> {
    File::open(path).map_err(|source| ExportError::Unreadable {
        path: path.to_owned(),
        source,
    })
}
