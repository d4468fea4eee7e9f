//! What every journal adapter must do, as checks that panic where it does not.
//!
//! An adapter's tests call [`holds`] with a way to make fresh stores; each check has its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::future::join_all;
use iyagi_messages::event::{Entity, Event, NewEvent};
use iyagi_messages::fact::{Fact, PushAttempted, UnknownFact};
use iyagi_messages::ids::{EventId, Incarnation, Pos, Seq};

use super::{Append, Appended, Expected, Journal, JournalFault, Snapshot};

/// One journal's storage, which can be opened again and again.
#[async_trait]
pub trait Store: Send + Sync {
    /// Opens the storage as it was left; the previous opening is no longer used.
    async fn open(&self) -> Arc<dyn Journal>;

    /// Changes a byte of the newest snapshot of a name behind the adapter's back.
    async fn damage_newest_snapshot(&self, name: &str);
}

/// Runs every check, each on a fresh store.
pub async fn holds<S: Store>(fresh: impl Fn() -> S) {
    positions_are_gapless_and_global(&fresh()).await;
    an_append_is_atomic(&fresh()).await;
    a_stale_decision_conflicts(&fresh()).await;
    appending_again_changes_nothing(&fresh()).await;
    what_is_new_among_duplicates_is_appended(&fresh()).await;
    hooks_see_commits_in_order_before_the_append_resolves(&fresh()).await;
    an_append_can_be_read_at_once(&fresh()).await;
    reopening_keeps_everything(&fresh()).await;
    concurrent_appenders_keep_each_entitys_order(&fresh()).await;
    causes_lead_to_their_consequences(&fresh()).await;
    pages_follow_each_other(&fresh()).await;
    positions_are_looked_up_in_the_order_asked_for(&fresh()).await;
    unknown_kinds_are_preserved(&fresh()).await;
    the_newest_usable_snapshot_is_given(&fresh()).await;
}

/// Positions run from 1 without a gap over all entities, sequence numbers from 1 within each.
pub async fn positions_are_gapless_and_global(store: &impl Store) {
    let journal = store.open().await;
    assert_eq!(head(&*journal).await, Pos(0), "an empty journal's head");
    for (nth, entity) in (1..).zip(["a/1", "b/1", "a/1", "c/1", "b/1"]) {
        let appended = append(&*journal, vec![event(nth, entity)]).await;
        let expected = Appended {
            last: Pos(u64::from(nth)),
            duplicates: 0,
        };
        assert_eq!(appended, Ok(expected));
    }
    let events = read_all(&*journal).await;
    let places: Vec<_> = events
        .iter()
        .map(|event| (event.pos.0, event.seq.0))
        .collect();
    assert_eq!(places, [(1, 1), (2, 1), (3, 2), (4, 1), (5, 2)]);
}

/// If one expectation fails, nothing of the append is written.
pub async fn an_append_is_atomic(store: &impl Store) {
    let journal = store.open().await;
    append(&*journal, vec![event(1, "a/1")])
        .await
        .expect("appended");
    let refused = journal
        .append(Append {
            actor: actor(),
            events: vec![event(2, "b/1"), event(3, "a/1")],
            expected: vec![at("b/1", 0), at("a/1", 0)],
        })
        .await;
    assert_eq!(refused, Err(conflict("a/1", 0, 1)));
    assert_eq!(head(&*journal).await, Pos(1));
    assert_eq!(journal.entity(&Entity::new("b", 1)).await, Ok(Vec::new()));
    // What was refused leaves no trace: the same events can be appended once the decision is right.
    let appended = journal
        .append(Append {
            actor: actor(),
            events: vec![event(2, "b/1"), event(3, "a/1")],
            expected: vec![at("b/1", 0), at("a/1", 1)],
        })
        .await;
    assert_eq!(
        appended,
        Ok(Appended {
            last: Pos(3),
            duplicates: 0
        })
    );
}

/// Of two decisions on the same state the second is refused, and is told where the entity is.
pub async fn a_stale_decision_conflicts(store: &impl Store) {
    let journal = store.open().await;
    let decide = |nth| Append {
        actor: actor(),
        events: vec![event(nth, "a/1")],
        expected: vec![at("a/1", 0)],
    };
    let outcomes = join_all([journal.append(decide(1)), journal.append(decide(2))]).await;
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(won, 1, "{outcomes:?}");
    assert!(
        outcomes.contains(&Err(conflict("a/1", 0, 1))),
        "{outcomes:?}"
    );
    assert_eq!(head(&*journal).await, Pos(1));
    // An expectation without an event of its entity is checked as well.
    let guarded = Append {
        actor: actor(),
        events: Vec::new(),
        expected: vec![at("a/1", 2)],
    };
    assert_eq!(journal.append(guarded).await, Err(conflict("a/1", 2, 1)));
}

