//! Speaks to a live daemon over its operations listener.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;
use ureq::http::Response;
use ureq::http::header::{AUTHORIZATION, HeaderValue};
use ureq::{Agent, Body, RequestBuilder};

use super::exit::Exit;
use crate::auth::operators::Token;

/// How long a daemon may take to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long it may take to answer; a large redrive takes a while.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// Tells the daemon who gives an order.
const ACTOR_HEADER: &str = "x-iyagi-actor";
/// Largest answer that is read whole.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// What stays as it is in a path or a query.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A client of the operations listener.
pub struct Operations {
    agent: Agent,
    base: String,
    /// Who gives orders, as it is to stand in the journal; the daemon's own word if absent.
    by: Option<HeaderValue>,
    /// An operator's token, as it is sent; none where loopback is the wall.
    authorization: Option<HeaderValue>,
}

/// Why the daemon did not do it.
#[derive(Debug, Error)]
pub enum OperationsError {
    /// Nobody listens there.
    #[error("no daemon answers at {url}: {reason}")]
    Absent {
        /// The address.
        url: String,
        /// What happened instead.
        reason: String,
    },
    /// It refused.
    #[error("{}", problem_text(.problem, *.status))]
    Refused {
        /// The answer's status.
        status: u16,
        /// Its problem document.
        problem: Value,
    },
    /// It is no iyagi, or of another version.
    #[error("the answer of {url} cannot be read: {reason}")]
    Unreadable {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The daemon's address is not known.
    #[error("http.operations is port 0, so the daemon has chosen a port of its own")]
    PortUnknown,
}

impl OperationsError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Absent { .. }
            | Self::Refused {
                status: 502..=504, ..
            } => Exit::TryAgain,
            Self::PortUnknown => Exit::Usage,
            Self::Refused { .. } | Self::Unreadable { .. } => Exit::Failed,
        }
    }

    pub(super) fn help(&self) -> Option<&str> {
        match self {
            Self::Absent { .. } => {
                Some("is it running? `iyagi run` starts it; --operations-url names another address")
            }
            Self::PortUnknown => Some("its log says which; give it with --operations-url"),
            Self::Unreadable { .. } => {
                Some("the operations listener is meant, of a daemon of this version")
            }
            Self::Refused { status: 401, .. } => Some(
                "--token-file, or operations.token_file of the configuration, names the file of an operator's token",
            ),
            Self::Refused { status: 403, .. } => {
                Some("it takes the token of an operator whose role is \"admin\"")
            }
            Self::Refused { .. } => None,
        }
    }
}

fn problem_text(problem: &Value, status: u16) -> String {
    let text = |member: &str| problem[member].as_str();
    let title = text("title").unwrap_or("the daemon refused");
    let mut shown = format!("{title} ({status})");
    if let Some(detail) = text("detail") {
        shown.push_str(": ");
        shown.push_str(detail);
    }
    if let Some(field) = text("field") {
        shown.extend([" (field `", field, "`)"]);
    }
    shown
}

impl Operations {
    /// A client of the listener at `base`, such as `http://127.0.0.1:9090`.
    pub fn new(base: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            // A proxy of the environment has no business on the way to this machine.
            .proxy(None)
            .build();
        Self {
            agent: config.into(),
            base: base.trim_end_matches('/').to_owned(),
            by: None,
            authorization: None,
        }
    }

    /// The same client with an operator's token.
    #[must_use]
    pub fn with_token(mut self, token: &Token) -> Self {
        let value = HeaderValue::try_from(token.bearer());
        let mut value = value.expect("a token has visible characters of ASCII alone");
        value.set_sensitive(true);
        self.authorization = Some(value);
        self
    }

    /// The same client for somebody, who is named in the journal with every order.
    #[must_use]
    pub fn by(mut self, name: &str) -> Self {
        self.by = HeaderValue::from_bytes(name.as_bytes()).ok();
        self
    }

    /// What is at a path.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, OperationsError> {
        let answer = self
            .with_authorization(self.agent.get(self.url(path)))
            .call();
        self.read(answer)
    }

    /// What comes of an order.
    pub fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, OperationsError> {
        let request = self.signed(self.agent.post(self.url(path)));
        self.read(request.send_json(body))
    }

    /// What comes of the order that something be no more.
    pub fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, OperationsError> {
        let request = self.signed(self.agent.delete(self.url(path)));
        self.read(request.call())
    }

    /// Lines as the daemon sends them, for as long as it does.
    pub fn lines(&self, path: &str) -> Result<impl BufRead + use<>, OperationsError> {
        let request = self.with_authorization(self.agent.get(self.url(path)));
        let answer = request.header("accept", "application/x-ndjson").call();
        Ok(BufReader::new(
            self.accepted(answer)?.into_body().into_reader(),
        ))
    }

    /// An order tells who gives it.
    fn signed<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        let request = self.with_authorization(request);
        match &self.by {
            Some(by) => request.header(ACTOR_HEADER, by),
            None => request,
        }
    }

    fn with_authorization<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<T, OperationsError> {
        let body = self.body(self.accepted(answer)?)?;
        serde_json::from_slice(&body).map_err(|error| self.unreadable(&error))
    }

    fn accepted(
        &self,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>, OperationsError> {
        let answer = answer.map_err(|error| OperationsError::Absent {
            url: self.base.clone(),
            reason: error.to_string(),
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = self.body(answer)?;
        let problem = serde_json::from_slice(&body).map_err(|_| {
            let text = String::from_utf8_lossy(&body);
            let begin: String = text.chars().take(200).collect();
            self.unreadable(&format!("status {status}, {begin:?}"))
        })?;
        Err(OperationsError::Refused {
            status: status.as_u16(),
            problem,
        })
    }

    fn body(&self, answer: Response<Body>) -> Result<Vec<u8>, OperationsError> {
        let mut body = Vec::new();
        let reader = answer.into_body().into_reader();
        let read = reader.take(ANSWER_BYTES_MAX).read_to_end(&mut body);
        read.map_err(|error| self.unreadable(&error))?;
        Ok(body)
    }

    fn unreadable(&self, reason: &impl ToString) -> OperationsError {
        OperationsError::Unreadable {
            url: self.base.clone(),
            reason: reason.to_string(),
        }
    }
}

/// Text as one segment of a path, or as a value of a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}
