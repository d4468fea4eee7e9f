//! A bucket in S3.
//!
//! S3 says the order of writes in its notifications alone, so what is read here has no sequencer; it has its version,
//! if the bucket keeps versions, and its entity tag.

mod body;
mod fault;
mod post_form;
mod presign;
mod reading;
mod writing;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_bucket::HeadBucketError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, EncodingType, Object};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use iyagi_actors::ports::{
    LocalFile, ObjectInfo, ObjectPage, ObjectStore, ObjectSummary, Pieces, PutOptions, StoreFault,
};
use iyagi_messages::object::ObjectKey;
use thiserror::Error;

use self::body::Body;
pub use self::post_form::{PostForm, PostForms};
pub use self::presign::Signed;
use self::reading::until_whole;
use super::sdk_error::reason_of;
use crate::spool::Spool;

/// Largest page of a listing.
const PAGE_MAX: u32 = 1000;
/// What S3 says of an object whose writer said nothing.
const NO_CONTENT_TYPE: &str = "binary/octet-stream";
/// A bucket.
#[derive(Debug, Clone)]
pub struct S3Objects {
    client: Client,
    bucket: String,
    call_timeout: Duration,
    spool: Arc<Spool>,
}

/// Why a bucket cannot be opened.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum OpenBucketError {
    /// It is not there.
    #[error("there is no bucket {bucket}; `iyagi provision` makes it")]
    Missing {
        /// Its name.
        bucket: String,
    },
    /// It may be there, but not for us.
    #[error("bucket {bucket} cannot be used: {reason}")]
    Unavailable {
        /// Its name.
        bucket: String,
        /// What happened.
        reason: String,
    },
}

impl S3Objects {
    /// Opens a bucket that is there. A call may take `call_timeout`, and a write as long as its bytes need on top. Objects
    /// that are wanted as files come into the spool.
    pub async fn open(
        client: Client,
        bucket: &str,
        call_timeout: Duration,
        spool: Arc<Spool>,
    ) -> Result<Self, OpenBucketError> {
        if let Err(error) = client.head_bucket().bucket(bucket).send().await {
            let bucket = bucket.to_owned();
            if error
                .as_service_error()
                .is_some_and(HeadBucketError::is_not_found)
            {
                return Err(OpenBucketError::Missing { bucket });
            }
            let reason = reason_of(&error);
            return Err(OpenBucketError::Unavailable { bucket, reason });
        }
        let objects = Self::assumed(client, bucket, call_timeout, spool);
        objects.warn_without_versions().await;
        Ok(objects)
    }

    /// A bucket that is taken to be there: if it is not, each call says so.
    pub fn assumed(
        client: Client,
        bucket: &str,
        call_timeout: Duration,
        spool: Arc<Spool>,
    ) -> Self {
        Self {
            client,
            bucket: bucket.to_owned(),
            call_timeout,
            spool,
        }
    }

    async fn warn_without_versions(&self) {
        let versioning = self
            .client
            .get_bucket_versioning()
            .bucket(&self.bucket)
            .send()
            .await;
        match versioning {
            Ok(versioning) if versioning.status == Some(BucketVersioningStatus::Enabled) => {}
            Ok(_) => tracing::warn!(
                bucket = %self.bucket,
                "the bucket keeps no versions, so two writes of one key at the same moment may raise a single notification"
            ),
            Err(error) => tracing::warn!(
                bucket = %self.bucket, reason = reason_of(&error),
                "it is not known whether the bucket keeps versions"
            ),
        }
    }
}

/// What S3 says beside an object's bytes, in whichever answer.
struct Facts {
    etag: Option<String>,
    version_id: Option<String>,
    content_type: Option<String>,
    cache_control: Option<String>,
    metadata: Option<HashMap<String, String>>,
}

impl Facts {
    fn of(object: GetObjectOutput) -> Self {
        Self {
            etag: object.e_tag,
            version_id: object.version_id,
            content_type: object.content_type,
            cache_control: object.cache_control,
            metadata: object.metadata,
        }
    }

    fn info(self, key: &ObjectKey, size: u64) -> ObjectInfo {
        ObjectInfo {
            key: key.clone(),
            size,
            etag: unquoted(self.etag),
            sha256: None,
            version_id: self.version_id,
            sequencer: None,
            options: PutOptions {
                content_type: self.content_type.filter(|said| said != NO_CONTENT_TYPE),
                cache_control: self.cache_control,
                metadata: self.metadata.into_iter().flatten().collect(),
            },
        }
    }
}

