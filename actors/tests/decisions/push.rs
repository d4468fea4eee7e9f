//! The life of a push.

use std::sync::Arc;
use std::time::Duration;

use iyagi_actors::ports::GatewayFault;
use iyagi_actors::push_sender::decision::{Outcome, RetryPolicy, Step, after_attempt, next_step};
use iyagi_actors::push_sender::gates::Recipient;
use iyagi_actors::push_sender::second_look::SecondLook;
use iyagi_actors::push_sender::state::{Impossible, PushState, Stage};
use iyagi_messages::device::Platform;
use iyagi_messages::fact::{
    Fact, LetterRedriven, PushAccepted, PushAttempted, PushBounced, PushDeferred, PushFailed,
    PushSuppressed,
};
use iyagi_messages::ids::{Incarnation, MemberId, Seq, Timestamp};
use iyagi_messages::push::{DeferReason, FailureClass, OnUnknownOutcome, Push, SuppressReason};
use proptest::prelude::*;

use crate::sample::{self, REACHABLE};

const NOW: Timestamp = Timestamp(1_000_000);
const POLICY: RetryPolicy = RetryPolicy {
    attempts_max: 3,
    backoff_ms_min: 1_000,
    backoff_ms_max: 60_000,
};
fn push(on_unknown_outcome: OnUnknownOutcome) -> Push {
    Push {
        on_unknown_outcome,
        ..sample::push(7, NOW)
    }
}

struct Given {
    state: PushState,
    now: Timestamp,
}

/// A push that was requested, and what happened to it since.
fn given(facts: Vec<Fact>) -> Given {
    given_push(push(OnUnknownOutcome::Resend), facts)
}

fn given_push(push: Push, facts: Vec<Fact>) -> Given {
    let mut state = PushState::requested(Arc::new(push), Seq(1));
    for (fact, seq) in facts.iter().zip(2..) {
        state
            .apply(fact, &writer(), Seq(seq), NOW)
            .expect("a possible history");
    }
    Given { state, now: NOW }
}

fn writer() -> Incarnation {
    MemberId::new("host-a", 1).incarnation(&"push-sender-1#1".into())
}

impl Given {
    fn later(mut self, ms: u64) -> Self {
        self.now = self.now.plus_ms(ms);
        self
    }

    fn when_offered(&self, recipient: Recipient) -> Step {
        next_step(&self.state, false, recipient, false, self.now)
    }

    fn when_answered(&self, answer: Result<&str, FailureClass>) -> Outcome {
        let answer = answer
            .map(str::to_owned)
            .map_err(|class| fault(class, None));
        after_attempt(
            &self.state,
            self.state.progress.attempts,
            answer,
            0,
            self.now,
            POLICY,
        )
    }
}

fn fault(class: FailureClass, retry_after: Option<Duration>) -> GatewayFault {
    GatewayFault {
        class,
        code: "Code".to_owned(),
        detail: "detail".to_owned(),
        retry_after,
    }
}

fn attempted(attempt: u32) -> Fact {
    PushAttempted { attempt }.into()
}

fn failed(attempt: u32, class: FailureClass, retry_at: Option<u64>) -> Fact {
    PushFailed {
        attempt,
        class,
        code: "Code".to_owned(),
        detail: "detail".to_owned(),
        retry_at: retry_at.map(|ms| NOW.plus_ms(ms)),
        counted: class != FailureClass::Throttled,
    }
    .into()
}

fn retry_at(outcome: &Outcome) -> Option<u64> {
    match &outcome.facts[..] {
        [Fact::PushFailed(failed)] => failed.retry_at.map(|at| at.since_ms(NOW)),
        _ => None,
    }
}

#[test]
fn a_fresh_push_is_attempted_and_an_accepted_one_never_again() {
    assert_eq!(
        given(vec![]).when_offered(REACHABLE),
        Step::Attempt { attempt: 1 }
    );
    let accepted = PushAccepted {
        attempt: 1,
        gateway_id: "g".to_owned(),
    };
    let mut settled = given(vec![attempted(1), accepted.clone().into()]);
    assert_eq!(settled.when_offered(REACHABLE), Step::Settled);
    let bounced = PushBounced {
        gateway_id: "g".to_owned(),
        failure_type: "UNREGISTERED".to_owned(),
        detail: String::new(),
        platform: Some(Platform::Fcm),
    };
    let bounced = settled.state.apply(&bounced.into(), &writer(), Seq(4), NOW);
    bounced.expect("possible, and it stays accepted");
    assert_eq!(settled.when_offered(REACHABLE), Step::Settled);
    let outcome = given(vec![attempted(1)]).when_answered(Ok("g"));
    assert_eq!(outcome.facts, [Fact::from(accepted)]);
}

