//! The embedded index: documents on the disk of one machine, by tantivy.
//!
//! One writes, any number look. A commit takes the documents and the place in the change log that they reach together, so
//! a crash loses what the log still has and nothing else.

mod generations;
mod ranking;
mod reader;
mod schema;
mod tokenizer;
mod translate;
mod writer;

use std::path::Path;

use iyagi_messages::cursor::Cursor;
use serde::{Deserialize, Serialize};
use tantivy::directory::MmapDirectory;
use tantivy::{Index, TantivyError};
use thiserror::Error;

pub use self::generations::{Generation, Generations};
pub use self::reader::IndexReader;
pub use self::writer::{IndexWriter, Written};

use self::schema::{FORMAT, Fields};
use crate::projection::{OtherProjection, Projection};

/// Why the index does not do what it was asked.
#[derive(Debug, Error)]
pub enum IndexFault {
    /// It was made by another version of this code.
    #[error(
        "the search index has format {found}, and this is made for {FORMAT}: it must be rebuilt"
    )]
    OtherFormat {
        /// What it says of itself.
        found: u32,
    },
    /// It was made for another configuration.
    #[error(transparent)]
    OtherProjection(#[from] OtherProjection),
    /// It says something of itself that nothing here has written.
    #[error("the search index is damaged and must be rebuilt: {0}")]
    Damaged(String),
    /// The disk or the index.
    #[error("the search index cannot be read or written: {0}")]
    Storage(TantivyError),
}

impl From<TantivyError> for IndexFault {
    fn from(error: TantivyError) -> Self {
        match error {
            TantivyError::DataCorruption(_)
            | TantivyError::IncompatibleIndex(_)
            | TantivyError::SchemaError(_) => Self::Damaged(error.to_string()),
            error => Self::Storage(error),
        }
    }
}

impl From<std::io::Error> for IndexFault {
    fn from(error: std::io::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl From<serde_json::Error> for IndexFault {
    fn from(error: serde_json::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Opens the index in a folder, or makes an empty one of documents of a projection. `memory_bytes` is what the writer buffers, 15 MB at least; it
/// needs about as much again while it writes that to the disk.
pub fn open(
    folder: &Path,
    projection: Projection,
    memory_bytes: usize,
) -> Result<(IndexWriter, IndexReader), IndexFault> {
    std::fs::create_dir_all(folder)?;
    let (schema, fields) = Fields::schema();
    let directory = MmapDirectory::open(folder).map_err(TantivyError::from)?;
    let index = Index::open_or_create(directory, schema)?;
    index
        .tokenizers()
        .register(tokenizer::NAME, tokenizer::IndexTokenizer::default());
    let reader = IndexReader::open(index.clone(), fields)?;
    let writer = IndexWriter::open(&index, fields, reader.clone(), projection, memory_bytes)?;
    Ok((writer, reader))
}

/// What a commit says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Payload {
    format: u32,
    cursor: Cursor,
    projection: Projection,
}

impl Payload {
    fn of(cursor: Cursor, projection: &Projection) -> Self {
        Self {
            format: FORMAT,
            cursor,
            projection: projection.clone(),
        }
    }

    fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// What the last commit says; nothing where there was none.
fn committed(index: &Index) -> Result<Option<Payload>, IndexFault> {
    let Some(payload) = index.load_metas()?.payload else {
        return Ok(None);
    };
    // Another format's may say other things.
    let Format { format: found } = serde_json::from_str(&payload)?;
    if found != FORMAT {
        return Err(IndexFault::OtherFormat { found });
    }
    Ok(Some(serde_json::from_str(&payload)?))
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}
