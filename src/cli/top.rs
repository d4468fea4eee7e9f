//! `iyagi top`: the actors at work, again and again.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::{Context, Exit, Failure};
use crate::tell::span;

#[derive(Debug, Args)]
pub(super) struct TopArguments {
    /// Show it once.
    #[arg(long)]
    once: bool,
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

#[derive(Debug, Deserialize)]
struct Page {
    actors: Vec<Actor>,
}

#[derive(Debug, Deserialize)]
struct Actor {
    name: String,
    group: String,
    kind: String,
    state: String,
    mailbox: Mailbox,
    oldest_message_ms: Option<u64>,
    counters: Counters,
    latency: Latency,
    size: Option<u64>,
    last_failure: Option<LastFailure>,
}

#[derive(Debug, Deserialize)]
struct Mailbox {
    len: u64,
    capacity: u64,
}

#[derive(Debug, Deserialize)]
struct Counters {
    handled: u64,
    failed: u64,
    panics: u64,
    restarts: u64,
}

#[derive(Debug, Deserialize)]
struct Latency {
    count: u64,
    p99_us: u64,
}

#[derive(Debug, Deserialize)]
struct LastFailure {
    reason: String,
}

/// Clears a terminal and begins at its top.
const CLEAR: &[u8] = b"\x1b[2J\x1b[H";
const HEADER: [&str; 10] = [
    "ACTOR", "STATE", "SIZE", "MAILBOX", "OLDEST", "HANDLED", "PER S", "FAILED", "RESTARTS", "P99",
];

pub(super) fn top(context: &mut Context, arguments: &TopArguments) -> Result<Exit, Failure> {
    let operations = context.operations()?;
    let interval = Duration::from_secs(arguments.interval);
    let clears = !arguments.once && io::stdout().is_terminal();
    let mut before: HashMap<String, u64> = HashMap::new();
    let mut looked = Instant::now();
    loop {
        let answer: Value = operations.get("/v1/ops/actors")?;
        let elapsed = looked.elapsed().as_secs_f64();
        looked = Instant::now();
        if context.output.json() {
            context.output.object(&answer)?;
        } else {
            let page = Page::deserialize(&answer);
            let actors = page.map_err(io::Error::from)?.actors;
            if clears {
                context.output.raw(CLEAR)?;
            }
            let rows: Vec<_> = actors
                .iter()
                .map(|actor| row(actor, before.get(&actor.name).copied(), elapsed))
                .collect();
            context.output.table(&HEADER, &rows)?;
            before = actors
                .into_iter()
                .map(|actor| (actor.name, actor.counters.handled))
                .collect();
        }
        context.output.flush()?;
        if arguments.once {
            return Ok(Exit::Done);
        }
        std::thread::sleep(interval);
    }
}

fn row(actor: &Actor, before: Option<u64>, elapsed: f64) -> Vec<String> {
    let counters = &actor.counters;
    let dash = || "-".to_owned();
    let rate = before.map(|before| {
        let handled = counters.handled.saturating_sub(before);
        format!("{:.1}", handled as f64 / elapsed.max(0.001))
    });
    let indent = if actor.kind == "worker" { "  " } else { "" };
    let mut state = actor.state.clone();
    if let (true, Some(failure)) = (
        state == "backing_off" || state == "failed",
        &actor.last_failure,
    ) {
        let reason: String = failure.reason.chars().take(30).collect();
        state = format!("{state} ({reason})");
    }
    let own_name = actor.name.strip_prefix(&format!("{}/", actor.group));
    let name = own_name
        .filter(|_| !indent.is_empty())
        .unwrap_or(&actor.name);
    vec![
        format!("{indent}{name}"),
        state,
        actor.size.map_or_else(dash, |size| size.to_string()),
        format!("{}/{}", actor.mailbox.len, actor.mailbox.capacity),
        actor.oldest_message_ms.map_or_else(dash, span),
        counters.handled.to_string(),
        rate.unwrap_or_else(dash),
        counters.failed.to_string(),
        match counters.panics {
            0 => counters.restarts.to_string(),
            panics => format!("{} ({panics} panics)", counters.restarts),
        },
        match actor.latency.count {
            0 => dash(),
            _ => format!("{:.1} ms", actor.latency.p99_us as f64 / 1_000.0),
        },
    ]
}
