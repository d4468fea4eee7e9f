//! The matcher beside general engines: pages of changes parsed and matched, on one thread.
//!
//! `cargo bench -p iyagi-actors --bench matcher`. All engines read the same pages. iyagi takes the daemon's own way: a page
//! is parsed, put together to commits, matched and folded into a graph that knows a million people already. The others
//! parse the page with serde into borrowed records, and are asked in the way that suits them best: one composite key
//! for what a record may be asked by. They keep no graph, and know neither commits nor updates. What it costs either side to
//! read the pages is measured besides, so that what is left for matching can be told.
//!
//! Figures are CPU time of the thread: best and worst of rounds in which the engines take turns. The ratio is what
//! counts. `MATCHER_SUBSCRIPTIONS` names one size, `MATCHER_ROUNDS` the rounds; `MATCHER_ALONE` leaves the others out.

mod matching;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iyagi_actors::projections::Subscriptions;
use iyagi_actors::stream_poller::assembler::{Assembler, CommitBounds, Gaps, Portion};
use iyagi_actors::subscription_matcher::graph::{Graph, GraphModel};
use iyagi_actors::subscription_matcher::matching::{Matcher, Templates};
use iyagi_messages::change::Commit;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::stream::{Op, RecordData, RecordKind, StreamPage, StreamRecord, TypedValue};
use iyagi_messages::subscription::Subscription;
use matching::{Asked, Log, PEOPLE, Popularity, asked, id_of};
use mokaccino::prelude::{CNFQueryable as _, Document, Percolator, Query};
use quamina::{Quamina, QuaminaBuilder};
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;

const RECORDS: u64 = 200_000;
const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Subscriptions up to which the other engines can be built in a time that one waits.
const OTHERS_MAX: usize = 100_000;
const ADDED: usize = 20_000;
/// What the poller hands over at once, in commits.
const COMMITS_AT_ONCE: usize = 1_000;

fn main() {
    let from_environment = |name: &str| std::env::var(name).ok()?.parse::<usize>().ok();
    let rounds = from_environment("MATCHER_ROUNDS").unwrap_or(5);
    let only = from_environment("MATCHER_SUBSCRIPTIONS");
    println!("{RECORDS} records in each of {rounds} rounds");
    for size in SIZES
        .into_iter()
        .filter(|size| only.is_none_or(|only| only == *size))
    {
        compare(size, rounds);
    }
}

fn compare(size: usize, rounds: usize) {
    let asked = asked(size);
    let mut iyagi = Iyagi::new(&asked);
    let others = size <= OTHERS_MAX && std::env::var_os("MATCHER_ALONE").is_none();
    let quamina = others.then(|| composite_quamina(&asked));
    let fields = others.then(|| mokaccino_of(&asked, Asked::query));
    let composite = others.then(|| mokaccino_of(&asked, |one| "k".has_value(one.key())));
    let mut outcomes = [
        "iyagi",
        "quamina, composite key",
        "mokaccino",
        "mokaccino, composite key",
    ]
    .map(|name| (name, Outcome::default()));
    let mut reading = [Duration::MAX; 2];
    let mut log = Log::new();
    for _ in 0..rounds {
        let pages = log.pages(RECORDS);
        for (best, read) in reading.iter_mut().zip([read_as_iyagi, read_as_others]) {
            let began = thread_time();
            black_box(read(&pages));
            *best = thread_time().saturating_sub(began).min(*best);
        }
        let mut matches = None;
        for (nth, (name, outcome)) in outcomes.iter_mut().enumerate() {
            let began = thread_time();
            let matched = match nth {
                0 => Some(iyagi.run(&pages)),
                1 => quamina.as_ref().map(|engine| run_quamina(engine, &pages)),
                2 => fields.as_ref().map(|engine| run_mokaccino(engine, &pages)),
                _ => composite
                    .as_ref()
                    .map(|engine| run_composite_mokaccino(engine, &pages)),
            };
            let took = thread_time().saturating_sub(began);
            let Some(matched) = black_box(matched) else {
                continue;
            };
            assert_eq!(
                matched,
                *matches.get_or_insert(matched),
                "{name} matches the same"
            );
            outcome.times.push(took);
            outcome.matched += matched;
        }
    }
    report(size, &outcomes, reading);
    if size == SIZES[SIZES.len() - 1] {
        report_changes(&mut iyagi.subscriptions, size);
    }
}

/// What came of an engine's rounds.
#[derive(Default)]
struct Outcome {
    matched: u64,
    times: Vec<Duration>,
}

fn report(size: usize, outcomes: &[(&str, Outcome)], reading: [Duration; 2]) {
    let best = |outcome: &Outcome| outcome.times.iter().min().copied();
    let rate = |time: Duration| RECORDS as f64 / time.as_secs_f64();
    let iyagi = &outcomes[0].1;
    let records = RECORDS * iyagi.times.len() as u64;
    let matches = iyagi.matched as f64 / records as f64;
    println!("\n{size} subscriptions, {matches:.2} matches a record");
    for (name, outcome) in outcomes {
        let (Some(time), Some(worst)) = (best(outcome), outcome.times.iter().max()) else {
            println!("  {name:<25} not built");
            continue;
        };
        let iyagi = best(iyagi).unwrap_or_default();
        println!(
            "  {name:<25} {:>9.0} records/s, worst round {:>9.0}; iyagi is {:.1} times as fast",
            rate(time),
            rate(*worst),
            time.as_secs_f64() / iyagi.as_secs_f64(),
        );
    }
    report_matching(outcomes, reading);
}

