//! Documents into the index and queries out of it, beside what is at hand in any daemon with SQLite: its FTS5.
//!
//! `cargo bench -p iyagi-search --bench documents`. All engines get the same 200,000 posts in Korean and some Latin, of a
//! vocabulary of which a few words are in most posts, and commit every 20,000. iyagi also takes the way of the change log:
//! each post is folded from four records, and looked for in the index before it is written. FTS5 keeps no versions and is not
//! asked for any.
//!
//! Writing is CPU time of the whole process, merges and all, in one run; the clock on the wall is told besides. Queries are CPU
//! time of one thread, best hits only, all engines in turns. `SEARCH_DOCUMENTS` names another size. What is found is
//! counted besides: `unicode61` does not see into words, and `trigram` finds nothing of less than three characters.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::stream::{Op, RecordData, RecordKind, StreamRecord, TypedValue};
use iyagi_search::hits::Request;
use iyagi_search::index::{IndexReader, open};
use iyagi_search::projection::{Fold, Projection, Scope};
use iyagi_search::properties::Properties;
use iyagi_search::query::Query;
use rusqlite::{Connection, params};
use rustix::time::{ClockId, clock_gettime};

const DOCUMENTS: usize = 200_000;
const COMMITTED_AT_ONCE: usize = 20_000;
const RECORDS_A_POST: usize = 4;
const MEMORY_BYTES: usize = 64 << 20;
const HITS: u32 = 20;
const ROUNDS: usize = 25;
const VOCABULARY: usize = 20_000;

/// What is searched for, and why it costs what it costs.
const QUERIES: [(&str, &str); 10] = [
    ("one rare word", "w19000"),
    ("a word of the middle", "w400"),
    ("a word in most posts", "w0"),
    ("a word of the middle with a particle", "w400를"),
    ("part of a common word", "w1-"),
    ("one syllable in most posts", "가"),
    ("two common words", "w0 w1"),
    ("three words", "w3 w40 w500"),
    ("the beginning of a Latin word", "iy"),
    ("a quotation", "\"w0 w1\""),
];

fn main() {
    let documents = std::env::var("SEARCH_DOCUMENTS").ok();
    let documents = documents
        .and_then(|size| size.parse().ok())
        .unwrap_or(DOCUMENTS);
    let words = vocabulary();
    let posts = posts(&words, documents);
    let bytes: usize = posts.iter().map(String::len).sum();
    println!(
        "{documents} posts of {} bytes on average",
        bytes / documents
    );
    let folder = tempfile::tempdir().expect("a folder");
    let numbered = posts.iter().enumerate();
    let records: Vec<StreamRecord> = numbered
        .flat_map(|(number, post)| records(number, post))
        .collect();
    let (reader, iyagi) = written(|| index(folder.path(), &records));
    drop(records);
    row("iyagi", &posts, iyagi, iyagi, folder.path());
    let fts = ["unicode61", "trigram"].map(|tokenizer| {
        let folder = tempfile::tempdir().expect("a folder");
        let (connection, took) = written(|| sqlite(folder.path(), tokenizer, &posts));
        row(tokenizer, &posts, took, iyagi, folder.path());
        (tokenizer, folder, connection)
    });
    println!(
        "\n{:38} {:>26} {:>26} {:>26}",
        "query, ms: best / worst (found)", "iyagi", fts[0].0, fts[1].0
    );
    let mut all = Vec::new();
    for (name, query) in QUERIES {
        let query = spelled(query, &words);
        let mut engines = [Vec::new(), Vec::new(), Vec::new()];
        let mut found = [0; 3];
        for _ in 0..ROUNDS {
            let (hits, took) = timed(ClockId::ThreadCPUTime, || ask(&reader, &query));
            engines[0].push(took);
            found[0] = hits;
            for (at, (tokenizer, _, connection)) in fts.iter().enumerate() {
                let asked = || ask_sqlite(connection, tokenizer, &query);
                let (hits, took) = timed(ClockId::ThreadCPUTime, asked);
                engines[at + 1].push(took);
                found[at + 1] = hits;
            }
        }
        all.extend(engines[0].iter().copied());
        print!("{name:38}");
        for (times, found) in engines.iter().zip(found) {
            let best = times.iter().min().copied().unwrap_or_default();
            let worst = times.iter().max().copied().unwrap_or_default();
            print!(
                " {:>12.2} / {:>6.2} ({found:>2})",
                millis(best),
                millis(worst)
            );
        }
        println!();
    }
    all.sort();
    println!(
        "\niyagi, all queries: p50 {:.2} ms, p99 {:.2} ms",
        millis(all[all.len() / 2]),
        millis(all[all.len() * 99 / 100])
    );
}

