//! `PushSender`: takes one push through its next step until it is settled or must wait.
//!
//! Owns nothing but the attempt in hand. Told: [`PushJob`], in lanes per phone. Writes: `push.attempted`, `push.accepted`,
//! `push.failed`, `push.suppressed`, `push.deferred`, `push.merged`, `letter.requested`, `device.removed`,
//! `breaker.opened`, `breaker.closed`, `platform.paused`.
//!
//! **Invariant:** the gateway is called only after `push.attempted` is durable, and never by a replay.

pub mod decision;
pub mod dying;
pub mod gates;
pub mod lines;
pub mod merging;
pub mod quiet;
mod recording;
pub mod rendering;
pub mod second_look;
pub mod state;
pub mod texts;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use iyagi_messages::fact::{NO_OUTCOME, PushDeferred, PushFailed, PushSuppressed};
use iyagi_messages::ids::{EventId, LetterId, Seq, Timestamp};
use iyagi_messages::push::{FailureClass, Push, SuppressReason};

use self::decision::{Outcome, RetryPolicy, Step, next_step};
use self::gates::Recipient;
use self::lines::{Lines, Turn};
use self::merging::merger_of;
pub use self::recording::correlation;
use self::rendering::{Names, Rendering, Unrenderable};
use self::second_look::{SecondLook, Verdict};
use self::state::PushState;
use self::texts::Texts;
use crate::dlq_keeper::DlqMessage;
use crate::fleet::{Division, Fleet};
use crate::inbox::InboxReader;
use crate::journal::{Journal, JournalFault};
use crate::platforms::{Pass, Platforms};
use crate::ports::{Clock, GatewayFault, PushGateway};
use crate::projections::{Body, CatchUpPolicy, DyingTokensPolicy, Projections, bodies};
use crate::runtime::{Cx, Done, Failure, Fault, Incarnation, LaneKey, Mailbox, Worker};
use crate::subscription_matcher::matching::Templates;

/// A push to take to its next step. Offering one twice is harmless: the journal knows where it stands.
#[derive(Debug, Clone)]
pub struct PushJob {
    /// The push.
    pub body: Body,
    /// Its place among those of its phone.
    pub turn: Turn,
    /// The division of the work on which it was offered here. On another one it is offered anew, in its right order.
    pub division: Division,
    /// The state of its push service in which it was offered. In another one it is offered anew as well.
    pub pass: Pass,
}

impl PushJob {
    /// Pushes to one phone are sent one at a time and in order.
    pub fn lane(&self) -> Option<LaneKey> {
        let mut hasher = DefaultHasher::new();
        let push = &self.body.push;
        push.recipient.hash(&mut hasher);
        push.device.hash(&mut hasher);
        Some(LaneKey(hasher.finish()))
    }
}

/// What every sender works with.
pub struct PushSenderContext {
    /// Where everything is written before it is done.
    pub journal: Arc<dyn Journal>,
    /// Where pushes and phones stand.
    pub projections: Arc<Projections>,
    /// Whose work a push is.
    pub fleet: Fleet,
    /// Which push services are sent to.
    pub platforms: Arc<Platforms>,
    /// Whose first push waits for its next attempt.
    pub lines: Arc<Lines>,
    /// Hands a push to the phone's push service.
    pub gateway: Arc<dyn PushGateway>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Names and titles for the texts.
    pub names: Arc<Names>,
    /// Whether what has waited may still be told.
    pub second_look: Arc<SecondLook>,
    /// What people have not read yet, for the badge.
    pub inbox: Arc<InboxReader>,
    /// What pushes are matched by.
    pub templates: Arc<Templates>,
    /// The templates' texts.
    pub texts: Arc<Texts>,
    /// When and how often to try again.
    pub retry: RetryPolicy,
    /// When so many tokens die that it is not the tokens.
    pub dying_tokens: DyingTokensPolicy,
    /// How sending begins again after an outage.
    pub catch_up: CatchUpPolicy,
    /// How long one call to the gateway may take.
    pub gateway_timeout: Duration,
    /// Takes what is given up.
    pub dlq: Mailbox<DlqMessage>,
}

