//! What must be true of every journal once all is done.

use std::collections::BTreeMap;
use std::path::Path;

use iyagi::embedded::journal::JournalReader;
use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::Pos;
use iyagi_messages::push::FailureClass;
use serde_json::Value;

use super::{MAX_IN_FLIGHT, PUSHES, Retention, Round};

impl Round {
    pub(super) fn check(&self) -> String {
        let histories: Vec<_> = self.hosts.iter().map(|host| history(&host.data)).collect();
        let head = |history: &Vec<Event>| history.last().map_or(Pos(0), |event| event.pos);
        let head = histories.iter().map(head).min().expect("three");
        let common = histories[0].partition_point(|event| event.pos <= head);
        for history in &histories {
            assert_eq!(
                history[..history.partition_point(|event| event.pos <= head)],
                histories[0][..common],
                "all journals agree"
            );
        }
        if self.retention == Retention::AllTheTime {
            self.check_what_was_taken_out(&histories[0]);
        }
        let mut repeats = 0;
        for (host, history) in self.hosts.iter().zip(&histories) {
            let journal = JournalReader::open(&host.data.join("journal.db")).expect("sound");
            let report = journal.audit().expect("readable");
            assert_eq!(report.violations, [], "{}", host.data.display());
            assert_eq!(
                (
                    report.counts.matched,
                    report.counts.sent,
                    report.counts.pending
                ),
                (PUSHES, PUSHES, 0)
            );
            if self.retention == Retention::Never {
                assert_eq!(report.pictures_without_outcome, []);
                let rendered = |event: &Event| matches!(event.fact, Fact::ThumbnailRendered(_));
                assert!(history.iter().any(rendered));
            }
            let published = self.published();
            assert_eq!(published.len() as u64, PUSHES, "each push left");
            repeats = published.values().map(|times| times - 1).sum();
            // Two hosts died or were taken for dead.
            assert!(repeats <= 2 * MAX_IN_FLIGHT, "{repeats} repeats");
            for (push, times) in &published {
                let life = life_of(push, history);
                assert!(
                    times - 1 <= unknown_outcomes(&life),
                    "{push} left {times} times: {life:#?}"
                );
            }
        }
        let senders: BTreeMap<_, usize> = histories[0]
            .iter()
            .filter(|event| matches!(event.fact, Fact::PushAccepted(_)))
            .fold(BTreeMap::new(), |mut senders, event| {
                *senders.entry(event.actor.member()).or_default() += 1;
                senders
            });
        // One that was stopped early may come back when all is done.
        assert!(senders.len() >= 2, "the work is shared: {senders:?}");
        format!(
            "{common} events, {PUSHES} pushes by {} starts of hosts, {repeats} repeats of at most {} declared",
            senders.len(),
            2 * MAX_IN_FLIGHT
        )
    }

    /// Of what is missing everything is in an export, and most of what was appended is missing.
    fn check_what_was_taken_out(&self, left: &[Event]) {
        let last = left.last().expect("something is left").pos;
        assert!((left.len() as u64) < last.0, "something was taken out");
        for number in 0..self.hosts.len() {
            let host = &self.hosts[number];
            let mut verify = self.command();
            verify
                .args(["journal", "verify", "--data-dir"])
                .arg(&host.data);
            let verified = verify.output().expect("the binary starts");
            let said = String::from_utf8_lossy(&verified.stdout);
            assert!(verified.status.success(), "host {number}: {said}");
        }
        let (trims, events) =
            left.iter()
                .fold((0, 0), |(trims, events), event| match &event.fact {
                    Fact::JournalTrimmed(trimmed) => (trims + 1, trimmed.by_now.events),
                    _ => (trims, events),
                });
        assert!(trims > 0);
        assert_eq!(last.0 - left.len() as u64, events, "as the journal says");
    }

    /// How often each push left.
    fn published(&self) -> BTreeMap<String, u64> {
        let mut published = BTreeMap::new();
        for push in self.phones.published() {
            *published
                .entry(push_id(&push.parameters["Message"]))
                .or_default() += 1;
        }
        published
    }
}

fn history(data: &Path) -> Vec<Event> {
    let journal = JournalReader::open(&data.join("journal.db")).expect("sound");
    journal.read(Pos(0), usize::MAX).expect("readable")
}

/// What the journal tells of a push.
fn life_of<'h>(push: &str, history: &'h [Event]) -> Vec<&'h Event> {
    let entity = format!("push/{push}");
    let life = history.iter().filter(|event| event.entity.0 == entity);
    life.collect()
}

/// Attempts of which nobody knows whether they succeeded: a crash or a pause swallowed the answer, or none came in time.
fn unknown_outcomes(life: &[&Event]) -> u64 {
    let unknown = life.iter().filter(|event| {
        matches!(&event.fact, Fact::PushFailed(failed) if failed.class == FailureClass::Unknown)
    });
    unknown.count() as u64
}

/// The push of a message to an Android phone.
fn push_id(message: &str) -> String {
    let outer: Value = serde_json::from_str(message).expect("JSON");
    let inner = outer["GCM"].as_str().expect("for Android");
    let inner: Value = serde_json::from_str(inner).expect("JSON");
    let id = &inner["fcmV1Message"]["message"]["data"]["push_id"];
    id.as_str().expect("it has an id").to_owned()
}
