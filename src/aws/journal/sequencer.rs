//! Gathers appends, gives out their places, writes them as one commit, and follows what the others write.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use iyagi_actors::journal::{Append, Appended, Expected, JournalFault, Replica, Standing};
use iyagi_actors::ports::Clock;
use iyagi_messages::event::{Entity, Event, NewEvent};
use iyagi_messages::ids::{EventId, MemberId, Pos, Seq, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::item::Draft;
use super::log::{Fate, Log, Stretch};
use super::{OpenError, Reachable};
use crate::aws::dynamodb::fault::TableFault;

/// Events in one commit, unless one append has more.
const COMMIT_EVENTS_MAX: usize = 4_000;
/// Appends that may wait before the next one is made to wait itself.
const WAITING_MAX: usize = 4_096;
/// How soon the others are looked at again while they write.
const FOLLOW_MIN: Duration = Duration::from_millis(50);
/// How seldom while they do not. What another host requests waits so long at the most.
const FOLLOW_MAX: Duration = Duration::from_millis(500);
/// Whoever has not looked for longer looks before it writes, also what it drafted long ago: the place that it knows as free
/// may be one whose item was emptied and removed since.
const LOOKED_MS_MAX: u64 = 60_000;
/// Times that a copy is begun before the log is taken for damaged.
const BEGINNINGS_MAX: u32 = 3;
/// How soon the log is tried again when it does not answer.
const RETRY_MIN: Duration = Duration::from_millis(100);
/// How seldom.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Takes appends to the sequencer.
pub(super) struct Orders(mpsc::Sender<Order>);

/// An append, and who waits for it.
pub(super) struct Order {
    append: Append,
    reply: oneshot::Sender<Result<Appended, JournalFault>>,
}

/// The one writer of this host.
pub(super) struct Sequencer {
    pub(super) log: Log,
    pub(super) replica: Arc<dyn Replica>,
    pub(super) member: MemberId,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) reachable: watch::Sender<Reachable>,
    /// Why this process cannot go on with the log.
    pub(super) outrun: watch::Sender<Option<String>>,
    /// When the copy last had all of the log.
    pub(super) looked_at: Timestamp,
}

/// Appends with the places that they get if nobody is quicker.
struct Plan {
    events: Vec<Event>,
    /// One outcome an order.
    outcomes: Vec<Result<Appended, JournalFault>>,
}

/// A way for appends to the sequencer.
pub(super) fn orders() -> (Orders, mpsc::Receiver<Order>) {
    let (orders, received) = mpsc::channel(WAITING_MAX);
    (Orders(orders), received)
}

