//! Pages of a change log fetched, parsed and matched, against a stub that answers at once.
//!
//! `cargo bench --bench neptune`. With `BENCH_PYTHON` naming a Python that has boto3, its `neptunedata` client fetches and
//! parses the same plain pages beside it, in turns; it matches nothing. The ratio is what counts, for the absolute
//! figures depend on the machine.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use aws_config::SdkConfig;
use aws_sdk_neptunedata::Client;
use aws_sdk_neptunedata::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use iyagi::aws::clients::Clients;
use iyagi::aws::neptune::NeptuneStream;
use iyagi::config::{AwsConfig, built_in_templates};
use iyagi_actors::ports::{ChangeStream, StreamFault};
use iyagi_actors::projections::{Audience, Subscriptions, Wishes};
use iyagi_actors::stream_poller::assembler::{Assembler, CommitBounds, Gaps, Portion};
use iyagi_actors::subscription_matcher::addressing::People;
use iyagi_actors::subscription_matcher::graph::{Graph, GraphModel};
use iyagi_actors::subscription_matcher::matching::Matcher;
use iyagi_messages::cursor::Cursor;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

const PAGES: u64 = 20;
const COMMITS_A_PAGE: u64 = 2_000;
const RECORDS_A_COMMIT: u64 = 5;
const RECORDS: u64 = PAGES * COMMITS_A_PAGE * RECORDS_A_COMMIT;
const ROUNDS: usize = 5;

/// Reads the whole log and prints records a second.
const PYTHON: &str = r#"
import sys, time, boto3
from botocore.config import Config
client = boto3.client("neptunedata", endpoint_url=sys.argv[1], region_name="ap-northeast-2",
                      aws_access_key_id="AKIDBENCH", aws_secret_access_key="not-a-secret",
                      config=Config(retries={"max_attempts": 0}))
began, records, place = time.perf_counter(), 0, {"iteratorType": "TRIM_HORIZON"}
while True:
    try:
        page = client.get_propertygraph_stream(limit=10000, **place)
    except client.exceptions.StreamRecordsNotFoundException:
        break
    records += len(page["records"])
    last = page["lastEventId"]
    place = {"iteratorType": "AFTER_SEQUENCE_NUMBER", "commitNum": int(last["commitNum"]), "opNum": int(last["opNum"])}
print(records / (time.perf_counter() - began), records)
"#;

fn main() {
    let runtime = Runtime::new().expect("a runtime starts");
    let python = std::env::var("BENCH_PYTHON").ok();
    let [plain, packed] = [false, true].map(serve);
    let (mut rates, mut packed_rates, mut python_rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        rates.push(runtime.block_on(read_and_match(&plain)));
        packed_rates.push(runtime.block_on(read_and_match(&packed)));
        python_rates.extend(
            python
                .as_deref()
                .map(|python| read_in_python(python, &plain)),
        );
    }
    let (rate, packed_rate) = (median(rates), median(packed_rates));
    println!(
        "iyagi, plain pages  {rate:>10.0} records/s, fetched, parsed and matched (goal: at least 150000)"
    );
    println!(
        "iyagi, gzip pages   {packed_rate:>10.0} records/s, fetched, inflated, parsed and matched"
    );
    if python.is_some() {
        let python_rate = median(python_rates);
        println!("boto3, plain pages  {python_rate:>10.0} records/s, fetched and parsed");
        println!(
            "ratio, plain pages  {:>10.1} (goal: at least 8)",
            rate / python_rate
        );
    } else {
        println!("BENCH_PYTHON names no Python with boto3, so there is nothing to compare with");
    }
}

/// Reads and matches side by side, as the poller and the matcher do.
async fn read_and_match(url: &str) -> f64 {
    let stream = NeptuneStream::new(client(url));
    let (hand_over, mut pages) = mpsc::channel(1);
    let began = Instant::now();
    #[expect(clippy::disallowed_methods, reason = "waited for by the bench")]
    let reader = tokio::spawn(async move {
        let mut assembler = Assembler::behind(Cursor::START, CommitBounds::default());
        loop {
            let page = match stream.fetch(assembler.next(), 10_000).await {
                Ok(page) => page,
                Err(StreamFault::NotFound { .. }) => return,
                Err(fault) => panic!("{fault}"),
            };
            let commits = assembler.take(page, Gaps::Refuse).expect("no gap");
            hand_over.send(commits).await.expect("the matcher is there");
        }
    });
    let (mut graph, model) = (Graph::default(), GraphModel::default());
    let (audience, subscriptions) = (Audience::default(), Subscriptions::default());
    let templates = Arc::new(built_in_templates());
    let mut matcher = Matcher::new(model, templates, subscriptions.lexicon());
    let (mut records, mut pushes) = (0, 0);
    while let Some(commits) = pages.recv().await {
        for portion in &commits {
            let Portion::Whole(commit) = portion else {
                panic!("a small commit comes whole")
            };
            records += commit.records.len() as u64;
            let people = People {
                audience: &audience,
                wishes: &Wishes::default(),
            };
            let announced = matcher.announce(commit, &mut graph, &subscriptions, people);
            let found = announced.pushes;
            pushes += found.len() as u64;
        }
    }
    let took = began.elapsed();
    reader.await.expect("it reads to the end");
    assert_eq!(records, RECORDS);
    let follows = PAGES * COMMITS_A_PAGE - 1;
    assert_eq!(
        pushes, follows,
        "nobody is there yet for the first to follow"
    );
    RECORDS as f64 / took.as_secs_f64()
}