/// An append that is all there already succeeds, whatever it expects.
pub async fn appending_again_changes_nothing(store: &impl Store) {
    let journal = store.open().await;
    let same = || Append {
        actor: actor(),
        events: vec![event(1, "a/1"), event(2, "b/1")],
        expected: vec![at("a/1", 0), at("b/1", 0)],
    };
    journal.append(same()).await.expect("appended");
    append(&*journal, vec![event(3, "a/1")])
        .await
        .expect("appended");
    let before = read_all(&*journal).await;
    let again = journal.append(same()).await;
    assert_eq!(
        again,
        Ok(Appended {
            last: Pos(3),
            duplicates: 2
        })
    );
    let reopened = store.open().await;
    let again = reopened.append(same()).await;
    assert_eq!(
        again,
        Ok(Appended {
            last: Pos(3),
            duplicates: 2
        })
    );
    assert_eq!(read_all(&*reopened).await, before);
}

/// Duplicates are skipped one by one, also within one append.
pub async fn what_is_new_among_duplicates_is_appended(store: &impl Store) {
    let journal = store.open().await;
    append(&*journal, vec![event(1, "a/1")])
        .await
        .expect("appended");
    let mixed = vec![
        event(1, "a/1"),
        event(2, "a/1"),
        event(2, "a/1"),
        event(3, "b/1"),
    ];
    let appended = append(&*journal, mixed).await;
    assert_eq!(
        appended,
        Ok(Appended {
            last: Pos(3),
            duplicates: 2
        })
    );
    let ids: Vec<_> = read_all(&*journal)
        .await
        .iter()
        .map(|event| event.id)
        .collect();
    assert_eq!(ids, [id(1), id(2), id(3)]);
}

/// Hooks see each append's new events once, in order of position, and not later than the appender.
pub async fn hooks_see_commits_in_order_before_the_append_resolves(store: &impl Store) {
    const APPENDS: u32 = 50;
    let journal = store.open().await;
    let seen: Arc<Mutex<Vec<Event>>> = Arc::default();
    let hook_seen = Arc::clone(&seen);
    journal.on_commit(Arc::new(move |events| {
        let mut seen = hook_seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend_from_slice(events);
    }));
    let appends = (0..APPENDS).map(|nth| {
        let (journal, seen) = (Arc::clone(&journal), Arc::clone(&seen));
        async move {
            let pair = vec![
                event(2 * nth, "a/1"),
                event(2 * nth + 1, &format!("b/{nth}")),
            ];
            let appended = append(&*journal, pair).await.expect("appended");
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            assert!(
                seen.last().is_some_and(|event| event.pos >= appended.last),
                "the append resolved before its hook ran"
            );
        }
    });
    join_all(appends).await;
    append(&*journal, vec![event(0, "a/1")])
        .await
        .expect("a duplicate");
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(
        seen,
        read_all(&*journal).await,
        "hooks saw something else than was written"
    );
}

/// Whoever has appended reads what they wrote, in every way.
pub async fn an_append_can_be_read_at_once(store: &impl Store) {
    let journal = store.open().await;
    for nth in 1..=20 {
        append(&*journal, vec![event(nth, "a/1")])
            .await
            .expect("appended");
        assert_eq!(head(&*journal).await, Pos(u64::from(nth)));
        let found = journal
            .event(id(nth))
            .await
            .expect("readable")
            .expect("there");
        assert_eq!((found.id, found.seq), (id(nth), Seq(u64::from(nth))));
        let entity = journal
            .entity(&Entity::new("a", 1))
            .await
            .expect("readable");
        assert_eq!(entity.last(), Some(&found));
    }
    assert_eq!(journal.event(id(21)).await, Ok(None));
}