impl Orders {
    pub(super) async fn append(&self, append: Append) -> Result<Appended, JournalFault> {
        let ended = || JournalFault::Stopped("its sequencer has ended".to_owned());
        let (reply, answer) = oneshot::channel();
        let sent = self.0.send(Order { append, reply }).await;
        sent.map_err(|_| ended())?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Sequencer {
    /// Brings the copy up to the log, from its beginning again if it has missed what was taken out.
    pub(super) async fn open(&mut self) -> Result<(), OpenError> {
        let (head, missing) = (self.replica.head().await?, self.replica.missing().await?);
        // One that was interrupted while it began does not add up.
        if head > Pos(0) && missing.events == missing.told {
            match self.go_on(head).await {
                Err(OpenError::Outrun { at }) => tracing::warn!(
                    %at,
                    "what this host had not read yet was taken out of the shared journal; its copy is made anew"
                ),
                Err(OpenError::Replica(fault @ JournalFault::Corrupt { .. })) => {
                    tracing::error!(%fault, "the copy of the shared journal is made anew");
                }
                done => return done,
            }
        }
        let mut attempt = 1;
        loop {
            self.replica.begin_anew().await?;
            match self.begin().await {
                // What was taken out while it was read does not add up.
                Err(OpenError::Unequal { .. }) if attempt < BEGINNINGS_MAX => attempt += 1,
                done => return done,
            }
        }
    }

    async fn go_on(&mut self, head: Pos) -> Result<(), OpenError> {
        self.verify(head).await?;
        self.catch_up().await.map(drop)
    }

    /// Repeats what is left of the log in a copy that has nothing.
    async fn begin(&mut self) -> Result<(), OpenError> {
        let mut read = Pos(0);
        loop {
            let stretches = self.log.behind(read).await?;
            let Some(last) = stretches.last().map(|stretch| stretch.last) else {
                break;
            };
            read = last;
            let events = stretches.into_iter().flat_map(|stretch| stretch.events);
            self.replica.gather(events.collect()).await?;
        }
        self.replica.settle().await?;
        let missing = self.replica.missing().await?;
        let head = self.replica.head().await?;
        if missing.events != missing.told || head != read {
            return Err(OpenError::Unequal {
                table: self.log.table().to_owned(),
                missing: missing.events + read.0.saturating_sub(head.0),
                told: missing.told,
            });
        }
        self.looked_at = self.clock.now();
        Ok(())
    }

    /// Checks that the copy is one of this log.
    async fn verify(&self, at: Pos) -> Result<(), OpenError> {
        let foreign = |at: Pos| OpenError::Foreign {
            table: self.log.table().to_owned(),
            at,
        };
        let there = self.log.holding(at).await?.ok_or_else(|| foreign(at))?;
        let known: Vec<Event> = there.events.into_iter().filter(|it| it.pos <= at).collect();
        let positions = known.iter().map(|event| event.pos).collect();
        let here = self.replica.at(positions).await?;
        let here: HashMap<Pos, EventId> = here.iter().map(|it| (it.pos, it.id)).collect();
        for event in &known {
            // What the copy has taken out may still be there.
            if here.get(&event.pos).is_some_and(|id| *id != event.id) {
                return Err(foreign(event.pos));
            }
        }
        match known.last() {
            Some(event) if event.pos == at => Ok(()),
            _ => Err(OpenError::Outrun { at }),
        }
    }

    /// Repeats whatever the log has and the copy has not; says whether there was anything.
    async fn catch_up(&mut self) -> Result<bool, OpenError> {
        let mut any = false;
        loop {
            let after = self.replica.head().await?;
            let asked = self.clock.now();
            let stretches = self.log.behind(after).await?;
            if stretches.is_empty() {
                self.looked_at = asked;
                return Ok(any);
            }
            any = true;
            if let Some(at) = stretches.iter().find_map(Stretch::hole) {
                return Err(OpenError::Outrun { at });
            }
            let events = stretches.into_iter().flat_map(|stretch| stretch.events);
            self.replica.follow(events.collect()).await?;
        }
    }

    /// Works until nobody can append any more, or the copy cannot be kept up.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut interval = FOLLOW_MIN;
        let mut look_at = Instant::now() + interval;
        loop {
            tokio::select! {
                order = orders.recv() => {
                    let Some(order) = order else { return };
                    let mut batch = vec![order];
                    gather(&mut orders, &mut batch);
                    self.commit(batch).await;
                    if self.outrun.borrow().is_some() {
                        return;
                    }
                }
                () = sleep_until(look_at) => {
                    let any = self.follow().await;
                    if self.outrun.borrow().is_some() {
                        return;
                    }
                    interval = if any { FOLLOW_MIN } else { (interval * 3 / 2).min(FOLLOW_MAX) };
                    look_at = Instant::now() + interval;
                }
            }
        }
    }

    async fn follow(&mut self) -> bool {
        match self.catch_up().await {
            Ok(any) => {
                self.report(Reachable::Yes);
                any
            }
            Err(error) => {
                self.note_outrun(&error);
                self.report(Reachable::No(error.to_string()));
                false
            }
        }
    }

    /// Nothing that this process has folded can be folded on once it has missed an event.
    fn note_outrun(&self, error: &OpenError) {
        if let OpenError::Outrun { .. } = error {
            self.outrun.send_replace(Some(error.to_string()));
        }
    }

    /// Appends a batch for good, however long the log does not answer. Nothing is acknowledged meanwhile.
    async fn commit(&mut self, batch: Vec<Order>) {
        let plan = match self.plan_and_write(&batch).await {
            Ok(plan) => plan,
            Err(fault) => {
                tracing::error!(%fault, "the copy of the journal cannot be used; no append is acknowledged any more");
                for order in batch {
                    order.reply.send(Err(fault.clone())).ok();
                }
                return;
            }
        };
        for (order, outcome) in batch.into_iter().zip(plan.outcomes) {
            // Who asked may have gone; the append is done all the same.
            order.reply.send(outcome).ok();
        }
    }

    async fn plan_and_write(&mut self, batch: &[Order]) -> Result<Plan, JournalFault> {
        loop {
            if self.looked_long_ago() {
                self.insist_on_catching_up().await?;
            }
            let plan = self.plan(batch).await?;
            if plan.events.is_empty() {
                return Ok(plan);
            }
            let draft = Draft::of(&plan.events);
            match self.insist(&draft).await {
                Fate::Written => {
                    self.replica.follow(plan.events.clone()).await?;
                    return Ok(plan);
                }
                Fate::Taken => self.insist_on_catching_up().await?,
            }
        }
    }

    fn looked_long_ago(&self) -> bool {
        self.clock.now().since_ms(self.looked_at) > LOOKED_MS_MAX
    }

    /// Writes one commit until its fate is known.
    async fn insist(&self, draft: &Draft) -> Fate {
        let mut wait = RETRY_MIN;
        loop {
            let written = if self.looked_long_ago() {
                self.log.write_late(draft).await
            } else {
                self.log.write(draft).await
            };
            match written {
                Ok(fate) => {
                    self.report(Reachable::Yes);
                    return fate;
                }
                Err(fault) => wait = self.pause(&fault, wait).await,
            }
        }
    }

    async fn insist_on_catching_up(&mut self) -> Result<(), JournalFault> {
        let mut wait = RETRY_MIN;
        loop {
            match self.catch_up().await {
                Ok(_) => return Ok(()),
                Err(OpenError::Replica(fault)) => return Err(fault),
                Err(OpenError::Table(fault)) => wait = self.pause(&fault, wait).await,
                Err(error) => {
                    self.note_outrun(&error);
                    return Err(JournalFault::Stopped(error.to_string()));
                }
            }
        }
    }

    async fn pause(&self, fault: &TableFault, wait: Duration) -> Duration {
        self.report(Reachable::No(fault.to_string()));
        sleep(wait).await;
        (wait * 2).min(RETRY_MAX)
    }

    fn report(&self, now: Reachable) {
        self.reachable.send_if_modified(|known| {
            let changed = *known != now;
            match (&now, &*known) {
                (Reachable::No(reason), Reachable::Yes) => {
                    tracing::error!(reason, "the shared journal does not answer; appends wait");
                }
                (Reachable::Yes, Reachable::No(_)) => {
                    tracing::info!("the shared journal answers again");
                }
                _ => {}
            }
            *known = now;
            changed
        });
    }

    async fn plan(&self, batch: &[Order]) -> Result<Plan, JournalFault> {
        let appends = || batch.iter().map(|order| &order.append);
        let ids = appends().flat_map(|append| append.events.iter().map(|event| event.id));
        let entities: HashSet<Entity> = appends()
            .flat_map(|append| {
                let written = append.events.iter().map(|event| &event.entity);
                written.chain(append.expected.iter().map(|expected| &expected.entity))
            })
            .cloned()
            .collect();
        let standing = self
            .replica
            .standing(ids.collect(), entities.into_iter().collect())
            .await?;
        let mut planner = Planner {
            standing,
            events: Vec::new(),
            at: self.clock.now(),
            member: &self.member,
        };
        let outcomes = appends().map(|append| planner.place(append)).collect();
        Ok(Plan {
            events: planner.events,
            outcomes,
        })
    }
}

fn gather(orders: &mut mpsc::Receiver<Order>, batch: &mut Vec<Order>) {
    let events = |order: &Order| order.append.events.len();
    let mut gathered = batch.iter().map(events).sum::<usize>();
    while gathered < COMMIT_EVENTS_MAX {
        let Ok(order) = orders.try_recv() else { return };
        gathered += events(&order);
        batch.push(order);
    }
}

/// Gives out places behind where the copy stands, append by append.
struct Planner<'a> {
    standing: Standing,
    events: Vec<Event>,
    at: Timestamp,
    member: &'a MemberId,
}