/// Waits that a sender's pool keeps; whoever waits longer goes back to the feeder, with its phone's line.
const HELD_MAX: Duration = Duration::from_secs(1);

/// How soon an attempt of another host is looked at again.
const OUTCOME_INTERVAL: Duration = Duration::from_millis(250);

/// What a sender does with a push that it has taken as far as it goes.
enum Part {
    /// It is settled, waits on purpose, or will be offered anew.
    Done,
    /// It stays at the head of its lane until a moment.
    Hold(tokio::time::Instant),
    /// It stands in its phone's line.
    Wait,
}

/// Sends pushes, one at a time.
pub struct PushSender {
    me: Incarnation,
    context: Arc<PushSenderContext>,
}

impl PushSender {
    /// A sender with nothing in hand.
    pub fn new(me: Incarnation, context: Arc<PushSenderContext>) -> Self {
        Self { me, context }
    }

    async fn step(&self, job: &PushJob, cx: &Cx<PushJob>) -> Result<Option<Part>, Fault> {
        let PushJob {
            body,
            turn,
            division,
            pass,
        } = job;
        let push = &*body.push;
        let fleet = &self.context.fleet;
        let admitted = || self.context.platforms.admits(push.platform, *pass);
        if fleet.division() != *division || !admitted() {
            return Ok(Some(Part::Done));
        }
        let Some((state, cause)) = self.look_up(body) else {
            return Ok(Some(Part::Done));
        };
        if !self.context.lines.admit(push, *turn) {
            return Ok(Some(Part::Wait));
        }
        let mut now = self.context.clock.now();
        let (mut next, recipient) = self.decide(&state, now);
        if matches!(next, Step::Attempt { .. }) {
            // Most turns come at once, and then nobody need listen for a drain.
            tokio::select! {
                biased;
                () = self.turn(push) => {}
                () = cx.until_draining() => {}
            }
            // A turn can be long in coming, and the graph be another one by then.
            now = self.context.clock.now();
            next = self.look_again(&state, next, now).await;
            // From when a drain begins none is attempted any more, lest one overtake another that its worker let go.
            if cx.draining() || !admitted() {
                return Ok(Some(Part::Done));
            }
        }
        match next {
            // One that waits leaves its lane, so that others may pass; it is offered again when it is due.
            Step::Settled | Step::NotDue => Ok(Some(Part::Done)),
            Step::Defer { until, reason } => {
                let facts = vec![PushDeferred { until, reason }.into()];
                self.append(&state, cause, facts, Some(*division)).await?;
                Ok(Some(Part::Done))
            }
            Step::Elsewhere => {
                let until = tokio::time::Instant::now() + OUTCOME_INTERVAL;
                Ok(Some(Part::Hold(until)))
            }
            Step::WaitUntil(at) => {
                let wait = Duration::from_millis(at.since_ms(now));
                // Whoever tries if a service is back must not be overtaken by another phone's push either.
                if wait <= HELD_MAX || pass.probe() {
                    let until = tokio::time::Instant::now() + wait;
                    return Ok(Some(Part::Hold(until)));
                }
                self.context.lines.wait(push, *turn, at);
                Ok(Some(Part::Wait))
            }
            Step::Suppress(reason) => {
                let facts = vec![PushSuppressed { reason }.into()];
                self.append(&state, cause, facts, Some(*division)).await?;
                Ok(None)
            }
            Step::RecordUnknown { attempt } => {
                let unknown = GatewayFault {
                    class: FailureClass::Unknown,
                    code: NO_OUTCOME.to_owned(),
                    detail: "the sender died before the gateway's answer was recorded".to_owned(),
                    retry_after: None,
                };
                self.record(&state, cause, attempt, Err(unknown), None)
                    .await?;
                Ok(None)
            }
            Step::Attempt { attempt } => {
                let waiting = match state.progress.deferred {
                    Some(_) if recipient.digest => self.ready_with(&state, now).await?,
                    _ => Vec::new(),
                };
                let merger = merger_of(&state, &waiting).filter(|_| recipient.digest);
                self.begin(&state, cause, attempt, merger, *division)
                    .await?;
                let Some((state, cause)) = self.look_up(body) else {
                    return Ok(Some(Part::Done));
                };
                let mine = fleet.is_me(state.progress.attempted_by.as_ref());
                if !(mine && state.progress.is_at_attempt(attempt)) {
                    // An event that the journal has already is appended with success. Another host may have written this one
                    // first, or may have given it up while this one stood still: then the call is not this host's to make.
                    tracing::warn!(push = %push.id, attempt, "the attempt is another host's");
                    return Ok(None);
                }
                let answer = self.call_gateway(&state).await;
                self.record(&state, cause, attempt, answer, Some(*pass))
                    .await?;
                Ok(None)
            }
        }
    }