#[test]
fn every_gate_is_checked_before_every_attempt_also_after_a_redrive() {
    let redriven = || {
        vec![
            attempted(1),
            failed(1, FailureClass::Poison, None),
            LetterRedriven {
                generation: 1,
                by: "op".to_owned(),
                because: None,
            }
            .into(),
        ]
    };
    for history in [vec![], redriven()] {
        let given = given(history);
        let gone = Recipient {
            device_registered: false,
            ..REACHABLE
        };
        assert_eq!(
            given.when_offered(gone),
            Step::Suppress(SuppressReason::DeviceGone)
        );
        let opted_out = Recipient {
            unsubscribed: true,
            ..REACHABLE
        };
        assert_eq!(
            given.when_offered(opted_out),
            Step::Suppress(SuppressReason::Unsubscribed)
        );
        let stale = given.later(2 * 3_600_000);
        assert_eq!(
            stale.when_offered(REACHABLE),
            Step::Suppress(SuppressReason::Stale)
        );
    }
    let own = Push {
        actor: Some("minji".into()),
        ..push(OnUnknownOutcome::Resend)
    };
    let own = given_push(own, vec![]);
    assert_eq!(
        own.when_offered(REACHABLE),
        Step::Suppress(SuppressReason::Myself)
    );
}

#[test]
fn a_transient_failure_waits_longer_each_time_and_the_last_one_becomes_a_letter() {
    let first = given(vec![attempted(1)]).when_answered(Err(FailureClass::Transient));
    let first = retry_at(&first).expect("tried again");
    assert!((500..=1_000).contains(&first), "{first}");
    let history = vec![
        attempted(1),
        failed(1, FailureClass::Transient, Some(10)),
        attempted(2),
    ];
    let second = given(history.clone()).when_answered(Err(FailureClass::Transient));
    let second = retry_at(&second).expect("tried again");
    assert!((1_000..=2_000).contains(&second), "{second}");
    let mut history = history;
    history.extend([failed(2, FailureClass::Transient, Some(10)), attempted(3)]);
    let last = given(history).when_answered(Err(FailureClass::Transient));
    let letter = last.letter.expect("given up");
    assert_eq!(
        (letter.generation, letter.attempts, letter.reason.as_str()),
        (1, 3, "transient")
    );
}

#[test]
fn the_gateways_own_wait_is_the_least_wait() {
    let given = given(vec![attempted(1)]);
    let wait = Some(Duration::from_secs(90));
    let answer = Err(fault(FailureClass::Throttled, wait));
    let outcome = after_attempt(&given.state, 1, answer, 0, NOW, POLICY);
    assert_eq!(retry_at(&outcome), Some(90_000));
}

#[test]
fn throttling_is_never_counted_against_a_push() {
    let mut history = Vec::new();
    for attempt in 1..=20 {
        history.push(attempted(attempt));
        history.push(failed(attempt, FailureClass::Throttled, Some(1)));
    }
    history.push(attempted(21));
    let given = given(history);
    assert_eq!(given.state.progress.counted_attempts, 0);
    assert!(
        given
            .when_answered(Err(FailureClass::Transient))
            .letter
            .is_none()
    );
}

#[test]
fn a_push_that_waits_is_not_attempted_before_its_time() {
    let waiting = given(vec![
        attempted(1),
        failed(1, FailureClass::Transient, Some(5_000)),
    ]);
    let until = NOW.plus_ms(5_000);
    assert_eq!(waiting.when_offered(REACHABLE), Step::WaitUntil(until));
    assert_eq!(
        waiting.later(5_000).when_offered(REACHABLE),
        Step::Attempt { attempt: 2 }
    );
}

#[test]
fn a_push_that_is_to_wait_beyond_its_deadline_holds_up_those_behind_it_no_longer_than_that() {
    let retry_at = Some(Timestamp(i64::MAX));
    let failed = |retry_at| PushFailed {
        attempt: 1,
        class: FailureClass::Throttled,
        code: "Throttled".to_owned(),
        detail: String::new(),
        retry_at,
        counted: false,
    };
    let given = given(vec![
        PushAttempted { attempt: 1 }.into(),
        failed(retry_at).into(),
    ]);
    let deadline = given.state.deadline();
    assert_eq!(given.when_offered(REACHABLE), Step::WaitUntil(deadline));
    let stale = given.later(deadline.since_ms(NOW));
    let suppressed = Step::Suppress(SuppressReason::Stale);
    assert_eq!(stale.when_offered(REACHABLE), suppressed);
}

#[test]
fn a_dead_endpoint_is_no_letter_and_drops_the_phone() {
    let outcome = given(vec![attempted(1)]).when_answered(Err(FailureClass::EndpointDead));
    assert!(outcome.endpoint_dead && outcome.letter.is_none());
    let suppressed = PushSuppressed {
        reason: SuppressReason::EndpointDead,
    };
    assert_eq!(outcome.facts.last(), Some(&suppressed.into()));
}

#[test]
fn poison_is_a_letter_at_once_and_a_broken_platform_is_nobodys_fault() {
    let poison = given(vec![attempted(1)]).when_answered(Err(FailureClass::Poison));
    assert_eq!(
        poison.letter.map(|letter| letter.reason).as_deref(),
        Some("poison")
    );
    let broken = given(vec![attempted(1)]).when_answered(Err(FailureClass::ApplicationBroken));
    assert!(broken.letter.is_none());
    assert_eq!(retry_at(&broken), Some(0), "it stays pending, at no cost");
}

