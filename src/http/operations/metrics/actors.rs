//! What is told of actors.

use iyagi_actors::runtime::{ActorKind, ActorSnapshot, ActorState, Counters};

use crate::http::operations::exposition::Exposition;
use crate::http::operations::status;

/// Reads one figure of an actor.
type Gauge = fn(&ActorSnapshot) -> f64;

const STATES: [ActorState; 9] = [
    ActorState::Starting,
    ActorState::Running,
    ActorState::Idle,
    ActorState::BackingOff,
    ActorState::Paused,
    ActorState::Draining,
    ActorState::Stuck,
    ActorState::Failed,
    ActorState::Stopped,
];

pub(super) fn of_actors(text: &mut Exposition, all: &[ActorSnapshot]) {
    // A pool counts what its workers do; a label per worker would grow with every resize.
    let actors = || all.iter().filter(|actor| actor.kind != ActorKind::Worker);
    let mut family = text.gauge("iyagi_actor_state", "1 for the state that an actor is in");
    for actor in actors() {
        for state in STATES {
            let labels = [
                ("actor", &*actor.name),
                ("state", status::state_name(state)),
            ];
            family.sample(&labels, u8::from(actor.state == state));
        }
    }
    let gauges: [(&str, &str, Gauge); 5] = [
        (
            "iyagi_actor_mailbox_messages",
            "Messages accepted and not finished",
            |actor| actor.mailbox.len as f64,
        ),
        (
            "iyagi_actor_mailbox_capacity_messages",
            "The most that a mailbox accepts",
            |actor| actor.mailbox.capacity as f64,
        ),
        (
            "iyagi_actor_mailbox_peak_messages",
            "The most there ever were in a mailbox",
            |actor| actor.mailbox.peak as f64,
        ),
        (
            "iyagi_actor_oldest_message_seconds",
            "Age of the oldest message in hand",
            |actor| actor.oldest_message_ms.unwrap_or(0) as f64 / 1_000.0,
        ),
        (
            "iyagi_actor_workers",
            "Workers of a pool, subscribers of a topic, 1 for an actor",
            |actor| actor.size.unwrap_or(1) as f64,
        ),
    ];
    for (name, help, value) in gauges {
        let mut family = text.gauge(name, help);
        actors().for_each(|actor| family.sample(&[("actor", &*actor.name)], value(actor)));
    }
    let mut family = text.counter(
        "iyagi_actor_messages_total",
        "Messages by what became of them",
    );
    for actor in actors() {
        for (outcome, count) in outcomes(&actor.counters) {
            family.sample(&[("actor", &*actor.name), ("outcome", outcome)], count);
        }
    }
    let mut family = text.counter("iyagi_actor_restarts_total", "Times an actor was rebuilt");
    actors().for_each(|actor| family.sample(&[("actor", &*actor.name)], actor.counters.restarts));
    let mut family = text.counter("iyagi_actor_panics_total", "Panics that were caught");
    actors().for_each(|actor| family.sample(&[("actor", &*actor.name)], actor.counters.panics));
    let mut family = text.counter(
        "iyagi_actor_backpressure_seconds_total",
        "Time that senders waited for room, by sender",
    );
    for actor in actors() {
        for (sender, ms) in &actor.backpressure_ms_by_sender {
            let labels = [("actor", &*actor.name), ("sender", &**sender)];
            family.sample(&labels, *ms as f64 / 1_000.0);
        }
    }
    let mut family = text.histogram(
        "iyagi_actor_handle_seconds",
        "Time from taking a message in hand until it was done",
    );
    actors().for_each(|actor| family.distribution(&[("actor", &*actor.name)], &actor.latency));
    let mut family = text.histogram(
        "iyagi_actor_queue_seconds",
        "Time from acceptance until a message was taken in hand",
    );
    actors().for_each(|actor| family.distribution(&[("actor", &*actor.name)], &actor.queue_time));
}

fn outcomes(counters: &Counters) -> [(&'static str, u64); 5] {
    [
        ("received", counters.received),
        ("handled", counters.handled),
        ("failed", counters.failed),
        ("set_aside", counters.set_aside),
        ("handed_back", counters.handed_back),
    ]
}
