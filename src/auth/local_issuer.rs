//! The key of one machine, which signs tokens and is its own key set.
//!
//! Whoever can read the data folder can sign in as anybody, and could read everything there anyway. That is why this is for
//! one machine: the public listener stays on loopback with it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use iyagi_messages::ids::Timestamp;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use pem::Pem;
use serde::Serialize;
use serde_json::json;
use thiserror::Error;

use crate::own_secret;

/// Who makes the tokens.
pub const ISSUER: &str = "urn:iyagi:local";
/// The only app that there is.
pub const CLIENT_ID: &str = "iyagi-local";

const FILE: &str = "sign-in-key.pem";

/// Signs tokens.
pub struct LocalIssuer {
    key: EncodingKey,
    key_id: String,
    key_set: String,
}

/// Why there is no key.
#[derive(Debug, Error)]
pub enum LocalIssuerError {
    /// Its file cannot be read or written.
    #[error("the key of sign-in, {}, cannot be read or made: {source}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Its file holds something else.
    #[error("{} holds no RSA key: remove it, and a new one is made; tokens of the old one end then", .0.display())]
    Unsound(PathBuf),
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'static str,
    sub: &'a str,
    client_id: &'static str,
    token_use: &'static str,
    iat: u64,
    exp: u64,
    #[serde(rename = "cognito:groups", skip_serializing_if = "<[_]>::is_empty")]
    groups: &'a [String],
}

impl LocalIssuer {
    /// The data folder's key, made if it has none.
    pub fn open(data_dir: &Path) -> Result<Self, LocalIssuerError> {
        let path = data_dir.join(FILE);
        let pem = own_secret::read_or_make(data_dir, FILE, new_key);
        let pem = pem.map_err(|source| LocalIssuerError::File {
            path: path.clone(),
            source,
        })?;
        Self::of(&pem).ok_or(LocalIssuerError::Unsound(path))
    }

    fn of(pem: &[u8]) -> Option<Self> {
        let key = EncodingKey::from_rsa_pem(pem).ok()?;
        let mut public = Jwk::from_encoding_key(&key, Algorithm::RS256).ok()?;
        let key_id = public.thumbprint(ThumbprintHash::SHA256).ok()?;
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        public.common.key_id = Some(key_id.clone());
        Some(Self {
            key,
            key_id,
            key_set: json!({ "keys": [public] }).to_string(),
        })
    }

    /// The public half, as a JSON Web Key Set.
    pub fn key_set(&self) -> &str {
        &self.key_set
    }

    /// A token that speaks for `subject`.
    pub fn token(
        &self,
        subject: &str,
        groups: &[String],
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let iat = u64::try_from(now.0).unwrap_or_default() / 1_000;
        let claims = Claims {
            iss: ISSUER,
            sub: subject,
            client_id: CLIENT_ID,
            token_use: "access",
            iat,
            exp: iat + lifetime.as_secs(),
            groups,
        };
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.key_id.clone());
        jsonwebtoken::encode(&header, &claims, &self.key)
    }
}

fn new_key() -> io::Result<Vec<u8>> {
    let not_made = |_| io::Error::other("the library made no key");
    let key = KeyPair::generate(KeySize::Rsa2048).map_err(not_made)?;
    let der = key.as_der().map_err(not_made)?;
    Ok(pem::encode(&Pem::new("PRIVATE KEY", der.as_ref())).into_bytes())
}
