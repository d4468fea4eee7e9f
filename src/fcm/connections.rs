//! A few long-lived connections, and what it means when one of them breaks.
//!
//! A client keeps one HTTP/2 connection to a host, and as many requests on it as the other end bears. Firebase bears
//! about a hundred; what is more waits. So there are several clients, which take turns, and at least two: while one
//! connects anew the other goes on.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::redirect;
use reqwest::{Client, ClientBuilder, Url, retry};

use super::answer::NoAnswer;

/// Requests for which there is one connection.
const REQUESTS_PER_CONNECTION: usize = 64;
const CONNECTIONS_MIN: usize = 2;
const CONNECTIONS_MAX: usize = 32;
/// How often a connection is asked whether the other end is still there, also while nothing is sent: the first push
/// after a quiet night must not find out.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long it may take to say so.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// How a host is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// By TLS.
    Secret,
    /// In the clear: on this machine, or in a network of one's own.
    Plain,
}

impl Wire {
    /// How the host of an address is spoken to.
    pub(super) fn to(url: &Url) -> Self {
        if url.scheme() == "http" {
            Self::Plain
        } else {
            Self::Secret
        }
    }
}

/// The connections to one host.
pub(super) struct Connections {
    clients: Vec<Client>,
    turn: AtomicUsize,
}

impl Connections {
    /// Connections for so many requests at once. Each is made when it is first needed, within `connect_timeout`.
    pub(super) fn new(
        requests: usize,
        connect_timeout: Duration,
        wire: Wire,
    ) -> reqwest::Result<Self> {
        let count = requests
            .div_ceil(REQUESTS_PER_CONNECTION)
            .clamp(CONNECTIONS_MIN, CONNECTIONS_MAX);
        let client = || {
            // Not asked whether it speaks HTTP/2: asking would make a connection for each request that comes meanwhile.
            let builder = builder(connect_timeout, wire).http2_prior_knowledge();
            builder
                .http2_keep_alive_interval(PING_INTERVAL)
                .http2_keep_alive_timeout(PING_TIMEOUT)
                .http2_keep_alive_while_idle(true)
                .pool_idle_timeout(None)
                .build()
        };
        Ok(Self {
            clients: std::iter::repeat_with(client)
                .take(count)
                .collect::<reqwest::Result<_>>()?,
            turn: AtomicUsize::new(0),
        })
    }

    /// The client whose turn it is.
    pub(super) fn next(&self) -> &Client {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.clients[turn % self.clients.len()]
    }
}

/// A client for a request now and then.
pub(super) fn occasional(connect_timeout: Duration, wire: Wire) -> reqwest::Result<Client> {
    builder(connect_timeout, wire).build()
}

fn builder(connect_timeout: Duration, wire: Wire) -> ClientBuilder {
    let builder = Client::builder()
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        // An attempt that is not in the journal must not be, and a token is shown to nobody but whom it is for.
        .retry(retry::never())
        .redirect(redirect::Policy::none())
        .user_agent(concat!("iyagi/", env!("CARGO_PKG_VERSION")));
    match wire {
        Wire::Secret => builder,
        // No proxy leads there, and no host needs root certificates for it.
        Wire::Plain => builder.no_proxy().tls_certs_only([]),
    }
}

/// Why there is no answer, with the reason as text.
pub(super) struct NoAnswerOf {
    pub(super) why: NoAnswer,
    pub(super) reason: String,
}

/// Reads an error of the HTTP client, of a request that had this long.
pub(super) fn no_answer(error: reqwest::Error, within: Duration) -> NoAnswerOf {
    // The address is long, and the same every time.
    let error = error.without_url();
    let reason = told(&error);
    let why = if error.is_connect() {
        NoAnswer::NotConnected(reason.clone())
    } else if error.is_builder() {
        NoAnswer::NotMade(reason.clone())
    } else if error.is_timeout() {
        NoAnswer::TimedOut(within)
    } else if sources(&error)
        .filter_map(<dyn Error>::downcast_ref)
        .any(was_not_taken)
    {
        NoAnswer::NotTaken(reason.clone())
    } else {
        NoAnswer::Lost(reason.clone())
    };
    NoAnswerOf { why, reason }
}

/// Whether the other end vouches that it has not looked at the request: it refused it as one too many, or closed the
/// connection in good order with a number that this one lies beyond.
fn was_not_taken(error: &h2::Error) -> bool {
    let reason = error.reason();
    let refused = error.is_reset() && reason == Some(h2::Reason::REFUSED_STREAM);
    let left_over = error.is_go_away() && reason == Some(h2::Reason::NO_ERROR);
    error.is_remote() && (refused || left_over)
}

/// An error with what is underneath it, in one line.
fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in sources(error).map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
