//! `SubscriptionMatcher`: turns commits of the graph into pushes.
//!
//! Owns the graph as far as matching needs it. Told: [`Commits`]. Writes, in one append per message:
//! `commit.matched`, `push.requested`, `push.suppressed`, `push.deferred`, `silence.placed`, `silence.lifted`,
//! `stream.skipped`, `commit.withheld`, `fan_out.queued`, `catch_up.begun`, `catch_up.ended` and `cursor.advanced`; and `graph.bootstrapped` when it
//! takes over a graph that was read from elsewhere than the change log. What concerns many is queued there, and told some
//! people at a time in appends of their own, each with a `fan_out.completed`.
//!
//! **Invariant:** the cursor and the pushes of the commits before it are one append. A commit at or before the cursor is
//! never matched again, and the cursor never jumps over one without saying so.

pub mod addressing;
pub mod bootstrap;
mod change_log;
pub mod changes;
mod drafting;
pub mod explaining;
pub mod fan_out;
pub mod graph;
mod looking_ahead;
mod mass_change;
pub mod matching;
mod sight;
mod taking_over;
mod templates;

use std::sync::Arc;
use std::time::Duration;

use iyagi_messages::change::Commit;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::device::Platform;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::CursorAdvanced;
use iyagi_messages::ids::{Seq, Timestamp};
use serde::Deserialize;

use self::addressing::{Announced, People};
use self::change_log::{ChangeLog, Unfollowable};
use self::fan_out::Queue;
use self::graph::{Graph, GraphModel};
use self::matching::{Matcher, Templates};
use crate::fleet::{Fleet, Lead};
use crate::journal::{Draft, Journal, JournalFault, Snapshot};
use crate::ports::{ChangeStream, Clock};
use crate::projections::{CatchUpPolicy, Projections, TrafficAhead};
use crate::push_sender::lines::Lines;
use crate::runtime::{Cx, Done, Failure, Fault, Incarnation, Worker};
use crate::stream_poller::PollPace;
use crate::stream_poller::assembler::Portion;

/// Commits, in order. One is missing only where the poller's policy let it be.
#[derive(Debug)]
pub struct Commits(pub Vec<Portion>);

/// What the matcher works with.
pub struct SubscriptionMatcherContext {
    /// Where everything is written before it is done.
    pub journal: Arc<dyn Journal>,
    /// The cursor, and who wants to hear of what.
    pub projections: Arc<Projections>,
    /// The change log, to rebuild the graph from.
    pub stream: Arc<dyn ChangeStream>,
    /// What may be missing of it.
    pub pace: PollPace,
    /// What the graph's labels mean.
    pub model: GraphModel,
    /// Default notifications and texts.
    pub templates: Arc<Templates>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Whether the change log is this host's work.
    pub fleet: Fleet,
    /// Pushes that wait for another one to their phone.
    pub lines: Arc<Lines>,
    /// What is done while the change log is read late.
    pub catch_up: CatchUpPolicy,
    /// Pending pushes, for each host that sends, at which matching waits for the senders.
    pub pending_max_per_host: u64,
}

/// Pushes that may wait for a push service that is down or paused, or for their next attempt: some two hundred megabytes of
/// their places.
const HELD_UP_MAX: u64 = 1_000_000;
/// How often the queue of people is looked at while the senders have enough to do.
const QUEUE_INTERVAL: Duration = Duration::from_millis(20);
/// Version of the folding code: another one discards the snapshot and folds from the beginning.
pub const GRAPH_VERSION: u32 = 3;
/// The snapshot of the graph in the journal.
pub const GRAPH_SNAPSHOT: &str = "graph";
/// Records folded between two snapshots; bounds what a restart folds again.
const SNAPSHOT_RECORDS: u64 = 50_000;
/// Age of what is in no snapshot at which there is one, however little it is: a log that keeps a day, the least that one
/// does, must have all of it at the next start.
const SNAPSHOT_AGE: Duration = Duration::from_hours(6);

