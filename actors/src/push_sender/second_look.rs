//! Whether a push that has waited may still be told: the one gate for which a sender asks the graph.
//!
//! The matcher has decided it on the graph as it was after the commit, and a push that leaves at once is not asked about again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use iyagi_messages::ids::Timestamp;
use iyagi_messages::push::Push;

use super::state::PushState;
use crate::ports::GraphFault;
use crate::visibility::{Sight, Viewer};

/// Age of a change, in milliseconds, up to which the matcher's word is good enough for a push that only waited for its turn.
const AS_MATCHED_MS: u64 = 10_000;
/// How long a push waits that the graph says nothing of, in milliseconds.
const UNANSWERED_MS: u64 = 5_000;

/// Asks, and counts what was answered.
pub struct SecondLook {
    sight: Arc<Sight>,
    visible: AtomicU64,
    hidden: AtomicU64,
    unanswered: AtomicU64,
    /// Whether the last question found no answer.
    in_the_dark: AtomicBool,
}

/// What may be done with a push that has waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be sent.
    Visible,
    /// Its recipient may not see what it tells of.
    Hidden,
    /// Nobody can say. It must not be sent before somebody can, who is asked again at this moment.
    Unknown {
        /// The moment.
        again: Timestamp,
    },
}

impl SecondLook {
    /// Nothing was asked yet.
    pub fn new(sight: Arc<Sight>) -> Self {
        Self {
            sight,
            visible: AtomicU64::default(),
            hidden: AtomicU64::default(),
            unanswered: AtomicU64::default(),
            in_the_dark: AtomicBool::default(),
        }
    }

    /// Whether a push has waited: on purpose, for another attempt, for a redrive, or for its turn so long that the graph may
    /// be another one.
    pub fn is_due(state: &PushState, now: Timestamp) -> bool {
        let progress = &state.progress;
        progress.attempts > 0
            || progress.waited_ms > 0
            || now.since_ms(state.push.at) >= AS_MATCHED_MS
    }

    /// Looks again, and decides what follows at a moment.
    pub async fn at(&self, push: &Push, now: Timestamp) -> Verdict {
        match self.sees(push).await {
            Ok(true) => Verdict::Visible,
            Ok(false) => Verdict::Hidden,
            Err(_) => Verdict::Unknown {
                again: now.plus_ms(UNANSWERED_MS),
            },
        }
    }

    /// Whether a push's recipient may see what it tells of.
    pub async fn sees(&self, push: &Push) -> Result<bool, GraphFault> {
        let viewer = Viewer {
            person: &push.recipient,
            is_admin: false,
        };
        let seen = self.sight.of(viewer).may_be_told(push).await;
        let count = match &seen {
            Ok(true) => &self.visible,
            Ok(false) => &self.hidden,
            Err(_) => &self.unanswered,
        };
        count.fetch_add(1, Relaxed);
        let was_in_the_dark = self.in_the_dark.swap(seen.is_err(), Relaxed);
        match &seen {
            Err(fault) if !was_in_the_dark => {
                tracing::warn!(%fault, "it cannot be told who may see what: pushes that have waited wait on");
            }
            Ok(_) if was_in_the_dark => {
                tracing::info!("it can be told again who may see what");
            }
            _ => {}
        }
        seen
    }

    /// How often was asked, by what came of it.
    pub fn asked(&self) -> [(&'static str, u64); 3] {
        [
            ("visible", &self.visible),
            ("hidden", &self.hidden),
            ("unanswered", &self.unanswered),
        ]
        .map(|(outcome, count)| (outcome, count.load(Relaxed)))
    }
}