/// What is left of the best rounds when reading is taken away.
fn report_matching(outcomes: &[(&str, Outcome)], [of_iyagi, of_others]: [Duration; 2]) {
    let per_record = |time: Duration| time.as_nanos() as f64 / RECORDS as f64;
    println!("  nanoseconds a record         reading  all else");
    let mut iyagi = None;
    for (name, outcome) in outcomes {
        let Some(time) = outcome.times.iter().min() else {
            continue;
        };
        let reading = if iyagi.is_none() { of_iyagi } else { of_others };
        let rest = per_record(time.saturating_sub(reading));
        let ratio = rest / *iyagi.get_or_insert(rest);
        println!(
            "  {name:<28} {:>7.0} {rest:>9.0}; {ratio:.1} times iyagi's",
            per_record(reading)
        );
    }
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn read_as_iyagi(pages: &[Vec<u8>]) -> usize {
    let read = pages.iter().map(|page| StreamPage::parse(page));
    read.map(|page| black_box(page.expect("a page")).records.len())
        .sum()
}

fn read_as_others(pages: &[Vec<u8>]) -> usize {
    let read = pages.iter().map(|page| serde_json::from_slice(page));
    read.map(|page: serde_json::Result<PlainPage<'_>>| {
        black_box(page.expect("a page")).records.len()
    })
    .sum()
}

/// The daemon's way from a page to the subscriptions that it is news to.
struct Iyagi {
    graph: Graph,
    subscriptions: Subscriptions,
    matcher: Matcher,
    assembler: Assembler,
}

impl Iyagi {
    fn new(asked: &[Asked]) -> Self {
        let mut subscriptions = Subscriptions::default();
        let mut graph = Graph::speaking(subscriptions.lexicon());
        graph.fold(&census(), &GraphModel::default());
        let mut popularity = Popularity::new(3, 0.0);
        for (nth, one) in asked.iter().enumerate() {
            subscriptions.put(&one.subscription(nth, &mut popularity));
        }
        let (model, templates) = (GraphModel::default(), Arc::new(Templates::default()));
        Self {
            matcher: Matcher::new(model, templates, subscriptions.lexicon()),
            assembler: Assembler::behind(graph.cursor, CommitBounds::default()),
            graph,
            subscriptions,
        }
    }

    fn run(&mut self, pages: &[Vec<u8>]) -> u64 {
        let subscriptions = &self.subscriptions;
        let mut matched = 0;
        for page in pages {
            let page = StreamPage::parse(page).expect("a page");
            let portions = self.assembler.take(page, Gaps::Refuse).expect("no gap");
            let whole = portions.iter().map(|portion| match portion {
                Portion::Whole(commit) => commit,
                _ => panic!("a small commit comes whole"),
            });
            let commits: Vec<&Commit> = whole.collect();
            // As much at once as the poller hands over.
            for commits in commits.chunks(COMMITS_AT_ONCE) {
                self.matcher
                    .look_ahead(commits.iter().copied(), subscriptions);
                for commit in commits {
                    let found = self.matcher.matches(commit, &mut self.graph, subscriptions);
                    let rows = found.changes().iter().map(|change| found.rows(change));
                    matched += rows.map(|rows| black_box(rows).len() as u64).sum::<u64>();
                }
            }
        }
        matched
    }
}

/// A commit by which everybody comes into being.
fn census() -> Commit {
    let records = (0..PEOPLE).map(|person| StreamRecord {
        commit_timestamp: None,
        event_id: Cursor::new(1, u64::from(person) + 1),
        data: RecordData {
            id: id_of(person).into(),
            kind: RecordKind::VertexLabel,
            key: "label".into(),
            value: TypedValue::string("Person"),
            from: None,
            to: None,
        },
        op: Op::Add,
        is_last_op: false,
    });
    Commit {
        number: 1,
        at: Timestamp(0),
        records: records.collect(),
    }
}

/// How long it takes to add and to remove one among many, each for itself.
fn report_changes(subscriptions: &mut Subscriptions, present: usize) {
    let mut popularity = Popularity::new(4, 0.0);
    let more: Vec<_> = asked(ADDED)
        .iter()
        .zip(present..)
        .map(|(one, nth)| one.subscription(nth, &mut popularity))
        .collect();
    let timed = |act: &mut dyn FnMut(&Subscription)| -> Vec<Duration> {
        let times = more.iter().map(|one| {
            let began = Instant::now();
            act(one);
            began.elapsed()
        });
        times.collect()
    };
    let added = timed(&mut |one| subscriptions.put(one));
    let removed = timed(&mut |one| subscriptions.remove(&one.id));
    println!("\nOne more among {present}, {ADDED} times");
    for (name, mut times) in [("adding", added), ("removing", removed)] {
        times.sort_unstable();
        let part = |thousandths: usize| times[(times.len() - 1) * thousandths / 1_000];
        println!(
            "  {name:<10} median {:?}, 99.9 % within {:?}, longest {:?}",
            part(500),
            part(999),
            part(1_000)
        );
    }
}