#[async_trait]
impl ObjectStore for S3Objects {
    async fn get(
        &self,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<(Vec<u8>, ObjectInfo), StoreFault> {
        until_whole(key, || self.read(key, bytes_max)).await
    }

    async fn get_file(
        &self,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<(LocalFile, ObjectInfo), StoreFault> {
        until_whole(key, || self.spool(key, bytes_max)).await
    }

    async fn get_part(
        &self,
        object: &ObjectInfo,
        part: Range<u64>,
    ) -> Result<Option<Pieces>, StoreFault> {
        self.part(object, part).await
    }

    async fn get_start(
        &self,
        key: &ObjectKey,
        bytes: u64,
    ) -> Result<(Vec<u8>, ObjectInfo), StoreFault> {
        let sent = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .range(format!("bytes=0-{}", bytes.saturating_sub(1)))
            .send()
            .await;
        let mut object = match sent {
            Ok(object) => object,
            // An object without any bytes has no first ones either.
            Err(error) if error.code() == Some("InvalidRange") => {
                return Ok((Vec::new(), self.head(key).await?));
            }
            Err(error) => return Err(fault::of_get(key, &error)),
        };
        let size = object.content_range.as_deref().and_then(size_of_whole);
        let size = size.ok_or_else(|| fault::incomplete(key, "range"))?;
        let announced = object.content_length.and_then(|n| u64::try_from(n).ok());
        let body = Body::new(std::mem::take(&mut object.body), announced, bytes);
        let start = body.whole().await;
        let start = start.map_err(|cut| StoreFault::Unavailable(format!("`{key}`: {cut}")))?;
        Ok((start, Facts::of(object).info(key, size)))
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo, StoreFault> {
        let sent = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .send()
            .await;
        let object = sent.map_err(|error| fault::of_head(key, &error))?;
        let size = object.content_length.and_then(|n| u64::try_from(n).ok());
        let size = size.ok_or_else(|| fault::incomplete(key, "length"))?;
        let facts = Facts {
            etag: object.e_tag,
            version_id: object.version_id,
            content_type: object.content_type,
            cache_control: object.cache_control,
            metadata: object.metadata,
        };
        Ok(facts.info(key, size))
    }

    async fn put(
        &self,
        key: &ObjectKey,
        bytes: Vec<u8>,
        options: PutOptions,
    ) -> Result<ObjectInfo, StoreFault> {
        let size = bytes.len() as u64;
        let body = ByteStream::from(bytes);
        self.send(key, size, body, None, options).await
    }

    async fn put_file(
        &self,
        key: &ObjectKey,
        file: &LocalFile,
        options: PutOptions,
    ) -> Result<ObjectInfo, StoreFault> {
        self.send_file(key, file, options).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreFault> {
        let deleted = self
            .client
            .delete_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .send()
            .await;
        deleted
            .map(drop)
            .map_err(|error| fault::of_write(key, &error))
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: u32,
    ) -> Result<ObjectPage, StoreFault> {
        let limit = limit.clamp(1, PAGE_MAX) as usize;
        let mut objects: Vec<ObjectSummary> = Vec::new();
        let mut behind = after.map(|key| key.as_str().to_owned());
        loop {
            let wanted = limit - objects.len();
            let page = self
                .client
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(prefix)
                .set_start_after(behind.take())
                .max_keys(i32::try_from(wanted).expect("a page is small"))
                // A key may have characters that XML cannot say.
                .encoding_type(EncodingType::Url)
                .send()
                .await
                .map_err(|error| StoreFault::Unavailable(reason_of(&error)))?;
            let more = page.is_truncated.unwrap_or_default();
            for object in page.contents.unwrap_or_default() {
                let key = object.key.clone().unwrap_or_default();
                behind = Some(decoded(&key));
                match summary(object) {
                    Some(summary) => objects.push(summary),
                    // The placeholder of a folder, for one.
                    None => {
                        tracing::debug!(
                            key,
                            "an object whose key iyagi does not use is not listed"
                        );
                    }
                }
            }
            if !more || behind.is_none() {
                let next = None;
                return Ok(ObjectPage { objects, next });
            }
            if objects.len() >= limit {
                let next = objects.last().map(|last| last.key.clone());
                return Ok(ObjectPage { objects, next });
            }
        }
    }
}

fn summary(object: Object) -> Option<ObjectSummary> {
    Some(ObjectSummary {
        key: ObjectKey::new(decoded(&object.key?)).ok()?,
        size: object.size?.try_into().ok()?,
        etag: unquoted(object.e_tag),
    })
}

/// A key as it stands in a listing, which is encoded as in a form.
fn decoded(key: &str) -> String {
    let spaced = key.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced)
        .decode_utf8_lossy()
        .into_owned()
}

/// What stands behind the slash of `bytes 0-511/36812`.
fn size_of_whole(content_range: &str) -> Option<u64> {
    content_range.rsplit_once('/')?.1.parse().ok()
}

/// S3 writes an entity tag as HTTP does, and leaves the quotes out in its notifications.
fn unquoted(etag: Option<String>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}
