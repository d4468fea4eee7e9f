//! What the search indexer makes of the log's records and of the index's answers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use iyagi_actors::fleet::Fleet;
use iyagi_actors::health::Health;
use iyagi_actors::journal::MemoryJournal;
use iyagi_actors::ports::{
    ChangeStream, Clock, Outcome, Position, Rejection, RejectionClass, SearchFault, SearchIndex,
    StreamFault, contract,
};
use iyagi_actors::projections::{Projections, TrafficPolicy};
use iyagi_actors::runtime::{ChildSpec, Intensity, Strategy, System, Unobserved};
use iyagi_actors::search_indexer::{
    CURE, IndexTarget, LOG, SearchCounts, SearchIndexer, SearchIndexerContext, Step,
};
use iyagi_actors::stream_poller::PollPace;
use iyagi_actors::stream_poller::reading::LogSource;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::stream::{Op, RecordData, RecordKind, StreamPage, StreamRecord, TypedValue};
use iyagi_search::document::DocumentId;
use iyagi_search::hits::{Page, Request};
use iyagi_search::projection::{Standing, Write};
use tokio::task::LocalSet;
use tokio::time::Instant;

/// Wall time that moves with tokio's paused clock.
struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        let since = i64::try_from(self.0.elapsed().as_millis()).expect("a short test");
        Timestamp(1_767_225_600_000 + since)
    }
}

/// A log of one record a commit, each a person of that number.
struct Log(Mutex<Vec<StreamRecord>>);

impl Log {
    fn of(commits: std::ops::RangeInclusive<u64>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(commits.map(person).collect())))
    }

    fn append(&self, record: StreamRecord) {
        self.0.lock().expect("sound").push(record);
    }
}

fn person(number: u64) -> StreamRecord {
    StreamRecord {
        commit_timestamp: None,
        event_id: Cursor::new(number, 1),
        data: RecordData {
            id: number.to_string().into(),
            kind: RecordKind::VertexLabel,
            key: "label".into(),
            value: TypedValue::string("Person"),
            from: None,
            to: None,
        },
        op: Op::Add,
        is_last_op: true,
    }
}

#[async_trait]
impl ChangeStream for Log {
    async fn fetch(&self, position: Position, limit: u32) -> Result<StreamPage, StreamFault> {
        let log = self.0.lock().expect("sound");
        let after = match position {
            Position::After(cursor) => cursor,
            _ => Cursor::START,
        };
        let behind = log.iter().filter(|record| record.event_id > after);
        let records: Vec<StreamRecord> = behind.take(limit as usize).cloned().collect();
        let last_valid = log.last().map(|record| record.event_id);
        let last = records.last().ok_or(StreamFault::NotFound { last_valid })?;
        Ok(StreamPage {
            last_event_id: last.event_id,
            last_trx_timestamp: Timestamp(0),
            format: "PG_JSON".to_owned(),
            total_records: records.len() as u64,
            records,
        })
    }
}

/// What the index answers to writes, in turn; then it takes all.
#[derive(Clone, Copy)]
enum Mood {
    /// Out of reach, and what is not committed is forgotten.
    Crashes,
    /// Takes so many of them.
    Takes(usize),
    /// Refuses one document for good.
    Refuses,
}

#[derive(Default)]
struct Index {
    state: Mutex<State>,
}

#[derive(Default, Clone)]
struct State {
    committed: BTreeMap<DocumentId, Standing>,
    written: BTreeMap<DocumentId, Standing>,
    cursor: Cursor,
    moods: VecDeque<Mood>,
    calls: Vec<usize>,
    commits: Vec<Cursor>,
}

#[async_trait]
impl SearchIndex for Index {
    async fn begin(&self) -> Result<Cursor, SearchFault> {
        self.cursor().await
    }

    async fn property_names(&self) -> Result<BTreeSet<String>, SearchFault> {
        Ok(BTreeSet::new())
    }

