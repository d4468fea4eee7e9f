//! What the poller makes of the stream's answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use iyagi_actors::fleet::Fleet;
use iyagi_actors::health::Health;
use iyagi_actors::journal::MemoryJournal;
use iyagi_actors::ports::{ChangeStream, Clock, Position, StreamFault};
use iyagi_actors::projections::{Projections, TrafficPolicy};
use iyagi_actors::runtime::{
    ChildSpec, Cx, Done, Failure, Fault, Intensity, Strategy, System, Unobserved, Worker,
};
use iyagi_actors::stream_poller::assembler::{Gaps, Portion};
use iyagi_actors::stream_poller::{
    OnExpired, OnGap, Poll, PollPace, StreamPoller, StreamPollerContext, Tip, out_of_patience,
    tip_of,
};
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
            .extend(commits.0.iter().map(Portion::commit));
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
            key: "label".into(),
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
    given(PollPace::default(), answers, lasting).await
}

/// Polls a script for a while of virtual time, with policies of its own.
async fn given(
    pace: PollPace,
    answers: Vec<Result<StreamPage, StreamFault>>,
    lasting: Duration,
) -> Seen {
    LocalSet::new()
        .run_until(async move {
            let clock: Arc<dyn Clock> = Arc::new(Virtual(Instant::now()));
            let journal = MemoryJournal::new(Arc::clone(&clock));
            let projections = Projections::recover(&journal, TrafficPolicy::default())
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
                pace: PollPace { limit: 100, ..pace },
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

const HORIZON: Position = Position::TrimHorizon;

fn after(commit: u64) -> Position {
    Position::After(Cursor::new(commit, 1))
}

#[test]
fn no_such_records_means_one_of_four_things() {
    let at = Cursor::new(5, 2);
    let behind = Position::After(at);
    let ends = |commit, op| Some(Cursor::new(commit, op));
    for (position, asked, last_valid, expected) in [
        (at, behind, ends(5, 2), Tip::AtTip),
        (Cursor::START, HORIZON, None, Tip::AtTip),
        // Everything was trimmed away, and nothing has come since.
        (Cursor::START, HORIZON, ends(9, 1), Tip::AtTip),
        (at, HORIZON, ends(9, 1), Tip::AtTip),
        (at, behind, None, Tip::Behind { last_valid: None }),
        (
            at,
            behind,
            ends(1, 9),
            Tip::Behind {
                last_valid: ends(1, 9),
            },
        ),
        (
            at,
            HORIZON,
            ends(1, 9),
            Tip::Behind {
                last_valid: ends(1, 9),
            },
        ),
        (
            at,
            behind,
            ends(5, 3),
            Tip::Race {
                last_valid: Cursor::new(5, 3),
            },
        ),
    ] {
        let tip = tip_of(position, asked, last_valid);
        assert_eq!(tip, expected, "{position} {asked:?} {last_valid:?}");
    }
}

#[test]
fn a_contradiction_is_borne_for_a_minute() {
    let since = Timestamp(1_000);
    assert!(!out_of_patience(since, Timestamp(60_999)));
    assert!(out_of_patience(since, Timestamp(61_000)));
    assert!(
        !out_of_patience(since, Timestamp(0)),
        "a clock that was set back"
    );
}

#[test]
fn a_gap_is_passed_only_if_it_may_be_and_has_been_read_often_enough() {
    let halt = PollPace::default();
    let skip = PollPace {
        on_gap: OnGap::Skip,
        gap_reads: 3,
        ..halt
    };
    assert_eq!(halt.after_gaps(u32::MAX), Gaps::Refuse);
    assert_eq!(skip.after_gaps(2), Gaps::Refuse);
    assert_eq!(skip.after_gaps(3), Gaps::Pass);
}

#[test]
fn the_limit_falls_by_half_and_rises_by_a_tenth_and_stays_within_its_bounds() {
    let pace = PollPace {
        limit: 100,
        ..PollPace::default()
    };
    assert_eq!(PollPace::less(100), 50);
    assert_eq!(PollPace::less(1), 1);
    assert_eq!(pace.more(50), 61);
    assert_eq!(pace.more(95), 100);
    assert_eq!(pace.more(u32::MAX), 100);
}

#[tokio::test(start_paused = true)]
async fn commits_that_stay_missing_halt_the_poller_unless_it_may_skip_them() {
    let lost = || vec![page(&[1]), page(&[4])];
    let halted = when(lost(), Duration::from_mins(30)).await;
    assert_eq!(halted.commits, [1]);
    assert!(
        !halted.ready && halted.detail.contains("commit 2 is missing"),
        "{}",
        halted.detail
    );
    let skip = PollPace {
        on_gap: OnGap::Skip,
        gap_reads: 4,
        ..PollPace::default()
    };
    let answers = [
        vec![page(&[1])],
        vec![page(&[4]); 5],
        vec![page(&[5]), page(&[7]), tip(7)],
    ];
    let skipped = given(skip, answers.concat(), Duration::from_mins(10)).await;
    let reads = skipped.asked.iter().filter(|(at, _)| *at == after(1));
    assert_eq!(reads.count(), 5, "four refusals and the one that passes");
    // The script says `tip` for good from then on, so the next gap is never passed.
    assert_eq!(skipped.commits, [1, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_position_that_was_trimmed_away_halts_the_poller_unless_it_may_go_on() {
    let answers = || {
        vec![
            page(&[1]),
            Err(StreamFault::Expired),
            page(&[40]),
            page(&[41]),
            tip(41),
        ]
    };
    let only_expired = vec![page(&[1]), Err(StreamFault::Expired)];
    let halted = when(only_expired, Duration::from_mins(10)).await;
    assert_eq!(halted.commits, [1]);
    assert!(
        !halted.ready && halted.detail.contains("stream.on_expired"),
        "{}",
        halted.detail
    );
    assert!(halted.asked[1..].iter().all(|(at, _)| *at == after(1)));
    let go_on = PollPace {
        on_expired: OnExpired::TrimHorizon,
        ..PollPace::default()
    };
    let went_on = given(go_on, answers(), Duration::from_mins(1)).await;
    assert!(went_on.ready, "{}", went_on.detail);
    assert_eq!(went_on.commits, [1, 40, 41]);
    let asked: Vec<Position> = went_on.asked.iter().map(|(at, _)| *at).collect();
    assert_eq!(asked[..4], [HORIZON, after(1), HORIZON, after(40)]);
}

#[tokio::test(start_paused = true)]
async fn a_service_whose_horizon_has_expired_is_not_asked_without_end() {
    let go_on = PollPace {
        on_expired: OnExpired::TrimHorizon,
        ..PollPace::default()
    };
    let seen = given(
        go_on,
        vec![Err(StreamFault::Expired)],
        Duration::from_mins(1),
    )
    .await;
    assert!(!seen.ready && seen.asked.len() < 15, "{}", seen.asked.len());
}

#[tokio::test(start_paused = true)]
async fn a_log_that_goes_on_and_gives_nothing_is_asked_again_and_after_a_minute_an_alarm() {
    let raced = when(
        vec![page(&[1]), tip(2), page(&[2]), tip(2)],
        Duration::from_secs(30),
    )
    .await;
    assert!(raced.ready);
    assert_eq!(raced.commits, [1, 2]);
    let stuck = when(vec![page(&[1]), tip(2)], Duration::from_mins(3)).await;
    assert!(
        !stuck.ready && stuck.detail.contains("ends at 2:1"),
        "{}",
        stuck.detail
    );
    assert!(stuck.asked.len() < 100, "{}", stuck.asked.len());
}

#[tokio::test(start_paused = true)]
async fn every_other_fault_stalls_the_poller_where_it_is_and_is_told() {
    for fault in [
        StreamFault::Disabled,
        StreamFault::Denied("no".to_owned()),
        StreamFault::InvalidRequest("limit".to_owned()),
        StreamFault::Unreachable("refused".to_owned()),
        StreamFault::Throttled,
    ] {
        let seen = when(
            vec![page(&[1]), Err(fault.clone())],
            Duration::from_mins(10),
        )
        .await;
        assert!(!seen.ready && seen.detail.contains(&fault.to_string()));
        assert!(seen.asked[1..].iter().all(|(at, _)| *at == after(1)));
        assert!((10..40).contains(&seen.asked.len()), "{}", seen.asked.len());
        let mended = vec![page(&[1]), Err(fault), page(&[2]), tip(2)];
        let mended = when(mended, Duration::from_mins(1)).await;
        assert!(mended.ready);
        assert_eq!(mended.commits, [1, 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_failure_after_a_quiet_time_is_tried_again_at_once() {
    let mut answers = vec![tip(0); 40];
    answers[0] = page(&[1]);
    answers[1..].fill(tip(1));
    answers.push(Err(StreamFault::Unreachable("a blip".to_owned())));
    answers.push(page(&[2]));
    answers.push(tip(2));
    // 39 polls at the tip take less than 80 seconds; a wait of 30 seconds after the blip would show.
    let seen = when(answers, Duration::from_secs(85)).await;
    assert_eq!(seen.commits, [1, 2]);
}