/// A page as one who only matches would read it.
#[derive(Deserialize)]
struct PlainPage<'p> {
    #[serde(borrow)]
    records: Vec<PlainRecord<'p>>,
}

#[derive(Deserialize)]
struct PlainRecord<'p> {
    #[serde(borrow)]
    data: PlainData<'p>,
    op: &'p str,
}

#[derive(Deserialize)]
struct PlainData<'p> {
    id: &'p str,
    r#type: &'p str,
    key: &'p str,
    #[serde(borrow)]
    value: PlainValue<'p>,
    from: Option<&'p str>,
    to: Option<&'p str>,
}

#[derive(Deserialize)]
struct PlainValue<'p> {
    value: &'p str,
}

/// Calls `with` with the composite keys of each record of the pages.
fn each_record(pages: &[Vec<u8>], mut with: impl FnMut(&[&str])) {
    let mut keys = [String::new(), String::new()];
    for page in pages {
        let page: PlainPage<'_> = serde_json::from_slice(page).expect("a page");
        for PlainRecord { data, op } in page.records {
            keys.iter_mut().for_each(String::clear);
            if let ("e", "ADD", Some(from), Some(to)) = (data.r#type, op, data.from, data.to) {
                let label = data.value.value;
                keys[0].extend(["to:", label, ":", to]);
                keys[1].extend(["from:", label, ":", from]);
                with(&[&keys[0], &keys[1]]);
            } else {
                keys[0].extend(["prop:", data.key, ":", data.id]);
                with(&[&keys[0]]);
            }
        }
    }
}

fn composite_quamina(asked: &[Asked]) -> Quamina<u32> {
    let builder = QuaminaBuilder::new().with_arena_byte_budget(8 << 30);
    let mut quamina = builder.build().expect("builds");
    for (one, nth) in asked.iter().zip(0..) {
        let pattern = format!(r#"{{"k":["{}"]}}"#, one.key());
        quamina.add_pattern(nth, &pattern).expect("a pattern");
    }
    // The first event pays for making it ready.
    quamina.matches_for_event(br#"{"k":"-"}"#).expect("JSON");
    quamina
}

fn run_quamina(quamina: &Quamina<u32>, pages: &[Vec<u8>]) -> u64 {
    let mut matched = 0;
    let mut event = String::new();
    each_record(pages, |keys| {
        // No key has anything to escape.
        event.clear();
        event.push_str(r#"{"k":["#);
        for (nth, key) in keys.iter().enumerate() {
            event.extend([if nth == 0 { "\"" } else { ",\"" }, key, "\""]);
        }
        event.push_str("]}");
        let found = quamina.matches_for_event(event.as_bytes()).expect("JSON");
        matched += black_box(found).len() as u64;
    });
    matched
}

fn mokaccino_of(asked: &[Asked], said: impl Fn(&Asked) -> Query) -> Percolator {
    let mut mokaccino = Percolator::default();
    for one in asked {
        mokaccino.add_query(said(one));
    }
    mokaccino
}

impl Asked {
    /// Field by field, as its manual has it.
    fn query(&self) -> Query {
        match *self {
            Self::EdgeTo(person, label) => "to".has_value(id_of(person)) & "label".has_value(label),
            Self::EdgeFrom(person, label) => {
                "from".has_value(id_of(person)) & "label".has_value(label)
            }
            Self::Property(person, key) => "id".has_value(id_of(person)) & "key".has_value(key),
        }
    }
}

fn run_mokaccino(mokaccino: &Percolator, pages: &[Vec<u8>]) -> u64 {
    let mut matched = 0;
    for page in pages {
        let page: PlainPage<'_> = serde_json::from_slice(page).expect("a page");
        for PlainRecord { data, .. } in page.records {
            let document = Document::default();
            let document = match (data.from, data.to) {
                (Some(from), Some(to)) => document
                    .with_value("from", from)
                    .with_value("to", to)
                    .with_value("label", data.value.value),
                _ => document
                    .with_value("id", data.id)
                    .with_value("key", data.key),
            };
            let found: Vec<_> = mokaccino.percolate(&document).collect();
            matched += black_box(found).len() as u64;
        }
    }
    matched
}

fn run_composite_mokaccino(mokaccino: &Percolator, pages: &[Vec<u8>]) -> u64 {
    let mut matched = 0;
    each_record(pages, |keys| {
        let keys = keys.iter();
        let document = keys.fold(Document::default(), |document, key| {
            document.with_value("k", *key)
        });
        let found: Vec<_> = mokaccino.percolate(&document).collect();
        matched += black_box(found).len() as u64;
    });
    matched
}
