//! Links and cookies that `CloudFront` lets through to the bucket behind it.
//!
//! The hash is SHA-256, which CloudFront takes for either kind of key since it is told so in the link (`Hash-Algorithm`); the
//! SHA-1 that it takes without that would need a library that still signs with it.
//!
//! # Layout
//! - [`policy`]: what is let through, as it is signed
//! - [`key`]: the private key
//! - this file: both as links and cookies have them

pub mod key;
pub mod policy;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use self::key::{SigningKey, Unsigned};
use self::policy::Policy;

/// What says which hash was signed.
const HASH_ALGORITHM: &str = "SHA256";

/// Signs for a distribution's key group.
#[derive(Debug)]
pub struct Signer {
    key_pair_id: String,
    key: SigningKey,
}

impl Signer {
    /// Signs with a key whose public half the key group knows by that id.
    pub fn new(key_pair_id: String, key: SigningKey) -> Self {
        Self { key_pair_id, key }
    }

    /// The address with what lets it through. It has no parameters of those names, and is escaped as it will be sent.
    pub fn url(&self, url: &str, policy: &Policy) -> Result<String, Unsigned> {
        let text = policy.to_string();
        let permission = match policy.canned_for(url) {
            Some(until) => format!("Expires={until}"),
            None => format!("Policy={}", encoded(text.as_bytes())),
        };
        let signature = encoded(&self.key.sign(text.as_bytes())?);
        let separator = if url.contains('?') { '&' } else { '?' };
        Ok(format!(
            "{url}{separator}{permission}&Signature={signature}&Key-Pair-Id={}&Hash-Algorithm={HASH_ALGORITHM}",
            self.key_pair_id
        ))
    }

    /// Names and values of the cookies that let through what the policy says.
    pub fn cookies(&self, policy: &Policy) -> Result<[(&'static str, String); 4], Unsigned> {
        let text = policy.to_string();
        let permission = match policy.canned_for(policy.resource()) {
            Some(until) => ("CloudFront-Expires", until.to_string()),
            None => ("CloudFront-Policy", encoded(text.as_bytes())),
        };
        let signature = encoded(&self.key.sign(text.as_bytes())?);
        Ok([
            permission,
            ("CloudFront-Signature", signature),
            ("CloudFront-Key-Pair-Id", self.key_pair_id.clone()),
            ("CloudFront-Hash-Algorithm", HASH_ALGORITHM.to_owned()),
        ])
    }
}

/// Base64 with other characters in place of those that mean something in a query string.
fn encoded(bytes: &[u8]) -> String {
    let base64 = STANDARD.encode(bytes);
    base64.replace('+', "-").replace('=', "_").replace('/', "~")
}
