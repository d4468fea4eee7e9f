//! What a sender writes down: that an attempt begins, what became of it, and what its answer says of the push service.

use iyagi_messages::event::Entity;
use iyagi_messages::fact::{
    BreakerClosed, BreakerOpened, DeviceRemoved, Fact, PushAttempted, PushSuppressed,
};
use iyagi_messages::ids::{EventId, LetterId, Timestamp};
use iyagi_messages::push::{FailureClass, OnUnknownOutcome, Push, SuppressReason};

use super::PushSender;
use super::decision::{Outcome, after_attempt, excused, letter_requested};
use super::dying::dying_tokens;
use super::merging::Merger;
use super::state::PushState;
use crate::dlq_keeper::DlqMessage;
use crate::fleet::Division;
use crate::journal::{Draft, JournalFault};
use crate::platforms::Pass;
use crate::platforms::breaker::Change;
use crate::ports::GatewayFault;
use crate::projections::Services;
use crate::runtime::Fault;
use crate::subscription_matcher;

/// What an attempt's answer says beyond its push.
#[derive(Default)]
struct Circumstances {
    /// The attempt is held against nobody: neither the push nor its phone.
    excused: bool,
    /// Facts of the push service.
    facts: Vec<Fact>,
}

impl PushSender {
    /// Begins an attempt, which also tells of whatever goes along.
    pub(super) async fn begin(
        &self,
        state: &PushState,
        cause: EventId,
        attempt: u32,
        merger: Option<Merger<'_>>,
        division: Division,
    ) -> Result<(), JournalFault> {
        let mut facts: Vec<Fact> = Vec::new();
        let mut draft = Draft::new(&self.me, correlation(&state.push));
        division.expect(&mut draft);
        if let Some(Merger { merged, others }) = merger {
            for other in others {
                let entity = Entity::new("push", other.push.id);
                let reason = SuppressReason::Merged;
                draft.expect(entity.clone(), other.progress.seq);
                draft.correlate(correlation(&other.push));
                draft.follow(cause, entity, PushSuppressed { reason });
            }
            facts.push(merged.into());
        }
        facts.push(PushAttempted { attempt }.into());
        let entity = Entity::new("push", state.push.id);
        draft.expect(entity.clone(), state.progress.seq);
        draft.correlate(correlation(&state.push));
        let mut cause = cause;
        for fact in facts {
            cause = draft.follow(cause, entity.clone(), fact);
        }
        self.context
            .journal
            .append(draft.finish())
            .await
            .map(|_| ())
    }

    /// Writes down what became of an attempt. `pass`: the circumstances of the call, if this one made it.
    pub(super) async fn record(
        &self,
        state: &PushState,
        cause: EventId,
        attempt: u32,
        answer: Result<String, GatewayFault>,
        pass: Option<Pass>,
    ) -> Result<(), Fault> {
        let letter_id = LetterId::of_push(state.push.id);
        let generation = self.context.projections.outbox().generation(letter_id);
        let now = self.context.clock.now();
        let circumstances = self.circumstances(&state.push, &answer, pass, now);
        let outcome = match answer {
            Err(fault) if circumstances.excused => excused(attempt, &fault, now),
            answer => after_attempt(state, attempt, answer, generation, now, self.context.retry),
        };
        // What the gateway answered is true under any division.
        self.append_outcome(state, cause, &outcome, &circumstances.facts, None)
            .await?;
        if outcome.letter.is_some() {
            self.post(letter_id).await;
        }
        Ok(())
    }

    /// What an answer says of the push service, which may be that it says nothing of the push.
    fn circumstances(
        &self,
        push: &Push,
        answer: &Result<String, GatewayFault>,
        pass: Option<Pass>,
        now: Timestamp,
    ) -> Circumstances {
        let mut circumstances = Circumstances::default();
        let Some(platform) = push.platform else {
            return circumstances;
        };
        let platforms = &self.context.platforms;
        let class = answer.as_ref().map(|_| ()).map_err(|fault| fault.class);
        let change = pass.and_then(|pass| platforms.note(push.platform, pass, &class, now));
        match (change, answer) {
            (Some(Change::Opened), Err(fault)) => {
                tracing::warn!(%platform, reason = %fault, "a push service is down: its pushes wait");
                let reason = fault.to_string();
                circumstances
                    .facts
                    .push(BreakerOpened { platform, reason }.into());
            }
            (Some(Change::Closed), _) => {
                tracing::info!(%platform, "a push service answers again");
                circumstances.facts.push(BreakerClosed { platform }.into());
            }
            _ => {}
        }
        circumstances.excused = match class {
            Err(FailureClass::Unknown) if push.on_unknown_outcome == OnUnknownOutcome::GiveUp => {
                false
            }
            Err(FailureClass::EndpointDead) => {
                let services = self.context.projections.platforms();
                let dying = dying_tokens(
                    platform,
                    &services,
                    services.tokens(platform, now).and_one_dead(),
                    self.context.dying_tokens,
                );
                circumstances.facts.extend(dying.fact);
                dying.spares
            }
            Err(class) => platforms.excuses(push.platform, class, now),
            Ok(()) => false,
        };
        circumstances
    }

    pub(super) async fn append(
        &self,
        state: &PushState,
        cause: EventId,
        facts: Vec<Fact>,
        division: Option<Division>,
    ) -> Result<(), JournalFault> {
        let outcome = Outcome {
            facts,
            letter: None,
            endpoint_dead: false,
        };
        self.append_outcome(state, cause, &outcome, &[], division)
            .await
    }

    pub(super) async fn append_outcome(
        &self,
        state: &PushState,
        cause: EventId,
        outcome: &Outcome,
        of_platform: &[Fact],
        division: Option<Division>,
    ) -> Result<(), JournalFault> {
        let entity = Entity::new("push", state.push.id);
        let mut draft = Draft::new(&self.me, correlation(&state.push));
        draft.expect(entity.clone(), state.progress.seq);
        if let Some(division) = division {
            division.expect(&mut draft);
        }
        let mut cause = cause;
        for fact in &outcome.facts {
            cause = draft.follow(cause, entity.clone(), fact.clone());
        }
        if let Some(platform) = state.push.platform {
            for fact in of_platform {
                draft.follow(cause, Services::entity(platform), fact.clone());
            }
        }
        if let Some(letter) = &outcome.letter {
            let entity = Entity::new("letter", letter.id);
            draft.follow(cause, entity, letter_requested(letter.clone()));
        }
        if let (true, Some(token)) = (outcome.endpoint_dead, &state.push.device) {
            let known = self.context.projections.audience().device(token).cloned();
            // Someone else may have signed in on the phone meanwhile; their registration stays.
            if known.is_some_and(|device| device.person == state.push.recipient) {
                let reason = "endpoint_dead".to_owned();
                let removed = DeviceRemoved {
                    token: token.clone(),
                    reason,
                };
                draft.follow(cause, Entity::new("device", token), removed);
            }
        }
        self.context
            .journal
            .append(draft.finish())
            .await
            .map(|_| ())
    }

    pub(super) async fn post(&self, letter: LetterId) {
        // A keeper that is gone finds the letter in the journal when it comes back.
        if self
            .context
            .dlq
            .tell(DlqMessage::Deposit(letter))
            .await
            .is_err()
        {
            tracing::warn!(%letter, "the dead-letter keeper is gone; it deposits the letter when it returns");
        }
    }
}

/// What a push's events began with.
pub fn correlation(push: &Push) -> String {
    subscription_matcher::correlation(push.commit.commit)
}
