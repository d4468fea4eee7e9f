//! What the journal costs: appends against plain write and fdatasync of the same bytes, replay, and opening.
//!
//! Run with `cargo bench --bench journal`. Rounds of both sides alternate in one run, so that a noisy disk is noisy to
//! both; the ratio is what counts. `IYAGI_BENCH_EVENTS` sets how many events the journal holds beforehand.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use iyagi::embedded::journal::SqliteJournal;
use iyagi_actors::journal::{Append, Expected, Journal};
use iyagi_actors::ports::Clock;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::device::Platform;
use iyagi_messages::event::{Entity, NewEvent};
use iyagi_messages::fact::{Fact, PushAccepted, PushAttempted, PushRequested};
use iyagi_messages::ids::{EventId, Pos, PushId, Seq, Timestamp};
use iyagi_messages::push::Push;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

const APPENDERS: [u64; 4] = [1, 16, 64, 256];
const ROUNDS: usize = 5;
const ROUND_TIME: Duration = Duration::from_millis(1200);
const EVENTS_DEFAULT: u64 = 1_000_000;
/// Events per append while the journal is filled.
const FILL_BATCH: u64 = 3_000;
const REPLAY_PAGE: usize = 4_096;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }
}

fn main() {
    let events = std::env::var("IYAGI_BENCH_EVENTS")
        .ok()
        .and_then(|events| events.parse().ok())
        .unwrap_or(EVENTS_DEFAULT);
    let runtime = Runtime::new().expect("a runtime starts");
    // Beside the build, not in a temporary folder that may be memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let path = folder.path().join("journal.db");

    let (journal, _) = open(&path);
    let filled = Instant::now();
    runtime.block_on(fill(&journal, events));
    println!(
        "{events} events written in {:.1} s",
        filled.elapsed().as_secs_f64()
    );
    drop(journal);
    measure_open_and_replay(&runtime, &path);
    measure_appends(&runtime, &path, folder.path());
}

fn open(path: &Path) -> (SqliteJournal, Duration) {
    let started = Instant::now();
    let journal = SqliteJournal::open(path, Arc::new(Still)).expect("the journal opens");
    (journal, started.elapsed())
}

async fn fill(journal: &SqliteJournal, events: u64) {
    let mut pushes = Pushes::new("fill");
    let mut left = events;
    while left > 0 {
        let batch: Vec<_> = (0..FILL_BATCH.min(left)).map(|_| pushes.next().0).collect();
        left -= batch.len() as u64;
        let append = Append {
            actor: "bench#1".into(),
            events: batch,
            expected: Vec::new(),
        };
        journal.append(append).await.expect("appended");
    }
}

fn measure_open_and_replay(runtime: &Runtime, path: &Path) {
    let mut opens = Vec::new();
    let mut rates = Vec::new();
    let mut held = 0;
    for _ in 0..ROUNDS {
        let (journal, elapsed) = open(path);
        opens.push(elapsed.as_secs_f64());
        let started = Instant::now();
        held = runtime.block_on(replay(&journal));
        rates.push(held as f64 / started.elapsed().as_secs_f64());
    }
    let size = std::fs::metadata(path).map_or(0, |file| file.len());
    println!("\n{held} events, {} bytes each on disk", size / held.max(1));
    println!(
        "open, every row checked   {:>12.2} s      (goal: < 2)",
        median(&mut opens)
    );
    println!(
        "replay, typed             {:>12.0} events/s (goal: >= 300000)",
        median(&mut rates)
    );
}

async fn replay(journal: &SqliteJournal) -> u64 {
    let mut after = Pos(0);
    let mut known = 0;
    loop {
        let page = journal.read(after, REPLAY_PAGE).await.expect("readable");
        let Some(last) = page.last() else {
            return known;
        };
        after = last.pos;
        known += page
            .iter()
            .filter(|event| !matches!(event.fact, Fact::Unknown(_)))
            .count() as u64;
    }
}

fn measure_appends(runtime: &Runtime, path: &Path, folder: &Path) {
    println!(
        "\n{:>9}  {:>12} {:>9} {:>9}  {:>12} {:>9} {:>9}  {:>6}",
        "appenders", "plain ev/s", "p50 ms", "p99 ms", "journal ev/s", "p50 ms", "p99 ms", "ratio"
    );
    let (journal, _) = open(path);
    for appenders in APPENDERS {
        let (mut plain, mut ours) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let name = format!("{appenders}-{round}");
            plain.push(run(
                runtime,
                appenders,
                &name,
                &Plain::start(&folder.join("plain.log")),
            ));
            ours.push(run(runtime, appenders, &name, &Ours(journal.clone())));
        }
        let mut ratios: Vec<_> = ours
            .iter()
            .zip(&plain)
            .map(|(ours, plain)| ours.rate / plain.rate)
            .collect();
        let (plain, ours) = (Figures::medians(&plain), Figures::medians(&ours));
        println!(
            "{appenders:>9}  {:>12.0} {:>9.2} {:>9.2}  {:>12.0} {:>9.2} {:>9.2}  {:>6.2}{}",
            plain.rate,
            plain.p50_ms,
            plain.p99_ms,
            ours.rate,
            ours.p50_ms,
            ours.p99_ms,
            median(&mut ratios),
            if appenders == 64 {
                "  (goal: >= 0.5)"
            } else {
                ""
            },
        );
    }
}

struct Figures {
    rate: f64,
    p50_ms: f64,
    p99_ms: f64,
}