fn read_in_python(python: &str, url: &str) -> f64 {
    let output = Command::new(python).args(["-c", PYTHON, url]).output();
    let output = output.expect("BENCH_PYTHON is a Python");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace();
    let rate = words.next().and_then(|rate| rate.parse().ok());
    let read_all = words.next() == Some(&*RECORDS.to_string());
    rate.filter(|_| read_all)
        .unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn client(url: &str) -> Client {
    let credentials = Credentials::new("AKIDBENCH", "not-a-secret", None, None, "bench");
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("ap-northeast-2"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let config = AwsConfig {
        neptune_endpoint: Some(url.to_owned()),
        ..AwsConfig::default()
    };
    let clients = Clients::of(&sdk, &config).expect("a region is set");
    clients.neptune.expect("an endpoint is set")
}

/// Serves the log until the process ends, and says where.
fn serve(packed: bool) -> String {
    let replies: Arc<Vec<Vec<u8>>> =
        Arc::new((0..=PAGES).map(|page| reply(page, packed)).collect());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, replies) = (stream.expect("a connection"), Arc::clone(&replies));
            thread::spawn(move || answer(&stream, &replies));
        }
    });
    url
}

fn answer(mut stream: &TcpStream, replies: &[Vec<u8>]) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            // A client that is done hangs up.
            if !matches!(reader.read_line(&mut head), Ok(1..)) {
                return;
            }
        }
        let commit = head.split_once("commitNum=").map_or(0, |(_, rest)| {
            let end = rest.find(|letter: char| !letter.is_ascii_digit());
            rest[..end.unwrap_or(rest.len())]
                .parse::<u64>()
                .expect("a number")
        });
        let page = usize::try_from(commit / COMMITS_A_PAGE).expect("few pages");
        if stream.write_all(&replies[page]).is_err() {
            return;
        }
    }
}

fn reply(page: u64, packed: bool) -> Vec<u8> {
    let (status, mut body, mut encoding) = if page < PAGES {
        (200, records_of(page).into_bytes(), "")
    } else {
        let end = PAGES * COMMITS_A_PAGE;
        let text = format!(
            r#"{{"detailedMessage":"Last valid eventId is [commitNum = {end}, opNum = {RECORDS_A_COMMIT}]","requestId":"-","code":"StreamRecordsNotFoundException"}}"#
        );
        (404, text.into_bytes(), "")
    };
    if packed && status == 200 {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&body).expect("a vector takes all");
        body = encoder.finish().expect("a vector takes all");
        encoding = "content-encoding: gzip\r\n";
    }
    let head = format!(
        "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\n{encoding}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

fn person(commit: u64) -> String {
    format!("person-{commit:08}")
}

/// A page of commits: someone appears by name and follows someone who was there before.
fn records_of(page: u64) -> String {
    let mut records = String::new();
    let commits = page * COMMITS_A_PAGE + 1..=(page + 1) * COMMITS_A_PAGE;
    let last = *commits.end();
    for commit in commits {
        let (from, to) = (person(commit), person(commit / 2));
        let ends = format!(r#","from":"{from}","to":"{to}""#);
        for (op, id, kind, key, value, ends, rest) in [
            (1, &from, "vl", "label", "Person", "", ""),
            (2, &from, "vp", "name", "이름이 있는 사람", "", ""),
            (3, &from, "vp", "locale", "ko", "", ""),
            (
                4,
                &format!("edge-{commit:08}"),
                "e",
                "label",
                "FOLLOWS",
                &*ends,
                "",
            ),
            (
                5,
                &format!("edge-{commit:08}"),
                "ep",
                "via",
                "search",
                "",
                r#","isLastOp":true"#,
            ),
        ] {
            let comma = if records.is_empty() { "" } else { "," };
            write!(
                records,
                concat!(
                    r#"{}{{"commitTimestamp":1700000000000,"eventId":{{"commitNum":{},"opNum":{}}},"#,
                    r#""data":{{"id":"{}","type":"{}","key":"{}","value":{{"value":"{}","dataType":"String"}}{}}},"op":"ADD"{}}}"#
                ),
                comma, commit, op, id, kind, key, value, ends, rest
            )
            .expect("a string takes all");
        }
    }
    format!(
        r#"{{"lastEventId":{{"commitNum":{last},"opNum":{RECORDS_A_COMMIT}}},"lastTrxTimestamp":1700000000000,"format":"PG_JSON","records":[{records}],"totalRecords":{}}}"#,
        COMMITS_A_PAGE * RECORDS_A_COMMIT
    )
}
