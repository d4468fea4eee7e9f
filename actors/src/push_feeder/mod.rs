//! `PushFeeder`: hands the senders what is pending in the journal and is this host's work, in order.
//!
//! Owns the places up to which it has looked. Told: [`Feed`], by itself. Writes nothing. Whether a push was requested
//! here or on another host, redriven, left over by a crash, or is due after it has waited on purpose, it comes to its
//! sender this way alone. Of a push service that is down or paused it offers nothing, or one push that tries whether it
//! is back.
//!
//! **Invariant:** after every new division of the work, and after every outage of its push service, each pending push is
//! offered again, so that a host begins with what another one left, or was let go, in the order in which it was requested.

use std::sync::Arc;
use std::time::Duration;

use iyagi_messages::device::Platform;
use iyagi_messages::ids::{Pos, Timestamp};

use crate::dlq_keeper::DlqMessage;
use crate::fleet::{Division, Fleet};
use crate::journal::Journal;
use crate::platforms::{Admission, Pass, Platforms};
use crate::ports::Clock;
use crate::projections::{Body, Pending, Place, Projections, bodies};
use crate::push_sender::PushJob;
use crate::push_sender::lines::{Lines, Turn};
use crate::runtime::{Cx, Done, Failure, Fault, Mailbox, PoolHandle, Worker};

/// The loop's tick.
#[derive(Debug)]
pub struct Feed;

/// What the feeder works with.
pub struct PushFeederContext {
    /// Where the pushes' bodies are.
    pub journal: Arc<dyn Journal>,
    /// What is pending.
    pub projections: Arc<Projections>,
    /// What of it is this host's work.
    pub fleet: Fleet,
    /// What of it may be sent at present.
    pub platforms: Arc<Platforms>,
    /// Whose first push waits for its next attempt.
    pub lines: Arc<Lines>,
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
    looks: [Look; Platform::ALL.len() + 1],
    division: Option<Division>,
}

/// How far the pushes of a platform were looked at.
#[derive(Debug, Clone, Copy)]
struct Look {
    platform: Option<Platform>,
    /// The circumstances under which they were given out.
    pass: Pass,
    seen: Pos,
    /// The last one that was offered of those that waited on purpose.
    seen_due: Place,
}

impl Look {
    fn at(platform: Option<Platform>, pass: Pass) -> Self {
        Self {
            platform,
            pass,
            seen: Pos::default(),
            seen_due: Place::FIRST,
        }
    }
}

impl PushFeeder {
    /// A feeder that begins with the oldest pending push.
    pub fn new(context: Arc<PushFeederContext>) -> Self {
        let [first, second] = Platform::ALL.map(Some);
        let looks = [None, first, second].map(|platform| Look::at(platform, Pass::default()));
        Self {
            context,
            looks,
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
            for look in &mut self.looks {
                *look = Look::at(look.platform, look.pass);
                self.context.lines.clear(look.platform);
            }
        }
        let mut any = false;
        for index in 0..self.looks.len() {
            let look = &mut self.looks[index];
            let now = self.context.clock.now();
            let Admission::Granted(pass) = self.context.platforms.admission(look.platform, now)
            else {
                continue;
            };
            if !pass.same_term(look.pass) {
                *look = Look::at(look.platform, pass);
                self.context.lines.clear(look.platform);
            }
            look.pass = pass;
            any |= if pass.probe() {
                self.probe(index, division).await?
            } else {
                let again = self.next_lines(index, now);
                let turns = self.next_turns(index);
                let due = self.next_due(index, now);
                let mut any = false;
                for page in [again, turns, due] {
                    any |= self.offer(page, pass, division).await?;
                }
                any
            };
        }
        Ok(any)
    }

    async fn offer(
        &self,
        page: Vec<(Turn, Pending)>,
        pass: Pass,
        division: Division,
    ) -> Result<bool, Fault> {
        let any = !page.is_empty();
        let (turns, page): (Vec<Turn>, Vec<Pending>) = page.into_iter().unzip();
        for (turn, body) in turns
            .into_iter()
            .zip(bodies(&*self.context.journal, page).await?)
        {
            if self.context.fleet.pushes_to(&body.push.recipient) {
                self.submit(turn, body, pass, division).await?;
            }
        }
        Ok(any)
    }

    async fn submit(
        &self,
        turn: Turn,
        body: Body,
        pass: Pass,
        division: Division,
    ) -> Result<(), Fault> {
        let job = PushJob {
            body,
            turn,
            division,
            pass,
        };
        let offered = self.context.pushes.submit(job).await;
        offered.map_err(|closed| Fault::worker(format!("pool {} is gone", closed.actor)))
    }

