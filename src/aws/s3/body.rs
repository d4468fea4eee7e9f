//! A body that comes in chunks: to its end, but no further than is wanted.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use crate::aws::sdk_error::chain;

/// How long one body may take at least; the SDK ends one that stands still much earlier.
const BODY_TIMEOUT: Duration = Duration::from_mins(5);
/// A large body may take longer, by what it takes at this rate.
const BYTES_PER_SECOND_MIN: u64 = 1024 * 1024;
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

/// A body, as far as it has come.
pub(super) struct Body {
    stream: ByteStream,
    announced: Option<u64>,
    bytes_max: u64,
    came: u64,
    limit: Option<TimeLimit>,
}

/// How long a body may take, and until when that is.
#[derive(Clone, Copy)]
struct TimeLimit {
    time: Duration,
    until: Instant,
}

impl Body {
    /// One of at most `bytes_max` bytes.
    pub(super) fn new(stream: ByteStream, announced: Option<u64>, bytes_max: u64) -> Self {
        let wanted = announced.unwrap_or(bytes_max).min(bytes_max);
        let time = BODY_TIMEOUT + Duration::from_secs(wanted / BYTES_PER_SECOND_MIN);
        Self {
            stream,
            announced,
            bytes_max,
            came: 0,
            limit: Some(TimeLimit {
                time,
                until: Instant::now() + time,
            }),
        }
    }

    /// One of so many bytes that takes as long as whoever it is handed on to.
    pub(super) fn unhurried(stream: ByteStream, bytes: u64) -> Self {
        Self {
            limit: None,
            ..Self::new(stream, Some(bytes), bytes)
        }
    }

    /// The next chunk; none behind the last, once all that was announced has come.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Cut> {
        let coming = self.stream.next();
        let next = match self.limit {
            Some(TimeLimit { time, until }) => {
                let late = |_| Cut::Broken(format!("it did not end within {time:?}"));
                timeout_at(until, coming).await.map_err(late)?
            }
            None => coming.await,
        };
        let next = next.transpose();
        let Some(chunk) = next.map_err(|error| Cut::Broken(chain(&error)))? else {
            return match self.announced.filter(|announced| *announced != self.came) {
                None => Ok(None),
                Some(announced) => {
                    let came = self.came;
                    Err(Cut::Broken(format!("{came} of {announced} bytes came")))
                }
            };
        };
        self.came += chunk.len() as u64;
        if self.came > self.bytes_max {
            return Err(Cut::TooLarge { size: self.came });
        }
        Ok(Some(chunk))
    }

    /// All of it, in memory.
    pub(super) async fn whole(mut self) -> Result<Vec<u8>, Cut> {
        let advance = self.announced.unwrap_or(0).min(ADVANCE_BYTES_MAX);
        let mut bytes = Vec::with_capacity(usize::try_from(advance).unwrap_or(0));
        while let Some(chunk) = self.next().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(
        stream: ByteStream,
        announced: Option<u64>,
        bytes_max: u64,
    ) -> Result<Vec<u8>, Cut> {
        Body::new(stream, announced, bytes_max).whole().await
    }

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
