//! Speaks to the daemon as any client would: over HTTP, through its two listeners.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use iyagi_messages::device::Platform;
use iyagi_messages::ids::LetterId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use thiserror::Error;

use super::story::{Person, Phone};
use crate::embedded::push_log::FaultRule;
use crate::surface::Surface;

/// An answer that takes longer will not come.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long a token of somebody in the story holds.
const TOKEN_LIFETIME: Duration = Duration::from_mins(5);
/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What stays as it is in a path.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A client of both listeners.
pub(super) struct Client {
    agent: ureq::Agent,
    public: String,
    operations: String,
    surface: Arc<Surface>,
}

/// Why a request was not done.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The daemon refused it.
    #[error("{method} {path} was answered with {status}: {detail}")]
    Refused {
        /// Its method.
        method: &'static str,
        /// Its path.
        path: String,
        /// The answer's status.
        status: u16,
        /// The problem's own words.
        detail: String,
    },
    /// Nobody makes tokens here.
    #[error("the daemon of the demo makes no tokens")]
    NoIssuer,
    /// A token could not be made.
    #[error("no token can be made: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
    /// There was no answer, or none that can be read.
    #[error("{method} {path} got no answer: {reason}")]
    Lost {
        /// Its method.
        method: &'static str,
        /// Its path.
        path: String,
        /// What happened instead.
        reason: String,
    },
}

/// What a request brings.
enum Body {
    Nothing,
    Json(Value),
    File(Vec<u8>),
}

impl Client {
    /// A client of the listeners at these addresses.
    pub(super) fn new(public: SocketAddr, operations: SocketAddr, surface: Arc<Surface>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER_WITHIN))
            // A proxy of the environment has no business between this process and itself.
            .proxy(None)
            .build();
        Self {
            agent: config.into(),
            public: format!("http://{public}"),
            operations: format!("http://{operations}"),
            surface,
        }
    }

    /// Changes the graph by one commit.
    pub(super) async fn commit(&self, operations: Vec<Value>) -> Result<(), ClientError> {
        let body = Body::Json(json!({ "operations": operations }));
        self.operations("POST", "/v1/graph/commits".to_owned(), body)
            .await
    }

    /// Uploads a file, as what stands behind the app does: files of posts are nobody's own.
    pub(super) async fn upload(&self, key: &str, bytes: Vec<u8>) -> Result<(), ClientError> {
        let segments: Vec<_> = key.split('/').map(encoded).collect();
        let path = format!("/v1/files/{}", segments.join("/"));
        let groups = [self.surface.config.auth.admin_group.clone()];
        let token = self.token("demo", &groups)?;
        self.public(token, "PUT", path, Body::File(bytes)).await
    }

    /// Registers a phone.
    pub(super) async fn register(&self, person: &Person, phone: &Phone) -> Result<(), ClientError> {
        let platform: Platform = phone.platform;
        let body = json!({ "person": person.id, "platform": platform, "locale": person.locale });
        let path = format!("/v1/devices/{}", encoded(&phone.token));
        let token = self.token(&person.id, &[])?;
        self.public(token, "PUT", path, Body::Json(body)).await
    }

    /// Subscribes a person to something.
    pub(super) async fn subscribe(
        &self,
        owner: &str,
        anchor: Value,
        when: Value,
    ) -> Result<(), ClientError> {
        let body = json!({ "owner": owner, "anchor": anchor, "when": when });
        let token = self.token(owner, &[])?;
        let path = "/v1/subscriptions".to_owned();
        self.public(token, "POST", path, Body::Json(body)).await
    }

    /// Makes pushes fail.
    pub(super) async fn fail(&self, rule: &FaultRule) -> Result<(), ClientError> {
        let body = serde_json::to_value(rule).expect("a rule is plain data");
        let path = "/v1/ops/gateway/faults".to_owned();
        self.operations("POST", path, Body::Json(body)).await
    }

    /// Lets every push pass again.
    pub(super) async fn recover(&self) -> Result<(), ClientError> {
        let path = "/v1/ops/gateway/faults".to_owned();
        self.operations("DELETE", path, Body::Nothing).await
    }

    /// Sends dead letters again.
    pub(super) async fn redrive(&self, letters: &[LetterId]) -> Result<(), ClientError> {
        let path = "/v1/ops/dead-letters/redrive".to_owned();
        let body = Body::Json(json!({ "ids": letters }));
        self.operations("POST", path, body).await
    }

    /// A token that speaks for somebody, as they would have after signing in.
    pub(super) fn token(&self, person: &str, groups: &[String]) -> Result<String, ClientError> {
        let Surface { sign_in, clock, .. } = &*self.surface;
        let issuer = sign_in.issuer().ok_or(ClientError::NoIssuer)?;
        Ok(issuer.token(person, groups, clock.now(), TOKEN_LIFETIME)?)
    }

    async fn public(
        &self,
        token: String,
        method: &'static str,
        path: String,
        body: Body,
    ) -> Result<(), ClientError> {
        self.request(&self.public, Some(token), method, path, body)
            .await
    }

    async fn operations(
        &self,
        method: &'static str,
        path: String,
        body: Body,
    ) -> Result<(), ClientError> {
        self.request(&self.operations, None, method, path, body)
            .await
    }

    async fn request(
        &self,
        listener: &str,
        token: Option<String>,
        method: &'static str,
        path: String,
        body: Body,
    ) -> Result<(), ClientError> {
        let agent = self.agent.clone();
        let url = format!("{listener}{path}");
        let sent =
            tokio::task::spawn_blocking(move || send(&agent, token.as_deref(), method, &url, body))
                .await;
        let lost = |reason: String| ClientError::Lost {
            method,
            path: path.clone(),
            reason,
        };
        let (status, answer) = sent
            .map_err(|error| lost(error.to_string()))?
            .map_err(|error| lost(error.to_string()))?;
        if (200..300).contains(&status) {
            return Ok(());
        }
        Err(ClientError::Refused {
            method,
            path,
            status,
            detail: detail_of(&answer),
        })
    }
}