    /// Offers one push of a platform, if there is one that is this host's work.
    async fn probe(&mut self, index: usize, division: Division) -> Result<bool, Fault> {
        let now = self.context.clock.now();
        let pass = self.looks[index].pass;
        while let Some((turn, one)) = self.next_one(index, now) {
            let body = bodies(&*self.context.journal, vec![one]).await?.pop();
            let mine = |body: &Body| self.context.fleet.pushes_to(&body.push.recipient);
            let Some(body) = body.filter(mine) else {
                continue;
            };
            self.context.platforms.probe(body.push.platform, now);
            self.submit(turn, body, pass, division).await?;
            return Ok(true);
        }
        Ok(false)
    }

    fn next_one(&mut self, index: usize, now: Timestamp) -> Option<(Turn, Pending)> {
        let look = &mut self.looks[index];
        let outbox = self.context.projections.outbox();
        if let Some((turn, push)) = outbox.turns_behind(look.platform, look.seen).next() {
            look.seen = turn;
            return Some(in_turn((turn, push)));
        }
        let (place, push) = outbox.due(look.platform, look.seen_due, now).next()?;
        look.seen_due = place;
        Some(out_of_turn(push))
    }

    fn next_turns(&mut self, index: usize) -> Vec<(Turn, Pending)> {
        let look = &mut self.looks[index];
        let outbox = self.context.projections.outbox();
        let turns = outbox.turns_behind(look.platform, look.seen);
        let pushes: Vec<_> = turns.take(PAGE).map(in_turn).collect();
        look.seen = pushes.last().map_or(look.seen, |(turn, _)| turn.at);
        pushes
    }

    fn next_due(&mut self, index: usize, now: Timestamp) -> Vec<(Turn, Pending)> {
        let look = &mut self.looks[index];
        let outbox = self.context.projections.outbox();
        let due = outbox.due(look.platform, look.seen_due, now).take(PAGE);
        let (places, pushes): (Vec<Place>, Vec<_>) = due.unzip();
        look.seen_due = places.last().copied().unwrap_or(look.seen_due);
        pushes.into_iter().map(out_of_turn).collect()
    }

    /// Lines whose first push has waited long enough, each whole.
    fn next_lines(&self, index: usize, now: Timestamp) -> Vec<(Turn, Pending)> {
        let platform = self.looks[index].platform;
        let outbox = self.context.projections.outbox();
        let mut pushes = Vec::new();
        while pushes.len() < PAGE
            && let Some(line) = self.context.lines.next_due(platform, now)
        {
            pushes.extend(
                line.into_iter()
                    .map(|turn| (turn, outbox.requested_at(turn.requested))),
            );
        }
        pushes
    }

    /// How long it may be until there is something to offer, of those that are pending now.
    fn until_next(&self) -> Duration {
        let now = self.context.clock.now();
        let outbox = self.context.projections.outbox();
        let next = |look: &Look| match self.context.platforms.admission(look.platform, now) {
            Admission::Granted(_) => {
                let due = outbox.next_due(look.platform, look.seen_due);
                due.into_iter()
                    .chain(self.context.lines.due_at(look.platform))
                    .min()
            }
            Admission::Refused { until } => until,
        };
        let next = self.looks.iter().filter_map(next).min();
        next.map_or(QUIET_MAX, |at| {
            Duration::from_millis(at.since_ms(now)).min(QUIET_MAX)
        })
    }

    async fn take_over(&self) {
        // A keeper that is gone looks by itself when it comes back.
        if self.context.dlq.tell(DlqMessage::Recover).await.is_err() {
            tracing::warn!("the dead-letter keeper is gone; it looks for letters when it returns");
        }
    }
}

fn in_turn((at, push): (Pos, Pending)) -> (Turn, Pending) {
    let requested = push.requested;
    (Turn { at, requested }, push)
}

/// One that has waited on purpose, which is where it was requested among those of its phone.
fn out_of_turn(push: Pending) -> (Turn, Pending) {
    in_turn((push.requested, push))
}

impl Worker for PushFeeder {
    type Msg = Feed;

    async fn handle(&mut self, _: &Feed, cx: &Cx<Feed>) -> Result<Done, Fault> {
        // Subscribed before looking, so that no event is missed in between.
        let mut folded = self.context.projections.folded();
        let mut changes = self.context.platforms.changes();
        let fed = tokio::select! {
            fed = self.feed() => fed?,
            () = cx.until_draining() => return Ok(Done::Finished),
        };
        if !fed {
            let quiet = tokio::time::sleep(self.until_next());
            // A long quiet is no sign of being stuck. The senders of both channels live as long as this actor's context.
            tokio::select! {
                () = quiet => {}
                _ = folded.changed() => {}
                _ = changes.changed() => {}
                () = self.context.lines.changed() => {}
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
