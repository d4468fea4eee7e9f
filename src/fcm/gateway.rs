//! `PushGateway` on Firebase Cloud Messaging: one request for one push.
//!
//! It repeats nothing by itself, because the journal has to know of every attempt, but for one request: if the access
//! token is refused, the push was not looked at, and it goes out once more with a new token.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use iyagi_actors::ports::{
    Clock, GatewayFault, Payload, PushGateway, QuotaLevel, ServiceCondition,
};
use iyagi_messages::device::Platform;
use iyagi_messages::push::FailureClass;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::Serialize;
use thiserror::Error;
use tokio::time::Instant;

use super::account::{CredentialError, ServiceAccount};
use super::answer::{self, Answer, Meaning, NoAnswer, THROTTLED_WAIT};
use super::body::Body;
use super::connections::{Connections, Wire, no_answer, occasional};
use super::standing::Standing;
use super::token::{AccessToken, AccessTokens};
use super::trust::{KeyTrust, Stranger};
use crate::config::PushConfig;
use crate::push_payload::{AndroidMessage, TooLarge, fit};
use crate::quota::Quota;

/// How the gateway works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FcmSettings {
    /// Firebase's address, without a path.
    pub base_url: String,
    /// The project whose phones are sent to; the key's own if absent.
    pub project_id: Option<String>,
    /// When whoever sends gives up waiting for the gateway and takes the outcome for unknown.
    pub timeout: Duration,
    /// Pushes that may be on their way at once.
    pub max_in_flight: usize,
    /// Pushes a second, over all hosts.
    pub sends_per_second: u32,
}