/// Matches commits.
pub struct SubscriptionMatcher {
    me: Incarnation,
    context: Arc<SubscriptionMatcherContext>,
    graph: Graph,
    matcher: Matcher,
    since_snapshot: u64,
    /// How old the oldest commit is that is in no snapshot.
    unsaved_since: Option<Timestamp>,
    /// The commit beyond the bounds of which some records are in the graph already, and how many.
    taken: (u64, u64),
    /// Whether a message to itself is on its way that goes on with the queue of people.
    returns_to_queue: bool,
    /// The watermark of the graph, if it was read from elsewhere than the log and is not taken over yet.
    offered: Option<Cursor>,
}

impl SubscriptionMatcher {
    /// A matcher whose graph is as of the cursor: the newest snapshot, and the change log from there on. One that is
    /// offered and was not taken over yet comes first.
    pub async fn recover(
        me: Incarnation,
        context: Arc<SubscriptionMatcherContext>,
    ) -> Result<Self, Fault> {
        let (cursor, taken_over) = {
            let outbox = context.projections.outbox();
            (outbox.cursor, outbox.bootstrapped)
        };
        let offer = load(&*context.journal, bootstrap::OFFER).await?;
        let offer = offer.filter(|offer| Some(offer.cursor) != taken_over);
        let offered = offer.as_ref().map(|offer| offer.cursor);
        let graph = match offer {
            Some(offer) => offer,
            None => load(&*context.journal, GRAPH_SNAPSHOT)
                .await?
                .filter(|graph| graph.cursor <= cursor)
                .unwrap_or_default(),
        };
        let matcher = Matcher::new(
            context.model.clone(),
            Arc::clone(&context.templates),
            context.projections.subscriptions().lexicon(),
        );
        let mut matcher = Self {
            me,
            context,
            graph,
            matcher,
            since_snapshot: 0,
            unsaved_since: None,
            taken: (0, 0),
            returns_to_queue: false,
            offered,
        };
        matcher.fold_to_cursor().await?;
        Ok(matcher)
    }

    /// Brings the graph to the cursor, which another host has moved on.
    async fn catch_up(&mut self) -> Result<(), Fault> {
        let cursor = self.context.projections.outbox().cursor;
        if let Some(graph) = load(&*self.context.journal, GRAPH_SNAPSHOT).await?
            && (self.graph.cursor..=cursor).contains(&graph.cursor)
        {
            self.graph = graph;
        }
        self.fold_to_cursor().await
    }

    /// Folds what lies between the graph and the cursor. Nothing is matched.
    async fn fold_to_cursor(&mut self) -> Result<(), Fault> {
        let cursor = self.context.projections.outbox().cursor;
        self.fold_to(cursor).await
    }

    async fn fold_to(&mut self, cursor: Cursor) -> Result<(), Fault> {
        let context = Arc::clone(&self.context);
        let log = ChangeLog {
            stream: &*context.stream,
            pace: context.pace,
            clock: &*context.clock,
        };
        match log.follow(&mut self.graph, cursor, &context.model).await {
            Ok(first_at) => {
                self.unsaved_since = self.unsaved_since.or(first_at);
                Ok(())
            }
            Err(Unfollowable::Gone(fault)) => {
                tracing::error!(
                    from = %self.graph.cursor, to = %cursor, %fault,
                    "the stream no longer has what the graph needs; followers and makers from before are unknown, and \
                     nobody is told of things from before. `iyagi backfill` reads them from the graph itself, or from an \
                     export"
                );
                self.graph.cursor = cursor;
                Ok(())
            }
            Err(fault) => Err(Fault::dependency(fault.to_string())),
        }
    }

    /// Waits until the senders have caught up so far that more pushes are worth having.
    async fn wait_for_room(&self) {
        let pending_max = self.context.pending_max_per_host * self.context.fleet.senders() as u64;
        let mut folded = self.context.projections.folded();
        while self.has_no_room(pending_max) {
            // Its sender lives as long as the projections, which this actor holds.
            if folded.changed().await.is_err() {
                return;
            }
        }
    }

