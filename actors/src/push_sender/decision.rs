//! What to do with a push next: pure functions of its state, its recipient and the moment.

use std::time::Duration;

use iyagi_messages::fact::{Fact, LetterRequested, PushAccepted, PushFailed, PushSuppressed};
use iyagi_messages::ids::{LetterId, PushId, Timestamp};
use iyagi_messages::letter::{Letter, Origin};
use iyagi_messages::push::{DeferReason, FailureClass, OnUnknownOutcome, Push, SuppressReason};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gates::{Before, Recipient, Verdict, gate};
use super::state::{PushState, Stage};
use crate::ports::GatewayFault;

/// When and how often a push is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    /// Attempts that count, after which a push is given up.
    pub attempts_max: u32,
    /// Wait after the first failure, in milliseconds; it doubles with each further one.
    pub backoff_ms_min: u64,
    /// Longest wait, in milliseconds.
    pub backoff_ms_max: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts_max: 8,
            backoff_ms_min: 2_000,
            backoff_ms_max: 600_000,
        }
    }
}

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it is settled.
    Settled,
    /// Not yet.
    WaitUntil(Timestamp),
    /// Record that it is not sent.
    Suppress(SuppressReason),
    /// Record that it waits on purpose.
    Defer {
        /// Until when.
        until: Timestamp,
        /// Why.
        reason: DeferReason,
    },
    /// It waits on purpose, and is offered again when it is due.
    NotDue,
    /// Call the gateway.
    Attempt {
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// Nothing yet: another host, which lives, has called the gateway.
    Elsewhere,
    /// A crash swallowed the outcome of this attempt: record that first.
    RecordUnknown {
        /// Which attempt.
        attempt: u32,
    },
}

/// Decides what to do with a push now. `elsewhere`: its last attempt was made by another host, which lives.
pub fn next_step(
    state: &PushState,
    urgent: bool,
    recipient: Recipient,
    elsewhere: bool,
    now: Timestamp,
) -> Step {
    match state.progress.stage {
        Stage::Accepted | Stage::Suppressed { .. } | Stage::Dead { .. } => Step::Settled,
        Stage::Attempting if elsewhere => Step::Elsewhere,
        Stage::Attempting => Step::RecordUnknown {
            attempt: state.progress.attempts,
        },
        Stage::Pending { .. } if state.progress.deferred.is_some_and(|wait| wait.until > now) => {
            Step::NotDue
        }
        Stage::Pending { not_before } => {
            let deadline = state.deadline();
            let before = Before::default();
            match gate(&state.push, urgent, deadline, recipient, before, now) {
                Verdict::Suppress(reason) => Step::Suppress(reason),
                Verdict::Defer { until, reason } => Step::Defer { until, reason },
                Verdict::Pass => match not_before {
                    // A service may ask to be left alone for days. By its deadline the push is stale, and those behind it go.
                    Some(at) if at > now => Step::WaitUntil(at.min(deadline)),
                    _ => Step::Attempt {
                        attempt: state.progress.attempts + 1,
                    },
                },
            }
        }
    }
}

/// What an attempt's outcome means.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Facts of the push, in order.
    pub facts: Vec<Fact>,
    /// The letter to write, if it is given up.
    pub letter: Option<Letter>,
    /// The phone's token is dead.
    pub endpoint_dead: bool,
}

impl Outcome {
    fn of(facts: Vec<Fact>) -> Self {
        Self {
            facts,
            letter: None,
            endpoint_dead: false,
        }
    }
}

/// Decides what follows from an attempt's outcome. `generation` counts how often the push was given up before.
pub fn after_attempt(
    state: &PushState,
    attempt: u32,
    answer: Result<String, GatewayFault>,
    generation: u32,
    now: Timestamp,
    policy: RetryPolicy,
) -> Outcome {
    let fault = match answer {
        Ok(gateway_id) => {
            return Outcome::of(vec![
                PushAccepted {
                    attempt,
                    gateway_id,
                }
                .into(),
            ]);
        }
        Err(fault) => fault,
    };
    let failed = |retry_at: Option<Timestamp>, counted: bool| -> Fact {
        PushFailed {
            attempt,
            class: fault.class,
            code: fault.code.clone(),
            detail: fault.detail.clone(),
            retry_at,
            counted,
        }
        .into()
    };
    let wait = |failures: u32| {
        let backoff = backoff(policy, state.push.id, attempt, failures);
        now.plus_ms(as_ms(backoff.max(fault.retry_after.unwrap_or_default())))
    };
    let suppress = |reason| -> Fact { PushSuppressed { reason }.into() };
    match fault.class {
        FailureClass::EndpointDead => Outcome {
            endpoint_dead: true,
            ..Outcome::of(vec![
                failed(Some(now), true),
                suppress(SuppressReason::EndpointDead),
            ])
        },
        FailureClass::Throttled => Outcome::of(vec![failed(Some(wait(1)), false)]),
        // The push service takes nobody's pushes until a person mends that: its breaker opens, and they wait.
        FailureClass::ApplicationBroken | FailureClass::ConfigurationBroken => {
            Outcome::of(vec![failed(Some(now), false)])
        }
        FailureClass::Unknown if state.push.on_unknown_outcome == OnUnknownOutcome::GiveUp => {
            Outcome::of(vec![
                failed(Some(now), true),
                suppress(SuppressReason::UnknownOutcome),
            ])
        }
        FailureClass::Transient | FailureClass::Unknown
            if state.progress.counted_attempts + 1 < policy.attempts_max =>
        {
            Outcome::of(vec![failed(
                Some(wait(state.progress.counted_attempts + 1)),
                true,
            )])
        }
        FailureClass::Transient | FailureClass::Unknown | FailureClass::Poison => Outcome {
            letter: Some(letter(&state.push, &fault, attempt, generation + 1, now)),
            ..Outcome::of(vec![failed(None, true)])
        },
    }
}

/// What follows from a failure that is not the push's: it waits for its push service, and nothing is counted.
pub fn excused(attempt: u32, fault: &GatewayFault, now: Timestamp) -> Outcome {
    let wait = fault.retry_after.unwrap_or_default();
    let failed = PushFailed {
        attempt,
        class: fault.class,
        code: fault.code.clone(),
        detail: fault.detail.clone(),
        retry_at: Some(now.plus_ms(as_ms(wait))),
        counted: false,
    };
    Outcome::of(vec![failed.into()])
}

/// The letter of a push that is given up.
pub fn letter(
    push: &Push,
    fault: &GatewayFault,
    attempts: u32,
    generation: u32,
    now: Timestamp,
) -> Letter {
    Letter {
        id: LetterId::of_push(push.id),
        generation,
        origin: Origin::Push {
            push: push.id,
            recipient: push.recipient.clone(),
        },
        reason: fault.class.as_str().to_owned(),
        detail: format!("{}: {}", fault.code, fault.detail),
        attempts,
        at: now,
    }
}

/// The letter's request, as a fact.
pub fn letter_requested(letter: Letter) -> Fact {
    LetterRequested { letter }.into()
}

/// Doubles with each failure and is spread between half and the whole of it, the same for the same push and attempt.
fn backoff(policy: RetryPolicy, id: PushId, attempt: u32, failures: u32) -> Duration {
    let doubled = policy
        .backoff_ms_min
        .saturating_mul(1 << failures.saturating_sub(1).min(20));
    let full = doubled.min(policy.backoff_ms_max).max(1);
    let seed = (id.0.as_u128() as u64).wrapping_add(u64::from(attempt));
    let spread = fastrand::Rng::with_seed(seed).u64(0..=full / 2);
    Duration::from_millis(full - spread)
}

fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
