//! What may have changed how the daemon works: starts, another version, what operators ordered. Charts mark it, and the
//! overview says it in words under the same numbers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iyagi_actors::journal::Journal;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{EventId, Pos, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::tell::sentence;

/// Events that are remembered. More than these in an hour is a daemon that restarts in a loop, of which the newest tell.
const EVENTS_MAX: usize = 200;

/// The events that are marked, kept up to date by the journal itself.
#[derive(Clone, Default)]
pub(super) struct Marks(Arc<Mutex<BTreeMap<Pos, Event>>>);

/// An event that is marked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Mark {
    /// When, in milliseconds since 1970.
    pub(super) at: Timestamp,
    /// `started`, `stopped` or `ordered`.
    pub(super) kind: &'static str,
    /// What happened.
    pub(super) what: String,
    /// The event in the journal.
    pub(super) event: EventId,
}

/// How an event is marked, if it is.
fn kind(fact: &Fact) -> Option<&'static str> {
    match fact {
        Fact::DaemonStarted(_) => Some("started"),
        Fact::DaemonStopped(_) => Some("stopped"),
        Fact::ActorPaused(_)
        | Fact::ActorResumed(_)
        | Fact::RestartRequested(_)
        | Fact::PoolResized(_)
        | Fact::PlatformPaused(_)
        | Fact::PlatformResumed(_)
        | Fact::BackfillBegun(_)
        | Fact::FleetAssigned(_) => Some("ordered"),
        _ => None,
    }
}

impl Marks {
    /// Those of a journal. Of what was before this daemon came up, only starts and ends are: there is no chart of the rest.
    pub(super) async fn of(journal: &dyn Journal) -> Self {
        let marks = Self::default();
        let noting = marks.clone();
        journal.on_commit(Arc::new(move |events| noting.note(events)));
        match journal.entity(&Entity::new("daemon", "iyagi")).await {
            Ok(before) => marks.note(&before),
            Err(fault) => tracing::warn!(%fault, "charts do not mark what was before this start"),
        }
        marks
    }

    fn note(&self, events: &[Event]) {
        let marked = events.iter().filter(|event| kind(&event.fact).is_some());
        for event in marked {
            let mut events = self.locked();
            events.insert(event.pos, event.clone());
            if events.len() > EVENTS_MAX {
                events.pop_first();
            }
        }
    }

    /// Those from a moment on, the oldest first.
    pub(super) fn since(&self, moment: Timestamp) -> Vec<Mark> {
        let mut version: Option<String> = None;
        let mut marks = Vec::new();
        for event in self.locked().values() {
            let Some(kind) = kind(&event.fact) else {
                continue;
            };
            let mut what = sentence(event);
            if let Fact::DaemonStarted(started) = &event.fact {
                let before = version.replace(started.version.clone());
                if let Some(before) = before.filter(|before| *before != started.version) {
                    what = format!("{what} in place of {before}");
                }
            }
            if event.at >= moment {
                marks.push(Mark {
                    at: event.at,
                    kind,
                    what,
                    event: event.id,
                });
            }
        }
        marks
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<Pos, Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use iyagi_messages::fact::{DaemonStarted, DaemonStopped};
    use iyagi_messages::ids::Seq;

    use super::*;

    fn event(pos: u64, fact: impl Into<Fact>) -> Event {
        Event {
            pos: Pos(pos),
            id: EventId::root("test", &pos.to_string()),
            entity: Entity::new("daemon", "iyagi"),
            seq: Seq(pos),
            at: Timestamp(pos as i64 * 1_000),
            cause: None,
            corr: "daemon".to_owned(),
            actor: "daemon".into(),
            fact: fact.into(),
        }
    }

    fn started(pos: u64, version: &str) -> Event {
        let version = version.to_owned();
        event(pos, DaemonStarted { version })
    }

    #[test]
    fn a_start_says_which_version_it_takes_the_place_of() {
        let marks = Marks::default();
        marks.note(&[
            started(1, "1.0.0"),
            started(2, "1.0.0"),
            event(3, DaemonStopped { drained: true }),
            started(4, "1.1.0"),
        ]);
        let told = marks.since(Timestamp(2_000));
        let words: Vec<(&str, &str)> = told.iter().map(|one| (one.kind, &*one.what)).collect();
        assert_eq!(
            words,
            [
                ("started", "iyagi 1.0.0 came up"),
                ("stopped", "the daemon went down, all done"),
                ("started", "iyagi 1.1.0 came up in place of 1.0.0"),
            ]
        );
    }

    #[test]
    fn a_daemon_that_restarts_in_a_loop_is_told_of_by_its_newest_starts() {
        let marks = Marks::default();
        for pos in 0..10_000 {
            marks.note(&[started(pos, "1.0.0")]);
        }
        let told = marks.since(Timestamp(0));
        assert_eq!(told.len(), EVENTS_MAX);
        assert_eq!(told.last().map(|one| one.at), Some(Timestamp(9_999_000)));
    }
}
