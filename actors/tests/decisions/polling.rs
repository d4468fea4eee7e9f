//! What the poller makes of the stream's answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use iyagi_actors::fleet::Fleet;
use iyagi_actors::health::Health;
use iyagi_actors::journal::MemoryJournal;
use iyagi_actors::ports::{ChangeStream, Clock, Position, StreamFault};
use iyagi_actors::projections::Projections;
use iyagi_actors::runtime::{
    ChildSpec, Cx, Done, Failure, Fault, Intensity, Strategy, System, Unobserved, Worker,
};
use iyagi_actors::stream_poller::{Poll, PollPace, StreamPoller, StreamPollerContext};
use iyagi_actors::subscription_matcher::Commits;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::stream::{Op, RecordData, RecordKind, StreamPage, StreamRecord, TypedValue};
use tokio::task::LocalSet;
use tokio::time::Instant;

/// Wall time that moves with tokio's paused clock.
struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        Timestamp(i64::try_from(self.0.elapsed().as_millis()).expect("a short test"))
    }
}

/// Answers in turn; the last one for ever.
struct Script {
    answers: Mutex<VecDeque<Result<StreamPage, StreamFault>>>,
    asked: Mutex<Vec<(Position, u32)>>,
}

#[async_trait]
impl ChangeStream for Script {
    async fn fetch(&self, position: Position, limit: u32) -> Result<StreamPage, StreamFault> {
        self.asked.lock().expect("sound").push((position, limit));
        let mut answers = self.answers.lock().expect("sound");
        if answers.len() > 1 {
            answers.pop_front().expect("more than one")
        } else {
            answers.front().expect("one").clone()
        }
    }
}

struct Sink(Arc<Mutex<Vec<u64>>>);

impl Worker for Sink {
    type Msg = Commits;

    async fn handle(&mut self, commits: &Commits, _: &Cx<Commits>) -> Result<Done, Fault> {
        self.0
            .lock()
            .expect("sound")
            .extend(commits.0.iter().map(|commit| commit.number));
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, _: &Commits, _: &[Failure]) -> Result<(), Fault> {
        Ok(())
    }
}

fn page(commits: &[u64]) -> Result<StreamPage, StreamFault> {
    let record = |commit: &u64| StreamRecord {
        commit_timestamp: None,
        event_id: Cursor::new(*commit, 1),
        data: RecordData {
            id: "v".into(),
            kind: RecordKind::VertexLabel,
            key: "label".to_owned(),
            value: TypedValue::string("Person"),
            from: None,
            to: None,
        },
        op: Op::Add,
        is_last_op: true,
    };
    Ok(StreamPage {
        last_event_id: Cursor::new(*commits.last().expect("one"), 1),
        last_trx_timestamp: Timestamp(0),
        format: "PG_JSON".to_owned(),
        records: commits.iter().map(record).collect(),
        total_records: commits.len() as u64,
    })
}

fn tip(commit: u64) -> Result<StreamPage, StreamFault> {
    Err(StreamFault::NotFound {
        last_valid: Some(Cursor::new(commit, 1)),
    })
}

struct Seen {
    commits: Vec<u64>,
    asked: Vec<(Position, u32)>,
    ready: bool,
    detail: String,
}