fn send(
    agent: &ureq::Agent,
    token: Option<&str>,
    method: &str,
    url: &str,
    body: Body,
) -> Result<(u16, Vec<u8>), ureq::Error> {
    let mut response = match (method, body) {
        ("DELETE", _) => agent.delete(url).call(),
        ("PUT", body) => send_body(agent.put(url), token, body),
        (_, body) => send_body(agent.post(url), token, body),
    }?;
    let status = response.status().as_u16();
    let answer = response
        .body_mut()
        .with_config()
        .limit(ANSWER_BYTES_MAX)
        .read_to_vec()?;
    Ok((status, answer))
}

fn send_body(
    mut request: ureq::RequestBuilder<ureq::typestate::WithBody>,
    token: Option<&str>,
    body: Body,
) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    match body {
        Body::Nothing => request.send_empty(),
        Body::Json(value) => request.send_json(value),
        Body::File(bytes) => request.send(&bytes[..]),
    }
}

/// A problem document says what is wrong; whatever else was answered speaks for itself.
fn detail_of(answer: &[u8]) -> String {
    let problem: Option<Value> = serde_json::from_slice(answer).ok();
    let detail = problem.and_then(|problem| problem["detail"].as_str().map(str::to_owned));
    detail.unwrap_or_else(|| String::from_utf8_lossy(answer).into_owned())
}

fn encoded(segment: &str) -> String {
    utf8_percent_encode(segment, KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_in_its_own_words() {
        let answer = br#"{"title": "no", "detail": "the key is empty"}"#;
        assert_eq!(detail_of(answer), "the key is empty");
        assert_eq!(detail_of(b"bad gateway"), "bad gateway");
    }

    #[test]
    fn both_forms_of_a_hangul_name_keep_their_bytes() {
        assert_eq!(encoded("\u{AC00} +.jpg"), "%EA%B0%80%20%2B.jpg");
        assert_eq!(encoded("\u{1100}\u{1161}"), "%E1%84%80%E1%85%A1");
    }
}
