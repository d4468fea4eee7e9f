//! Requests that somebody else may make in our name, for a while.

use std::time::Duration;

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use iyagi_actors::ports::StoreFault;
use iyagi_messages::object::ObjectKey;

use super::S3Objects;
use crate::aws::sdk_error::reason_of;

/// A signed request. It ends with the credentials that signed it if they end earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Where to send it.
    pub url: String,
    /// Headers that are part of the signature, so that it must be sent with them.
    pub headers: Vec<(String, String)>,
}

impl S3Objects {
    /// Lets whoever has the address read an object for `expires`, a week at most.
    pub async fn presign_get(
        &self,
        key: &ObjectKey,
        expires: Duration,
    ) -> Result<Signed, StoreFault> {
        let request = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key.as_str());
        let signed = request.presigned(validity(expires)?).await;
        let signed = signed.map_err(|error| StoreFault::Unavailable(reason_of(&error)))?;
        Ok(Signed::of(&signed))
    }

    /// Lets whoever has the address write an object of that type for `expires`, a week at most; of exactly so many
    /// bytes if they are given. A signature cannot say "at most": S3 only compares headers with what was signed.
    pub async fn presign_put(
        &self,
        key: &ObjectKey,
        content_type: &str,
        bytes: Option<u64>,
        expires: Duration,
    ) -> Result<Signed, StoreFault> {
        let length = bytes.map(i64::try_from).transpose().map_err(|_| {
            StoreFault::Unavailable("an object cannot have that many bytes".to_owned())
        })?;
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .content_type(content_type)
            .set_content_length(length);
        let signed = request.presigned(validity(expires)?).await;
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

fn validity(expires: Duration) -> Result<PresigningConfig, StoreFault> {
    PresigningConfig::expires_in(expires)
        .map_err(|error| StoreFault::Unavailable(error.to_string()))
}