impl Figures {
    fn medians(rounds: &[Self]) -> Self {
        let of =
            |figure: fn(&Self) -> f64| median(&mut rounds.iter().map(figure).collect::<Vec<_>>());
        Self {
            rate: of(|round| round.rate),
            p50_ms: of(|round| round.p50_ms),
            p99_ms: of(|round| round.p99_ms),
        }
    }
}

/// Makes one event durable.
trait Sink: Clone + Send + Sync + 'static {
    fn append(&self, event: NewEvent, seq: Seq) -> impl Future<Output = ()> + Send;
}

fn run(runtime: &Runtime, appenders: u64, name: &str, sink: &impl Sink) -> Figures {
    let started = Instant::now();
    let tasks: Vec<_> = (0..appenders)
        .map(|appender| {
            let sink = sink.clone();
            let mut pushes = Pushes::new(&format!("{name}-{appender}"));
            runtime.spawn(async move {
                let mut latencies = Vec::new();
                while started.elapsed() < ROUND_TIME {
                    let (event, seq) = pushes.next();
                    let sent = Instant::now();
                    sink.append(event, seq).await;
                    latencies.push(sent.elapsed().as_secs_f64() * 1e3);
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(runtime.block_on(task).expect("an appender does not panic"));
    }
    let rate = latencies.len() as f64 / started.elapsed().as_secs_f64();
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    Figures {
        rate,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
    }
}

#[derive(Clone)]
struct Ours(SqliteJournal);

impl Sink for Ours {
    async fn append(&self, event: NewEvent, seq: Seq) {
        let expected = vec![Expected {
            entity: event.entity.clone(),
            seq,
        }];
        let append = Append {
            actor: "bench#1".into(),
            events: vec![event],
            expected,
        };
        self.0.append(append).await.expect("appended");
    }
}

/// The physical reference: one thread that writes whatever waits and calls fdatasync.
#[derive(Clone)]
struct Plain(mpsc::UnboundedSender<(Vec<u8>, oneshot::Sender<()>)>);

impl Plain {
    fn start(path: &Path) -> Self {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .expect("a file");
        let (sender, mut queue) = mpsc::unbounded_channel();
        thread::spawn(move || {
            let mut group: Vec<(Vec<u8>, oneshot::Sender<()>)> = Vec::new();
            let mut bytes = Vec::new();
            while queue.blocking_recv_many(&mut group, 1024) > 0 {
                bytes.clear();
                for (event, _) in &group {
                    bytes.extend_from_slice(event);
                }
                file.write_all(&bytes).expect("written");
                file.sync_data().expect("durable");
                for (_, durable) in group.drain(..) {
                    durable.send(()).ok();
                }
            }
        });
        Self(sender)
    }
}

impl Sink for Plain {
    async fn append(&self, event: NewEvent, _: Seq) {
        // The same fields that a row has; numbers as wide as they are in memory.
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(&[0; 5 * 8]);
        bytes.extend_from_slice(&event.id.0);
        bytes.extend_from_slice(&event.cause.map_or([0; 16], |cause| cause.0));
        for text in [
            &event.entity.0,
            event.fact.kind(),
            &event.corr,
            "bench#1",
            &event.fact.body(),
        ] {
            bytes.extend_from_slice(text.as_bytes());
        }
        let (durable, told) = oneshot::channel();
        self.0.send((bytes, durable)).expect("the writer lives");
        told.await.expect("the writer lives");
    }
}

/// Pushes as the daemon journals them: requested, attempted, accepted.
struct Pushes {
    name: String,
    nth: u64,
    step: u64,
    last: Option<EventId>,
}

impl Pushes {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            nth: 0,
            step: 0,
            last: None,
        }
    }

    /// The next event, and where its entity is before it.
    fn next(&mut self) -> (NewEvent, Seq) {
        let recipient = format!("person-{}-{}", self.name, self.nth % 5_000).into();
        let id = PushId::derive(
            self.nth,
            &self.name.as_str().into(),
            &"follow".into(),
            &recipient,
            None,
        );
        let fact: Fact = match self.step {
            0 => PushRequested {
                push: self.push(id, recipient),
            }
            .into(),
            1 => PushAttempted { attempt: 1 }.into(),
            _ => PushAccepted {
                attempt: 1,
                gateway_id: format!("projects/voice/messages/{}", id.0),
            }
            .into(),
        };
        let corr = format!("neptune:{}", self.nth);
        let event_id = match self.last {
            Some(cause) => EventId::derived(cause, fact.kind(), 0),
            None => EventId::root(&self.name, &corr),
        };
        let event = NewEvent {
            id: event_id,
            entity: Entity::new("push", id),
            cause: self.last,
            corr,
            fact,
        };
        let seq = Seq(self.step);
        self.step = (self.step + 1) % 3;
        self.last = (self.step > 0).then_some(event_id);
        self.nth += u64::from(self.step == 0);
        (event, seq)
    }

    fn push(&self, id: PushId, recipient: iyagi_messages::ids::PersonId) -> Push {
        Push {
            id,
            recipient,
            device: Some(format!("fcm:{}:APA91b{}", self.nth, id.0.simple()).into()),
            platform: Some(Platform::Fcm),
            locale: "ko".to_owned(),
            template: "follow".into(),
            category: "social".to_owned(),
            commit: Cursor::new(self.nth, 3),
            element: format!("edge-{}", self.nth).into(),
            actor: Some("person-민지".into()),
            subject: None,
            key: None,
            at: Timestamp(1_700_000_000_000),
            expires_at: Timestamp(1_700_003_600_000),
            on_unknown_outcome: iyagi_messages::push::OnUnknownOutcome::Resend,
            burst: None,
            own_act_too: false,
            of_deletion: false,
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
