//! The poller and the matcher over a Neptune that misbehaves: every commit is matched once, or the journal says why not.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use iyagi::config::built_in_templates;
use iyagi_actors::fleet::Fleet;
use iyagi_actors::health::{Condition, Health};
use iyagi_actors::journal::{Journal, MemoryJournal};
use iyagi_actors::ports::{ChangeStream, Clock};
use iyagi_actors::projections::{CatchUpPolicy, Projections, TrafficPolicy};
use iyagi_actors::runtime::{
    ChildSpec, Intensity, Mailbox, Strategy as Restarts, System, Unobserved,
};
use iyagi_actors::stream_poller::assembler::{Assembler, CommitBounds, Gaps, Portion};
use iyagi_actors::stream_poller::{
    OnExpired, OnGap, Poll, PollPace, StreamPoller, StreamPollerContext,
};
use iyagi_actors::subscription_matcher::bootstrap::{Bootstrap, OFFER, Sources};
use iyagi_actors::subscription_matcher::graph::GraphModel;
use iyagi_actors::subscription_matcher::{
    Commits, SubscriptionMatcher, SubscriptionMatcherContext,
};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::fact::{Fact, StreamSkipped};
use iyagi_messages::ids::{Pos, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::client::{graph, stream};
use super::fake::{Fake, Reply};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time that only the test moves.
#[derive(Default)]
struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Acquire))
    }
}

impl Moved {
    fn pass(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).expect("a short test");
        self.0.fetch_add(ms, Ordering::AcqRel);
    }
}

/// A poller and a matcher on a journal in memory.
struct Reader {
    journal: MemoryJournal,
    projections: Arc<Projections>,
    health: Arc<Health>,
    clock: Arc<Moved>,
    system: System,
    matcher: Mailbox<Commits>,
    poller: Mailbox<Poll>,
}

fn quick() -> PollPace {
    PollPace {
        limit: 50,
        interval_ms_min: 1,
        interval_ms_max: 5,
        gap_reads: 3,
        ..PollPace::default()
    }
}

impl Reader {
    async fn start(fake: &Fake, pace: PollPace) -> Self {
        let clock = Arc::new(Moved::default());
        let journal = MemoryJournal::new(Arc::clone(&clock) as _);
        Self::resume(fake, pace, journal, clock).await
    }

    /// A reader that goes on with a journal, as after a restart of the daemon.
    async fn resume(
        fake: &Fake,
        pace: PollPace,
        journal: MemoryJournal,
        clock: Arc<Moved>,
    ) -> Self {
        let reader = Self::at_rest(fake, pace, journal, clock).await;
        reader.poller.tell(Poll).await.expect("it runs");
        reader
    }

    /// A reader that does not begin to poll.
    async fn at_rest(
        fake: &Fake,
        pace: PollPace,
        journal: MemoryJournal,
        clock: Arc<Moved>,
    ) -> Self {
        let projections = Projections::recover(&journal, TrafficPolicy::default())
            .await
            .expect("folds");
        let log = Arc::new(stream(fake.url()));
        let health = Arc::new(Health::default());
        let system = System::new(7, Intensity::default(), Arc::new(Unobserved));
        let group = system.group("ingest", Restarts::RestForOne, Intensity::default());
        let context = Arc::new(SubscriptionMatcherContext {
            journal: Arc::new(journal.clone()),
            projections: Arc::clone(&projections),
            stream: Arc::clone(&log) as _,
            pace,
            model: GraphModel::default(),
            templates: Arc::new(built_in_templates()),
            clock: Arc::clone(&clock) as _,
            catch_up: CatchUpPolicy::default(),
            fleet: Fleet::alone(Arc::clone(&projections)),
            lines: Arc::default(),
            pending_max_per_host: u64::MAX,
        });
        let matcher = group.child(ChildSpec::new("matcher"), move |me| {
            SubscriptionMatcher::recover(me, Arc::clone(&context))
        });
        let context = Arc::new(StreamPollerContext {
            stream: log,
            projections: Arc::clone(&projections),
            fleet: Fleet::alone(Arc::clone(&projections)),
            matcher: matcher.clone(),
            health: Arc::clone(&health),
            clock: Arc::clone(&clock) as _,
            pace,
        });
        let poller = group.child(ChildSpec::new("poller"), move |_| {
            let context = Arc::clone(&context);
            async move { Ok(StreamPoller::new(context)) }
        });
        Self {
            journal,
            projections,
            health,
            clock,
            system,
            matcher,
            poller,
        }
    }