/// A new opening gives the same events, and goes on where the last one stopped.
pub async fn reopening_keeps_everything(store: &impl Store) {
    let journal = store.open().await;
    let sent: Vec<_> = (1..=10)
        .map(|nth| event(nth, &format!("a/{}", nth % 3)))
        .collect();
    append(&*journal, sent.clone()).await.expect("appended");
    let before = read_all(&*journal).await;
    drop(journal);
    let journal = store.open().await;
    assert_eq!(read_all(&*journal).await, before);
    for (event, sent) in before.iter().zip(sent) {
        let kept = NewEvent {
            id: event.id,
            entity: event.entity.clone(),
            cause: event.cause,
            corr: event.corr.clone(),
            fact: event.fact.clone(),
        };
        assert_eq!(kept, sent);
        // A fleet's journal puts the host before it.
        assert_eq!(event.actor.on_its_host(), actor().0);
    }
    append(&*journal, vec![event(11, "a/0")])
        .await
        .expect("appended");
    let last = journal
        .event(id(11))
        .await
        .expect("readable")
        .expect("there");
    assert_eq!((last.pos, last.seq), (Pos(11), Seq(4)));
}

/// Appends that run at the same time never lose, double or reorder an entity's events.
pub async fn concurrent_appenders_keep_each_entitys_order(store: &impl Store) {
    const APPENDERS: u32 = 16;
    const EACH: u32 = 25;
    let journal = store.open().await;
    let appenders = (0..APPENDERS).map(|appender| {
        let journal = Arc::clone(&journal);
        async move {
            let entity = format!("a/{appender}");
            for step in 0..EACH {
                let decided = Append {
                    actor: actor(),
                    events: vec![event(appender * EACH + step, &entity)],
                    expected: vec![at(&entity, u64::from(step))],
                };
                journal
                    .append(decided)
                    .await
                    .expect("nobody else writes this entity");
            }
        }
    });
    join_all(appenders).await;
    let events = read_all(&*journal).await;
    assert_eq!(events.len(), (APPENDERS * EACH) as usize);
    let mut last: HashMap<&Entity, Seq> = HashMap::new();
    for (pos, event) in (1..).zip(&events) {
        assert_eq!(event.pos, Pos(pos));
        let seq = last.entry(&event.entity).or_default();
        assert_eq!(event.seq, Seq(seq.0 + 1), "{}", event.entity);
        *seq = event.seq;
    }
    for appender in 0..APPENDERS {
        let own = journal
            .entity(&Entity::new("a", appender))
            .await
            .expect("readable");
        let ids: Vec<_> = own.iter().map(|event| event.id).collect();
        let sent: Vec<_> = (0..EACH).map(|step| id(appender * EACH + step)).collect();
        assert_eq!(ids, sent);
    }
}

/// An event's direct consequences are found, also those of its own append, and no others.
pub async fn causes_lead_to_their_consequences(store: &impl Store) {
    let journal = store.open().await;
    let caused = |nth, by| NewEvent {
        cause: Some(id(by)),
        ..event(nth, &format!("a/{nth}"))
    };
    append(&*journal, vec![event(1, "a/1"), caused(2, 1)])
        .await
        .expect("appended");
    append(&*journal, vec![caused(3, 2), caused(4, 1)])
        .await
        .expect("appended");
    // A cause that this journal never saw is kept all the same.
    append(&*journal, vec![caused(5, 99)])
        .await
        .expect("appended");
    for journal in [journal, store.open().await] {
        let ids = async |cause: u32| -> Vec<EventId> {
            let events = journal.caused_by(id(cause)).await.expect("readable");
            events.iter().map(|event| event.id).collect()
        };
        assert_eq!(ids(1).await, [id(2), id(4)]);
        assert_eq!(ids(2).await, [id(3)]);
        assert_eq!(ids(3).await, []);
        assert_eq!(ids(99).await, [id(5)]);
        let third = journal
            .event(id(3))
            .await
            .expect("readable")
            .expect("there");
        assert_eq!(third.cause, Some(id(2)));
    }
}

/// Reading page by page gives every event once.
pub async fn pages_follow_each_other(store: &impl Store) {
    let journal = store.open().await;
    append(&*journal, (1..=10).map(|nth| event(nth, "a/1")).collect())
        .await
        .expect("appended");
    let mut read = Vec::new();
    let mut after = Pos(0);
    loop {
        let page = journal.read(after, 3).await.expect("readable");
        assert!(page.len() <= 3, "a page is longer than asked for");
        let Some(last) = page.last() else { break };
        after = last.pos;
        read.extend(page);
    }
    assert_eq!(read, read_all(&*journal).await);
    assert_eq!(journal.read(Pos(10), 3).await, Ok(Vec::new()));
    assert_eq!(journal.read(Pos(7), 0).await, Ok(Vec::new()));
}

