//! Three daemons share one installation: whichever of them is killed or stopped, every change is told of once, in order,
//! and the journals of all agree; also if what is over is taken out of these all the time.
//!
//! It has the machine to itself, because it measures how long a leader is missed.
//! `cargo test --test fleet -- --rounds 20 --seed 7` goes on longer, or does the same again.

#[path = "../http/bearer.rs"]
mod bearer;
#[path = "../aws/neptune/fake/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the adapters' tests use the rest of it"
)]
mod fake;
#[path = "../aws/push/fake_sns.rs"]
#[allow(dead_code, reason = "the adapters' tests use the rest of it")]
mod fake_sns;
mod round;
#[path = "../aws/servers/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the adapters' tests use the rest of it"
)]
mod servers;

use std::process::ExitCode;
use std::time::Instant;

use self::round::{COMMITS, Retention, Round};

const TESTS: [(Retention, &str); 2] = [
    (
        Retention::Never,
        "whichever_host_dies_or_stops_every_change_is_told_of_once_and_all_journals_agree",
    ),
    (
        Retention::AllTheTime,
        "whichever_host_dies_or_stops_while_what_is_over_is_taken_out_nothing_is_lost_and_all_journals_agree",
    ),
];
const ROUNDS: u64 = 1;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--list") {
        for (_, name) in TESTS {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok())
            .unwrap_or(default)
    };
    let seed = number("--seed", fastrand::u64(..));
    let rounds = number("--rounds", ROUNDS);
    let began = Instant::now();
    let mut random = fastrand::Rng::with_seed(seed);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    // As of any test, a part of the name chooses.
    let part = arguments.get(1).filter(|first| !first.starts_with("--"));
    let is_chosen = |name: &str| part.is_none_or(|part| name.contains(part.as_str()));
    let chosen = TESTS.iter().filter(|(_, name)| is_chosen(name));
    let tests = chosen.clone().count();
    println!("\nrunning {tests} tests\nseed {seed}, {rounds} rounds of {COMMITS} commits");
    for (retention, name) in chosen {
        for number in 1..=rounds {
            let round = runtime.block_on(Round::begin(*retention));
            println!("round {number}: {}", round.play(&mut random));
        }
        println!("test {name} ... ok");
    }
    println!(
        "\ntest result: ok. {tests} passed; 0 failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2?}\n",
        TESTS.len() - tests,
        began.elapsed()
    );
    ExitCode::SUCCESS
}
