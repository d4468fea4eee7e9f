//! The keys that are trusted at the moment, fetched seldom and never lost.
//!
//! Anybody can send tokens that name keys which do not exist, so what is unknown must cost the user pool next to nothing:
//! one fetch at a time, at most one in ten seconds, and in between unknown keys are refused at once. Keys that are known
//! stay trusted while a fetch fails: a user pool that cannot be reached signs nobody out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use iyagi_actors::ports::Clock;
use iyagi_messages::ids::Timestamp;
use jsonwebtoken::DecodingKey;

use super::key_set::KeySet;
use super::key_source::KeySource;
use super::token::Refused;

/// Least time between two fetches.
const FETCH_INTERVAL: Duration = Duration::from_secs(10);
/// Age from which keys are fetched anew, so that one that was withdrawn does not stay for ever.
const REFRESH_AFTER: Duration = Duration::from_hours(12);
/// How long a key that a fetch did not bring is refused without another one.
const UNKNOWN_FOR: Duration = Duration::from_mins(1);
/// Unknown keys that are remembered; one beyond them costs a look more.
const UNKNOWN_MAX: usize = 1_024;

/// The keys that are trusted.
pub struct Keys {
    source: KeySource,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    /// Held by whoever fetches.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: KeySet,
    fetched_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
    /// Until when they are refused.
    unknown: BTreeMap<String, Timestamp>,
}

impl Keys {
    /// None is known yet.
    pub fn new(source: KeySource, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            clock,
            known: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// A key, fetched if need be and permitted.
    pub async fn find(&self, id: &str) -> Result<DecodingKey, Refused> {
        let found = self.lock().keys.find(id).cloned();
        if let Some(key) = found {
            self.refresh().await;
            return Ok(key);
        }
        if self.lock().is_unknown(id, self.clock.now()) {
            return Err(Refused::UnknownKey);
        }
        let turn = self.fetching.lock().await;
        // Whoever had the turn before may have brought it.
        if let Some(key) = self.lock().keys.find(id) {
            return Ok(key.clone());
        }
        let permitted = self.lock().may_fetch(self.clock.now());
        let fetched = permitted && self.fetch().await;
        drop(turn);
        let mut known = self.lock();
        if let Some(key) = known.keys.find(id) {
            return Ok(key.clone());
        }
        if known.keys.is_empty() {
            return Err(Refused::NoKeys);
        }
        // Only what was looked for is known not to be there: the pool may have a new key since the last look.
        if fetched {
            known.remember_unknown(id, self.clock.now());
        }
        Err(Refused::UnknownKey)
    }

    /// Whether any key is there, after a fetch if none is and one is permitted.
    pub async fn are_there(&self) -> bool {
        if !self.lock().keys.is_empty() {
            return true;
        }
        let _turn = self.fetching.lock().await;
        let fetch = {
            let known = self.lock();
            known.keys.is_empty() && known.may_fetch(self.clock.now())
        };
        if fetch {
            self.fetch().await;
        }
        !self.lock().keys.is_empty()
    }

    /// Fetches keys that have grown old, unless somebody does already. One request in twelve hours waits for it.
    async fn refresh(&self) {
        let now = self.clock.now();
        let due = {
            let known = self.lock();
            known.is_old(now) && known.may_fetch(now)
        };
        if due && let Ok(_turn) = self.fetching.try_lock() {
            self.fetch().await;
        }
    }

    /// Whether the pool answered. Whoever calls this has the turn.
    async fn fetch(&self) -> bool {
        self.lock().tried_at = Some(self.clock.now());
        let fetched = self.source.fetch().await;
        let mut known = self.lock();
        match fetched {
            Ok(keys) => {
                known.keys = keys;
                known.fetched_at = Some(self.clock.now());
                known.unknown.clear();
                true
            }
            Err(error) => {
                let kept = !known.keys.is_empty();
                tracing::warn!(%error, kept, "the keys of sign-in could not be fetched; those at hand stay");
                false
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn may_fetch(&self, now: Timestamp) -> bool {
        is_past(self.tried_at, FETCH_INTERVAL, now).unwrap_or(true)
    }

    fn is_old(&self, now: Timestamp) -> bool {
        is_past(self.fetched_at, REFRESH_AFTER, now).unwrap_or(false)
    }

    /// Whether a fetch has just shown that there is no such key.
    fn is_unknown(&self, id: &str, now: Timestamp) -> bool {
        self.unknown.get(id).is_some_and(|until| now < *until)
    }

    fn remember_unknown(&mut self, id: &str, now: Timestamp) {
        self.unknown.retain(|_, until| now < *until);
        if self.unknown.len() < UNKNOWN_MAX {
            let until = now.plus_ms(UNKNOWN_FOR.as_millis() as u64);
            self.unknown.insert(id.to_owned(), until);
        }
    }
}

/// Whether something that happened is so long ago. A clock that is set back only puts off what is due.
fn is_past(then: Option<Timestamp>, interval: Duration, now: Timestamp) -> Option<bool> {
    then.map(|then| u128::from(now.since_ms(then)) >= interval.as_millis())
}
