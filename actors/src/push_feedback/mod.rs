//! `PushFeedback`: hears of pushes that the gateway took and the push service did not deliver.
//!
//! Owns nothing. Told: [`Hear`], by itself. Writes: `push.bounced`, and `device.removed` if the token is dead, or
//! `platform.paused` if too many are.
//!
//! **Invariant:** a message leaves the queue only when what it means is in the journal, or when it means nothing, which
//! is logged and counted.

mod decision;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use iyagi_messages::event::Entity;
use iyagi_messages::fact::{DeviceRemoved, PushBounced};
use iyagi_messages::feedback::{DeliveryFailure, Feedback};
use iyagi_messages::ids::PushId;
use iyagi_messages::push::Push;

use self::decision::{Bounce, Story};
use crate::health::Health;
use crate::journal::{Draft, Journal, JournalFault};
use crate::ports::{Clock, Queue, QueueFault, Received};
use crate::projections::{DyingTokensPolicy, Projections, RecentlyAccepted, Services};
use crate::push_sender::correlation;
use crate::push_sender::dying::{Dying, dying_tokens};
use crate::runtime::{Cx, Done, Failure, Fault, Incarnation, Worker};

/// The loop's tick.
#[derive(Debug)]
pub struct Hear;

/// What the actor works with.
pub struct PushFeedbackContext {
    /// Where everything is written before it is done.
    pub journal: Arc<dyn Journal>,
    /// Which phones are registered.
    pub projections: Arc<Projections>,
    /// Which push the gateway's id stands for.
    pub accepted: Arc<RecentlyAccepted>,
    /// Where the gateway puts what it learns.
    pub queue: Arc<dyn Queue>,
    /// Where the queue's condition is reported.
    pub health: Arc<Health>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// What led to nothing.
    pub counts: Arc<FeedbackCounts>,
    /// When so many tokens die that it is not the tokens.
    pub dying_tokens: DyingTokensPolicy,
}

/// Messages that led to nothing.
#[derive(Debug, Default)]
pub struct FeedbackCounts {
    unreadable: AtomicU64,
    other_event: AtomicU64,
    unknown_push: AtomicU64,
    duplicate: AtomicU64,
}

impl FeedbackCounts {
    /// Counts by reason.
    pub fn ignored(&self) -> [(&'static str, u64); 4] {
        [
            ("duplicate", &self.duplicate),
            ("other_event", &self.other_event),
            ("unknown_push", &self.unknown_push),
            ("unreadable", &self.unreadable),
        ]
        .map(|(reason, count)| (reason, count.load(Ordering::Relaxed)))
    }
}

/// How long a message is hidden: enough for one batch's appends. It comes again otherwise, and is recognised.
const VISIBILITY: Duration = Duration::from_secs(30);
/// How long one receive waits for a message, as SQS allows at most.
const WAIT: Duration = Duration::from_secs(20);
/// Messages in one receive, as SQS allows at most.
const BATCH: usize = 10;
/// When a message is looked at again whose push is not known yet: the push service can be quicker than the journal.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// After this many looks the push is one that is not known any more, or never was.
const LOOKS_MAX: u32 = 4;
/// Decisions about one message; only others' events about the same push or phone make a second one necessary.
const DECISIONS_MAX: usize = 5;

/// Hears of pushes that were not delivered.
pub struct PushFeedback {
    me: Incarnation,
    context: Arc<PushFeedbackContext>,
}

impl PushFeedback {
    /// An actor that has heard nothing.
    pub fn new(me: Incarnation, context: Arc<PushFeedbackContext>) -> Self {
        Self { me, context }
    }

    /// Yields whether the message is done with.
    async fn hear(&self, message: &Received) -> Result<bool, Fault> {
        let counts = &self.context.counts;
        let failure = match Feedback::parse(&message.body) {
            Ok(Feedback::Failed(failure)) => failure,
            Ok(Feedback::Other { event_type }) => {
                counts.other_event.fetch_add(1, Ordering::Relaxed);
                tracing::info!(
                    event_type,
                    message = message.message_id,
                    "an event is about no push"
                );
                return Ok(true);
            }
            Err(error) => {
                counts.unreadable.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, message = message.message_id, "a message about delivery cannot be read");
                return Ok(true);
            }
        };
        if let Some(push) = self.context.accepted.push(&failure.gateway_id) {
            self.bounce(push, &failure).await?;
            return Ok(true);
        }
        if message.receive_count < LOOKS_MAX {
            return Ok(false);
        }
        self.ignore_unknown(&failure);
        Ok(true)
    }

