//! What the journal costs a push, and what a million of them cost that wait.
//!
//! `BENCH_PYTHON=<a Python with boto3> BENCH_IN_FLIGHT=64 cargo bench --bench push` prints:
//! - pushes a second through the journal, to a server shaped like SNS and one shaped like Firebase that answer after 20 ms,
//!   beside a plain loop with the same gateway and as many in flight and no journal, in turns within one run; and beside
//!   Python's SDK in as many threads. The servers are processes of their own.
//! - with `-- pending`, of 1,000,000 pending pushes: resident memory while they come, while the push service is down, and
//!   while they are sent; and the time from the start of the process to the first push that is accepted, after `kill -9`.

mod pending;
mod python;
mod sending;
mod stub;

use std::time::Duration;

/// How long the servers take for an answer.
const ANSWER: Duration = Duration::from_millis(20);
const PUSHES: usize = 20_000;
/// Python gets fewer: it is measured for about as long.
const PUSHES_PYTHON: usize = 2_000;
const ROUNDS: usize = 3;

/// Pushes on their way at once, on both sides alike.
fn in_flight() -> usize {
    let asked = std::env::var("BENCH_IN_FLIGHT").ok();
    asked.and_then(|number| number.parse().ok()).unwrap_or(64)
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let role = |name: &str| arguments.iter().any(|argument| argument == name);
    let folder = || arguments.last().expect("a folder").clone();
    if role(stub::SNS) {
        stub::serve_sns();
    } else if role(stub::FCM) {
        stub::serve_fcm();
    } else if role(pending::FILL) {
        pending::fill(folder().as_ref());
    } else if role(pending::GO_ON) {
        pending::go_on(folder().as_ref());
    } else if role("pending") {
        pending::measure();
    } else {
        compare();
    }
}

fn compare() {
    let in_flight = in_flight();
    println!(
        "{in_flight} in flight, {PUSHES} pushes, answers after {ANSWER:?}, medians of {ROUNDS} rounds in turns"
    );
    let sns = stub::Stub::start(stub::SNS);
    let to_sns = sending::compare("SNS", || sending::sns(&sns.url));
    if let Ok(python) = std::env::var("BENCH_PYTHON") {
        let rounds = (0..ROUNDS).map(|_| python::publish(&python, &sns.url));
        let theirs = sending::median(rounds.collect());
        println!("boto3, {in_flight} threads           {theirs:>8.0} pushes/s");
        println!(
            "SNS through the journal, beside boto3  {:>5.1}   (goal ≥ 8)",
            to_sns / theirs
        );
    }
    let fcm = stub::Stub::start(stub::FCM);
    sending::compare("FCM", || sending::fcm(&sns.url, &fcm.url));
}
