//! Reading a body to its end, but no further than is wanted.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use thiserror::Error;
use tokio::time::timeout;

use crate::aws::sdk_error::chain;

/// How long one body may take; the SDK ends one that stands still much earlier.
const BODY_TIMEOUT: Duration = Duration::from_mins(5);
/// Memory is taken in advance up to here; a length that is only announced is not worth more.
const ADVANCE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why there is no whole body.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum Cut {
    /// There is more of it than is wanted.
    #[error("{size} bytes came, more than were asked for")]
    TooLarge {
        /// What had come until then.
        size: u64,
    },
    /// It ended too early, or is not what was sent.
    #[error("{0}")]
    Broken(String),
}

/// Reads a body of at most `bytes_max` bytes.
pub(super) async fn read(
    body: ByteStream,
    announced: Option<u64>,
    bytes_max: u64,
) -> Result<Vec<u8>, Cut> {
    let whole = timeout(BODY_TIMEOUT, collect(body, announced, bytes_max)).await;
    let bytes = whole.unwrap_or_else(|_| {
        let reason = format!("it did not end within {BODY_TIMEOUT:?}");
        Err(Cut::Broken(reason))
    })?;
    match announced.filter(|announced| *announced != bytes.len() as u64) {
        None => Ok(bytes),
        Some(announced) => {
            let got = bytes.len();
            Err(Cut::Broken(format!("{got} of {announced} bytes came")))
        }
    }
}

async fn collect(
    mut body: ByteStream,
    announced: Option<u64>,
    bytes_max: u64,
) -> Result<Vec<u8>, Cut> {
    let advance = announced.unwrap_or(0).min(ADVANCE_BYTES_MAX);
    let mut bytes = Vec::with_capacity(usize::try_from(advance).unwrap_or(0));
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Cut::Broken(chain(&error)))?;
        let size = (bytes.len() + chunk.len()) as u64;
        if size > bytes_max {
            return Err(Cut::TooLarge { size });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_read_no_further_than_is_wanted() {
        let body = || ByteStream::from_static(b"12345");
        assert_eq!(read(body(), Some(5), 5).await, Ok(b"12345".to_vec()));
        assert_eq!(read(body(), None, 5).await, Ok(b"12345".to_vec()));
        let too_large = Err(Cut::TooLarge { size: 5 });
        assert_eq!(read(body(), None, 4).await, too_large);
    }

    #[tokio::test]
    async fn a_body_of_another_length_than_announced_is_broken() {
        let body = ByteStream::from_static(b"1234");
        let broken = Err(Cut::Broken("4 of 5 bytes came".to_owned()));
        assert_eq!(read(body, Some(5), 10).await, broken);
    }
}