    /// Waits until the quotas let the push go. Nothing is journalled of that: it has not been tried.
    async fn turn(&self, push: &Push) {
        let Some(platform) = push.platform else {
            return;
        };
        let pace = || {
            let catch_up = self.context.projections.catch_up();
            catch_up.pace(self.context.clock.now(), self.context.catch_up)
        };
        while !self.context.gateway.turn(platform, pace()).await {}
    }

    fn look_up(&self, body: &Body) -> Option<(PushState, EventId)> {
        let outbox = self.context.projections.outbox();
        let (progress, last_event) = outbox.progress(body.push.id)?;
        let push = Arc::clone(&body.push);
        let cause = last_event.unwrap_or(body.requested);
        Some((PushState { push, progress }, cause))
    }

    /// What is to be done with a push now, and what is known of its recipient.
    fn decide(&self, state: &PushState, now: Timestamp) -> (Step, Recipient) {
        let recipient = {
            let projections = &self.context.projections;
            let (audience, wishes) = (projections.audience(), projections.wishes());
            Recipient::of(&state.push, &audience, &wishes, now)
        };
        let template = self.context.templates.get(&state.push.template);
        let urgent = template.is_some_and(|template| template.urgent);
        let elsewhere = self
            .context
            .fleet
            .lives_elsewhere(state.progress.attempted_by.as_ref());
        let next = next_step(state, urgent, recipient, elsewhere, now);
        (next, recipient)
    }

    /// What becomes of an attempt whose push has waited: its recipient may not see any more what it tells of. This gate is asked
    /// when all others are open, for it alone costs questions to the graph.
    async fn look_again(&self, state: &PushState, next: Step, now: Timestamp) -> Step {
        if !matches!(next, Step::Attempt { .. }) || !SecondLook::is_due(state, now) {
            return next;
        }
        match self.context.second_look.at(&state.push, now).await {
            Verdict::Visible => next,
            Verdict::Hidden => Step::Suppress(SuppressReason::NotVisible),
            Verdict::Unknown { again } => Step::WaitUntil(again.min(state.deadline())),
        }
    }

    /// What waited for the same phone and may be sent now. What may not is left to say so itself.
    async fn ready_with(
        &self,
        state: &PushState,
        now: Timestamp,
    ) -> Result<Vec<PushState>, JournalFault> {
        let push = &state.push;
        let waiting = self
            .context
            .projections
            .outbox()
            .waiting_with(push)
            .collect();
        let waiting = bodies(&*self.context.journal, waiting).await?;
        let of_phone = waiting.iter().filter(|Body { push: other, .. }| {
            other.recipient == push.recipient && other.device == push.device
        });
        let mut ready = Vec::new();
        for other in of_phone.filter_map(|other| Some(self.look_up(other)?.0)) {
            let (next, _) = self.decide(&other, now);
            if let Step::Attempt { .. } = self.look_again(&other, next, now).await {
                ready.push(other);
            }
        }
        Ok(ready)
    }