    async fn cursor(&self) -> Result<Cursor, SearchFault> {
        Ok(self.state.lock().expect("sound").cursor)
    }

    async fn standing(&self, ids: &[DocumentId]) -> Result<Vec<Standing>, SearchFault> {
        let state = self.state.lock().expect("sound");
        Ok(ids
            .iter()
            .filter_map(|id| state.written.get(id).cloned())
            .collect())
    }

    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Outcome>, SearchFault> {
        let mut state = self.state.lock().expect("sound");
        state.calls.push(writes.len());
        let mood = state.moods.pop_front();
        let taken = match mood {
            Some(Mood::Crashes) => {
                state.written = state.committed.clone();
                return Err(SearchFault::Unavailable("a crash".to_owned()));
            }
            Some(Mood::Takes(some)) => some,
            Some(Mood::Refuses) | None => usize::MAX,
        };
        let one = |(at, write): (usize, Write)| match write {
            _ if at >= taken => Outcome::Throttled,
            _ if at == 0 && matches!(mood, Some(Mood::Refuses)) => Outcome::Rejected(Rejection {
                class: RejectionClass::Mapping,
                detail: "mapper_parsing_exception".to_owned(),
            }),
            Write::Index(standing) => {
                let known = state
                    .written
                    .insert(standing.document.id(), standing.clone());
                assert!(known.is_none_or(|known| known.version < standing.version));
                Outcome::Written
            }
            Write::Delete { .. } => unreachable!("nobody leaves"),
        };
        Ok(writes.into_iter().enumerate().map(one).collect())
    }

    async fn commit(&self, cursor: Cursor) -> Result<(), SearchFault> {
        let mut state = self.state.lock().expect("sound");
        state.committed = state.written.clone();
        state.cursor = cursor;
        state.commits.push(cursor);
        Ok(())
    }

    async fn retry(&self, _: &DocumentId) -> Result<Outcome, SearchFault> {
        unreachable!("nobody redrives")
    }

    async fn search(&self, _: Request) -> Result<Page, SearchFault> {
        unreachable!("the indexer asks for nothing")
    }
}

struct Seen {
    state: State,
    counts: Arc<SearchCounts>,
    ready: bool,
}

/// Indexes a log for a while of virtual time. `meanwhile` is run beside.
async fn given(
    log: Arc<Log>,
    moods: &[Mood],
    lasting: Duration,
    meanwhile: impl AsyncFnOnce(),
) -> Seen {
    let local = LocalSet::new();
    let run = local.run_until(async move {
        let clock: Arc<dyn Clock> = Arc::new(Virtual(Instant::now()));
        let journal = MemoryJournal::new(Arc::clone(&clock));
        let projections = Projections::recover(&journal, TrafficPolicy::default());
        let projections = projections.await.expect("an empty journal");
        let index = Arc::new(Index::default());
        index.state.lock().expect("sound").moods = moods.iter().copied().collect();
        let (health, counts) = (
            Arc::new(Health::default()),
            Arc::new(SearchCounts::default()),
        );
        let context = Arc::new(SearchIndexerContext {
            log: LogSource {
                stream: log,
                health: Arc::clone(&health),
                dependency: LOG,
                clock,
                pace: PollPace::default(),
                cure: CURE,
            },
            target: IndexTarget {
                index: Arc::clone(&index) as _,
                projection: contract::search_index::projection(),
                counts: Arc::clone(&counts),
                letters: None,
            },
            fleet: Fleet::alone(projections),
        });
        let system = System::new(7, Intensity::default(), Arc::new(Unobserved));
        let group = system.group("search", Strategy::OneForOne, Intensity::default());
        let indexer = group.child(ChildSpec::new("search-indexer"), move |_| {
            let context = Arc::clone(&context);
            async move { Ok(SearchIndexer::new(context)) }
        });
        indexer.tell(Step).await.expect("it runs");
        meanwhile().await;
        tokio::time::sleep(lasting).await;
        let state = index.state.lock().expect("sound").clone();
        let ready = health.all().remove("search").expect("reported").ready;
        Seen {
            state,
            counts,
            ready,
        }
    });
    run.await
}

