//! What is read of an answer: a little, and as much as came.

use reqwest::Response;

/// No answer that is understood is longer.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// An answer's body.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    /// Whether it came to its end. One that is too long to be understood is left where it is.
    pub(super) whole: bool,
}

impl Body {
    /// Reads on until the end, the limit or an error.
    pub(super) async fn read(mut response: Response) -> Self {
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => return Self { bytes, whole: true },
                Err(_) => {
                    return Self {
                        bytes,
                        whole: false,
                    };
                }
            }
            if bytes.len() > BODY_BYTES_MAX {
                bytes.truncate(BODY_BYTES_MAX);
                return Self { bytes, whole: true };
            }
        }
    }
}
