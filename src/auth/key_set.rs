//! A JSON Web Key Set (RFC 7517), read strictly: what is no key to verify our tokens with is left out.

use std::collections::BTreeMap;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// Keys by id.
#[derive(Clone, Default)]
pub struct KeySet(BTreeMap<String, DecodingKey>);

/// Why a text is no set of keys.
#[derive(Debug, Error)]
pub enum KeySetError {
    /// Not JSON, or without a list of keys.
    #[error("it is no JSON Web Key Set: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// None of them is for signatures by RS256.
    #[error("none of its {0} keys is an RSA key for signatures by RS256 with a `kid`")]
    NoneOfUse(usize),
    /// It cannot be told which of them to use.
    #[error("two of its keys are named \"{0}\"")]
    Twice(String),
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a document.
    pub fn parse(document: &[u8]) -> Result<Self, KeySetError> {
        let Document { keys } = serde_json::from_slice(document)?;
        let mut set = BTreeMap::new();
        for (id, key) in keys.iter().filter_map(of_use) {
            if set.insert(id.clone(), key).is_some() {
                return Err(KeySetError::Twice(id));
            }
        }
        if set.is_empty() {
            return Err(KeySetError::NoneOfUse(keys.len()));
        }
        Ok(Self(set))
    }

    /// A key.
    pub fn find(&self, id: &str) -> Option<&DecodingKey> {
        self.0.get(id)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn of_use(value: &Value) -> Option<(String, DecodingKey)> {
    let key = Jwk::deserialize(value).ok()?;
    let about = &key.common;
    let signs = about.public_key_use == Some(PublicKeyUse::Signature)
        && about.key_algorithm == Some(KeyAlgorithm::RS256)
        && matches!(key.algorithm, AlgorithmParameters::RSA(_));
    let id = about.key_id.clone().filter(|id| signs && !id.is_empty())?;
    Some((id, DecodingKey::from_jwk(&key).ok()?))
}
