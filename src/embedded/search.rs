//! The search index on the disk of one machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use iyagi_actors::ports::{Outcome, SearchFault, SearchIndex};
use iyagi_messages::cursor::Cursor;
use iyagi_search::document::DocumentId;
use iyagi_search::hits::{Page, Request};
use iyagi_search::index::{
    Generation, Generations, IndexFault, IndexReader, IndexWriter, Written, open,
};
use iyagi_search::projection::{Projection, Standing, Write};
use thiserror::Error;

/// What the writer buffers before it writes a segment to the disk.
const MEMORY_BYTES: usize = 48 << 20;
/// Documents that may wait for a commit: they are held in memory as they stand.
const UNCOMMITTED_MAX: usize = 20_000;

/// The search index in one folder.
#[derive(Clone)]
pub struct EmbeddedSearch {
    writer: Arc<Mutex<IndexWriter>>,
    reader: IndexReader,
}

/// Why the index cannot be opened.
#[derive(Debug, Error)]
#[error(
    "the search index in {} cannot be opened: {source}. Remove the folder, and the next start makes it anew",
    .folder.display()
)]
pub struct SearchOpenError {
    folder: PathBuf,
    source: IndexFault,
}

impl SearchOpenError {
    fn of(folder: &Path, source: impl Into<IndexFault>) -> Self {
        Self {
            folder: folder.to_owned(),
            source: source.into(),
        }
    }
}

/// The place of an index that is not searched yet.
pub struct Beside {
    folder: PathBuf,
    generations: Generations,
    generation: Generation,
}

impl Beside {
    /// Makes it the one that is searched from the next start on.
    pub fn publish(self) -> Result<(), SearchOpenError> {
        let published = self.generations.publish(self.generation);
        published.map_err(|error| SearchOpenError::of(&self.folder, error))
    }
}

impl EmbeddedSearch {
    /// Opens the index that is searched in a folder, to write documents of a projection. One that is of another format or
    /// damaged gives way to an empty one, which the change log fills again. One of another projection is searched, and not
    /// written: whether the log has all of the graph is for a rebuild to say.
    pub fn open(folder: &Path, projection: &Projection) -> Result<Self, SearchOpenError> {
        let of_folder = |source| SearchOpenError::of(folder, source);
        let generations = Generations::open(folder).map_err(of_folder)?;
        let current = generations.current().map_err(of_folder)?;
        let opened = current.map(|current| Self::open_one(&generations, current, projection));
        match opened {
            Some(Err(fault @ (IndexFault::OtherFormat { .. } | IndexFault::Damaged(_)))) => {
                tracing::warn!(%fault, "the search index is made anew from the change log");
            }
            Some(opened) => return opened.map_err(|fault| SearchOpenError::of(folder, fault)),
            None => {}
        }
        let next = generations.next().map_err(of_folder)?;
        let opened = Self::open_one(&generations, next, projection);
        let opened = opened.map_err(|fault| SearchOpenError::of(folder, fault))?;
        generations.publish(next).map_err(of_folder)?;
        Ok(opened)
    }

    /// Begins an empty index beside the one that is searched.
    pub fn beside(
        folder: &Path,
        projection: &Projection,
    ) -> Result<(Self, Beside), SearchOpenError> {
        let of_folder = |source| SearchOpenError::of(folder, source);
        let generations = Generations::open(folder).map_err(of_folder)?;
        let generation = generations.next().map_err(of_folder)?;
        let index = Self::open_one(&generations, generation, projection);
        let index = index.map_err(|fault| SearchOpenError::of(folder, fault))?;
        let beside = Beside {
            folder: folder.to_owned(),
            generations,
            generation,
        };
        Ok((index, beside))
    }

    fn open_one(
        generations: &Generations,
        generation: Generation,
        projection: &Projection,
    ) -> Result<Self, IndexFault> {
        let folder = generations.folder(generation);
        let (writer, reader) = open(&folder, projection.clone(), MEMORY_BYTES)?;
        Ok(Self {
            writer: Arc::new(Mutex::new(writer)),
            reader,
        })
    }

    /// How many documents there are.
    pub fn documents(&self) -> u64 {
        self.reader.documents()
    }

    async fn written<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut IndexWriter) -> Result<T, IndexFault> + Send + 'static,
    ) -> Result<T, SearchFault> {
        let writer = Arc::clone(&self.writer);
        aside(move || work(&mut writer.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

/// Works where it holds up nobody: a look costs milliseconds, a commit a tenth of a second.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IndexFault> + Send + 'static,
) -> Result<T, SearchFault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(fault_of),
        Err(stopped) => Err(SearchFault::Unavailable(stopped.to_string())),
    }
}

fn fault_of(fault: IndexFault) -> SearchFault {
    match fault {
        IndexFault::OtherProjection(other) => SearchFault::Damaged(other.to_string()),
        fault @ (IndexFault::OtherFormat { .. } | IndexFault::Damaged(_)) => {
            SearchFault::Damaged(fault.to_string())
        }
        fault @ IndexFault::Storage(_) => SearchFault::Unavailable(fault.to_string()),
    }
}

#[async_trait]
impl SearchIndex for EmbeddedSearch {
    async fn begin(&self) -> Result<Cursor, SearchFault> {
        self.written(|writer| writer.begin()).await
    }

    async fn property_names(&self) -> Result<BTreeSet<String>, SearchFault> {
        let reader = self.reader.clone();
        aside(move || reader.property_names()).await
    }

    async fn cursor(&self) -> Result<Cursor, SearchFault> {
        Ok(self.reader.cursor())
    }

    async fn standing(&self, ids: &[DocumentId]) -> Result<Vec<Standing>, SearchFault> {
        let ids = ids.to_vec();
        self.written(move |writer| writer.standing(&ids)).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Outcome>, SearchFault> {
        self.written(move |writer| writes.into_iter().map(|write| one(writer, write)).collect())
            .await
    }

    async fn commit(&self, cursor: Cursor) -> Result<(), SearchFault> {
        self.written(move |writer| writer.commit(cursor)).await
    }

    async fn retry(&self, _: &DocumentId) -> Result<Outcome, SearchFault> {
        // It rejects nothing, so whatever there is stands as it is.
        Ok(Outcome::Newer)
    }

    async fn search(&self, request: Request) -> Result<Page, SearchFault> {
        let reader = self.reader.clone();
        aside(move || reader.search(&request)).await
    }
}

fn one(writer: &mut IndexWriter, write: Write) -> Result<Outcome, IndexFault> {
    if writer.uncommitted() >= UNCOMMITTED_MAX {
        return Ok(Outcome::Throttled);
    }
    Ok(match writer.write(write)? {
        Written::Yes => Outcome::Written,
        Written::Newer => Outcome::Newer,
    })
}
