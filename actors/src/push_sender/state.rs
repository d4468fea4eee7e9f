//! A push's life as the journal tells it, and nothing that the journal does not tell.

use std::sync::Arc;

use iyagi_messages::fact::{Fact, PushDeferred, PushMerged};
use iyagi_messages::ids::{Incarnation, MemberId, Seq, Timestamp};
use iyagi_messages::push::{DeferReason, FailureClass, MergeKind, Push, SuppressReason};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A push and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushState {
    /// The push.
    pub push: Arc<Push>,
    /// What has happened to it.
    pub progress: Progress,
}

/// What has happened to a push since it was requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The last event of its entity, for the next append.
    pub seq: Seq,
    /// Attempts that count against the limit, since it was requested or last redriven.
    pub counted_attempts: u32,
    /// All attempts.
    pub attempts: u32,
    /// The host of the last attempt, in a fleet.
    #[serde(default)]
    pub attempted_by: Option<MemberId>,
    /// What comes next.
    pub stage: Stage,
    /// Until when it waits on purpose, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred: Option<Deferred>,
    /// What else it tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merged>,
    /// How long it has waited on purpose, in milliseconds: this does not make it stale.
    #[serde(default)]
    pub waited_ms: u64,
}

/// A wait on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferred {
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: DeferReason,
}

/// What a push tells of besides its own change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// What it has in common with the others.
    pub kind: MergeKind,
    /// How many notifications it tells of, itself included.
    pub count: u32,
    /// How many different people did what it tells of.
    pub actors: u32,
}

/// Where a push stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// To be sent, not before the given moment.
    Pending {
        /// The moment; absent for at once.
        not_before: Option<Timestamp>,
    },
    /// The gateway has been called; no outcome is recorded yet.
    Attempting,
    /// The gateway took it.
    Accepted,
    /// It was not worth sending.
    Suppressed {
        /// Why.
        reason: SuppressReason,
    },
    /// It was given up; its letter waits.
    Dead {
        /// Class of the failure that ended it.
        class: FailureClass,
    },
}

impl Stage {
    /// The four columns of the conservation law.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Pending { .. } | Self::Attempting)
    }
}

/// A fact that cannot follow the push's history: the journal contradicts itself.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{kind} cannot happen to a push that is {stage:?}")]
pub struct Impossible {
    /// The fact's kind.
    pub kind: String,
    /// Where the push stood.
    pub stage: Stage,
}

impl PushState {
    /// A push that was just requested.
    pub fn requested(push: Arc<Push>, seq: Seq) -> Self {
        Self {
            push,
            progress: Progress::requested(seq),
        }
    }

    /// From when on it is stale.
    pub fn deadline(&self) -> Timestamp {
        self.push.expires_at.plus_ms(self.progress.waited_ms)
    }

    /// Folds the next fact of the push's entity, written by `actor` at a moment.
    pub fn apply(
        &mut self,
        fact: &Fact,
        actor: &Incarnation,
        seq: Seq,
        at: Timestamp,
    ) -> Result<(), Impossible> {
        self.progress.apply(fact, actor, seq, at)
    }
}

impl Progress {
    /// That of a push that was just requested.
    pub fn requested(seq: Seq) -> Self {
        Self {
            seq,
            counted_attempts: 0,
            attempts: 0,
            attempted_by: None,
            stage: Stage::Pending { not_before: None },
            deferred: None,
            merged: None,
            waited_ms: 0,
        }
    }

    /// Whether the attempt of this number is made right now.
    pub fn is_at_attempt(&self, attempt: u32) -> bool {
        self.stage == Stage::Attempting && self.attempts == attempt
    }

    /// Until when it waits on purpose, while it is pending.
    pub fn waits(&self) -> Option<Deferred> {
        self.deferred.filter(|_| self.stage.is_pending())
    }

    /// Whether an attempt failed and another one is to follow.
    pub fn is_to_be_retried(&self) -> bool {
        matches!(
            self.stage,
            Stage::Pending {
                not_before: Some(_)
            }
        )
    }

    /// Whether it is pending and does not wait on purpose.
    pub fn has_turn(&self) -> bool {
        self.stage.is_pending() && self.deferred.is_none()
    }

    /// Folds the next fact of the push's entity, written by `actor` at a moment.
    pub fn apply(
        &mut self,
        fact: &Fact,
        actor: &Incarnation,
        seq: Seq,
        at: Timestamp,
    ) -> Result<(), Impossible> {
        let impossible = |stage| Impossible {
            kind: fact.kind().to_owned(),
            stage,
        };
        self.stage = match (fact, self.stage) {
            (Fact::PushAttempted(attempted), Stage::Pending { .. }) => {
                self.attempts = attempted.attempt;
                self.attempted_by = actor.member();
                self.deferred = None;
                Stage::Attempting
            }
            (Fact::PushDeferred(deferred), Stage::Pending { .. }) => {
                let PushDeferred { until, reason } = *deferred;
                self.deferred = Some(Deferred { until, reason });
                self.waited_ms += until.since_ms(at);
                Stage::Pending { not_before: None }
            }
            (Fact::PushMerged(merged), stage @ Stage::Pending { .. }) => {
                let PushMerged {
                    kind,
                    count,
                    actors,
                    ..
                } = *merged;
                self.merged = Some(Merged {
                    kind,
                    count,
                    actors,
                });
                stage
            }
            // A bounced push was sent all the same; its phone is another matter.
            (Fact::PushAccepted(_), Stage::Attempting)
            | (Fact::PushBounced(_), Stage::Accepted) => Stage::Accepted,
            // A push that kills its sender before the gateway is called fails without an attempt.
            (Fact::PushFailed(failed), Stage::Attempting | Stage::Pending { .. }) => {
                self.counted_attempts += u32::from(failed.counted);
                match failed.retry_at {
                    Some(at) => Stage::Pending {
                        not_before: Some(at),
                    },
                    None => Stage::Dead {
                        class: failed.class,
                    },
                }
            }
            (
                Fact::PushSuppressed(suppressed),
                Stage::Pending { .. } | Stage::Attempting | Stage::Dead { .. },
            ) => Stage::Suppressed {
                reason: suppressed.reason,
            },
            (Fact::LetterRedriven(_), Stage::Dead { .. }) => {
                self.counted_attempts = 0;
                Stage::Pending { not_before: None }
            }
            (_, stage) => return Err(impossible(stage)),
        };
        self.seq = seq;
        Ok(())
    }
}
