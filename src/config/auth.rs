//! Who may use the public API.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Config;
use super::semantics::Fault;

/// The most that clocks may differ.
const LEEWAY_SECONDS_MAX: u32 = 60;

/// Who may use the public API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Who makes the tokens.
    pub mode: AuthMode,
    /// Seconds by which the clocks of issuer and host may differ, 0 to 60.
    pub leeway_seconds: u32,
    /// The group whose members may read what is not theirs.
    pub admin_group: String,
    /// The user pool.
    pub cognito: CognitoConfig,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            mode: AuthMode::Dev,
            leeway_seconds: 0,
            admin_group: "admin".to_owned(),
            cognito: CognitoConfig::default(),
        }
    }
}

impl AuthConfig {
    /// Whether other machines may reach the public listener. Where this one makes the tokens, whoever reads its data folder
    /// can be anybody.
    pub fn lets_others_in(&self) -> bool {
        self.mode == AuthMode::Cognito
    }
}

/// Who makes the tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthMode {
    /// This machine, for whoever can read the data folder.
    #[default]
    Dev,
    /// A Cognito user pool.
    Cognito,
}

/// A Cognito user pool, and the apps that may use it here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CognitoConfig {
    /// The pool's id, such as `ap-northeast-2_AbCdEfGhI`.
    pub user_pool_id: Option<String>,
    /// The app clients whose tokens are taken.
    pub client_ids: Vec<String>,
    /// Scopes that a token must grant, all of them, such as `api.example.com/app`; none need be granted if empty.
    pub scopes: Vec<String>,
    /// What tokens name as their issuer; that of the pool if absent.
    pub issuer: Option<String>,
    /// Where the pool's keys are; at the issuer if absent.
    pub jwks_url: Option<String>,
    /// A file with the pool's keys, for hosts that reach no other; nothing is fetched then.
    pub jwks_file: Option<PathBuf>,
}

impl CognitoConfig {
    /// What tokens name as their issuer.
    pub fn issuer(&self) -> String {
        let pool = self.user_pool_id.as_deref().unwrap_or_default();
        let region = pool.split('_').next().unwrap_or_default();
        let of_pool = || format!("https://cognito-idp.{region}.amazonaws.com/{pool}");
        self.issuer.clone().unwrap_or_else(of_pool)
    }

    /// Where the pool's keys are.
    pub fn jwks_url(&self) -> String {
        let at_issuer = || format!("{}/.well-known/jwks.json", self.issuer());
        self.jwks_url.clone().unwrap_or_else(at_issuer)
    }
}

/// What is wrong with it.
pub(super) fn check(config: &Config, faults: &mut Vec<Fault>) {
    let auth = &config.auth;
    if auth.leeway_seconds > LEEWAY_SECONDS_MAX {
        let message = format!(
            "`auth.leeway_seconds` must be 0 to {LEEWAY_SECONDS_MAX}, not {}",
            auth.leeway_seconds
        );
        faults.push(Fault::new("auth.leeway_seconds", message));
    }
    if auth.admin_group.is_empty() {
        let message = "`auth.admin_group` must not be empty";
        faults.push(Fault::new("auth.admin_group", message));
    }
    if auth.mode == AuthMode::Cognito {
        faults.extend(user_pool(&auth.cognito));
        if auth.cognito.client_ids.is_empty() {
            let message = "`auth.cognito.client_ids` is empty, so no token would be taken";
            faults.push(
                Fault::new("auth.cognito.client_ids", message)
                    .help("name the app clients of the user pool whose tokens are for this API"),
            );
        }
        let several = |scope: &&String| scope.is_empty() || scope.contains(' ');
        if let Some(scope) = auth.cognito.scopes.iter().find(several) {
            let message = format!("\"{scope}\" in `auth.cognito.scopes` is not one scope");
            faults.push(
                Fault::new("auth.cognito.scopes", message)
                    .help("give each a text of its own: [\"api/read\", \"api/write\"]"),
            );
        }
    }
}

fn user_pool(pool: &CognitoConfig) -> Option<Fault> {
    let key = "auth.cognito.user_pool_id";
    let Some(id) = &pool.user_pool_id else {
        let message = format!("`auth.mode` is \"cognito\", and `{key}` is missing");
        return Some(Fault::new(key, message).or("auth.mode"));
    };
    if is_pool_id(id) {
        return None;
    }
    let message = format!("\"{id}\" is no id of a user pool");
    Some(Fault::new(key, message).help("it is such as \"ap-northeast-2_AbCdEfGhI\""))
}

/// A region, `_`, and letters and digits.
fn is_pool_id(id: &str) -> bool {
    let Some((region, name)) = id.split_once('_') else {
        return false;
    };
    let mut parts = region.split('-').rev();
    let number = parts
        .next()
        .is_some_and(|part| part.len() == 1 && part.bytes().all(|byte| byte.is_ascii_digit()));
    let words: Vec<&str> = parts.collect();
    let lower =
        |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    number
        && (2..=3).contains(&words.len())
        && words.iter().all(lower)
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
