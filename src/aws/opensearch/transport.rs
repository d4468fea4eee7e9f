//! One request and its answer: the address, the signature, and what an answer that is none means.
//!
//! Nothing is repeated here: whoever writes decides anew, and whoever asks is told.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::Region;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use iyagi_actors::ports::{Clock, SearchFault};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, Url, redirect, retry};
use serde_json::Value;
use thiserror::Error;
use tokio::sync::Mutex;

use crate::aws::sdk_error::chain;
use crate::config::OpenSearchService;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Largest answer that is read: a thousand documents, which is what is asked for at once, of a quarter of a megabyte each.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// Credentials that end within this are asked for anew: a request may wait that long for its turn.
const CREDENTIALS_MARGIN: Duration = Duration::from_mins(1);

/// Why a search service cannot be spoken to at all.
#[derive(Debug, Error)]
pub enum TransportError {
    /// Its address.
    #[error("`search.opensearch.endpoint` \"{endpoint}\" makes no address: {reason}")]
    Address {
        /// What is configured.
        endpoint: String,
        /// Why not.
        reason: String,
    },
    /// The HTTP client.
    #[error("the client for OpenSearch cannot be made: {0}; see to this host's root certificates")]
    Client(#[from] reqwest::Error),
}

/// Signs requests, as OpenSearch on AWS demands.
pub struct Signer {
    credentials: SharedCredentialsProvider,
    region: Region,
    service: OpenSearchService,
    clock: Arc<dyn Clock>,
    /// Whoever hands out credentials is slow, and does not remember what it said.
    held: Mutex<Option<Credentials>>,
}

impl Signer {
    /// Signs on behalf of whoever `credentials` are of.
    pub fn new(
        credentials: SharedCredentialsProvider,
        region: Region,
        service: OpenSearchService,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            credentials,
            region,
            service,
            clock,
            held: Mutex::new(None),
        }
    }

    fn now(&self) -> SystemTime {
        let ms = u64::try_from(self.clock.now().0).unwrap_or_default();
        SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
    }

    async fn credentials(&self) -> Result<Credentials, SearchFault> {
        let mut held = self.held.lock().await;
        let needed_until = self.now() + CREDENTIALS_MARGIN;
        if let Some(known) = held.as_ref()
            && known.expiry().is_none_or(|expiry| expiry > needed_until)
        {
            return Ok(known.clone());
        }
        let fresh = self.credentials.provide_credentials().await;
        let fresh = fresh.map_err(|error| {
            SearchFault::Unavailable(format!("there are no credentials: {}", chain(&error)))
        })?;
        Ok(held.insert(fresh).clone())
    }

