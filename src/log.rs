//! The log: where it goes, and what of it is the daemon's own to say.

use std::fmt::{Debug, Write as _};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, fmt, registry};

use crate::config::{LogConfig, LogFormat};

pub mod filter;

/// How often it is said at most that requests cannot be read: whoever sends them chooses how many they are.
const UNREADABLE_INTERVAL: Duration = Duration::from_mins(1);

/// Where the HTTP server says so.
const HTTP_SERVER: &str = "actix_http::h1::dispatcher";

/// Requests that the HTTP server cannot read. It tells of each as an error, and of nothing but in its log, which is the
/// process's own, as this is.
static UNREADABLE: Unreadable = Unreadable {
    count: AtomicU64::new(0),
    last: Mutex::new(String::new()),
    more: Notify::const_new(),
};

struct Unreadable {
    count: AtomicU64,
    /// What was wrong with the last one.
    last: Mutex<String>,
    more: Notify,
}

/// Begins the log of this process. It goes to standard error, so that standard output stays the commands' own.
pub fn start(config: &LogConfig) {
    let said = registry()
        .with(filter::begin(&config.filter))
        .with(Readable);
    let log = fmt::layer().with_writer(io::stderr);
    match config.format {
        LogFormat::Json => said.with(log.json().flatten_event(true)).init(),
        LogFormat::Text => {
            let colour = io::IsTerminal::is_terminal(&io::stderr())
                && std::env::var_os("NO_COLOR").is_none();
            said.with(log.with_ansi(colour)).init();
        }
    }
}

/// How many requests could not be read since the process began.
pub fn unreadable() -> u64 {
    UNREADABLE.count.load(Relaxed)
}

/// Says that requests cannot be read, for as long as it is polled: at once, and then what came within a minute together.
pub async fn tell_unreadable() {
    let mut told = unreadable();
    loop {
        UNREADABLE.more.notified().await;
        let (now, last) = (unreadable(), UNREADABLE.last());
        let requests = now - told;
        told = now;
        tracing::info!(requests, last, "requests that are no HTTP were refused");
        tokio::time::sleep(UNREADABLE_INTERVAL).await;
    }
}

impl Unreadable {
    fn note(&self, reason: &str) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        reason.clone_into(&mut last);
        drop(last);
        self.count.fetch_add(1, Relaxed);
        self.more.notify_one();
    }

    fn last(&self) -> String {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }
}

/// Lets through everything but what the HTTP server says of each request that it cannot read, which is counted.
struct Readable;

impl<S: Subscriber> Layer<S> for Readable {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() != Level::ERROR || metadata.target() != HTTP_SERVER {
            return true;
        }
        let mut message = Message::default();
        event.record(&mut message);
        let reason = unreadable_for(&message.0);
        if let Some(reason) = reason {
            UNREADABLE.note(reason);
        }
        reason.is_none()
    }
}

/// Why a request cannot be read, if that is what the HTTP server says.
fn unreadable_for(message: &str) -> Option<&str> {
    let reason = message.strip_prefix("stream error: ")?;
    match reason.strip_prefix("request parse error: ") {
        Some(reason) => Some(reason),
        // Too slow is as good as never.
        None => reason
            .starts_with("request did not complete")
            .then_some(reason),
    }
}

/// What an event says.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            write!(self.0, "{value:?}").expect("a text takes everything");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_client_sent_is_kept_out_of_the_log() {
        let bad = "stream error: request parse error: invalid Header provided";
        assert_eq!(unreadable_for(bad), Some("invalid Header provided"));
        let slow = "stream error: request did not complete within the specified timeout";
        assert!(unreadable_for(slow).is_some());
        for ours in [
            "stream error: internal error",
            "Response payload stream error: Io",
        ] {
            assert_eq!(unreadable_for(ours), None, "{ours}");
        }
    }
}