    async fn call_gateway(&self, state: &PushState) -> Result<String, GatewayFault> {
        let push = &state.push;
        let fault = |class, code: &str, detail: String| GatewayFault {
            class,
            code: code.to_owned(),
            detail,
            retry_after: None,
        };
        let templates = &self.context.templates;
        let Some(template) = templates.get(&push.template) else {
            let detail = format!("template `{}` is not configured", push.template);
            return Err(fault(FailureClass::Poison, "no_template", detail));
        };
        let registration = push.device.as_ref().map_or_else(Seq::default, |token| {
            self.context.projections.audience().device_seq(token)
        });
        let locale = {
            let wishes = self.context.projections.wishes();
            let preferences = wishes.of(&push.recipient);
            preferences.and_then(|preferences| preferences.locale.clone())
        };
        let badge = match self.context.inbox.unread(&push.recipient).await {
            Ok(unread) => u32::try_from(unread).ok(),
            Err(error) => {
                tracing::warn!(%error, push = %push.id, "the push goes without a badge");
                None
            }
        };
        let rendering = Rendering {
            texts: &self.context.texts,
            template,
            digest: templates.digest(),
            names: &self.context.names,
            locale: locale.as_deref(),
            registration,
            badge,
            now: self.context.clock.now(),
        };
        let payload = match rendering.render(state).await {
            Ok(payload) => payload,
            Err(Unrenderable::Graph(error)) => {
                return Err(fault(FailureClass::Transient, "graph", error.to_string()));
            }
            Err(error) => {
                return Err(fault(
                    FailureClass::Poison,
                    "unrenderable",
                    error.to_string(),
                ));
            }
        };
        let call = self.context.gateway.send(&payload);
        tokio::time::timeout(self.context.gateway_timeout, call)
            .await
            .unwrap_or_else(|_| {
                let detail = format!("no answer within {:?}", self.context.gateway_timeout);
                Err(fault(FailureClass::Unknown, "timeout", detail))
            })
    }
}

impl Worker for PushSender {
    type Msg = PushJob;

    async fn handle(&mut self, job: &PushJob, cx: &Cx<PushJob>) -> Result<Done, Fault> {
        let part = loop {
            if let Some(part) = self.step(job, cx).await? {
                break part;
            }
        };
        let push = &*job.body.push;
        let done = match part {
            Part::Done => {
                self.context.lines.leave(push, job.turn);
                Done::Finished
            }
            Part::Hold(until) => Done::Held { until },
            Part::Wait => Done::Finished,
        };
        if !job.pass.probe() {
            return Ok(done);
        }
        // What waits here cannot probe; the feeder offers it again when its time has come.
        let now = self.context.clock.now();
        let not_before = match done {
            Done::Held { until } => {
                let wait = until.saturating_duration_since(tokio::time::Instant::now());
                Some(now.plus_ms(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
            }
            Done::Finished => None,
        };
        let platforms = &self.context.platforms;
        platforms.let_go(push.platform, job.pass, not_before, now);
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, job: &PushJob, history: &[Failure]) -> Result<(), Fault> {
        let Some((state, cause)) = self.look_up(&job.body) else {
            return Ok(());
        };
        let letter_id = LetterId::of_push(state.push.id);
        let generation = self.context.projections.outbox().generation(letter_id) + 1;
        let fault = GatewayFault {
            class: FailureClass::Poison,
            code: "worker_died".to_owned(),
            detail: history
                .iter()
                .map(Failure::reason)
                .collect::<Vec<_>>()
                .join("; "),
            retry_after: None,
        };
        let now = self.context.clock.now();
        let attempts = state.progress.attempts;
        let failed = PushFailed {
            attempt: attempts,
            class: fault.class,
            code: fault.code.clone(),
            detail: fault.detail.clone(),
            retry_at: None,
            counted: true,
        };
        let letter = decision::letter(&state.push, &fault, attempts, generation, now);
        let outcome = Outcome {
            facts: vec![failed.into()],
            letter: Some(letter),
            endpoint_dead: false,
        };
        self.append_outcome(&state, cause, &outcome, &[], Some(job.division))
            .await?;
        self.context.lines.leave(&job.body.push, job.turn);
        self.post(letter_id).await;
        Ok(())
    }
}
