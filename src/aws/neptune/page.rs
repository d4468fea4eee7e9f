//! The body of a 200, as the service sent it.

use std::borrow::Cow;
use std::io::{self, Read as _};

use aws_sdk_neptunedata::error::SdkError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use flate2::read::MultiGzDecoder;
use iyagi_actors::ports::StreamFault;
use iyagi_messages::stream::StreamPage;
use thiserror::Error;

/// Largest page after inflating. The service ends a page with the record that crosses 10 MB, and that one record may be
/// large itself; what is larger still is no page but a bomb.
pub const PAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The bytes of an answer, and how they are packed.
pub(super) struct Body {
    bytes: Vec<u8>,
    encoding: Option<String>,
}

/// A body that cannot be unpacked.
#[derive(Debug, Error)]
pub(super) enum Unpackable {
    /// Cut off or damaged.
    #[error("its gzip cannot be inflated: {0}")]
    Gzip(#[from] io::Error),
    /// Larger than any page.
    #[error("it is larger than {PAGE_BYTES_MAX} bytes")]
    TooLarge,
    /// Packed in a way that nobody asked for.
    #[error("its content encoding is `{0}`, not gzip")]
    Encoding(String),
}

impl Body {
    /// The body of any answer, if there was one.
    pub(super) fn of<E>(error: &SdkError<E>) -> Option<Self> {
        error.raw_response().map(Self::read)
    }

    /// The body of a 200 that the SDK could not make sense of. One that broke off while it was read is left empty.
    pub(super) fn of_page<E>(error: &SdkError<E>) -> Option<Self> {
        error
            .raw_response()
            .filter(|response| response.status().as_u16() == 200)
            .map(Self::read)
            .filter(|body| !body.bytes.is_empty())
    }

    fn read(response: &HttpResponse) -> Self {
        Self {
            bytes: response.body().bytes().unwrap_or_default().to_vec(),
            encoding: response
                .headers()
                .get("content-encoding")
                .map(str::to_ascii_lowercase),
        }
    }

    pub(super) fn parse(&self) -> Result<StreamPage, StreamFault> {
        let unparsable = |reason: String| StreamFault::Unparsable(reason);
        let plain = self
            .unpack()
            .map_err(|error| unparsable(error.to_string()))?;
        StreamPage::parse(&plain).map_err(|error| unparsable(error.to_string()))
    }

    pub(super) fn unpack(&self) -> Result<Cow<'_, [u8]>, Unpackable> {
        let plain = match self.encoding.as_deref() {
            None | Some("" | "identity") => Cow::Borrowed(&*self.bytes),
            Some("gzip" | "x-gzip") => Cow::Owned(inflate(&self.bytes)?),
            Some(other) => return Err(Unpackable::Encoding(other.to_owned())),
        };
        if plain.len() > PAGE_BYTES_MAX {
            return Err(Unpackable::TooLarge);
        }
        Ok(plain)
    }
}

fn inflate(packed: &[u8]) -> Result<Vec<u8>, Unpackable> {
    let mut plain = Vec::new();
    // One byte more than is allowed tells a full page from one that goes on.
    let most = PAGE_BYTES_MAX as u64 + 1;
    MultiGzDecoder::new(packed)
        .take(most)
        .read_to_end(&mut plain)?;
    Ok(plain)
}
