//! Reading objects: into memory, or into the spool if they are too large for it.
//!
//! A body that breaks off or does not fit its checksum is noticed by the SDK, but only at its end, when the call is
//! long over: such a read is begun anew here.
//!
//! Room in the spool is taken before an object comes, by what its head says of its size. It may be replaced in between, so
//! it is asked for by its entity tag, and looked at anew if that is no longer its own.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use iyagi_actors::ports::{LocalFile, ObjectInfo, ObjectStore, StoreFault};
use iyagi_media::hexadecimal;
use iyagi_messages::object::ObjectKey;
use tokio::sync::mpsc;

use super::body::{Body, Cut};
use super::{Facts, S3Objects, fault};
use crate::digests::{Digester, Digests};
use crate::spool::{Kind, Spooled};

/// Tries of a read whose body breaks off.
const READ_ATTEMPTS_MAX: u32 = 3;
/// The pause before the second try; the next is as much longer.
const READ_PAUSE: Duration = Duration::from_millis(100);
/// Chunks that may wait for the disk; the service waits with them.
const CHUNKS_WAITING_MAX: usize = 4;

/// How one attempt to read an object ended, if not in a fault.
pub(super) enum Read<T> {
    Whole(T, ObjectInfo),
    Broken(String),
}

/// Attempts to read an object until one has all of it.
pub(super) async fn until_whole<T, A>(
    key: &ObjectKey,
    attempt_to_read: impl Fn() -> A,
) -> Result<(T, ObjectInfo), StoreFault>
where
    A: Future<Output = Result<Read<T>, StoreFault>>,
{
    let mut reason = String::new();
    for attempt in 1..=READ_ATTEMPTS_MAX {
        match attempt_to_read().await? {
            Read::Whole(whole, info) => return Ok((whole, info)),
            Read::Broken(why) => {
                tracing::warn!(%key, attempt, reason = why, "an object broke off while it was read");
                reason = why;
            }
        }
        if attempt < READ_ATTEMPTS_MAX {
            tokio::time::sleep(READ_PAUSE * attempt).await;
        }
    }
    Err(StoreFault::Unavailable(format!(
        "object `{key}` broke off {READ_ATTEMPTS_MAX} times while it was read: {reason}"
    )))
}

impl S3Objects {
    /// One attempt to read an object into memory.
    pub(super) async fn read(
        &self,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<Read<Vec<u8>>, StoreFault> {
        let sent = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .send()
            .await;
        let mut object = sent.map_err(|error| fault::of_get(key, &error))?;
        let announced = object.content_length.and_then(|n| u64::try_from(n).ok());
        let too_large = |size| StoreFault::TooLarge {
            key: key.clone(),
            size,
            max: bytes_max,
        };
        if let Some(size) = announced.filter(|size| *size > bytes_max) {
            return Err(too_large(size));
        }
        let body = Body::new(std::mem::take(&mut object.body), announced, bytes_max);
        let bytes = match body.whole().await {
            Ok(bytes) => bytes,
            Err(Cut::TooLarge { size }) => return Err(too_large(size)),
            Err(Cut::Broken(reason)) => return Ok(Read::Broken(reason)),
        };
        let info = Facts::of(object).info(key, bytes.len() as u64);
        Ok(Read::Whole(bytes, info))
    }

    /// One attempt to spool an object.
    pub(super) async fn spool(
        &self,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<Read<LocalFile>, StoreFault> {
        let head = self.head(key).await?;
        if head.size > bytes_max {
            return Err(StoreFault::TooLarge {
                key: key.clone(),
                size: head.size,
                max: bytes_max,
            });
        }
        let spooled = self.spool.file(Kind::Object, head.size).await;
        let spooled = spooled.map_err(|error| no_room(key, &error))?;
        let sent = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .if_match(format!("\"{}\"", head.etag))
            .send()
            .await;
        let mut object = match sent {
            Ok(object) => object,
            Err(error) if fault::is_another(&error) => {
                let why = "it was replaced at that moment".to_owned();
                return Ok(Read::Broken(why));
            }
            Err(error) => return Err(fault::of_get(key, &error)),
        };
        let body = Body::new(std::mem::take(&mut object.body), Some(head.size), head.size);
        match fill(spooled, body).await {
            Ok((file, digests)) => {
                let mut info = Facts::of(object).info(key, digests.size);
                info.sha256 = Some(hexadecimal(&digests.sha256));
                Ok(Read::Whole(file, info))
            }
            Err(Unfilled::Cut(cut)) => Ok(Read::Broken(cut.to_string())),
            Err(Unfilled::Disk(error)) => Err(no_room(key, &error)),
        }
    }
}

/// Why an object is not spooled.
enum Unfilled {
    Cut(Cut),
    Disk(io::Error),
}

impl From<Cut> for Unfilled {
    fn from(cut: Cut) -> Self {
        Self::Cut(cut)
    }
}

/// Writes a body to a file. Dropping the future ends the writing, and the file with it.
async fn fill(spooled: Spooled, mut body: Body) -> Result<(LocalFile, Digests), Unfilled> {
    let (chunks, coming) = mpsc::channel(CHUNKS_WAITING_MAX);
    let written = tokio::task::spawn_blocking(move || {
        let digests = write(spooled.file(), coming)?;
        Ok((spooled.finish()?, digests))
    });
    while let Some(chunk) = body.next().await? {
        if chunks.send(chunk).await.is_err() {
            // The writer has met an error, which it tells below.
            break;
        }
    }
    drop(chunks);
    let written = written.await;
    let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
    written.map_err(Unfilled::Disk)
}

fn write<C: AsRef<[u8]>>(mut file: &File, mut chunks: mpsc::Receiver<C>) -> io::Result<Digests> {
    let mut digester = Digester::default();
    while let Some(chunk) = chunks.blocking_recv() {
        digester.update(chunk.as_ref());
        file.write_all(chunk.as_ref())?;
    }
    Ok(digester.finish())
}

fn no_room(key: &ObjectKey, error: &io::Error) -> StoreFault {
    let why = format!("there is no room to spool object `{key}`: {error}");
    StoreFault::of_disk(&io::Error::new(error.kind(), why))
}