    /// Whether so many pushes are pending that more are not worth having yet. Those of a push service that is down or paused,
    /// those that were tried, and those behind them wait for something else than senders, and hold up nobody's matching until
    /// they fill the memory that is meant for them.
    fn has_no_room(&self, pending_max: u64) -> bool {
        let outbox = self.context.projections.outbox();
        let services = self.context.projections.platforms();
        let held_up = |platform: Option<Platform>| {
            platform.is_some_and(|platform| services.is_held_up(platform))
        };
        // What is behind such a push on another host is not known here, and presses.
        let behind = self.context.lines.behind() as u64;
        let pressing = outbox.pressing(|platform| !held_up(platform));
        pressing.saturating_sub(behind) >= pending_max
            || outbox.pressing(held_up) + outbox.retries() + behind >= HELD_UP_MAX
    }

    async fn take(&mut self, portions: &[Portion]) -> Result<(), Fault> {
        let Some(lead) = self.context.fleet.leads() else {
            tracing::info!("another host reads the change log now, and these commits with it");
            return Ok(());
        };
        self.take_over_offer(lead).await?;
        if self.graph.cursor < self.context.projections.outbox().cursor {
            self.catch_up().await?;
        }
        let mut whole = Vec::new();
        for portion in portions {
            match portion {
                Portion::Whole(commit) => whole.push(commit),
                Portion::Part(records) => {
                    self.match_commits(&std::mem::take(&mut whole), lead)
                        .await?;
                    self.take_part(records, lead).await?;
                }
                Portion::End(extent) => self.withhold(*extent, lead).await?,
            }
        }
        self.match_commits(&whole, lead).await
    }

    async fn match_commits(&mut self, commits: &[&Commit], lead: Lead) -> Result<(), Fault> {
        let (cursor, cursor_seq) = self.context.projections.outbox().cursor_and_seq();
        let new: Vec<&Commit> = commits
            .iter()
            .copied()
            .filter(|commit| commit.number > cursor.commit)
            .collect();
        let Some(last) = new.last() else {
            return Ok(());
        };
        let mut draft = Draft::new(&self.me, correlation(last.number));
        self.match_all(&new, cursor, &mut draft);
        let advanced = CursorAdvanced {
            to: last.end(),
            commits: new.len() as u64,
            records: new.iter().map(|commit| commit.records.len() as u64).sum(),
        };
        self.advance(advanced, cursor_seq, lead, draft).await
    }

    /// Appends a draft together with the move of the cursor.
    async fn advance(
        &mut self,
        advanced: CursorAdvanced,
        cursor_seq: Seq,
        lead: Lead,
        mut draft: Draft,
    ) -> Result<(), Fault> {
        let (to, records) = (advanced.to, advanced.records);
        draft.correlate(correlation(to.commit));
        draft.expect(cursor_entity(), cursor_seq);
        lead.expect(&mut draft);
        draft.begin(&to.to_string(), cursor_entity(), advanced);
        if let Err(fault) = self.context.journal.append(draft.finish()).await {
            // The graph is ahead of the journal now, so only a rebuilt matcher may go on.
            return Err(match fault {
                JournalFault::Conflict { .. } => Fault::worker(fault.to_string()),
                fault => fault.into(),
            });
        }
        self.since_snapshot += records;
        let now = self.context.clock.now();
        let unsaved_ms = now.since_ms(*self.unsaved_since.get_or_insert(now));
        if self.since_snapshot >= SNAPSHOT_RECORDS
            || u128::from(unsaved_ms) >= SNAPSHOT_AGE.as_millis()
        {
            self.save().await?;
        }
        Ok(())
    }

