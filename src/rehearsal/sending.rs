//! What a sender does besides calling a gateway: it decides, merges, puts into words and writes down.

use std::sync::Arc;

use iyagi_actors::journal::{Draft, Journal};
use iyagi_actors::ports::{Clock, Payload};
use iyagi_actors::projections::{Body, Pending, Place, bodies};
use iyagi_actors::push_sender::decision::{Step, next_step};
use iyagi_actors::push_sender::gates::Recipient;
use iyagi_actors::push_sender::merging::merger_of;
use iyagi_actors::push_sender::rendering::{Rendering, Unrenderable};
use iyagi_actors::push_sender::state::PushState;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{Fact, PushAccepted, PushAttempted, PushDeferred, PushSuppressed};
use iyagi_messages::ids::{EventId, Pos, PushId, Seq};
use iyagi_messages::push::SuppressReason;

use super::{Happened, PLATFORMS, Rehearsal, RehearsalFault};

impl Rehearsal {
    pub(super) async fn send_pending(&mut self) -> Result<(), RehearsalFault> {
        let pending: Vec<(Pos, Pending)> = {
            let outbox = self.projections.outbox();
            let turns = PLATFORMS.map(|platform| outbox.turns_behind(platform, Pos::default()));
            turns.into_iter().flatten().collect()
        };
        self.send_in_order(pending).await
    }

    pub(super) async fn send_due(&mut self) -> Result<(), RehearsalFault> {
        let now = self.clock.now();
        let due: Vec<(Place, Pending)> = {
            let outbox = self.projections.outbox();
            let due = PLATFORMS.map(|platform| outbox.due(platform, Place::FIRST, now));
            due.into_iter().flatten().collect()
        };
        self.send_in_order(due).await
    }

    async fn send_in_order<P: Ord + Copy>(
        &mut self,
        mut pending: Vec<(P, Pending)>,
    ) -> Result<(), RehearsalFault> {
        pending.sort_by_key(|(place, _)| *place);
        let pending = pending.into_iter().map(|(_, pending)| pending).collect();
        for body in bodies(&self.journal, pending).await? {
            self.send(&body).await?;
        }
        Ok(())
    }

    /// Takes a push through its steps as a sender does.
    async fn send(&mut self, body: &Body) -> Result<(), RehearsalFault> {
        let id = body.push.id;
        let Some((state, cause)) = self.look_up(body) else {
            return Ok(());
        };
        let (step, recipient) = self.decide(&state);
        match step {
            Step::Suppress(reason) => {
                let facts = vec![(id, PushSuppressed { reason }.into())];
                self.append(cause, facts).await?;
                self.observe().await
            }
            Step::Defer { until, reason } => {
                let facts = vec![(id, PushDeferred { until, reason }.into())];
                self.append(cause, facts).await
            }
            Step::Attempt { attempt } => self.ring(body, &state, cause, attempt, recipient).await,
            // Nothing fails here, so nothing is tried again.
            Step::Settled
            | Step::NotDue
            | Step::Elsewhere
            | Step::WaitUntil(_)
            | Step::RecordUnknown { .. } => Ok(()),
        }
    }

    async fn ring(
        &mut self,
        body: &Body,
        state: &PushState,
        cause: EventId,
        attempt: u32,
        recipient: Recipient,
    ) -> Result<(), RehearsalFault> {
        let id = state.push.id;
        let waiting = match state.progress.deferred {
            Some(_) if recipient.digest => self.ready_with(state).await?,
            _ => Vec::new(),
        };
        let merger = merger_of(state, &waiting).filter(|_| recipient.digest);
        let mut facts: Vec<(PushId, Fact)> = Vec::new();
        if let Some(merger) = merger {
            let reason = SuppressReason::Merged;
            let others = merger.others.iter().map(|other| other.push.id);
            facts.extend(others.map(|other| (other, PushSuppressed { reason }.into())));
            facts.push((id, merger.merged.into()));
        }
        facts.push((id, PushAttempted { attempt }.into()));
        self.append(cause, facts).await?;
        let Some((state, cause)) = self.look_up(body) else {
            return Ok(());
        };
        let push = Arc::clone(&state.push);
        let at = self.clock.now();
        self.happened.push(match self.render(&state).await {
            Ok(payload) => Happened::Sent {
                push,
                at,
                payload: Box::new(payload),
            },
            Err(Unrenderable::Graph(fault)) => return Err(fault.into()),
            Err(error) => Happened::Unrenderable {
                push,
                reason: error.to_string(),
            },
        });
        let gateway_id = id.to_string();
        let accepted = PushAccepted {
            attempt,
            gateway_id,
        };
        self.append(cause, vec![(id, accepted.into())]).await?;
        self.observe().await
    }

    async fn render(&self, state: &PushState) -> Result<Payload, Unrenderable> {
        let push = &state.push;
        let templates = &self.stage.templates;
        let Some(template) = templates.get(&push.template) else {
            return Err(Unrenderable::NoText {
                template: push.template.to_string(),
                locale: push.locale.clone(),
            });
        };
        let locale = {
            let wishes = self.projections.wishes();
            let preferences = wishes.of(&push.recipient);
            preferences.and_then(|preferences| preferences.locale.clone())
        };
        let rendering = Rendering {
            texts: &self.texts,
            template,
            digest: templates.digest(),
            names: &self.names,
            locale: locale.as_deref(),
            registration: Seq::default(),
            badge: None,
            now: self.clock.now(),
        };
        rendering.render(state).await
    }

    fn look_up(&self, body: &Body) -> Option<(PushState, EventId)> {
        let (progress, last_event) = self.projections.outbox().progress(body.push.id)?;
        let push = Arc::clone(&body.push);
        let cause = last_event.unwrap_or(body.requested);
        Some((PushState { push, progress }, cause))
    }

    fn decide(&self, state: &PushState) -> (Step, Recipient) {
        let now = self.clock.now();
        let (audience, wishes) = (self.projections.audience(), self.projections.wishes());
        let recipient = Recipient::of(&state.push, &audience, &wishes, now);
        let template = self.stage.templates.get(&state.push.template);
        let urgent = template.is_some_and(|template| template.urgent);
        (next_step(state, urgent, recipient, false, now), recipient)
    }

    async fn ready_with(&self, state: &PushState) -> Result<Vec<PushState>, RehearsalFault> {
        let push = &state.push;
        let waiting = self
            .projections
            .outbox()
            .waiting_with(push)
            .collect::<Vec<_>>();
        let waiting = bodies(&self.journal, waiting).await?;
        let of_phone = waiting.iter().filter(|Body { push: other, .. }| {
            other.recipient == push.recipient && other.device == push.device
        });
        let states = of_phone.filter_map(|other| Some(self.look_up(other)?.0));
        let ready = |other: &PushState| matches!(self.decide(other).0, Step::Attempt { .. });
        Ok(states.filter(ready).collect())
    }

    async fn append(
        &self,
        cause: EventId,
        facts: Vec<(PushId, Fact)>,
    ) -> Result<(), RehearsalFault> {
        let mut draft = Draft::new(&"sender", "rehearsal");
        let mut cause = cause;
        for (id, fact) in facts {
            cause = draft.follow(cause, Entity::new("push", id), fact);
        }
        self.journal.append(draft.finish()).await?;
        Ok(())
    }
}