    /// Ends the actors, and yields what the next ones go on with.
    async fn stop(self) -> (MemoryJournal, Arc<Moved>) {
        self.system.drain(PATIENCE).await;
        (self.journal, self.clock)
    }

    fn cursor(&self) -> Cursor {
        self.projections.outbox().cursor
    }

    fn condition(&self) -> Option<Condition> {
        self.health.all().remove("stream")
    }

    async fn until(&self, what: &str, true_now: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !true_now(self) {
            let (cursor, condition) = (self.cursor(), self.condition());
            assert!(
                began.elapsed() < PATIENCE,
                "no {what}: at {cursor}, {condition:?}"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn until_at(&self, cursor: Cursor) {
        self.until(&format!("cursor at {cursor}"), |reader| {
            reader.cursor() == cursor
        })
        .await;
    }

    async fn until_alarm(&self, text: &str) {
        self.until(text, |reader| {
            let condition = reader.condition();
            condition.is_some_and(|condition| !condition.ready && condition.detail.contains(text))
        })
        .await;
    }

    async fn until_well(&self) {
        self.until("good health", |reader| {
            reader.condition().is_some_and(|condition| condition.ready)
        })
        .await;
    }

    /// Commits and records that the cursor has moved over, and what was skipped.
    async fn journalled(&self) -> (u64, u64, Vec<StreamSkipped>) {
        let (mut commits, mut records, mut skipped) = (0, 0, Vec::new());
        let mut last = Cursor::START;
        for event in self
            .journal
            .read(Pos::default(), usize::MAX)
            .await
            .expect("reads")
        {
            match event.fact {
                Fact::CursorAdvanced(advanced) => {
                    assert!(advanced.to > last, "the cursor goes forward only");
                    last = advanced.to;
                    commits += advanced.commits;
                    records += advanced.records;
                }
                Fact::StreamSkipped(jump) => skipped.push(jump),
                Fact::GraphBootstrapped(_) => {}
                other => panic!("{}", other.kind()),
            }
        }
        (commits, records, skipped)
    }
}

/// Runs a test where actors can live.
async fn with_actors(test: impl Future<Output = ()>) {
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn commits_are_whole_however_pages_split_them_and_though_no_operation_is_the_last() {
    with_actors(async {
        let fake = Fake::start();
        {
            let mut switches = fake.switches();
            switches.page_records_max = Some(1);
            switches.no_last_op = true;
            switches.no_timestamps = true;
        }
        fake.commit_vertices(5).await;
        let reader = Reader::start(&fake, quick()).await;
        reader.until_at(Cursor::new(5, 2)).await;
        fake.commit_vertices(1).await;
        reader.until_at(Cursor::new(6, 2)).await;
        assert_eq!(reader.journalled().await, (6, 12, Vec::new()));
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_lags_is_waited_for() {
    with_actors(async {
        let fake = Fake::start();
        fake.commit_vertices(6).await;
        let reader = Reader::start(&fake, quick()).await;
        reader.until_at(Cursor::new(6, 2)).await;
        // The next answers come from a replica that has not seen what was read already.
        fake.switches().replica_at = Some(2);
        let asked = fake.requests().len();
        reader
            .until("some more polls", |_| fake.requests().len() > asked + 5)
            .await;
        assert!(reader.condition().is_some_and(|condition| condition.ready));
        fake.commit_vertices(1).await;
        fake.switches().replica_at = None;
        reader.until_at(Cursor::new(7, 2)).await;
        assert_eq!(reader.journalled().await, (7, 14, Vec::new()));
    })
    .await;
}

#[tokio::test]
async fn a_log_that_was_reset_is_an_alarm_and_nothing_of_the_new_one_is_taken() {
    with_actors(async {
        let fake = Fake::start();
        fake.commit_vertices(6).await;
        let reader = Reader::start(&fake, quick()).await;
        reader.until_at(Cursor::new(6, 2)).await;
        fake.reset();
        for text in ["is empty", "ends at 2:2"] {
            let asked = fake.requests().len();
            reader
                .until("some more polls", |_| fake.requests().len() > asked + 3)
                .await;
            reader.clock.pass(Duration::from_mins(2));
            reader.until_alarm(text).await;
            reader.until_alarm("it was reset").await;
            fake.commit_vertices(2 - fake.graph().tip().await.expect("a tip").commit.min(2))
                .await;
        }
        assert_eq!(reader.journalled().await, (6, 12, Vec::new()));
    })
    .await;
}

#[tokio::test]
async fn a_gap_halts_the_poller_and_mends_itself() {
    with_actors(async {
        let fake = Fake::start();
        fake.commit_vertices(6).await;
        fake.switches().missing.insert(4);
        let reader = Reader::start(&fake, quick()).await;
        reader.until_alarm("commit 4 is missing").await;
        let asked = fake.requests().len();
        reader
            .until("some more reads", |_| fake.requests().len() > asked + 5)
            .await;
        assert!(reader.cursor() < Cursor::new(4, 1), "{}", reader.cursor());
        fake.switches().missing.clear();
        reader.until_at(Cursor::new(6, 2)).await;
        reader.until_well().await;
        assert_eq!(reader.journalled().await, (6, 12, Vec::new()));
    })
    .await;
}

#[tokio::test]
async fn a_gap_that_may_be_skipped_is_journalled_and_does_not_hinder_the_next_start() {
    with_actors(async {
        let fake = Fake::start();
        fake.commit_vertices(8).await;
        fake.switches().missing.extend([3, 4, 7]);
        let pace = PollPace {
            on_gap: OnGap::Skip,
            limit: 3,
            ..quick()
        };
        let reader = Reader::start(&fake, pace).await;
        reader.until_at(Cursor::new(8, 2)).await;
        let jump = |after: u64, commits| StreamSkipped {
            after: Cursor::new(after, 2),
            commits,
        };
        let skipped = vec![jump(2, 2), jump(6, 1)];
        assert_eq!(reader.journalled().await, (5, 10, skipped.clone()));
        assert_eq!(reader.projections.outbox().skipped_commits, 3);
        let (journal, clock) = (reader.journal.reopen(), Arc::clone(&reader.clock));
        let report = reader.system.drain(PATIENCE).await;
        assert!(report.clean());
        fake.commit_vertices(1).await;
        let again = Reader::resume(&fake, pace, journal, clock).await;
        again.until_at(Cursor::new(9, 2)).await;
        assert_eq!(again.journalled().await, (6, 12, skipped));
        assert_eq!(again.projections.outbox().skipped_commits, 3);
    })
    .await;
}

#[tokio::test]
async fn a_position_that_expired_halts_the_poller_or_goes_on_at_the_horizon_and_says_so() {
    with_actors(async {
        for on_expired in [OnExpired::Halt, OnExpired::TrimHorizon] {
            let fake = Fake::start();
            fake.commit_vertices(2).await;
            let pace = PollPace {
                on_expired,
                ..quick()
            };
            let reader = Reader::start(&fake, pace).await;
            reader.until_at(Cursor::new(2, 2)).await;
            fake.switches().replica_at = Some(2);
            // A poll that was on its way must not see what comes now.
            let asked = fake.requests().len();
            reader
                .until("two more polls", |_| fake.requests().len() > asked + 2)
                .await;
            fake.commit_vertices(4).await;
            fake.graph().trim_before(5).await.expect("trims");
            fake.switches().replica_at = None;
            if on_expired == OnExpired::Halt {
                reader.until_alarm("stream.on_expired").await;
                assert_eq!(reader.journalled().await, (2, 4, Vec::new()));
            } else {
                reader.until_at(Cursor::new(6, 2)).await;
                let skipped = StreamSkipped {
                    after: Cursor::new(2, 2),
                    commits: 2,
                };
                assert_eq!(reader.journalled().await, (4, 8, vec![skipped]));
                fake.commit_vertices(1).await;
                reader.until_at(Cursor::new(7, 2)).await;
                reader.until_well().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_log_that_has_expired_is_gone_on_with_behind_a_graph_that_was_read_by_queries() {
    with_actors(async {
        let fake = Fake::start();
        fake.commit_vertices(2).await;
        let reader = Reader::start(&fake, quick()).await;
        reader.until_at(Cursor::new(2, 2)).await;
        let (journal, clock) = reader.stop().await;
        fake.commit_vertices(4).await;
        fake.graph().trim_before(6).await.expect("trims");
        let halted = Reader::resume(&fake, quick(), journal.clone(), Arc::clone(&clock)).await;
        halted.until_alarm("iyagi backfill").await;
        halted.stop().await;
        let sources = Sources {
            queries: &graph(fake.url()),
            stream: &stream(fake.url()),
            pace: quick(),
            clock: &*clock,
            model: &GraphModel::default(),
            page: 4,
        };
        let read = Bootstrap::by_queries(sources, |_| ()).await.expect("reads");
        assert_eq!(read.watermark(), Cursor::new(6, 2));
        let kept = journal.save_snapshot(OFFER, read.into_offer()).await;
        kept.expect("kept");
        let reader = Reader::resume(&fake, quick(), journal, clock).await;
        reader.until_at(Cursor::new(6, 2)).await;
        fake.commit_vertices(1).await;
        reader.until_at(Cursor::new(7, 2)).await;
        reader.until_well().await;
        let passed_over = StreamSkipped {
            after: Cursor::new(2, 2),
            commits: 4,
        };
        assert_eq!(reader.journalled().await, (3, 6, vec![passed_over]));
    })
    .await;
}

/// `bora` with 20 followers, who came in one commit, and then a story.
async fn mass_change_and_a_story(fake: &Fake) {
    let person = |id: &str| json!({"op": "add_vertex", "id": id, "label": "Person"});
    let followers: Vec<String> = (0..20).map(|nth| format!("person-{nth}")).collect();
    fake.commit(json!([person("bora")])).await;
    let come = followers.iter().flat_map(|id| {
        [
            person(id),
            json!({"op": "add_edge", "from": id, "label": "FOLLOWS", "to": "bora"}),
        ]
    });
    fake.commit(come.collect()).await;
    fake.commit(json!([
        {"op": "add_vertex", "id": "story", "label": "Story"},
        {"op": "add_edge", "from": "bora", "label": "POSTED", "to": "story"},
    ]))
    .await;
}

fn few_edges() -> PollPace {
    PollPace {
        commit: CommitBounds {
            edges: 5,
            records: 1_000,
        },
        ..quick()
    }
}

impl Reader {
    /// Waits until the story is told, and checks that it alone is, to every follower.
    async fn until_the_story_is_told(&self) {
        self.until("the cursor behind the story", |reader| {
            reader.cursor().commit == 3
        })
        .await;
        let events = self.journal.read(Pos::default(), usize::MAX).await;
        let (mut told, mut withheld) = (Vec::new(), Vec::new());
        for event in events.expect("reads") {
            match event.fact {
                Fact::PushRequested(requested) => told.push(requested.push.commit.commit),
                Fact::CommitWithheld(fact) => withheld.push((fact.commit.commit, fact.edges)),
                _ => {}
            }
        }
        assert_eq!(
            told, [3; 20],
            "every follower is known, and of them nobody was told"
        );
        assert_eq!(withheld, [(2, 20)]);
        assert_eq!(self.projections.outbox().withheld_commits, 1);
    }
}

#[tokio::test]
async fn a_mass_change_is_known_and_told_to_nobody() {
    with_actors(async {
        let fake = Fake::start();
        fake.switches().page_records_max = Some(3);
        mass_change_and_a_story(&fake).await;
        let reader = Reader::start(&fake, few_edges()).await;
        reader.until_the_story_is_told().await;
    })
    .await;
}

#[tokio::test]
async fn a_matcher_that_is_rebuilt_amid_a_mass_change_knows_the_whole_of_it() {
    with_actors(async {
        let fake = Fake::start();
        mass_change_and_a_story(&fake).await;
        let clock = Arc::new(Moved::default());
        let journal = MemoryJournal::new(Arc::clone(&clock) as _);
        let reader = Reader::at_rest(&fake, few_edges(), journal, clock).await;
        let log = stream(fake.url());
        let mut assembler = Assembler::behind(Cursor::START, few_edges().commit);
        let mut parts = 0;
        while let Ok(page) = log.fetch(assembler.next(), 3).await {
            for portion in assembler.take(page, Gaps::Refuse).expect("no gap") {
                parts += u32::from(matches!(portion, Portion::Part(_)));
                let told = reader.matcher.tell(Commits(vec![portion])).await;
                told.expect("it runs");
                if parts == 4 {
                    reader.system.restart("matcher").expect("it runs");
                }
            }
        }
        assert!(parts > 8, "the commit came in {parts} parts");
        reader.until_the_story_is_told().await;
    })
    .await;
}

#[tokio::test]
async fn a_service_short_of_memory_is_asked_for_less_until_it_can() {
    with_actors(async {
        let fake = Fake::start();
        fake.commit_vertices(20).await;
        fake.switches().memory_records_max = Some(9);
        let reader = Reader::start(&fake, quick()).await;
        reader.until_at(Cursor::new(20, 2)).await;
        assert_eq!(reader.journalled().await, (20, 40, Vec::new()));
        let limits: Vec<u32> = fake
            .requests()
            .iter()
            .map(|request| {
                request
                    .parameter("limit")
                    .expect("a limit")
                    .parse()
                    .expect("a number")
            })
            .collect();
        assert_eq!(limits[0], 50);
        assert!(
            limits.contains(&25) && limits.contains(&12) && limits.contains(&6),
            "{limits:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn streams_that_are_switched_off_are_an_alarm_until_they_are_on_again() {
    with_actors(async {
        let fake = Fake::start();
        fake.commit_vertices(1).await;
        let reader = Reader::start(&fake, quick()).await;
        reader.until_at(Cursor::new(1, 2)).await;
        fake.graph().set_stream_enabled(false);
        reader.until_alarm("neptune_streams").await;
        fake.commit_vertices(1).await;
        fake.graph().set_stream_enabled(true);
        reader.until_at(Cursor::new(2, 2)).await;
        reader.until_well().await;
    })
    .await;
}

/// One thing that goes wrong with one answer.
fn mishaps() -> impl Strategy<Value = Reply> {
    let page = include_str!("pages/numbers.json");
    let error = |status, code| Reply::error(status, code, "");
    prop::sample::select(vec![
        error(500, "ThrottlingException"),
        error(429, "TooManyRequestsException"),
        error(500, "MemoryLimitExceededException"),
        error(500, "InternalFailureException"),
        error(404, "StreamRecordsNotFoundException"),
        Reply::error(
            404,
            "StreamRecordsNotFoundException",
            "Last valid eventId is [commitNum = 1, opNum = 2]",
        ),
        Reply::empty(404),
        Reply::html(404),
        Reply::html(502),
        Reply::json(page).gzip().halved(),
        Reply::json(page).halved(),
        Reply::json(page).cut(),
        Reply::json(""),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_goes_wrong_every_commit_is_done_with_once_and_in_order(
        steps in prop::collection::vec((0..4_u64, prop::collection::vec(mishaps(), 0..4)), 1..6),
        page_records_max in prop::option::of(1..5_u32),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(with_actors(async {
            let fake = Fake::start();
            fake.switches().page_records_max = page_records_max;
            let reader = Reader::start(&fake, quick()).await;
            for (commits, mishaps) in steps {
                fake.switches().next.extend(mishaps);
                fake.commit_vertices(commits).await;
                tokio::task::yield_now().await;
            }
            let tip = fake.graph().tip().await.expect("a tip");
            reader.until_at(tip).await;
            reader.until("an end of mishaps", |_| fake.switches().next.is_empty()).await;
            reader.until_well().await;
            let expected = (tip.commit, tip.commit * 2, Vec::new());
            assert_eq!(reader.journalled().await, expected);
        }));
    }
}
