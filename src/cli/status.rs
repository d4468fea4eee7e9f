//! `iyagi status`

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Context, Exit, Failure, Output};
use crate::tell::span;

/// What is shown of the daemon's own document.
#[derive(Debug, Deserialize)]
struct Status {
    version: String,
    uptime_seconds: u64,
    ready: bool,
    dependencies: BTreeMap<String, Dependency>,
    stream: Stream,
    journal: Journal,
    pushes: Pushes,
    #[serde(default)]
    platforms: Vec<Platform>,
    catching_up_since: Option<i64>,
    dead_letters: DeadLetters,
    queues: Vec<Queue>,
    actors: Actors,
    devices: u64,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    ready: bool,
    detail: String,
}

#[derive(Debug, Deserialize)]
struct Stream {
    cursor: Place,
    tip: Option<Place>,
    lag_seconds: Option<f64>,
    headroom_seconds: Option<f64>,
    skipped_commits: u64,
    withheld_commits: u64,
}

#[derive(Debug, Deserialize)]
struct Place {
    commit: u64,
    op: u64,
}

#[derive(Debug, Deserialize)]
struct Journal {
    head: u64,
}

#[derive(Debug, Deserialize)]
struct Pushes {
    matched: u64,
    sent: u64,
    dead: u64,
    suppressed_total: u64,
    pending: u64,
    conserved: bool,
}

#[derive(Debug, Deserialize)]
struct Platform {
    #[serde(rename = "platform")]
    name: String,
    breaker: String,
    paused: Option<Pause>,
    tokens_tried: u64,
    tokens_dead: u64,
}

#[derive(Debug, Deserialize)]
struct Pause {
    reason: String,
    by: String,
}

#[derive(Debug, Deserialize)]
struct DeadLetters {
    waiting: u64,
    by_origin: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
struct Queue {
    name: String,
    visible: u64,
    in_flight: u64,
    delayed: u64,
}

#[derive(Debug, Deserialize)]
struct Actors {
    total: u64,
    by_state: BTreeMap<String, u64>,
    restarts: u64,
    panics: u64,
    troubled: Vec<Troubled>,
}

#[derive(Debug, Deserialize)]
struct Troubled {
    name: String,
    state: String,
    last_failure: Option<String>,
}

pub(super) fn status(context: &mut Context) -> Result<Exit, Failure> {
    let operations = context.operations()?;
    if context.output.json() {
        let answer: Value = operations.get("/v1/ops/status")?;
        context.output.document(&answer)?;
        return Ok(Exit::Done);
    }
    let status = operations.get("/v1/ops/status")?;
    describe(&mut context.output, &status)?;
    Ok(Exit::Done)
}

fn describe(out: &mut Output, status: &Status) -> Result<(), Failure> {
    let verdict = if status.ready { "ready" } else { "NOT READY" };
    out.line(format_args!(
        "iyagi {}: {verdict}, up for {}",
        status.version,
        span(status.uptime_seconds * 1_000)
    ))?;
    // A queue that answers is told of below, with how much is in it.
    let told = |(name, dependency): &(&String, &Dependency)| {
        !(dependency.ready && name.starts_with("queue "))
    };
    for (name, dependency) in status.dependencies.iter().filter(told) {
        let sign = if dependency.ready { "ok " } else { "BAD" };
        out.line(format_args!("  {sign} {name:<12} {}", dependency.detail))?;
    }
    out.line(format_args!("stream        {}", stream(&status.stream)))?;
    out.line(format_args!(
        "journal       position {}",
        status.journal.head
    ))?;
    let Pushes {
        matched,
        sent,
        dead,
        suppressed_total,
        pending,
        conserved,
    } = &status.pushes;
    let sign = if *conserved { "=" } else { "IS NOT" };
    out.line(format_args!(
        "pushes        {matched} matched {sign} {sent} sent + {dead} dead + {suppressed_total} suppressed + {pending} pending"
    ))?;
    let letters = counted(&status.dead_letters.by_origin);
    out.line(format_args!(
        "dead letters  {} waiting{letters}",
        status.dead_letters.waiting
    ))?;
    for queue in &status.queues {
        out.line(format_args!(
            "queue         {:<18} {} waiting, {} in hand, {} delayed",
            queue.name, queue.visible, queue.in_flight, queue.delayed
        ))?;
    }
    if status.catching_up_since.is_some() {
        out.line(format_args!(
            "  LATE changes are read late: only what is urgent is told of at once"
        ))?;
    }
    for service in &status.platforms {
        out.line(format_args!("{}", platform(service)))?;
    }
    out.line(format_args!("devices       {}", status.devices))?;
    let actors = &status.actors;
    out.line(format_args!(
        "actors        {}{}; {} restarts, {} panics",
        actors.total,
        counted(&actors.by_state),
        actors.restarts,
        actors.panics
    ))?;
    for troubled in &actors.troubled {
        let reason = troubled
            .last_failure
            .as_deref()
            .unwrap_or("no reason known");
        out.line(format_args!(
            "  BAD {}: {}, {reason}",
            troubled.name, troubled.state
        ))?;
    }
    Ok(())
}

fn stream(stream: &Stream) -> String {
    let place = |place: &Place| format!("{}:{}", place.commit, place.op);
    let at = place(&stream.cursor);
    let line = match (&stream.tip, stream.lag_seconds) {
        (Some(tip), Some(lag)) if lag > 0.0 => {
            let kept = stream
                .headroom_seconds
                .map_or_else(String::new, |headroom| {
                    format!(", {headroom:.1} s before it would be trimmed")
                });
            format!("{at} of {}, {lag:.1} s behind{kept}", place(tip))
        }
        (Some(_), Some(_)) => format!("{at}, at the tip"),
        (Some(tip), None) => format!("{at} of {}", place(tip)),
        (None, _) => format!("{at}; the graph does not say how far it is"),
    };
    let line = match stream.skipped_commits {
        0 => line,
        skipped => format!("{line}; {skipped} commits were passed over"),
    };
    match stream.withheld_commits {
        0 => line,
        withheld => format!("{line}; of {withheld} nobody was told, they changed too much at once"),
    }
}

/// What is well needs no line but the state; a platform that sends nothing says why, and what to do.
fn platform(service: &Platform) -> String {
    let name = &service.name;
    let tokens = format!(
        "{} of {} tokens dead in 5 minutes",
        service.tokens_dead, service.tokens_tried
    );
    match &service.paused {
        Some(Pause { reason, by }) => {
            format!("{name:<13} PAUSED ({reason}: {by}); `iyagi resume {name}` goes on; {tokens}")
        }
        None if service.breaker == "closed" => format!("{name:<13} sending; {tokens}"),
        None => format!(
            "{name:<13} DOWN, breaker {}: its pushes wait; {tokens}",
            service.breaker
        ),
    }
}

fn counted(by: &BTreeMap<String, u64>) -> String {
    if by.is_empty() {
        return String::new();
    }
    let parts: Vec<_> = by
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    format!(" ({})", parts.join(", "))
}