/// Why the gateway cannot be opened.
#[derive(Debug, Error)]
pub enum FcmError {
    /// No key file is named.
    #[error(
        "`push.fcm.credential_file` is not set: name the JSON key of a service account of the app's Firebase project"
    )]
    NoCredentialFile,
    /// The key.
    #[error("{error}; {cure}", error = .0, cure = .0.cure())]
    Credential(#[from] CredentialError),
    /// Neither configuration nor key name the project.
    #[error("the key of {email} names no project: set `push.fcm.project_id` to the app's")]
    NoProject {
        /// Whose key it is.
        email: String,
    },
    /// The address.
    #[error("`push.fcm.base_url` \"{base_url}\" makes no address: {reason}")]
    Address {
        /// What is configured.
        base_url: String,
        /// Why not.
        reason: String,
    },
    /// The HTTP client.
    #[error("the client for Firebase cannot be made: {0}; see to this host's root certificates")]
    Client(#[from] reqwest::Error),
}

/// Sends pushes to Android phones.
pub struct FcmGateway {
    connections: Connections,
    tokens: AccessTokens,
    url: Url,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    standing: Standing,
    quota: Quota,
    trust: Mutex<KeyTrust>,
}

/// Part of the time given to a push within which there must be a connection, and likewise a token: what has not left by
/// then has a known outcome, and the push itself needs the rest.
const PREPARATION_PART: u32 = 4;
/// Part of that time by which the gateway is done before whoever waits for it: its own word says more than their
/// silence.
const MARGIN_PART: u32 = 40;
/// The name under which the service is reported.
const SERVICE: &str = "fcm";

impl FcmGateway {
    /// The gateway that is configured, if one is.
    pub fn open(config: &PushConfig, clock: &Arc<dyn Clock>) -> Result<Option<Self>, FcmError> {
        let Some(fcm) = &config.fcm else {
            return Ok(None);
        };
        let file = fcm.credential_file.as_deref();
        let account = ServiceAccount::read(file.ok_or(FcmError::NoCredentialFile)?)?;
        let settings = FcmSettings {
            base_url: fcm.base_url.clone(),
            project_id: fcm.project_id.clone(),
            timeout: Duration::from_millis(config.gateway_timeout_ms),
            max_in_flight: config.max_in_flight,
            sends_per_second: fcm.sends_per_second,
        };
        Self::new(account, &settings, Arc::clone(clock)).map(Some)
    }

    /// A gateway that sends on behalf of `account`. Nothing is connected to before the first push.
    pub fn new(
        account: ServiceAccount,
        settings: &FcmSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, FcmError> {
        let project = settings.project_id.as_ref().or(account.project_id.as_ref());
        let project = project.ok_or_else(|| FcmError::NoProject {
            email: account.client_email.clone(),
        })?;
        let base_url = &settings.base_url;
        let url = format!(
            "{}/v1/projects/{project}/messages:send",
            base_url.trim_end_matches('/')
        );
        let url = Url::parse(&url).map_err(|error| FcmError::Address {
            base_url: base_url.clone(),
            reason: error.to_string(),
        })?;
        tracing::info!(%url, account = account.client_email, "pushes to Android phones go by Firebase itself");
        let preparation_max = settings.timeout / PREPARATION_PART;
        let wire = Wire::to(&url);
        let http = occasional(preparation_max, Wire::to(&account.token_uri))?;
        Ok(Self {
            connections: Connections::new(settings.max_in_flight, preparation_max, wire)?,
            tokens: AccessTokens::new(account, http, Arc::clone(&clock), preparation_max),
            url,
            clock,
            timeout: settings
                .timeout
                .saturating_sub(settings.timeout / MARGIN_PART),
            standing: Standing::default(),
            quota: Quota::new(settings.sends_per_second),
            trust: Mutex::default(),
        })
    }

    async fn ask(&self, payload: &Payload) -> Meaning {
        let deadline = Instant::now() + self.timeout;
        let body = match body(payload) {
            Ok(body) => body,
            Err(error) => {
                return Meaning::Failed(poison("PayloadTooLarge", error.to_string()));
            }
        };
        let token = match self.tokens.get().await {
            Ok(token) => token,
            Err(fault) => return Meaning::Failed(fault),
        };
        let meaning = self.post(&token, &body, deadline).await;
        if !matches!(meaning, Meaning::Unauthenticated(_)) {
            return meaning;
        }
        tracing::warn!(push = %payload.push_id, "the access token is refused, and renewed before its time");
        match self.tokens.renew(&token).await {
            Ok(token) => self.post(&token, &body, deadline).await,
            Err(fault) => Meaning::Failed(fault),
        }
    }

    async fn post(&self, token: &AccessToken, body: &str, deadline: Instant) -> Meaning {
        let within = deadline.saturating_duration_since(Instant::now());
        if within.is_zero() {
            let reason = "getting an access token took all the time there was".to_owned();
            return Meaning::Failed(answer::none(NoAnswer::NotConnected(reason)));
        }
        let call = self.connections.next().post(self.url.clone());
        let call = call
            .header(CONTENT_TYPE, "application/json")
            .bearer_auth(token.secret())
            .body(body.to_owned())
            .timeout(within);
        let response = match call.send().await {
            Ok(response) => response,
            Err(error) => return Meaning::Failed(answer::none(no_answer(error, within).why)),
        };
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        let body = Body::read(response).await;
        let answer = Answer {
            status,
            retry_after: retry_after.as_ref().and_then(|value| value.to_str().ok()),
            body: &body.bytes,
            whole: body.whole,
        };
        answer::read(answer, self.clock.now())
    }

    fn conclude(&self, payload: &Payload, meaning: Meaning) -> Result<String, GatewayFault> {
        let mut fault = match meaning {
            Meaning::Accepted(name) => {
                self.trust().accepted();
                self.standing.note(Ok(()));
                return Ok(name);
            }
            Meaning::SenderMismatch(fault) => {
                let stranger = self.trust().refused(&payload.device);
                let fault = mismatch(fault, stranger);
                match stranger {
                    Stranger::Phone => self.standing.note(Err(&fault)),
                    Stranger::Unclear => {}
                    Stranger::Key => self.standing.doubt(&fault),
                }
                fault
            }
            Meaning::Unauthenticated(fault) | Meaning::Failed(fault) => {
                if fault.class == FailureClass::Throttled {
                    self.quota.throttled();
                }
                self.standing.note(Err(&fault));
                fault
            }
        };
        // Whoever answers may repeat what it was asked, and a token has no place in a push's history.
        if fault.detail.contains(payload.device.as_str()) {
            fault.detail = fault.detail.replace(payload.device.as_str(), "…");
        }
        Err(fault)
    }

    fn trust(&self) -> MutexGuard<'_, KeyTrust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PushGateway for FcmGateway {
    async fn send(&self, payload: &Payload) -> Result<String, GatewayFault> {
        if payload.platform != Platform::Fcm {
            let detail = format!("a phone of {:?} is not Firebase's", payload.platform);
            return Err(poison("WrongPlatform", detail));
        }
        let _in_flight = self.standing.sets_out();
        let meaning = self.ask(payload).await;
        self.conclude(payload, meaning)
    }

    async fn turn(&self, _: Platform, pace: f64) -> bool {
        self.quota.turn(pace).await
    }

    fn set_share(&self, hosts: u32) {
        self.quota.set_share(hosts);
    }

    fn quota_levels(&self) -> Vec<(&'static str, QuotaLevel)> {
        vec![(SERVICE, self.quota.level())]
    }

    fn services(&self) -> Vec<(&'static str, ServiceCondition)> {
        vec![(SERVICE, self.standing.condition())]
    }
}

#[derive(Serialize)]
struct Request<'a> {
    message: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    token: &'a str,
    #[serde(flatten)]
    message: AndroidMessage<'a>,
}

/// The request's body, with texts cut so far that Firebase takes them.
fn body(payload: &Payload) -> Result<String, TooLarge> {
    let texts = fit(payload, |title, body| {
        json(&AndroidMessage::new(payload, title, body)).len()
    })?;
    if texts.cut {
        tracing::info!(push = %payload.push_id, category = payload.category, "a text is longer than the platform takes and was cut");
    }
    Ok(json(&Request {
        message: Message {
            token: payload.device.as_str(),
            message: AndroidMessage::new(payload, &texts.title, &texts.body),
        },
    }))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts are always JSON")
}

/// The fault of a push whose phone and key do not belong together, by whose fault it is.
fn mismatch(fault: GatewayFault, stranger: Stranger) -> GatewayFault {
    if stranger == Stranger::Phone {
        return fault;
    }
    GatewayFault {
        class: FailureClass::Throttled,
        detail: format!(
            "{}: no push was accepted lately by this key, so the phone stays and the push waits; see that \
             `push.fcm.credential_file` is a key of the app's own Firebase project",
            fault.detail
        ),
        retry_after: Some(THROTTLED_WAIT),
        ..fault
    }
}

fn poison(code: &str, detail: String) -> GatewayFault {
    GatewayFault {
        class: FailureClass::Poison,
        code: code.to_owned(),
        detail,
        retry_after: None,
    }
}
