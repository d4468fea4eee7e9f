//! Access tokens: signed for with the service account's key, kept, and renewed before they run out, one renewal at a
//! time.
//!
//! A renewal is a future that everybody who needs it waits for, and that whoever waits drives; it belongs to nobody, so
//! that a push whose time runs out takes nothing from the others. While the token at hand still holds, one push drives
//! the renewal and the others go on with what there is.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use iyagi_actors::ports::{Clock, GatewayFault};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::push::FailureClass;
use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::Deserialize;

use super::account::ServiceAccount;
use super::answer::{TROUBLE_WAIT, in_short, retry_after};
use super::body::Body;
use super::connections::{NoAnswerOf, no_answer};

/// How long before its end a token is renewed, if it lives long enough.
const RENEWAL_MARGIN: Duration = Duration::from_mins(5);
/// A token that runs out this soon may do so on its way.
const LAST_MOMENT: Duration = Duration::from_secs(10);
/// How long after a renewal that failed the next one is tried, while the token at hand holds.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(30);
/// How long a token lives of which Google does not say it.
const LIFETIME: Duration = Duration::from_hours(1);
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Lets its bearer send messages.
pub struct AccessToken {
    secret: String,
    renew_at: Timestamp,
    expires_at: Timestamp,
}

/// Hands out tokens that hold.
pub struct AccessTokens {
    exchange: Arc<Exchange>,
    kept: Arc<Mutex<Kept>>,
}

type Renewed = Result<Arc<AccessToken>, GatewayFault>;
type Renewal = Shared<BoxFuture<'static, Renewed>>;

#[derive(Default)]
struct Kept {
    token: Option<Arc<AccessToken>>,
    renewal: Option<WeakShared<BoxFuture<'static, Renewed>>>,
    /// No renewal of a token that holds is tried before.
    not_before: Timestamp,
}

/// What a token is had with.
struct Exchange {
    account: ServiceAccount,
    http: Client,
    clock: Arc<dyn Clock>,
    timeout: Duration,
}

impl AccessToken {
    /// The token as it goes into a request.
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

/// Shows everything but the token.
impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl AccessTokens {
    /// No token is there yet; one request for one may take as long as `timeout`.
    pub fn new(
        account: ServiceAccount,
        http: Client,
        clock: Arc<dyn Clock>,
        timeout: Duration,
    ) -> Self {
        let exchange = Exchange {
            account,
            http,
            clock,
            timeout,
        };
        Self {
            exchange: Arc::new(exchange),
            kept: Arc::default(),
        }
    }

    /// A token that holds. If there is none to be had, no push has left.
    pub async fn get(&self) -> Renewed {
        let now = self.exchange.clock.now();
        let (at_hand, renewal) = {
            let mut kept = lock(&self.kept);
            let at_hand = kept.token.clone().filter(|token| token.holds(now));
            let running = kept.renewal.as_ref().and_then(WeakShared::upgrade);
            let renewal = match (&at_hand, running) {
                (Some(token), running)
                    if running.is_some() || now < token.renew_at.max(kept.not_before) =>
                {
                    return Ok(Arc::clone(token));
                }
                (_, Some(running)) => running,
                (_, None) => self.begin(&mut kept),
            };
            (at_hand, renewal)
        };
        match (renewal.await, at_hand) {
            (Err(fault), Some(token)) => {
                tracing::warn!(%fault, "the access token is not renewed; the one at hand still holds");
                Ok(token)
            }
            (renewed, _) => renewed,
        }
    }

    /// Another token than one that was refused.
    pub async fn renew(&self, refused: &AccessToken) -> Renewed {
        {
            let mut kept = lock(&self.kept);
            // Somebody else may have found out before.
            kept.token.take_if(|token| token.secret == refused.secret);
        }
        self.get().await
    }

    fn begin(&self, kept: &mut Kept) -> Renewal {
        let (exchange, shelf) = (Arc::clone(&self.exchange), Arc::clone(&self.kept));
        let renewal = async move {
            let renewed = exchange.token().await.map(Arc::new);
            let mut kept = lock(&shelf);
            kept.renewal = None;
            match &renewed {
                Ok(token) => kept.token = Some(Arc::clone(token)),
                Err(_) => kept.not_before = later(exchange.clock.now(), RENEWAL_INTERVAL),
            }
            renewed
        };
        let renewal = renewal.boxed().shared();
        kept.renewal = renewal.downgrade();
        renewal
    }
}

impl AccessToken {
    fn new(secret: String, lifetime: Duration, now: Timestamp) -> Self {
        let margin = RENEWAL_MARGIN.min(lifetime / 4);
        // Hosts that came up together do not renew together.
        let mut hasher = DefaultHasher::new();
        secret.hash(&mut hasher);
        let spread = margin.mul_f64((hasher.finish() % 1_000) as f64 / 4_000.0);
        Self {
            renew_at: later(now, lifetime.saturating_sub(margin + spread)),
            expires_at: later(now, lifetime),
            secret,
        }
    }

