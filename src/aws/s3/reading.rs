//! Reading objects: into memory, into the spool if they are too large for it, or as they come for whoever hands them on.
//!
//! A body that breaks off or does not fit its checksum is noticed by the SDK, but only at its end, when the call is
//! long over: such a read is begun anew here.
//!
//! Room in the spool is taken before an object comes, by what its head says of its size. It may be replaced in between, so
//! it is asked for by its entity tag, and looked at anew if that is no longer its own.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use iyagi_actors::ports::{LocalFile, ObjectInfo, ObjectStore, Pieces, StoreFault};
use iyagi_media::hexadecimal;
use iyagi_messages::object::ObjectKey;

use super::body::{Body, Cut};
use super::{Facts, S3Objects, fault};
use crate::arriving::Arriving;
use crate::digests::{Digester, Digests};
use crate::spool::{Kind, Spooled};

/// Tries of a read whose body breaks off.
const READ_ATTEMPTS_MAX: u32 = 3;
/// The pause before the second try; the next is as much longer.
const READ_PAUSE: Duration = Duration::from_millis(100);

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

    /// Some of an object, as it comes; nothing if it is another one by now. What has broken off by its first piece is a fault.
    pub(super) async fn part(
        &self,
        object: &ObjectInfo,
        part: Range<u64>,
    ) -> Result<Option<Pieces>, StoreFault> {
        let key = &object.key;
        // Of the whole the SDK verifies the checksum.
        let some = part.start > 0 || part.end < object.size;
        let range = some.then(|| format!("bytes={}-{}", part.start, part.end.saturating_sub(1)));
        let sent = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .if_match(format!("\"{}\"", object.etag))
            .set_range(range)
            .send()
            .await;
        let sent = match sent {
            Ok(sent) => sent,
            Err(error) if fault::is_another(&error) => return Ok(None),
            Err(error) => return Err(fault::of_get(key, &error)),
        };
        let mut body = Body::unhurried(sent.body, part.end - part.start);
        let first = body.next().await;
        let first = first.map_err(|cut| StoreFault::Unavailable(format!("`{key}`: {cut}")))?;
        Ok(Some(handed_on(key.clone(), body, first)))
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
        let spooled = spooled.map_err(|error| unspooled(key, &error))?;
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
            Err(Unfilled::Disk(error)) => Err(unspooled(key, &error)),
        }
    }
}

/// What is left of a body behind its first piece, as it is handed on. Each piece waits for the next: the last one comes once
/// the SDK has found no fault with all of them, so that nobody takes a damaged object for a whole one.
fn handed_on(key: ObjectKey, body: Body, first: Option<Bytes>) -> Pieces {
    let pieces = stream::try_unfold((key, body, first), |(key, mut body, piece)| async move {
        let Some(piece) = piece else {
            return Ok(None);
        };
        let next = body.next().await.map_err(|cut| {
            tracing::warn!(%key, reason = %cut, "an object broke off while it was handed on");
            io::Error::new(ErrorKind::UnexpectedEof, cut)
        })?;
        Ok(Some((piece, (key, body, next))))
    });
    pieces.boxed()
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
    let arriving = Arriving::begin(|coming| {
        let mut digester = Digester::default();
        let file = spooled.fill(coming, |piece| digester.update(piece))?;
        Ok((file, digester.finish()))
    });
    while let Some(piece) = body.next().await? {
        if !arriving.take(piece).await {
            break;
        }
    }
    arriving.end().await.map_err(Unfilled::Disk)
}

fn unspooled(key: &ObjectKey, error: &io::Error) -> StoreFault {
    let why = format!("object `{key}` cannot be spooled: {error}");
    StoreFault::of_disk(&io::Error::new(error.kind(), why))
}