    async fn sign(
        &self,
        method: &Method,
        url: &Url,
        content_type: &str,
        body: &[u8],
    ) -> Result<HeaderMap, SearchFault> {
        let identity = self.credentials().await?.into();
        let mut settings = SigningSettings::default();
        // Serverless demands the body's hash in a header of its own; domains do not mind it.
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region.as_ref())
            .name(self.service.signing_name())
            .time(self.now())
            .settings(settings)
            .build()
            .expect("every parameter is given")
            .into();
        let unsigned = |error: &dyn Error| {
            SearchFault::Refused(format!("a request cannot be signed: {}", chain(error)))
        };
        let headers = std::iter::once(("content-type", content_type));
        let request = SignableRequest::new(
            method.as_str(),
            url.as_str(),
            headers,
            SignableBody::Bytes(body),
        );
        let request = request.map_err(|error| unsigned(&error))?;
        let signed = sign(request, &parameters).map_err(|error| unsigned(&error))?;
        let (instructions, _) = signed.into_parts();
        let mut headers = HeaderMap::new();
        for (name, value) in instructions.headers() {
            let name = HeaderName::try_from(name).map_err(|error| unsigned(&error))?;
            let value = HeaderValue::try_from(value).map_err(|error| unsigned(&error))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

/// Speaks to one search service.
pub(super) struct Transport {
    address: Url,
    http: Client,
    signer: Option<Signer>,
}

/// A whole answer, whatever it says.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

/// What a request carries.
pub(super) enum Body {
    Nothing,
    Json(Value),
    /// One JSON value a line.
    Lines(Vec<u8>),
}

impl Transport {
    pub(super) fn new(
        endpoint: &str,
        signer: Option<Signer>,
        timeout: Duration,
    ) -> Result<Self, TransportError> {
        let address = Url::parse(endpoint).map_err(|error| TransportError::Address {
            endpoint: endpoint.to_owned(),
            reason: error.to_string(),
        })?;
        let http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .tcp_nodelay(true)
            .retry(retry::never())
            // A signature is for one address.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("iyagi/", env!("CARGO_PKG_VERSION")));
        let http = match address.scheme() {
            // No proxy leads there, and no host needs root certificates for it.
            "http" => http.no_proxy().tls_certs_only([]),
            _ => http,
        };
        Ok(Self {
            address,
            http: http.build()?,
            signer,
        })
    }

    /// Asks once. A service that is not there, too busy or failing is a fault; anything else that it says is an answer.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<Answer, SearchFault> {
        let (content_type, body) = match body {
            Body::Nothing => ("application/json", Vec::new()),
            Body::Json(value) => ("application/json", value.to_string().into_bytes()),
            Body::Lines(lines) => ("application/x-ndjson", lines),
        };
        let url = self.address.join(path).map_err(|error| {
            SearchFault::Refused(format!("\"{path}\" makes no address: {error}"))
        })?;
        let signature = match &self.signer {
            Some(signer) => signer.sign(&method, &url, content_type, &body).await?,
            None => HeaderMap::new(),
        };
        let request = self.http.request(method, url);
        let request = request.header(CONTENT_TYPE, content_type);
        let response = request.headers(signature).body(body).send().await;
        let response = response.map_err(|error| lost(&error))?;
        let status = response.status().as_u16();
        let body = whole(response).await?;
        let body = match serde_json::from_slice(&body) {
            Ok(body) => body,
            Err(_) if body.is_empty() => Value::Null,
            Err(error) if status < 400 => {
                let reason = format!("an answer with status {status} cannot be read: {error}");
                return Err(SearchFault::Unavailable(reason));
            }
            // A proxy's page.
            Err(_) => Value::from(String::from_utf8_lossy(&body).trim()),
        };
        let answer = Answer { status, body };
        match status {
            500.. => Err(SearchFault::Unavailable(answer.told())),
            401 | 403 => Err(SearchFault::Refused(answer.told())),
            _ => Ok(answer),
        }
    }
}

impl Answer {
    /// The body of an answer that does what was asked.
    pub(super) fn done(self) -> Result<Value, SearchFault> {
        match self.status {
            ..400 => Ok(self.body),
            404 | 429 => Err(SearchFault::Unavailable(self.told())),
            _ => Err(SearchFault::Refused(self.told())),
        }
    }

    /// Status and reason, in one line.
    pub(super) fn told(&self) -> String {
        format!("HTTP status {}: {}", self.status, reason(&self.body))
    }
}

/// What an answer, or an item of one, says is wrong.
pub(super) fn reason(said: &Value) -> String {
    let error = said.get("error").unwrap_or(said);
    let text = |key: &str| error.get(key).and_then(Value::as_str);
    match (text("type"), text("reason").or(text("message"))) {
        (Some(kind), Some(reason)) => format!("{kind}: {reason}"),
        (None, Some(reason)) => reason.to_owned(),
        _ => match error {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        },
    }
}

async fn whole(mut response: Response) -> Result<Vec<u8>, SearchFault> {
    let beyond = || {
        let reason = format!("an answer has more than {ANSWER_BYTES_MAX} bytes");
        SearchFault::Unavailable(reason)
    };
    if response.content_length() > Some(ANSWER_BYTES_MAX) {
        return Err(beyond());
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| lost(&error))? {
        if (body.len() + piece.len()) as u64 > ANSWER_BYTES_MAX {
            return Err(beyond());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn lost(error: &reqwest::Error) -> SearchFault {
    SearchFault::Unavailable(chain(error))
}
