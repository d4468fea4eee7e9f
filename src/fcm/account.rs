//! The service account's key, as Google hands it out: a JSON file.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use iyagi_messages::ids::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a token allows: sending messages, and nothing else.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// Longest that Google lets an assertion live.
const ASSERTION_SECONDS: i64 = 3_600;

/// A service account that may send messages.
pub struct ServiceAccount {
    /// The project that its phones belong to; absent in keys of other tools.
    pub project_id: Option<String>,
    /// Its address, which is its name.
    pub client_email: String,
    /// Where its access tokens are had.
    pub token_uri: Url,
    audience: String,
    key_id: Option<String>,
    key: EncodingKey,
}

/// Why a key file is of no use.
#[derive(Debug, Error)]
pub enum CredentialError {
    /// It cannot be read.
    #[error(
        "the key file {} of `push.fcm.credential_file` cannot be read: {source}",
        .path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not a service account's key.
    #[error(
        "the key file {} of `push.fcm.credential_file` is no key of a service account: {reason}",
        .path.display()
    )]
    Unsound {
        /// The file.
        path: PathBuf,
        /// What is wrong with it. Never a part of the key.
        reason: String,
    },
}

impl CredentialError {
    /// What to do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "name the JSON key of a service account there, and let the daemon's user read it"
            }
            Self::Unsound { .. } => {
                "make a new key in the Firebase console, under project settings, service accounts"
            }
        }
    }
}

/// The file's form. Google writes more than that.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: Option<String>,
    project_id: Option<String>,
    private_key_id: Option<String>,
    private_key: Option<String>,
    client_email: Option<String>,
    token_uri: Option<String>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'static str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

impl ServiceAccount {
    /// Reads the key file, and tries whether its key signs.
    pub fn read(path: &Path) -> Result<Self, CredentialError> {
        let text = fs::read_to_string(path).map_err(|source| CredentialError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|reason| CredentialError::Unsound {
            path: path.to_owned(),
            reason,
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        // The parser's own words may quote the file, and with it the key.
        let file: KeyFile = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("it is not the JSON of one (line {line}, column {column})")
        })?;
        if let Some(kind) = file.kind.filter(|kind| kind != "service_account") {
            return Err(format!("its `type` is \"{kind}\", not \"service_account\""));
        }
        let present = |name: &str, value: Option<String>| {
            let value = value.filter(|value| !value.is_empty());
            value.ok_or_else(|| format!("it has no `{name}`"))
        };
        let pem = present("private_key", file.private_key)?;
        // As it stands in the file, whatever an address may become when it is read: Google compares texts.
        let audience = present("token_uri", file.token_uri)?;
        let account = Self {
            project_id: file.project_id.filter(|id| !id.is_empty()),
            client_email: present("client_email", file.client_email)?,
            token_uri: Url::parse(&audience)
                .map_err(|_| "its `token_uri` is no address".to_owned())?,
            audience,
            key_id: file.private_key_id,
            key: EncodingKey::from_rsa_pem(pem.as_bytes())
                .map_err(|_| "its `private_key` is no RSA key in PEM".to_owned())?,
        };
        account
            .assertion(Timestamp(0))
            .map_err(|_| "its `private_key` does not sign".to_owned())?;
        Ok(account)
    }

    /// What is exchanged for an access token: a statement, signed with the key, of who asks for what.
    pub fn assertion(&self, now: Timestamp) -> Result<String, jsonwebtoken::errors::Error> {
        let iat = now.0 / 1_000;
        let claims = Claims {
            iss: &self.client_email,
            scope: SCOPE,
            aud: &self.audience,
            iat,
            exp: iat + ASSERTION_SECONDS,
        };
        let mut header = Header::new(Algorithm::RS256);
        header.kid.clone_from(&self.key_id);
        jsonwebtoken::encode(&header, &claims, &self.key)
    }
}

/// Shows everything but the key.
impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount")
            .field("project_id", &self.project_id)
            .field("client_email", &self.client_email)
            .field("token_uri", &self.token_uri.as_str())
            .finish_non_exhaustive()
    }
}