impl Planner<'_> {
    fn place(&mut self, append: &Append) -> Result<Appended, JournalFault> {
        let mut ids: HashSet<EventId> = HashSet::with_capacity(append.events.len());
        let new =
            |event: &&NewEvent| ids.insert(event.id) && !self.standing.known.contains(&event.id);
        let fresh: Vec<&NewEvent> = append.events.iter().filter(new).collect();
        let duplicates = append.events.len() - fresh.len();
        if !fresh.is_empty() || duplicates == 0 {
            self.check(&append.expected)?;
        }
        let actor = self.member.incarnation(&append.actor);
        for event in fresh {
            let pos = Pos(self.standing.head.0 + 1);
            let seq = self.standing.seqs.entry(event.entity.clone()).or_default();
            *seq = Seq(seq.0 + 1);
            self.events.push(Event {
                pos,
                id: event.id,
                entity: event.entity.clone(),
                seq: *seq,
                at: self.at,
                cause: event.cause,
                corr: event.corr.clone(),
                actor: actor.clone(),
                fact: event.fact.clone(),
            });
            self.standing.head = pos;
            self.standing.known.insert(event.id);
        }
        Ok(Appended {
            last: self.standing.head,
            duplicates,
        })
    }

    fn check(&self, expected: &[Expected]) -> Result<(), JournalFault> {
        let seqs: &HashMap<Entity, Seq> = &self.standing.seqs;
        for Expected { entity, seq } in expected {
            let actual = seqs.get(entity).copied().unwrap_or_default();
            if actual != *seq {
                return Err(JournalFault::Conflict {
                    entity: entity.clone(),
                    expected: *seq,
                    actual,
                });
            }
        }
        Ok(())
    }
}
