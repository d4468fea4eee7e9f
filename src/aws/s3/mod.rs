//! A bucket in S3.
//!
//! S3 says the order of writes in its notifications alone, so what is read here has no sequencer; it has its version,
//! if the bucket keeps versions, and its entity tag.
//!
//! A body that breaks off or does not fit its checksum is noticed by the SDK, but only at its end, when the call is
//! long over: such a read is begun anew here.

mod body;
mod fault;
mod post_form;
mod presign;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_bucket::HeadBucketError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, ChecksumAlgorithm, EncodingType, Object};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::timeout::TimeoutConfig;
use iyagi_actors::ports::{
    ObjectInfo, ObjectPage, ObjectStore, ObjectSummary, PutOptions, StoreFault,
};
use iyagi_messages::media::DERIVED_PREFIX;
use iyagi_messages::object::ObjectKey;
use thiserror::Error;

use self::body::Cut;
pub use self::post_form::{PostForm, PostForms};
pub use self::presign::Signed;
use super::sdk_error::reason_of;

/// Largest page of a listing.
const PAGE_MAX: u32 = 1000;
/// Tries of a read whose body breaks off.
const READ_ATTEMPTS_MAX: u32 = 3;
/// The pause before the second try; the next is as much longer.
const READ_PAUSE: Duration = Duration::from_millis(100);
/// A write that is slower than this is given up and begun anew.
const UPLOAD_BYTES_PER_SECOND_MIN: u64 = 1024 * 1024;
/// What S3 says of an object whose writer said nothing.
const NO_CONTENT_TYPE: &str = "binary/octet-stream";
/// Metadata that marks what iyagi made itself, for people and for rules outside; the prefix is what iyagi goes by.
const DERIVED_MARK: (&str, &str) = ("iyagi-derived", "1");

/// A bucket.
#[derive(Debug, Clone)]
pub struct S3Objects {
    client: Client,
    bucket: String,
    call_timeout: Duration,
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
    /// Opens a bucket that is there. A call may take `call_timeout`, and a write as long as its bytes need on top.
    pub async fn open(
        client: Client,
        bucket: &str,
        call_timeout: Duration,
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
        let objects = Self {
            client,
            bucket: bucket.to_owned(),
            call_timeout,
        };
        objects.warn_without_versions().await;
        Ok(objects)
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

    async fn read(&self, key: &ObjectKey, bytes_max: u64) -> Result<Read, StoreFault> {
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
        let body = std::mem::take(&mut object.body);
        let bytes = match body::read(body, announced, bytes_max).await {
            Ok(bytes) => bytes,
            Err(Cut::TooLarge { size }) => return Err(too_large(size)),
            Err(Cut::Broken(reason)) => return Ok(Read::Broken(reason)),
        };
        let info = Facts::of(object).info(key, bytes.len() as u64);
        Ok(Read::Whole(bytes, info))
    }
}

/// How one attempt to read an object ended, if not in a fault.
enum Read {
    Whole(Vec<u8>, ObjectInfo),
    Broken(String),
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
        let mut reason = String::new();
        for attempt in 1..=READ_ATTEMPTS_MAX {
            match self.read(key, bytes_max).await? {
                Read::Whole(bytes, info) => return Ok((bytes, info)),
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
        let body = std::mem::take(&mut object.body);
        let start = body::read(body, announced, bytes).await;
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
        mut options: PutOptions,
    ) -> Result<ObjectInfo, StoreFault> {
        if key.as_str().starts_with(DERIVED_PREFIX) {
            let (name, value) = DERIVED_MARK;
            options.metadata.insert(name.to_owned(), value.to_owned());
        }
        let size = bytes.len() as u64;
        let attempt = self.call_timeout + Duration::from_secs(size / UPLOAD_BYTES_PER_SECOND_MIN);
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(attempt)
            .operation_timeout(attempt * 2)
            .build();
        let stored = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .body(ByteStream::from(bytes))
            // Said here, so that no setting of the surroundings takes it away.
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .set_content_type(options.content_type.clone())
            .set_cache_control(options.cache_control.clone())
            .set_metadata(headers(&options.metadata))
            .customize()
            .config_override(aws_sdk_s3::config::Builder::new().timeout_config(timeouts))
            .send()
            .await
            .map_err(|error| fault::of_write(key, &error))?;
        Ok(ObjectInfo {
            key: key.clone(),
            size,
            etag: unquoted(stored.e_tag),
            sha256: None,
            version_id: stored.version_id,
            sequencer: None,
            options,
        })
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

fn headers(metadata: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!metadata.is_empty()).then(|| metadata.clone().into_iter().collect())
}

/// What stands behind the slash of `bytes 0-511/36812`.
fn size_of_whole(content_range: &str) -> Option<u64> {
    content_range.rsplit_once('/')?.1.parse().ok()
}

/// S3 writes an entity tag as HTTP does, and leaves the quotes out in its notifications.
fn unquoted(etag: Option<String>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}