async fn when(log: Arc<Log>, moods: &[Mood]) -> Seen {
    given(log, moods, Duration::from_mins(1), async || {}).await
}

#[tokio::test(start_paused = true)]
async fn everything_in_the_log_is_indexed_and_committed_with_its_cursor() {
    let seen = when(Log::of(1..=12_345), &[]).await;
    assert_eq!(seen.state.committed.len(), 12_345);
    assert_eq!(seen.state.cursor, Cursor::new(12_345, 1));
    assert!(seen.ready && seen.state.commits.is_sorted());
    assert!(seen.state.calls.iter().all(|documents| *documents <= 1_000));
}

#[tokio::test(start_paused = true)]
async fn an_index_that_forgets_what_was_not_committed_is_told_again() {
    let seen = when(
        Log::of(1..=3_000),
        &[Mood::Takes(1_000), Mood::Crashes, Mood::Crashes],
    )
    .await;
    assert_eq!(seen.state.committed.len(), 3_000);
    assert_eq!(seen.state.cursor, Cursor::new(3_000, 1));
    assert!(seen.ready);
}

#[tokio::test(start_paused = true)]
async fn while_the_index_is_away_its_condition_says_so_and_nothing_is_passed_over() {
    let seen = when(Log::of(1..=10), &[Mood::Crashes; 1_000]).await;
    assert_eq!((seen.state.cursor, seen.ready), (Cursor::START, false));
    // More and more seldom.
    assert!(
        (3..20).contains(&seen.state.calls.len()),
        "{:?}",
        seen.state.calls
    );
}

#[tokio::test(start_paused = true)]
async fn an_index_with_too_much_to_do_gets_less_at_once_and_in_the_end_all() {
    let moods = [Mood::Takes(700), Mood::Takes(0), Mood::Takes(20)];
    let seen = when(Log::of(1..=1_000), &moods).await;
    assert_eq!(seen.state.calls, [1_000, 300, 250, 125, 125, 30]);
    assert_eq!(seen.state.committed.len(), 1_000);
    assert_eq!(seen.state.cursor, Cursor::new(1_000, 1));
}

#[tokio::test(start_paused = true)]
async fn what_the_index_or_a_document_cannot_take_is_counted_and_the_rest_goes_on() {
    let log = Log::of(1..=10);
    let mut strange = person(11);
    strange.data.kind = RecordKind::VertexProperty;
    strange.data.value.data_type = "Geometry".into();
    log.append(strange);
    let seen = when(log, &[Mood::Refuses]).await;
    assert_eq!(seen.state.committed.len(), 9);
    assert_eq!(seen.state.cursor, Cursor::new(11, 1));
    let rejected = [
        ("mapping", 1),
        ("refused", 0),
        ("too_large", 0),
        ("too_many_names", 0),
        ("unindexable_value", 1),
        ("unversioned", 0),
    ];
    assert_eq!(seen.counts.rejected_by_reason(), rejected);
    assert_eq!(seen.counts.documents()[0], ("indexed", 9));
}

#[tokio::test(start_paused = true)]
async fn many_small_commits_of_the_graph_are_few_of_the_index_and_none_waits_long() {
    let log = Log::of(1..=1);
    let writes = Arc::clone(&log);
    let seen = given(log, &[], Duration::from_secs(3), async move || {
        for number in 2..=200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            writes.append(person(number));
        }
    });
    let seen = seen.await;
    assert_eq!(seen.state.cursor, Cursor::new(200, 1));
    // Ten seconds of writing.
    assert!(
        (10..=24).contains(&seen.state.commits.len()),
        "{:?}",
        seen.state.commits
    );
}
