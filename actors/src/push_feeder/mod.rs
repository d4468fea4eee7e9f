//! `PushFeeder`: hands the senders what is pending in the journal and is this host's work, in order.
//!
//! Owns the places up to which it has looked. Told: [`Feed`], by itself. Writes nothing. Whether a push was requested
//! here or on another host, redriven, left over by a crash, or is due after it has waited on purpose, it comes to its
//! sender this way alone.
//!
//! **Invariant:** after every new division of the work each pending push is offered again, so that a host begins with
//! what another one left, in the order in which it was requested.

use std::sync::Arc;
use std::time::Duration;

use iyagi_messages::ids::Pos;
use iyagi_messages::push::Push;

use crate::dlq_keeper::DlqMessage;
use crate::fleet::{Division, Fleet};
use crate::ports::Clock;
use crate::projections::{Place, Projections};
use crate::push_sender::PushJob;
use crate::runtime::{Cx, Done, Failure, Fault, Mailbox, PoolHandle, Worker};

/// The loop's tick.
#[derive(Debug)]
pub struct Feed;

/// What the feeder works with.
pub struct PushFeederContext {
    /// What is pending.
    pub projections: Arc<Projections>,
    /// What of it is this host's work.
    pub fleet: Fleet,
    /// Takes the pushes; its room is the feeder's credit.
    pub pushes: PoolHandle<PushJob>,
    /// Takes over the letters that a host left on their way.
    pub dlq: Mailbox<DlqMessage>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// Pushes that are looked at in one go.
const PAGE: usize = 1_000;

/// How long one look may wait for something new.
const QUIET_MAX: Duration = Duration::from_mins(1);

/// Feeds the senders.
pub struct PushFeeder {
    context: Arc<PushFeederContext>,
    seen: Pos,
    /// The last one that was offered of those that waited on purpose.
    seen_due: Place,
    division: Option<Division>,
}

impl PushFeeder {
    /// A feeder that begins with the oldest pending push.
    pub fn new(context: Arc<PushFeederContext>) -> Self {
        Self {
            context,
            seen: Pos::default(),
            seen_due: Place::FIRST,
            division: None,
        }
    }

    /// Offers the next pending pushes; false if there are none.
    async fn feed(&mut self) -> Result<bool, Fault> {
        let division = self.context.fleet.division();
        if self.division != Some(division) {
            if self.division.is_some() {
                self.take_over().await;
            }
            self.division = Some(division);
            self.seen = Pos::default();
            self.seen_due = Place::FIRST;
        }
        let mut any = false;
        for page in [self.next_turns(), self.next_due()] {
            any |= !page.is_empty();
            for push in page {
                if !self.context.fleet.pushes_to(&push.recipient) {
                    continue;
                }
                let offered = self.context.pushes.submit(PushJob { push, division }).await;
                offered
                    .map_err(|closed| Fault::worker(format!("pool {} is gone", closed.actor)))?;
            }
        }
        Ok(any)
    }

    fn next_turns(&mut self) -> Vec<Arc<Push>> {
        let outbox = self.context.projections.outbox();
        let pending = outbox.pending_behind(self.seen, PAGE);
        let pending = pending.map(|(turn, state)| (turn, Arc::clone(&state.push)));
        let (turns, pushes): (Vec<Pos>, Vec<_>) = pending.unzip();
        self.seen = turns.last().copied().unwrap_or(self.seen);
        pushes
    }

    fn next_due(&mut self) -> Vec<Arc<Push>> {
        let now = self.context.clock.now();
        let outbox = self.context.projections.outbox();
        let due: Vec<_> = outbox.waiting().due(self.seen_due, now, PAGE).collect();
        self.seen_due = due.last().map_or(self.seen_due, |(place, _)| *place);
        let pushes = due.iter().filter_map(|(_, id)| outbox.push(*id));
        pushes.map(|state| Arc::clone(&state.push)).collect()
    }

    /// How long it may be until the next one is due.
    fn until_due(&self) -> Duration {
        let outbox = self.context.projections.outbox();
        let due = outbox.waiting().next_due(self.seen_due);
        due.map_or(QUIET_MAX, |at| {
            Duration::from_millis(at.since_ms(self.context.clock.now())).min(QUIET_MAX)
        })
    }

    async fn take_over(&self) {
        // A keeper that is gone looks by itself when it comes back.
        if self.context.dlq.tell(DlqMessage::Recover).await.is_err() {
            tracing::warn!("the dead-letter keeper is gone; it looks for letters when it returns");
        }
    }
}

impl Worker for PushFeeder {
    type Msg = Feed;

    async fn handle(&mut self, _: &Feed, cx: &Cx<Feed>) -> Result<Done, Fault> {
        // Subscribed before looking, so that no event is missed in between.
        let mut folded = self.context.projections.folded();
        let fed = tokio::select! {
            fed = self.feed() => fed?,
            () = cx.until_draining() => return Ok(Done::Finished),
        };
        if !fed {
            let due = self.until_due();
            tokio::select! {
                // A long quiet is no sign of being stuck.
                _ = tokio::time::timeout(due, folded.changed()) => {}
                () = cx.until_draining() => return Ok(Done::Finished),
            }
        }
        cx.tell_self_after(Duration::ZERO, Feed);
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, _: &Feed, history: &[Failure]) -> Result<(), Fault> {
        // A tick carries nothing, but without it the loop would end.
        let reason = history.last().map_or("no reason", Failure::reason);
        Err(Fault::worker(format!("the feeder keeps failing: {reason}")))
    }
}