#[test]
fn an_outcome_that_a_crash_swallowed_is_resolved_by_the_templates_policy() {
    let crashed = given(vec![attempted(1)]);
    assert_eq!(
        crashed.when_offered(REACHABLE),
        Step::RecordUnknown { attempt: 1 }
    );
    let resend = crashed.when_answered(Err(FailureClass::Unknown));
    assert!(retry_at(&resend).is_some());
    let crashed = given_push(push(OnUnknownOutcome::GiveUp), vec![attempted(1)]);
    let give_up = crashed.when_answered(Err(FailureClass::Unknown));
    let suppressed = PushSuppressed {
        reason: SuppressReason::UnknownOutcome,
    };
    assert_eq!(give_up.facts.last(), Some(&suppressed.into()));
}

#[test]
fn an_attempt_of_another_host_that_lives_is_left_to_it() {
    let given = given(vec![attempted(1)]);
    assert_eq!(
        given.state.progress.attempted_by,
        Some(MemberId::new("host-a", 1)),
        "the journal tells whose attempt it is"
    );
    let step = |elsewhere| next_step(&given.state, false, REACHABLE, elsewhere, NOW);
    assert_eq!(step(true), Step::Elsewhere);
    assert_eq!(step(false), Step::RecordUnknown { attempt: 1 });
}

#[test]
fn a_history_that_cannot_be_is_named() {
    let mut state = given(vec![]).state;
    let accepted = PushAccepted {
        attempt: 1,
        gateway_id: String::new(),
    };
    let error = state
        .apply(&accepted.into(), &writer(), Seq(2), NOW)
        .expect_err("never attempted");
    let stage = Stage::Pending { not_before: None };
    assert_eq!(
        error,
        Impossible {
            kind: "push.accepted".to_owned(),
            stage
        }
    );
}

fn any_class() -> impl Strategy<Value = FailureClass> {
    prop_oneof![
        Just(FailureClass::Transient),
        Just(FailureClass::Throttled),
        Just(FailureClass::EndpointDead),
        Just(FailureClass::Poison),
        Just(FailureClass::ApplicationBroken),
        Just(FailureClass::ConfigurationBroken),
        Just(FailureClass::Unknown),
    ]
}

proptest! {
    /// Whatever a gateway answers, the facts can follow the history, and every push is settled, pending or dead.
    #[test]
    fn any_row_of_answers_is_a_possible_history(
        answers in proptest::collection::vec(proptest::option::of(any_class()), 1..20),
        give_up: bool,
    ) {
        let policy = if give_up { OnUnknownOutcome::GiveUp } else { OnUnknownOutcome::Resend };
        let mut given = given_push(push(policy), vec![]);
        let mut seq = 2;
        let mut apply = |state: &mut PushState, fact: &Fact| {
            state.apply(fact, &writer(), Seq(seq), NOW).expect("a possible history");
            seq += 1;
        };
        for answer in answers {
            given.now = NOW.plus_ms(10);
            if let Stage::Pending { not_before: Some(at) } = given.state.progress.stage {
                given.now = at;
            }
            match given.when_offered(REACHABLE) {
                Step::Attempt { attempt } => apply(&mut given.state, &attempted(attempt)),
                Step::Suppress(reason) => {
                    apply(&mut given.state, &PushSuppressed { reason }.into());
                    break;
                }
                Step::Settled => break,
                other => prop_assert!(false, "{other:?}"),
            }
            let outcome = given.when_answered(answer.map_or(Ok("id"), Err));
            let dead = outcome.letter.is_some();
            for fact in &outcome.facts {
                apply(&mut given.state, fact);
            }
            prop_assert_eq!(dead, matches!(given.state.progress.stage, Stage::Dead { .. }));
        }
    }
}

#[test]
fn only_a_push_that_has_waited_is_looked_at_again() {
    let due = |given: &Given| SecondLook::is_due(&given.state, given.now);
    let attempted: Fact = PushAttempted { attempt: 1 }.into();
    let failed: Fact = PushFailed {
        attempt: 1,
        class: FailureClass::Poison,
        code: String::new(),
        detail: String::new(),
        retry_at: None,
        counted: true,
    }
    .into();
    let redriven: Fact = LetterRedriven {
        generation: 1,
        by: "test".to_owned(),
        because: None,
    }
    .into();
    let deferred: Fact = PushDeferred {
        until: NOW.plus_ms(1),
        reason: DeferReason::Quiet,
    }
    .into();
    assert!(!due(&given(vec![])), "the matcher has just looked");
    assert!(!due(&given(vec![]).later(9_999)));
    assert!(due(&given(vec![]).later(10_000)), "it waited for its turn");
    assert!(due(&given(vec![deferred]).later(1)), "it waited on purpose");
    assert!(due(&given(vec![
        attempted.clone(),
        failed.clone(),
        redriven
    ])));
    let Fact::PushFailed(failed) = failed else {
        unreachable!("as made above");
    };
    let retried = PushFailed {
        retry_at: Some(NOW),
        ..failed
    };
    assert!(due(&given(vec![attempted, retried.into()])));
}
