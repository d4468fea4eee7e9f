//! Operators who signed in with a browser, which keeps a cookie instead of their token.
//!
//! Sessions are in memory alone: they end with the daemon, and a token that is taken away ends with it too.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::rand;
use iyagi_messages::ids::Timestamp;
use sha2::{Digest, Sha256};

use crate::auth::operators::Operator;
use crate::http::request::hexadecimal;

/// How long one lasts, in seconds: a working day, so that nobody has to sign in twice during an incident.
pub const LIFETIME_SECONDS: u64 = 12 * 60 * 60;
/// Sessions at once. One more ends the oldest.
const SESSIONS_MAX: usize = 256;

/// Everybody who is signed in, by the digest of what their cookie holds.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

struct Session {
    operator: Operator,
    ends_at: Timestamp,
}

impl Sessions {
    /// Begins one; yields what the cookie is to hold, or nothing if the system has no randomness.
    pub fn begin(&self, operator: Operator, now: Timestamp) -> Option<String> {
        let mut id = [0; 32];
        rand::fill(&mut id).ok()?;
        let id = hexadecimal(&id);
        let ends_at = now.plus_ms(LIFETIME_SECONDS * 1_000);
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.ends_at > now);
        if sessions.len() >= SESSIONS_MAX {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.ends_at);
            if let Some(oldest) = oldest.map(|(id, _)| *id)
                && let Some(session) = sessions.remove(&oldest)
            {
                let name = session.operator.name;
                tracing::warn!(name, "too many sessions: the oldest has ended");
            }
        }
        sessions.insert(digest(&id), Session { operator, ends_at });
        Some(id)
    }

    /// Whose it is, as long as it lasts.
    pub fn holder(&self, id: &str, now: Timestamp) -> Option<Operator> {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get(&digest(id))?;
        (session.ends_at > now).then(|| session.operator.clone())
    }

    /// Ends one.
    pub fn end(&self, id: &str) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.remove(&digest(id));
    }
}

/// Ids are looked up by their digest, so that how long a look takes tells nothing of the ids that there are.
fn digest(id: &str) -> [u8; 32] {
    Sha256::digest(id).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OperatorRole;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn operator(name: &str) -> Operator {
        Operator {
            name: name.to_owned(),
            role: OperatorRole::Admin,
        }
    }

    #[test]
    fn a_session_lasts_until_it_is_ended_or_its_time_is_over() {
        let sessions = Sessions::default();
        let id = sessions.begin(operator("oncall"), NOW).expect("random");
        let other = sessions.begin(operator("oncall"), NOW).expect("random");
        assert_ne!(id, other);
        assert_eq!(sessions.holder(&id, NOW), Some(operator("oncall")));
        assert_eq!(sessions.holder(&id[1..], NOW), None);
        let over = NOW.plus_ms(LIFETIME_SECONDS * 1_000);
        assert_eq!(sessions.holder(&id, over), None);
        sessions.end(&id);
        assert_eq!(sessions.holder(&id, NOW), None);
        assert_eq!(sessions.holder(&other, NOW), Some(operator("oncall")));
    }

    #[test]
    fn no_number_of_sessions_takes_more_memory_than_the_most() {
        let sessions = Sessions::default();
        let first = sessions.begin(operator("first"), NOW).expect("random");
        for n in 0..SESSIONS_MAX as i64 {
            let later = Timestamp(NOW.0 + 1 + n);
            sessions.begin(operator("other"), later).expect("random");
        }
        assert_eq!(sessions.0.lock().expect("whole").len(), SESSIONS_MAX);
        assert_eq!(sessions.holder(&first, NOW), None);
    }
}
