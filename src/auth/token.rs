//! What a token must be to be believed: pure.
//!
//! The rules are those of AWS's own verifier for Cognito (`aws-jwt-verify`) and of OWASP ASVS 5.0, chapter V9. The token
//! never chooses how it is verified: its algorithm is compared with ours, and keys or addresses that it brings along
//! (`jwk`, `jku`, `x5u`) are not looked at.

use iyagi_messages::ids::{PersonId, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use thiserror::Error;

use super::Caller;

/// Longest token that is looked at, in bytes. Cognito's have one to two thousand.
const BYTES_MAX: usize = 8 * 1024;
/// Longest id of a key or a person, in bytes.
const ID_BYTES_MAX: usize = 256;
/// What Cognito signs with.
const ALGORITHM: Algorithm = Algorithm::RS256;
/// What a token for an API says of itself. One that says who somebody is (`id`) is for the app alone.
const TOKEN_USE: &str = "access";

/// What tokens are held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Who must have made them.
    pub issuer: String,
    /// The apps that they may have been made for.
    pub client_ids: Vec<String>,
    /// What they must all grant.
    pub scopes: Vec<String>,
    /// Seconds by which clocks may differ.
    pub leeway_seconds: u64,
    /// The group whose members may do what is otherwise an operator's.
    pub admin_group: String,
}

/// Why a token is not believed. It is for the log: whoever sent it learns only that it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    /// There is none.
    #[error("there is no bearer token")]
    Missing,
    /// More bytes than any token has.
    #[error("it is longer than {BYTES_MAX} bytes")]
    TooLong,
    /// Not three parts, or parts that cannot be read.
    #[error("it is no JSON Web Token")]
    Malformed,
    /// Signed by another algorithm, or by none.
    #[error("it is not signed by RS256")]
    Algorithm,
    /// It names no key.
    #[error("it names no key")]
    NoKeyId,
    /// A key that is not among ours.
    #[error("its key is unknown")]
    UnknownKey,
    /// The keys could not be fetched.
    #[error("the keys of the user pool are not known yet")]
    NoKeys,
    /// Another key, or other content.
    #[error("its signature is wrong")]
    Signature,
    /// Claims that are missing, given twice, or of another type.
    #[error("its claims cannot be read")]
    Claims,
    /// Of another user pool.
    #[error("it is from another issuer")]
    Issuer,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    NotYet,
    /// It says who somebody is, and not what they may do.
    #[error("it is no access token")]
    TokenUse,
    /// For another app.
    #[error("it was made for another client")]
    Client,
    /// It does not grant everything that is asked for.
    #[error("it lacks a scope")]
    Scope,
}

/// A token whose header could be read. Nothing in it is to be believed.
#[derive(Debug)]
pub struct Unverified<'t> {
    token: &'t str,
    key_id: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: u64,
    nbf: Option<u64>,
    iat: Option<u64>,
    token_use: String,
    client_id: Option<String>,
    /// Separated by spaces, as RFC 8693 has them.
    #[serde(default)]
    scope: String,
    #[serde(rename = "cognito:groups", default)]
    groups: Vec<String>,
}

impl<'t> Unverified<'t> {
    /// Reads the header.
    pub fn read(token: &'t str) -> Result<Self, Refused> {
        if token.len() > BYTES_MAX {
            return Err(Refused::TooLong);
        }
        if token.split('.').count() != 3 {
            return Err(Refused::Malformed);
        }
        // An algorithm that the library does not know, such as "none", is unreadable to it.
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refused::Algorithm)?;
        if header.alg != ALGORITHM {
            return Err(Refused::Algorithm);
        }
        let key_id = header.kid.filter(|id| id.len() <= ID_BYTES_MAX);
        let key_id = key_id.ok_or(Refused::NoKeyId)?;
        Ok(Self { token, key_id })
    }

    /// The key that it is said to be signed with.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Who it speaks for.
    pub fn verify(
        self,
        key: &DecodingKey,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Caller, Refused> {
        let claims = self.signed(key)?;
        if claims.iss != rules.issuer {
            return Err(Refused::Issuer);
        }
        let now = u64::try_from(now.0).unwrap_or_default() / 1_000;
        let leeway = rules.leeway_seconds;
        if now >= claims.exp.saturating_add(leeway) {
            return Err(Refused::Expired);
        }
        let begins = claims.nbf.max(claims.iat).unwrap_or_default();
        if begins > now.saturating_add(leeway) {
            return Err(Refused::NotYet);
        }
        if claims.token_use != TOKEN_USE {
            return Err(Refused::TokenUse);
        }
        let ours = |client: &String| rules.client_ids.contains(client);
        if !claims.client_id.as_ref().is_some_and(ours) {
            return Err(Refused::Client);
        }
        let granted = |wanted: &String| claims.scope.split(' ').any(|scope| scope == wanted);
        if !rules.scopes.iter().all(granted) {
            return Err(Refused::Scope);
        }
        let readable = !claims.sub.is_empty()
            && claims.sub.len() <= ID_BYTES_MAX
            && !claims.sub.chars().any(char::is_control);
        if !readable {
            return Err(Refused::Claims);
        }
        Ok(Caller {
            person: PersonId::from(claims.sub),
            is_admin: claims.groups.contains(&rules.admin_group),
        })
    }

    /// The claims, once the signature is right. Of claims, the library checks none: it takes the time from the system,
    /// and accepts what is absent.
    fn signed(&self, key: &DecodingKey) -> Result<Claims, Refused> {
        use jsonwebtoken::errors::ErrorKind;
        let mut signature_alone = Validation::new(ALGORITHM);
        signature_alone.required_spec_claims.clear();
        signature_alone.validate_exp = false;
        signature_alone.validate_aud = false;
        let decoded = jsonwebtoken::decode::<Claims>(self.token, key, &signature_alone);
        let decoded = decoded.map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => Refused::Signature,
            _ => Refused::Claims,
        })?;
        Ok(decoded.claims)
    }
}