/// What it took to write: of all processors together, and by the clock on the wall.
#[derive(Clone, Copy)]
struct Took {
    processors: Duration,
    wall: Duration,
}

fn written<T>(work: impl FnOnce() -> T) -> (T, Took) {
    let begin = Instant::now();
    let (result, processors) = timed(ClockId::ProcessCPUTime, work);
    let wall = begin.elapsed();
    (result, Took { processors, wall })
}

fn row(name: &str, posts: &[String], took: Took, iyagi: Took, folder: &Path) {
    let rate = |time: Duration| posts.len() as f64 / time.as_secs_f64();
    println!(
        "{name:12} {:>9.0} documents/s of CPU time, iyagi is {:.2}x; {:>9.0} by the wall; {:>4} bytes each on the disk",
        rate(took.processors),
        rate(iyagi.processors) / rate(took.processors),
        rate(took.wall),
        size_of(folder) / posts.len() as u64,
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn timed<T>(clock: ClockId, work: impl FnOnce() -> T) -> (T, Duration) {
    let now = || Duration::try_from(clock_gettime(clock)).expect("a clock goes forward");
    let begin = now();
    let result = work();
    (result, now().saturating_sub(begin))
}

fn size_of(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).expect("a folder");
    files
        .map(|file| {
            file.and_then(|file| file.metadata())
                .map_or(0, |file| file.len())
        })
        .sum()
}

fn vocabulary() -> Vec<String> {
    let mut random = Rng::with_seed(7);
    let syllables: Vec<char> = (0..600)
        .map(|_| random.char('가'..='힣'))
        .chain(['가'])
        .collect();
    let korean = |random: &mut Rng| {
        let length = random.usize(2..5);
        (0..length)
            .map(|_| syllables[random.usize(..syllables.len())])
            .collect()
    };
    let mut words: Vec<String> = (0..VOCABULARY).map(|_| korean(&mut random)).collect();
    "iyagi".clone_into(&mut words[5]);
    for word in words.iter_mut().skip(6).step_by(10) {
        *word = (0..random.usize(3..9))
            .map(|_| random.lowercase())
            .collect();
    }
    words
}

/// A word's rank falls as its square: the first is in most posts, the last in few.
fn a_word<'w>(words: &'w [String], random: &mut Rng) -> &'w str {
    let rank = random.f64().powi(4);
    &words[(rank * words.len() as f64) as usize]
}

fn posts(words: &[String], documents: usize) -> Vec<String> {
    const PARTICLES: [&str; 8] = ["", "", "를", "는", "가", "에서", "의", "와"];
    let mut random = Rng::with_seed(11);
    let post = |random: &mut Rng| {
        let length = random.usize(6..14);
        let mut post = String::new();
        for _ in 0..length {
            post += a_word(words, random);
            post += PARTICLES[random.usize(..PARTICLES.len())];
            post.push(' ');
        }
        post
    };
    (0..documents).map(|_| post(&mut random)).collect()
}

/// Puts words of the vocabulary in the place of `w` and a number; `-` leaves out a word's last character.
fn spelled(query: &str, words: &[String]) -> String {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).count();
    let mut parts = query.split('w');
    let mut spelled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) = part.split_at(digits(part));
        let mut word = words[number.parse::<usize>().expect("a number")].clone();
        let rest = rest
            .strip_prefix('-')
            .inspect(|_| {
                word.pop();
            })
            .unwrap_or(rest);
        spelled += &word;
        spelled += rest;
    }
    spelled
}