/// Polls a script for a while of virtual time.
async fn when(answers: Vec<Result<StreamPage, StreamFault>>, lasting: Duration) -> Seen {
    LocalSet::new()
        .run_until(async move {
            let clock: Arc<dyn Clock> = Arc::new(Virtual(Instant::now()));
            let journal = MemoryJournal::new(Arc::clone(&clock));
            let projections = Projections::recover(&journal)
                .await
                .expect("an empty journal");
            let stream = Arc::new(Script {
                answers: Mutex::new(answers.into()),
                asked: Mutex::default(),
            });
            let health = Arc::new(Health::default());
            let system = System::new(7, Intensity::default(), Arc::new(Unobserved));
            let group = system.group("ingest", Strategy::RestForOne, Intensity::default());
            let commits = Arc::new(Mutex::default());
            let sink = Arc::clone(&commits);
            let matcher = group.child(ChildSpec::new("matcher"), move |_| {
                let sink = Arc::clone(&sink);
                async move { Ok(Sink(sink)) }
            });
            let context = Arc::new(StreamPollerContext {
                stream: Arc::clone(&stream) as _,
                fleet: Fleet::alone(Arc::clone(&projections)),
                projections,
                matcher,
                health: Arc::clone(&health),
                clock,
                pace: PollPace {
                    limit: 100,
                    ..PollPace::default()
                },
            });
            let poller = group.child(ChildSpec::new("poller"), move |_| {
                let context = Arc::clone(&context);
                async move { Ok(StreamPoller::new(context)) }
            });
            poller.tell(Poll).await.expect("it runs");
            tokio::time::sleep(lasting).await;
            let condition = health.all().remove("stream").expect("reported");
            let (commits, asked) = (
                commits.lock().expect("sound").clone(),
                stream.asked.lock().expect("sound").clone(),
            );
            Seen {
                commits,
                asked,
                ready: condition.ready,
                detail: condition.detail,
            }
        })
        .await
}

#[tokio::test(start_paused = true)]
async fn a_page_of_unknown_shape_stalls_the_poller_says_why_and_loses_nothing() {
    let strange = || {
        Err(StreamFault::Unparsable(
            "missing field `records`".to_owned(),
        ))
    };
    let stalled = when(vec![page(&[1, 2]), strange()], Duration::from_mins(1)).await;
    assert!(!stalled.ready && stalled.detail.contains("missing field `records`"));
    assert_eq!(stalled.commits, [1, 2]);
    let same_place = Position::After(Cursor::new(2, 1));
    assert!(
        stalled.asked[1..]
            .iter()
            .all(|(position, _)| *position == same_place)
    );
    let mended = vec![page(&[1, 2]), strange(), strange(), page(&[3]), tip(3)];
    let mended = when(mended, Duration::from_mins(1)).await;
    assert!(mended.ready);
    assert_eq!(mended.commits, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_misses_a_commit_is_read_again_until_it_is_there() {
    let answers = vec![page(&[1]), page(&[3]), page(&[3]), page(&[2, 3]), tip(3)];
    let seen = when(answers, Duration::from_mins(1)).await;
    assert_eq!(seen.commits, [1, 2, 3]);
    assert!(seen.ready);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_lags_is_waited_for_and_a_log_that_was_reset_is_an_alarm() {
    let lagging = vec![page(&[1, 2]), tip(1), tip(1), tip(2)];
    let lagging = when(lagging, Duration::from_secs(30)).await;
    assert!(lagging.ready);
    let reset = when(vec![page(&[1, 2]), tip(1)], Duration::from_mins(3)).await;
    assert!(
        !reset.ready && reset.detail.contains("reset"),
        "{}",
        reset.detail
    );
    assert_eq!(reset.commits, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn less_is_asked_for_when_the_service_runs_out_of_memory_and_more_again_later() {
    let short = || Err(StreamFault::MemoryLimit);
    let seen = when(
        vec![short(), short(), page(&[1]), tip(1)],
        Duration::from_mins(1),
    )
    .await;
    let limits: Vec<u32> = seen.asked.iter().map(|(_, limit)| *limit).collect();
    assert_eq!(limits[..3], [100, 50, 25]);
    assert_eq!(limits.last(), Some(&100));
}

#[tokio::test(start_paused = true)]
async fn the_tip_is_asked_ever_more_seldom() {
    let empty = Err(StreamFault::NotFound { last_valid: None });
    let seen = when(vec![empty], Duration::from_mins(1)).await;
    assert!(
        seen.asked.len() < 50,
        "asked {} times in a minute",
        seen.asked.len()
    );
}