    fn ignore_unknown(&self, failure: &DeliveryFailure) {
        let counts = &self.context.counts;
        counts.unknown_push.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            gateway_id = failure.gateway_id,
            failure_type = failure.failure_type,
            detail = failure.detail,
            "a push was not delivered that is not known any more"
        );
    }

    async fn bounce(&self, push: PushId, failure: &DeliveryFailure) -> Result<(), Fault> {
        for _ in 1..DECISIONS_MAX {
            match self.record(push, failure).await {
                Err(JournalFault::Conflict { .. }) => {}
                recorded => return Ok(recorded?),
            }
        }
        Ok(self.record(push, failure).await?)
    }

    async fn record(&self, id: PushId, failure: &DeliveryFailure) -> Result<(), JournalFault> {
        let entity = Entity::new("push", id);
        let events = self.context.journal.entity(&entity).await?;
        if events.is_empty() {
            self.ignore_unknown(failure);
            return Ok(());
        }
        let Some(story) = Story::of(&events) else {
            let reason = "a push that was accepted has no such history".to_owned();
            return Err(JournalFault::Unreadable(reason));
        };
        let Story { push, accepted, .. } = story;
        if story.bounced {
            self.context
                .counts
                .duplicate
                .fetch_add(1, Ordering::Relaxed);
            tracing::debug!(push = %id, "a push's failure was told again");
            return Ok(());
        }
        let mut draft = Draft::new(&self.me, correlation(push));
        draft.expect(entity.clone(), story.seq);
        let fact = PushBounced {
            gateway_id: failure.gateway_id.clone(),
            failure_type: failure.failure_type.clone(),
            detail: failure.detail.clone(),
            platform: push.platform,
        };
        let bounced = draft.follow(accepted.id, entity, fact);
        tracing::info!(push = %id, failure_type = failure.failure_type, detail = failure.detail, "a push was not delivered");
        if let Some(token) = &push.device {
            let device = Entity::new("device", token);
            let events = self.context.journal.entity(&device).await?;
            let known = self.context.projections.audience().device(token).cloned();
            let bounce = Bounce {
                failure,
                push,
                accepted_at: accepted.pos,
            };
            if let Some(seq) = bounce.ends_registration(known.as_ref(), &events) {
                let dying = self.dying_tokens(push);
                if let (Some(fact), Some(platform)) = (dying.fact, push.platform) {
                    draft.follow(bounced, Services::entity(platform), fact);
                }
                if !dying.spares {
                    draft.expect(device.clone(), seq);
                    let removed = DeviceRemoved {
                        token: token.clone(),
                        reason: "endpoint_dead".to_owned(),
                    };
                    draft.follow(bounced, device, removed);
                }
            }
        }
        self.context
            .journal
            .append(draft.finish())
            .await
            .map(|_| ())
    }

    fn dying_tokens(&self, push: &Push) -> Dying {
        let services = self.context.projections.platforms();
        // An older build's push may be without a platform: it is no part of any wave.
        let Some(platform) = push.platform else {
            return Dying::default();
        };
        let tokens = services.tokens(platform, self.context.clock.now());
        let policy = self.context.dying_tokens;
        dying_tokens(platform, &services, tokens.and_one_found_dead(), policy)
    }

    async fn receive(&self, cx: &Cx<Hear>) -> Result<Vec<Received>, QueueFault> {
        tokio::select! {
            received = self.context.queue.receive(BATCH, WAIT, VISIBILITY) => received,
            () = cx.until_draining() => Ok(Vec::new()),
        }
    }
}

impl Worker for PushFeedback {
    type Msg = Hear;

    async fn handle(&mut self, _: &Hear, cx: &Cx<Hear>) -> Result<Done, Fault> {
        let PushFeedbackContext {
            queue,
            health,
            clock,
            ..
        } = &*self.context;
        let name = format!("intake {}", queue.name());
        let received = self.receive(cx).await.map_err(|fault| {
            health.report(&name, false, fault.to_string(), clock.now());
            Fault::dependency(fault.to_string()).caused_by(fault)
        })?;
        health.report(&name, true, "receiving", clock.now());
        let mut done = Vec::with_capacity(received.len());
        for message in received {
            if self.hear(&message).await? {
                done.push(message.receipt);
            } else {
                // It comes again by itself if this fails.
                queue
                    .change_visibility(&message.receipt, LOOK_AGAIN)
                    .await
                    .ok();
            }
        }
        if !done.is_empty()
            && let Err(fault) = queue.delete(&done).await
        {
            tracing::warn!(%fault, "what was heard was not deleted and is heard again");
        }
        cx.tell_self_after(Duration::ZERO, Hear);
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, _: &Hear, history: &[Failure]) -> Result<(), Fault> {
        // A tick carries nothing, but without it the loop would end.
        let reason = history.last().map_or("no reason", Failure::reason);
        Err(Fault::worker(format!(
            "feedback of pushes keeps failing: {reason}"
        )))
    }
}