    /// Matches commits that follow on a cursor, and drafts all that comes of them.
    fn match_all(&mut self, commits: &[&Commit], cursor: Cursor, draft: &mut Draft) {
        let context = Arc::clone(&self.context);
        let projections = &context.projections;
        let requested = projections.traffic();
        let mut traffic = TrafficAhead::of(&requested, projections.traffic_policy());
        let mut passed = cursor;
        let subscriptions = projections.subscriptions();
        self.matcher
            .look_ahead(commits.iter().copied(), &subscriptions);
        drop(subscriptions);
        let mut catch_up = projections.catch_up();
        for commit in commits {
            Self::admit_jump(passed, commit.number, draft);
            passed = commit.end();
            catch_up = self.note_lag(commit, catch_up, draft);
            let announced = self.matcher.announce(
                commit,
                &mut self.graph,
                &projections.subscriptions(),
                People {
                    audience: &projections.audience(),
                    wishes: &projections.wishes(),
                },
            );
            if !announced.is_empty() {
                let matched = Self::note_match(commit, &announced, draft);
                let Announced {
                    pushes,
                    hidden,
                    fan_outs,
                } = announced;
                self.request(matched, pushes, false, catch_up, &mut traffic, draft);
                self.request(matched, hidden, true, catch_up, &mut traffic, draft);
                for (kind, fan_out) in fan_outs.into_iter().enumerate() {
                    Self::queue(fan_out, kind, matched, draft);
                }
            }
            self.note_silences(&commit.records, draft);
        }
    }

    async fn save(&mut self) -> Result<(), Fault> {
        let body = self.graph.to_snapshot();
        let pos = self.context.projections.outbox().pos;
        let snapshot = Snapshot {
            code_version: GRAPH_VERSION,
            pos,
            body,
        };
        self.context
            .journal
            .save_snapshot(GRAPH_SNAPSHOT, snapshot)
            .await?;
        self.since_snapshot = 0;
        self.unsaved_since = None;
        Ok(())
    }
}

/// As of which operation a snapshot of the graph is.
pub fn cursor_of(snapshot: &Snapshot) -> Option<Cursor> {
    #[derive(Deserialize)]
    struct Place {
        cursor: Cursor,
    }
    let place: Place = serde_json::from_slice(&snapshot.body).ok()?;
    Some(place.cursor)
}

/// What everything that a commit leads to is known by.
pub fn correlation(commit: u64) -> String {
    format!("commit:{commit}")
}

fn cursor_entity() -> Entity {
    Entity::new("cursor", "graph")
}

async fn load(journal: &dyn Journal, name: &str) -> Result<Option<Graph>, JournalFault> {
    let snapshot = journal.snapshot(name, GRAPH_VERSION).await?;
    Ok(
        snapshot.and_then(|snapshot| match serde_json::from_slice(&snapshot.body) {
            Ok(graph) => Some(graph),
            Err(error) => {
                tracing::warn!(snapshot = name, %error, "the graph's snapshot is unreadable and is folded anew");
                None
            }
        }),
    )
}

impl Worker for SubscriptionMatcher {
    type Msg = Commits;

    async fn handle(&mut self, commits: &Commits, cx: &Cx<Commits>) -> Result<Done, Fault> {
        tokio::select! {
            biased;
            () = self.wait_for_room() => {}
            // What is not matched now is read again at the next start.
            () = cx.until_draining() => return Ok(Done::Finished),
        }
        self.take(&commits.0).await?;
        if commits.0.is_empty() {
            self.returns_to_queue = false;
        }
        if let Some(lead) = self.context.fleet.leads() {
            let delay = match self.tell_next_list(lead).await? {
                Queue::Empty => None,
                Queue::Told => Some(Duration::ZERO),
                Queue::Waits => Some(QUEUE_INTERVAL),
            };
            if let Some(delay) = delay.filter(|_| !self.returns_to_queue) {
                self.returns_to_queue = true;
                cx.tell_self_after(delay, Commits(Vec::new()));
            }
        }
        Ok(Done::Finished)
    }

    /// A commit that kills its matcher cannot be left out without breaking the promise about the cursor, so this
    /// fails, which stops the daemon where a person can see why.
    async fn set_aside(&mut self, commits: &Commits, history: &[Failure]) -> Result<(), Fault> {
        let first = commits.0.first().map_or(0, Portion::commit);
        let last = commits.0.last().map_or(0, Portion::commit);
        let reason = history.last().map_or("no reason", Failure::reason);
        Err(Fault::fatal(format!(
            "commits {first} to {last} cannot be matched: {reason}"
        )))
    }
}