    fn holds(&self, now: Timestamp) -> bool {
        later(now, LAST_MOMENT) < self.expires_at
    }
}

impl Exchange {
    async fn token(&self) -> Result<AccessToken, GatewayFault> {
        let now = self.clock.now();
        let assertion = self.account.assertion(now).map_err(|error| {
            // Tried when the key was read, so this is the machine's trouble.
            unavailable(format!("the request cannot be signed: {error}"), None)
        })?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", GRANT_TYPE)
            .append_pair("assertion", &assertion)
            .finish();
        let call = self
            .http
            .post(self.account.token_uri.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form)
            .timeout(self.timeout);
        let response = call.send().await.map_err(|error| {
            let NoAnswerOf { reason, .. } = no_answer(error, self.timeout);
            unavailable(format!("{}: {reason}", self.account.token_uri), None)
        })?;
        let status = response.status().as_u16();
        let asked = response.headers().get(RETRY_AFTER);
        let asked = asked.and_then(|value| retry_after(value.to_str().ok()?, now));
        let body = Body::read(response).await;
        if (200..300).contains(&status) {
            return read(&body, now).ok_or_else(|| {
                let uri = &self.account.token_uri;
                unavailable(format!("{uri}: the answer has no usable token"), asked)
            });
        }
        Err(self.refused(status, &body, asked))
    }

    fn refused(&self, status: u16, body: &Body, asked: Option<Duration>) -> GatewayFault {
        #[derive(Default, Deserialize)]
        struct Refusal {
            error: String,
            #[serde(default)]
            error_description: String,
        }
        let uri = &self.account.token_uri;
        let Ok(Refusal {
            error,
            error_description,
        }) = serde_json::from_slice(&body.bytes)
        else {
            let short = in_short(&String::from_utf8_lossy(&body.bytes));
            return unavailable(format!("{uri} answered {status}: {short}"), asked);
        };
        let detail = in_short(&format!(
            "{uri} answered {status} {error}: {error_description}"
        ));
        // Whatever else it says, it says of the key.
        if status == 429 || status >= 500 || error == "temporarily_unavailable" {
            return unavailable(detail, asked);
        }
        let email = &self.account.client_email;
        GatewayFault {
            class: FailureClass::ConfigurationBroken,
            code: error,
            detail: format!(
                "{detail}: the key of {email} is not taken; see to this host's clock, or make a new key in the Firebase \
                 console and name it in `push.fcm.credential_file`"
            ),
            retry_after: None,
        }
    }
}

fn read(body: &Body, now: Timestamp) -> Option<AccessToken> {
    #[derive(Deserialize)]
    struct Granted {
        access_token: String,
        expires_in: Option<u64>,
    }
    let granted: Granted = serde_json::from_slice(&body.bytes).ok()?;
    let secret = granted.access_token;
    // It goes into a header.
    let fit = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic());
    let lifetime = granted.expires_in.map_or(LIFETIME, Duration::from_secs);
    fit.then(|| AccessToken::new(secret, lifetime, now))
}

fn unavailable(detail: String, asked: Option<Duration>) -> GatewayFault {
    GatewayFault {
        class: FailureClass::Transient,
        code: "NoAccessToken".to_owned(),
        detail,
        retry_after: Some(asked.unwrap_or(TROUBLE_WAIT)),
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.plus_ms(u64::try_from(by.as_millis()).unwrap_or(u64::MAX))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
