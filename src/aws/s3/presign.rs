//! Requests that somebody else may make in our name, for a while. They end with the credentials that signed them, if those
//! end earlier.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iyagi_actors::ports::StoreFault;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::object::ObjectKey;

use super::S3Objects;
use crate::aws::sdk_error::reason_of;
use crate::links::{Checksum, Upload};

/// A signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Where to send it.
    pub url: String,
    /// Headers that are part of the signature, so that it must be sent with them.
    pub headers: BTreeMap<String, String>,
}

impl S3Objects {
    /// Lets whoever has the address read an object for `lasts` from a moment on, a week at most.
    pub async fn presign_get(
        &self,
        key: &ObjectKey,
        from: Timestamp,
        lasts: Duration,
    ) -> Result<Signed, StoreFault> {
        let request = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key.as_str());
        let signed = request.presigned(validity(from, lasts)?).await;
        let signed = signed.map_err(|error| StoreFault::Unavailable(reason_of(&error)))?;
        Ok(Signed::of(&signed))
    }

    /// Lets whoever has the address upload what is declared for `lasts` from a moment on, a week at most, and once: S3
    /// refuses a second write of the key. A signature cannot say "at most": S3 only compares headers with what was signed.
    pub async fn presign_put(
        &self,
        upload: &Upload,
        from: Timestamp,
        lasts: Duration,
    ) -> Result<Signed, StoreFault> {
        let length = i64::try_from(upload.size).map_err(|_| {
            StoreFault::Unavailable("an object cannot have that many bytes".to_owned())
        })?;
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(upload.key.as_str())
            .content_type(&upload.content_type)
            .content_length(length)
            .if_none_match("*");
        let checksum = STANDARD.encode(upload.checksum.bytes());
        let request = match upload.checksum {
            Checksum::Crc32(_) => request.checksum_crc32(checksum),
            Checksum::Sha256(_) => request.checksum_sha256(checksum),
        };
        let signed = request.presigned(validity(from, lasts)?).await;
        let signed = signed.map_err(|error| StoreFault::Unavailable(reason_of(&error)))?;
        Ok(Signed::of(&signed))
    }
}

impl Signed {
    fn of(request: &PresignedRequest) -> Self {
        let headers = request.headers();
        Self {
            url: request.uri().to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

fn validity(from: Timestamp, lasts: Duration) -> Result<PresigningConfig, StoreFault> {
    PresigningConfig::builder()
        .start_time(system_time(from))
        .expires_in(lasts)
        .build()
        .map_err(|error| StoreFault::Unavailable(error.to_string()))
}

/// A moment as the SDK has it.
pub(super) fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap_or(0))
}