/// Single events are found by their positions, in any order, and what is not there is left out.
pub async fn positions_are_looked_up_in_the_order_asked_for(store: &impl Store) {
    let journal = store.open().await;
    for nth in 1..=9 {
        let appended = append(&*journal, vec![event(nth, "a/1")]).await;
        appended.expect("appended");
    }
    let asked = [7, 2, 12, 9].map(Pos).to_vec();
    let found = journal.at(asked).await.expect("readable");
    let all = read_all(&*journal).await;
    assert_eq!(found, [6, 1, 8].map(|index: usize| all[index].clone()));
    assert_eq!(journal.at(Vec::new()).await, Ok(Vec::new()));
}

/// What a newer build wrote survives this one, byte for byte.
pub async fn unknown_kinds_are_preserved(store: &impl Store) {
    let journal = store.open().await;
    let fact = Fact::Unknown(UnknownFact {
        kind: "star.born".to_owned(),
        version: 7,
        body: r#"{"name":"별 \u0000","mass":1.50}"#.to_owned(),
    });
    let unknown = NewEvent {
        fact: fact.clone(),
        ..event(1, "star/1")
    };
    append(&*journal, vec![unknown]).await.expect("appended");
    let kept = store
        .open()
        .await
        .event(id(1))
        .await
        .expect("readable")
        .expect("there");
    assert_eq!(kept.fact, fact);
}

/// Of the last two snapshots, the newest of the wanted version that is whole; else none.
pub async fn the_newest_usable_snapshot_is_given(store: &impl Store) {
    let snapshot = |pos, code_version| Snapshot {
        code_version,
        pos: Pos(pos),
        body: format!("state as of {pos}\0").into_bytes(),
    };
    let journal = store.open().await;
    assert_eq!(journal.snapshot("index", 1).await, Ok(None));
    for pos in [10, 20, 30] {
        journal
            .save_snapshot("index", snapshot(pos, 1))
            .await
            .expect("saved");
    }
    journal
        .save_snapshot("other", snapshot(5, 1))
        .await
        .expect("saved");
    assert_eq!(
        journal.snapshot("index", 1).await,
        Ok(Some(snapshot(30, 1)))
    );
    assert_eq!(journal.snapshot("other", 1).await, Ok(Some(snapshot(5, 1))));
    assert_eq!(
        journal.snapshot("index", 2).await,
        Ok(None),
        "another code version"
    );
    drop(journal);
    store.damage_newest_snapshot("index").await;
    let journal = store.open().await;
    assert_eq!(
        journal.snapshot("index", 1).await,
        Ok(Some(snapshot(20, 1))),
        "30 is damaged"
    );
    journal
        .save_snapshot("index", snapshot(40, 2))
        .await
        .expect("saved");
    assert_eq!(
        journal.snapshot("index", 2).await,
        Ok(Some(snapshot(40, 2)))
    );
    assert_eq!(
        journal.snapshot("index", 1).await,
        Ok(None),
        "only the last two are kept"
    );
}

async fn append(journal: &dyn Journal, events: Vec<NewEvent>) -> Result<Appended, JournalFault> {
    journal
        .append(Append {
            actor: actor(),
            events,
            expected: Vec::new(),
        })
        .await
}

async fn head(journal: &dyn Journal) -> Pos {
    journal.head().await.expect("the head is readable")
}

async fn read_all(journal: &dyn Journal) -> Vec<Event> {
    journal
        .read(Pos(0), usize::MAX)
        .await
        .expect("the journal is readable")
}

fn id(nth: u32) -> EventId {
    EventId::root("contract", &nth.to_string())
}

fn event(nth: u32, entity: &str) -> NewEvent {
    NewEvent {
        id: id(nth),
        entity: Entity(entity.to_owned()),
        cause: None,
        corr: format!("upload:{nth}"),
        fact: PushAttempted { attempt: nth }.into(),
    }
}

fn actor() -> Incarnation {
    "contract#1".into()
}

fn at(entity: &str, seq: u64) -> Expected {
    Expected {
        entity: Entity(entity.to_owned()),
        seq: Seq(seq),
    }
}

fn conflict(entity: &str, expected: u64, actual: u64) -> JournalFault {
    JournalFault::Conflict {
        entity: Entity(entity.to_owned()),
        expected: Seq(expected),
        actual: Seq(actual),
    }
}
