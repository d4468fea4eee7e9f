//! Who is at the other end of a request: a person, by an access token of a Cognito user pool; or an operator, by a token of
//! their own.
//!
//! On one machine there is no user pool. A key of the data folder's own signs the tokens then, and they take the same way
//! through the same rules.
//!
//! # Layout
//! - [`token`]: what a token must be to be believed: pure
//! - [`key_set`]: a JSON Web Key Set, read strictly
//! - [`keys`]: the keys that are trusted at the moment, fetched seldom and never lost
//! - [`key_source`]: where key sets come from: an address, a file
//! - [`local_issuer`]: the key of one machine, which signs tokens and is its own key set
//! - [`operators`]: who may use the operations listener

pub mod key_set;
pub mod key_source;
pub mod keys;
pub mod local_issuer;
pub mod operators;
pub mod token;

use std::path::Path;
use std::sync::Arc;

use iyagi_actors::ports::Clock;
use iyagi_messages::ids::PersonId;
use thiserror::Error;

use self::key_source::{KeySource, KeySourceError};
use self::keys::Keys;
use self::local_issuer::{LocalIssuer, LocalIssuerError};
use self::token::{Rules, Unverified};
use crate::config::{AuthConfig, AuthMode};

pub use self::token::Refused;

/// Somebody who has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who they are: the token's `sub`, which is the id of their vertex in the graph too.
    pub person: PersonId,
    /// Whether they may do what is otherwise an operator's.
    pub is_admin: bool,
}

/// Tells who a token speaks for.
pub struct SignIn {
    rules: Rules,
    keys: Keys,
    clock: Arc<dyn Clock>,
    issuer: Option<LocalIssuer>,
}

/// Why nobody can sign in.
#[derive(Debug, Error)]
pub enum SignInError {
    /// The key of this machine.
    #[error(transparent)]
    Issuer(#[from] LocalIssuerError),
    /// The keys of the user pool.
    #[error(transparent)]
    Source(#[from] KeySourceError),
}

impl SignIn {
    /// As configured. No key is fetched yet: that a user pool cannot be reached does not keep the daemon from starting.
    pub fn new(
        config: &AuthConfig,
        data_dir: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SignInError> {
        let pool = &config.cognito;
        let (issued_by, client_ids, scopes, source, issuer) = match config.mode {
            AuthMode::Dev => {
                let issuer = LocalIssuer::open(data_dir)?;
                let source = KeySource::Fixed(issuer.key_set().to_owned());
                let client_ids = vec![local_issuer::CLIENT_ID.to_owned()];
                (
                    local_issuer::ISSUER.to_owned(),
                    client_ids,
                    Vec::new(),
                    source,
                    Some(issuer),
                )
            }
            AuthMode::Cognito => (
                pool.issuer(),
                pool.client_ids.clone(),
                pool.scopes.clone(),
                KeySource::of(pool)?,
                None,
            ),
        };
        Ok(Self {
            rules: Rules {
                issuer: issued_by,
                client_ids,
                scopes,
                leeway_seconds: config.leeway_seconds.into(),
                admin_group: config.admin_group.clone(),
            },
            keys: Keys::new(source, Arc::clone(&clock)),
            clock,
            issuer,
        })
    }

    /// Who the token speaks for, if it can be believed.
    pub async fn caller(&self, token: &str) -> Result<Caller, Refused> {
        let unverified = Unverified::read(token)?;
        let key = self.keys.find(unverified.key_id()).await?;
        unverified.verify(&key, &self.rules, self.clock.now())
    }

    /// What signs tokens on this machine, if it does.
    pub fn issuer(&self) -> Option<&LocalIssuer> {
        self.issuer.as_ref()
    }

    /// Fetches the keys ahead of the first request, and says whether any are there.
    pub async fn is_ready(&self) -> bool {
        self.keys.are_there().await
    }
}
