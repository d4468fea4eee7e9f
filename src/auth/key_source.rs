//! Where key sets come from: an address, a file, or the daemon itself.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use thiserror::Error;

use super::key_set::{KeySet, KeySetError};
use crate::config::CognitoConfig;

/// How long a fetch may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Longest document that is read, in bytes. Cognito's has under two thousand.
const DOCUMENT_BYTES_MAX: usize = 64 * 1024;

/// Where key sets come from.
pub enum KeySource {
    /// What was there from the beginning.
    Fixed(String),
    /// A file, read anew each time.
    File(PathBuf),
    /// A user pool.
    Address {
        /// Where its document is.
        url: Url,
        /// What fetches it.
        client: Client,
    },
}

/// Why no keys are to be had from where they should be.
#[derive(Debug, Error)]
pub enum KeySourceError {
    /// The address is none.
    #[error("auth.cognito.jwks_url is no address: \"{0}\"")]
    Url(String),
    /// What fetches could not be built.
    #[error("nothing can be fetched: {}", chain(.0))]
    Client(#[source] reqwest::Error),
    /// The file.
    #[error("auth.cognito.jwks_file {path} cannot be read: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// No answer.
    #[error("the keys of the user pool cannot be fetched: {}", chain(.0))]
    NoAnswer(#[from] reqwest::Error),
    /// Another answer than 200. A redirect leads to somebody who is not the user pool.
    #[error("the keys of the user pool cannot be fetched: the answer is {0}")]
    Status(StatusCode),
    /// More than any key set has.
    #[error("the key set has more than {DOCUMENT_BYTES_MAX} bytes")]
    TooLong,
    /// What came is no key set.
    #[error("the key set is of no use: {0}")]
    Set(#[from] KeySetError),
}

impl KeySource {
    /// Where a user pool's keys are.
    pub fn of(pool: &CognitoConfig) -> Result<Self, KeySourceError> {
        if let Some(path) = &pool.jwks_file {
            return Ok(Self::File(path.clone()));
        }
        let url = pool.jwks_url();
        let url = Url::parse(&url).map_err(|_| KeySourceError::Url(url))?;
        let client = Client::builder().redirect(Policy::none()).timeout(TIMEOUT);
        let client = client.build().map_err(KeySourceError::Client)?;
        Ok(Self::Address { url, client })
    }

    /// Reads them.
    pub async fn fetch(&self) -> Result<KeySet, KeySourceError> {
        let document = match self {
            Self::Fixed(document) => document.as_bytes().to_vec(),
            Self::File(path) => {
                let read = tokio::fs::read(path).await;
                read.map_err(|source| KeySourceError::File {
                    path: path.clone(),
                    source,
                })?
            }
            Self::Address { url, client } => download(client, url.clone()).await?,
        };
        Ok(KeySet::parse(&document)?)
    }
}

async fn download(client: &Client, url: Url) -> Result<Vec<u8>, KeySourceError> {
    let mut answer = client.get(url).send().await?;
    if answer.status() != StatusCode::OK {
        return Err(KeySourceError::Status(answer.status()));
    }
    let mut document = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        if document.len() + piece.len() > DOCUMENT_BYTES_MAX {
            return Err(KeySourceError::TooLong);
        }
        document.extend_from_slice(&piece);
    }
    Ok(document)
}

/// An error with what caused it: the outermost alone says only that a request failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        write!(text, ": {inner}").expect("writing to a String cannot fail");
        cause = inner.source();
    }
    text
}
