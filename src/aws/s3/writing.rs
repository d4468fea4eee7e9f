//! Writing objects: from memory, or from a file if they are too large for it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use aws_smithy_types::timeout::TimeoutConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iyagi_actors::ports::{LocalFile, ObjectInfo, PutOptions, StoreFault};
use iyagi_messages::media::DERIVED_PREFIX;
use iyagi_messages::object::ObjectKey;

use super::{S3Objects, fault, unquoted};

/// A write that is slower than this is given up and begun anew.
const UPLOAD_BYTES_PER_SECOND_MIN: u64 = 1024 * 1024;
/// Metadata that marks what iyagi made itself, for people and for rules outside; the prefix is what iyagi goes by.
const DERIVED_MARK: (&str, &str) = ("iyagi-derived", "1");

impl S3Objects {
    /// Sends what is to be stored. The SDK takes the checksum of what is in memory itself.
    pub(super) async fn send(
        &self,
        key: &ObjectKey,
        size: u64,
        body: ByteStream,
        crc32: Option<String>,
        mut options: PutOptions,
    ) -> Result<ObjectInfo, StoreFault> {
        if key.as_str().starts_with(DERIVED_PREFIX) {
            let (name, value) = DERIVED_MARK;
            options.metadata.insert(name.to_owned(), value.to_owned());
        }
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
            .body(body)
            // Said here, so that no setting of the surroundings takes it away.
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .set_checksum_crc32(crc32)
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

    /// Sends a file, from its first byte again if an attempt fails.
    pub(super) async fn send_file(
        &self,
        key: &ObjectKey,
        file: &LocalFile,
        options: PutOptions,
    ) -> Result<ObjectInfo, StoreFault> {
        let unreadable = |why: String| StoreFault::Unavailable(format!("`{key}`: {why}"));
        let read = file.clone();
        let digested = tokio::task::spawn_blocking(move || crc32(&read)).await;
        let digested = digested.unwrap_or_else(|error| Err(io::Error::other(error)));
        let crc32 = digested.map_err(|error| unreadable(error.to_string()))?;
        // It has no other name, and each attempt opens it anew to begin from its first byte.
        let path = format!("/proc/self/fd/{}", file.file().as_raw_fd());
        let body = ByteStream::from_path(path).await;
        let body = body.map_err(|error| unreadable(error.to_string()))?;
        let checksum = Some(STANDARD.encode(crc32));
        self.send(key, file.size(), body, checksum, options).await
    }
}

fn headers(metadata: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!metadata.is_empty()).then(|| metadata.clone().into_iter().collect())
}

fn crc32(file: &LocalFile) -> io::Result<[u8; 4]> {
    let mut hasher = crc32fast::Hasher::new();
    file.pass(|piece| {
        hasher.update(piece);
        Ok(())
    })?;
    Ok(hasher.finalize().to_be_bytes())
}