fn records(number: usize, post: &str) -> [StreamRecord; RECORDS_A_POST] {
    let record = |op_num, kind, id: String, key: &str, value: &str| StreamRecord {
        commit_timestamp: None,
        event_id: Cursor::new(number as u64 + 1, op_num),
        data: RecordData {
            id: id.into(),
            kind,
            key: key.into(),
            value: TypedValue::string(value),
            from: (kind == RecordKind::Edge).then(|| format!("person-{}", number % 1_000).into()),
            to: (kind == RecordKind::Edge).then(|| format!("story-{number}").into()),
        },
        op: Op::Add,
        is_last_op: false,
    };
    let story = || format!("story-{number}");
    [
        record(1, RecordKind::VertexLabel, story(), "label", "Story"),
        record(2, RecordKind::VertexProperty, story(), "text", post),
        record(
            3,
            RecordKind::VertexProperty,
            story(),
            "visibility",
            "public",
        ),
        record(
            4,
            RecordKind::Edge,
            format!("edge-{number}"),
            "label",
            "POSTED",
        ),
    ]
}

fn index(folder: &Path, records: &[StreamRecord]) -> IndexReader {
    let projection = Projection {
        scope: Scope::Vertices,
        properties: Properties {
            include: vec!["*".to_owned()],
            exclude: Vec::new(),
            names_max: 200,
        },
        authored_labels: vec!["POSTED".to_owned()],
    };
    let (mut writer, reader) = open(folder, projection.clone(), MEMORY_BYTES).expect("opens");
    let mut names = BTreeSet::new();
    for records in records.chunks(COMMITTED_AT_ONCE * RECORDS_A_POST) {
        let standing = writer
            .standing(&projection.touched(records))
            .expect("reads");
        let mut fold = Fold::onto(&projection, &mut names, standing);
        for record in records {
            fold.fold(record);
        }
        for write in fold.finish().writes {
            writer.write(write).expect("writes");
        }
        let last = records.last().expect("a post has records").event_id;
        writer.commit(last).expect("commits");
    }
    writer.close().expect("merges");
    reader
}

fn ask(reader: &IndexReader, query: &str) -> usize {
    let request = Request {
        query: Query::parse(query).expect("a query"),
        types: Vec::new(),
        owner: None,
        limit: HITS as usize,
        after: None,
    };
    reader.search(&request).expect("answers").hits.len()
}

fn sqlite(folder: &Path, tokenizer: &str, posts: &[String]) -> Connection {
    let mut connection = Connection::open(folder.join("fts.db")).expect("opens");
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .expect("a pragma");
    let schema = format!("CREATE VIRTUAL TABLE posts USING fts5(text, tokenize = '{tokenizer}')");
    connection.execute(&schema, []).expect("a table");
    for (batch, posts) in posts.chunks(COMMITTED_AT_ONCE).enumerate() {
        let transaction = connection.transaction().expect("begins");
        let mut insert = transaction
            .prepare_cached("INSERT INTO posts (rowid, text) VALUES (?1, ?2)")
            .expect("a statement");
        for (number, post) in (batch as i64 * COMMITTED_AT_ONCE as i64 + 1..).zip(posts) {
            insert.execute(params![number, post]).expect("inserts");
        }
        drop(insert);
        transaction.commit().expect("commits");
    }
    connection
        .execute("INSERT INTO posts(posts) VALUES('optimize')", [])
        .expect("merges");
    connection
}

/// Each word quoted, so that none is taken for an operator; the last may go on, as in iyagi.
fn ask_sqlite(connection: &Connection, tokenizer: &str, query: &str) -> usize {
    let query = if query.starts_with('"') {
        query.to_owned()
    } else {
        let words: Vec<String> = query.split(' ').map(|word| format!("\"{word}\"")).collect();
        let goes_on = if tokenizer == "trigram" { "" } else { "*" };
        words.join(" ") + goes_on
    };
    let mut select = connection
        .prepare_cached("SELECT rowid, text FROM posts WHERE posts MATCH ?1 ORDER BY rank LIMIT ?2")
        .expect("a statement");
    let rows = select.query_map(params![query, HITS], |row| row.get::<_, String>(1));
    rows.expect("answers").filter_map(Result::ok).count()
}
