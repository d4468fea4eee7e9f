//! By what this process logs: the configured filter, or another one for a while.
//!
//! Whoever looks for a fault at night turns the log up and goes to bed: it turns itself down again.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use iyagi_messages::ids::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing_subscriber::{EnvFilter, Registry, reload};
use utoipa::ToSchema;

/// Set once this process's log has begun.
static FILTER: OnceLock<Filter> = OnceLock::new();

/// By what a process logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogStatus {
    /// The filter now.
    #[schema(example = "info,iyagi::http=debug")]
    pub filter: String,
    /// The configured one, `log.filter`.
    #[schema(example = "info")]
    pub configured: String,
    /// When the configured one holds again; nothing if it does.
    #[schema(required)]
    pub until: Option<Timestamp>,
}

struct Filter {
    configured: String,
    handle: reload::Handle<EnvFilter, Registry>,
    other: Mutex<Option<Other>>,
    changed: Notify,
}

/// A filter in place of the configured one.
struct Other {
    filter: String,
    until: Timestamp,
    ends: Instant,
}

/// The configured filter, as the layer that [`change`] exchanges.
pub(super) fn begin(configured: &str) -> reload::Layer<EnvFilter, Registry> {
    let (filter, layer) = Filter::new(configured);
    // A process has one log, so this is the first.
    FILTER.set(filter).ok();
    layer
}

/// By what this process logs; nothing if the daemon is a part of a process that has a log of its own.
pub fn status() -> Option<LogStatus> {
    FILTER.get().map(Filter::status)
}

/// Logs by another filter from `now` on, for as long as `lasts`.
pub fn change(
    filter: EnvFilter,
    written: &str,
    now: Timestamp,
    lasts: Duration,
) -> Result<(), reload::Error> {
    FILTER
        .get()
        .map_or(Ok(()), |own| own.change(filter, written, now, lasts))
}

/// When a change that begins now ends.
pub fn until(now: Timestamp, lasts: Duration) -> Timestamp {
    now.plus_ms(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX))
}

/// Logs by the configured filter again.
pub fn change_back() -> Result<(), reload::Error> {
    FILTER
        .get()
        .map_or(Ok(()), |own| own.change_back(&mut own.other()))
}

/// Changes back when it is time, for as long as it is polled.
pub async fn keep_time() {
    if let Some(own) = FILTER.get() {
        own.keep_time().await;
    }
}

impl Filter {
    fn new(configured: &str) -> (Self, reload::Layer<EnvFilter, Registry>) {
        let (layer, handle) = reload::Layer::new(EnvFilter::new(configured));
        let filter = Self {
            configured: configured.to_owned(),
            handle,
            other: Mutex::default(),
            changed: Notify::new(),
        };
        (filter, layer)
    }

    fn change(
        &self,
        filter: EnvFilter,
        written: &str,
        now: Timestamp,
        lasts: Duration,
    ) -> Result<(), reload::Error> {
        let mut other = self.other();
        self.handle.reload(filter)?;
        *other = Some(Other {
            filter: written.to_owned(),
            until: until(now, lasts),
            ends: Instant::now() + lasts,
        });
        self.changed.notify_one();
        Ok(())
    }

    async fn keep_time(&self) {
        loop {
            let ends = self.other().as_ref().map(|other| other.ends);
            match ends {
                None => self.changed.notified().await,
                Some(ends) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = tokio::time::sleep_until(ends) => self.end(ends),
                },
            }
        }
    }

    fn status(&self) -> LogStatus {
        let configured = self.configured.clone();
        let (filter, until) = match &*self.other() {
            Some(other) => (other.filter.clone(), Some(other.until)),
            None => (configured.clone(), None),
        };
        LogStatus {
            filter,
            configured,
            until,
        }
    }

    /// Ends the change that ends at that moment. Another one may have taken its place meanwhile.
    fn end(&self, ends: Instant) {
        let mut other = self.other();
        if other.as_ref().is_none_or(|other| other.ends != ends) {
            return;
        }
        match self.change_back(&mut other) {
            Ok(()) => {
                tracing::info!(filter = self.configured, "the log is as configured again");
            }
            // There is no log any more to be told of it, or to be too long.
            Err(error) => tracing::error!(%error, "the log stays as it is"),
        }
    }

    fn change_back(&self, other: &mut Option<Other>) -> Result<(), reload::Error> {
        *other = None;
        self.handle.reload(EnvFilter::new(&self.configured))
    }

    fn other(&self) -> MutexGuard<'_, Option<Other>> {
        self.other.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn minutes(minutes: u64) -> Duration {
        Duration::from_mins(minutes)
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_ends_by_itself_and_a_later_one_when_it_says() {
        let (filter, _layer) = Filter::new("info");
        let change = |to: &str, lasts: Duration| {
            let changed = filter.change(EnvFilter::new(to), to, NOW, lasts);
            changed.expect("there is a log");
        };
        let now_by = || filter.handle.with_current(ToString::to_string);
        let days = async |lasts: Duration| {
            tokio::select! {
                () = filter.keep_time() => unreachable!("it is polled for as long as one likes"),
                () = tokio::time::sleep(lasts) => {}
            }
        };
        change("debug", minutes(10));
        days(minutes(9)).await;
        assert_eq!(now_by().expect("a log"), "debug");
        change("trace", minutes(10));
        assert_eq!(filter.status().until, Some(Timestamp(1_600_000)));
        days(minutes(9)).await;
        assert_eq!(
            now_by().expect("a log"),
            "trace",
            "the first one's end is none"
        );
        days(minutes(2)).await;
        assert_eq!(now_by().expect("a log"), "info");
        let configured = LogStatus {
            filter: "info".to_owned(),
            configured: "info".to_owned(),
            until: None,
        };
        assert_eq!(filter.status(), configured);
    }
}
