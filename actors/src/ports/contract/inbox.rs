//! What every store of inboxes promises: it says what its journal says, at once and for ever.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{Fact, InboxRead, PushRequested, PushSuppressed};
use iyagi_messages::ids::{DeviceToken, PersonId, Pos, PushId, Timestamp};
use iyagi_messages::push::{OnUnknownOutcome, Push, SuppressReason};

use crate::inbox::Entry;
use crate::journal::{Draft, Journal};
use crate::ports::{Change, Inbox, Retention};

/// What the inboxes under test are to keep. Nothing of it is ever too old, whatever clock the journal has.
pub const RETENTION: Retention = Retention {
    entries_max: 20,
    age_ms_max: u64::MAX,
};

/// One journal with its inboxes, which can be opened again and again.
#[async_trait]
pub trait Store: Send + Sync {
    /// Opens both as they were left; the previous opening is no longer used.
    async fn open(&self) -> Opened;
}

/// An opened store.
pub struct Opened {
    /// What is appended to.
    pub journal: Arc<dyn Journal>,
    /// What is read from.
    pub inbox: Arc<dyn Inbox>,
}

/// Runs every check, each on a fresh store.
pub async fn holds<S: Store>(fresh: impl Fn() -> S) {
    a_person_with_several_phones_has_one_entry(&fresh()).await;
    what_a_gate_keeps_back_is_not_listed(&fresh()).await;
    what_a_gate_keeps_back_later_is_taken_back(&fresh()).await;
    a_burst_is_one_entry_and_moves_to_the_front(&fresh()).await;
    pages_stay_while_new_entries_come(&fresh()).await;
    what_came_after_a_mark_is_unread(&fresh()).await;
    unread_is_the_number_of_unread_entries_after_every_change(&fresh()).await;
    only_the_named_entries_are_marked(&fresh()).await;
    changes_behind_every_position_lead_to_the_same_inbox(&fresh()).await;
    whoever_listens_is_told_whose_inbox_changed(&fresh()).await;
    reopening_keeps_everything(&fresh()).await;
    the_oldest_goes_when_there_are_too_many(&fresh()).await;
    what_is_too_old_goes(&fresh()).await;
}

/// Whatever became of each phone's push.
pub async fn a_person_with_several_phones_has_one_entry(store: &impl Store) {
    let opened = store.open().await;
    let phones = ["one", "two", "three"].map(|phone| push("minji", phone, 1, "daniel"));
    opened.request(&phones).await;
    opened
        .suppress(&phones[1], SuppressReason::DeviceGone)
        .await;
    let entries = opened.all("minji").await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0].count(), 1);
    assert_eq!(entries[0].pos, Pos(1), "where the first was requested");
    assert_eq!(opened.all("daniel").await, [], "it is nobody else's");
}

/// Neither for a moment nor in the end; what only the phone could not show is.
pub async fn what_a_gate_keeps_back_is_not_listed(store: &impl Store) {
    use SuppressReason as Reason;
    let opened = store.open().await;
    let reasons = [
        (Reason::Myself, false),
        (Reason::Blocked, false),
        (Reason::Muted, false),
        (Reason::Unsubscribed, false),
        (Reason::Duplicate, false),
        (Reason::NoDevice, true),
        (Reason::Stale, true),
        (Reason::Quiet, true),
        (Reason::RateLimited, true),
    ];
    for (number, (reason, listed)) in (1..).zip(reasons) {
        let person = reason.as_str();
        let push = push(person, "phone", number, "daniel");
        let mut draft = Draft::new(&"test", "test");
        let cause = draft.begin(person, entity(&push), requested(&push));
        draft.follow(cause, entity(&push), PushSuppressed { reason });
        opened.append(draft).await;
        assert_eq!(
            opened.all(person).await.len(),
            usize::from(listed),
            "{reason}"
        );
    }
}

/// Even of a burst's entry, which tells the rest all the same.
pub async fn what_a_gate_keeps_back_later_is_taken_back(store: &impl Store) {
    let opened = store.open().await;
    let first = push("minji", "phone", 1, "daniel");
    let second = of_burst(&push("minji", "phone", 2, "grace"), &first);
    opened.request(&[first.clone(), second.clone()]).await;
    opened.suppress(&second, SuppressReason::Blocked).await;
    let entries = opened.all("minji").await;
    assert_eq!((entries.len(), entries[0].count()), (1, 1));
    assert_eq!(entries[0].content.noted[0].actor, Some("daniel".into()));
    opened.suppress(&first, SuppressReason::Unsubscribed).await;
    assert_eq!(opened.all("minji").await, []);
    assert_eq!(opened.inbox.unread(&"minji".into()).await, Ok(0));
}

/// With what is new in it unread.
pub async fn a_burst_is_one_entry_and_moves_to_the_front(store: &impl Store) {
    let opened = store.open().await;
    let first = push("minji", "phone", 1, "daniel");
    opened.request(std::slice::from_ref(&first)).await;
    opened.request(&[push("minji", "phone", 2, "ada")]).await;
    opened.read("minji", &[], Pos(2)).await;
    opened
        .request(&[of_burst(&push("minji", "phone", 3, "grace"), &first)])
        .await;
    let entries = opened.all("minji").await;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry.id, entry.count(), entry.read.is_some()))
        .collect();
    let other = push("minji", "phone", 2, "ada").notification();
    assert_eq!(told, [(first.notification(), 2, false), (other, 1, true)]);
    assert_eq!(opened.inbox.unread(&"minji".into()).await, Ok(1));
}

/// No entry is on two pages, and none that was there when the first was read is on no page.
pub async fn pages_stay_while_new_entries_come(store: &impl Store) {
    let opened = store.open().await;
    for number in 1..=10 {
        opened
            .request(&[push("minji", "phone", number, "daniel")])
            .await;
    }
    let there: Vec<PushId> = opened.all("minji").await.iter().map(|one| one.id).collect();
    let (mut seen, mut place) = (Vec::new(), None);
    for number in 11.. {
        let page = opened.inbox.page(&"minji".into(), place, false, 3).await;
        let page = page.expect("readable");
        let Some(last) = page.last() else { break };
        place = Some(last.pos);
        seen.extend(page.iter().map(|entry| entry.id));
        opened
            .request(&[push("minji", "phone", number, "daniel")])
            .await;
    }
    assert_eq!(seen, there);
}

/// Whoever marks all has seen what there was, not what there is.
pub async fn what_came_after_a_mark_is_unread(store: &impl Store) {
    let opened = store.open().await;
    for number in 1..=3 {
        opened
            .request(&[push("minji", "phone", number, "daniel")])
            .await;
    }
    opened.read("minji", &[], Pos(2)).await;
    let unread = opened.inbox.page(&"minji".into(), None, true, 10).await;
    let unread: Vec<Pos> = unread
        .expect("readable")
        .iter()
        .map(|one| one.pos)
        .collect();
    assert_eq!(unread, [Pos(3)]);
    let standing = opened.inbox.standing(&"minji".into()).await.expect("known");
    assert_eq!((standing.as_of, standing.seq.0), (Pos(4), 1));
}

/// As far as they are the person's, and as they stood.
pub async fn only_the_named_entries_are_marked(store: &impl Store) {
    let opened = store.open().await;
    let pushes: Vec<Push> = (1..=3)
        .map(|number| push("minji", "phone", number, "daniel"))
        .collect();
    opened.request(&pushes).await;
    let foreign = push("ada", "phone", 4, "daniel");
    opened.request(std::slice::from_ref(&foreign)).await;
    let ids = [pushes[0].notification(), foreign.notification()];
    opened.read("minji", &ids, Pos(4)).await;
    assert_eq!(opened.inbox.unread(&"minji".into()).await, Ok(2));
    assert_eq!(opened.inbox.unread(&"ada".into()).await, Ok(1));
    let found = opened.inbox.entries(&"minji".into(), &ids).await;
    let found: Vec<PushId> = found.expect("readable").iter().map(|one| one.id).collect();
    assert_eq!(found, ids[..1]);
}

/// From wherever somebody goes on, and in pages of whatever size.
pub async fn changes_behind_every_position_lead_to_the_same_inbox(store: &impl Store) {
    let opened = store.open().await;
    let first = push("minji", "phone", 1, "daniel");
    let withdrawn = push("minji", "phone", 2, "ada");
    opened.request(&[first.clone(), withdrawn.clone()]).await;
    opened.read("minji", &[], Pos(1)).await;
    opened.request(&[push("minji", "phone", 3, "grace")]).await;
    opened.suppress(&withdrawn, SuppressReason::Muted).await;
    opened.request(&[push("minji", "phone", 4, "grace")]).await;
    opened.read("minji", &[], Pos(4)).await;
    opened
        .request(&[of_burst(&push("minji", "phone", 5, "grace"), &first)])
        .await;
    let head = opened.journal.head().await.expect("readable");
    for limit in 1..=3 {
        for start in 0..=head.0 {
            let told = opened.follow("minji", Pos(start), limit).await;
            assert!(
                told.windows(2).all(|pair| pair[0].pos() < pair[1].pos()),
                "each position once, in order: {told:?}"
            );
            for entry in opened.all("minji").await {
                let newest = told.iter().rev().find_map(|change| match change {
                    Change::Entry(told) if told.id == entry.id => Some(told),
                    _ => None,
                });
                let expected = (entry.changed.0 > start).then_some(&entry);
                assert_eq!(newest, expected, "behind {start}, by {limit}");
                let marked = told.iter().any(
                    |change| matches!(change, Change::Read { ids, .. } if ids.contains(&entry.id)),
                );
                let read_since = entry.read.is_some_and(|read| read.pos.0 > start);
                assert_eq!(marked, read_since, "behind {start}, by {limit}");
            }
        }
    }
}

/// Whatever is told, taken back, marked and dropped, in whichever order.
pub async fn unread_is_the_number_of_unread_entries_after_every_change(store: &impl Store) {
    let opened = store.open().await;
    let people = ["minji", "ada"];
    let mut told: Vec<Push> = Vec::new();
    let mut random = 0x9e37_79b9_u64;
    let mut below = |bound: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % bound
    };
    for number in 1..=200 {
        let person = people[below(2) as usize];
        let one = |below: &mut dyn FnMut(u64) -> u64| {
            let of_person = told.iter().filter(|push| push.recipient.as_str() == person);
            let of_person: Vec<&Push> = of_person.collect();
            (!of_person.is_empty())
                .then(|| of_person[below(of_person.len() as u64) as usize].clone())
        };
        let new = push(person, "phone", number, "daniel");
        let head = opened.journal.head().await.expect("readable");
        match (below(8), one(&mut below)) {
            (0, Some(push)) => opened.suppress(&push, SuppressReason::Muted).await,
            (1, Some(push)) => opened.read(person, &[push.notification()], head).await,
            (2, _) if below(3) == 0 => opened.read(person, &[], head).await,
            (3, _) if below(3) == 0 => {
                let before = moment(number.saturating_sub(10));
                while opened.inbox.drop_older(before).await.expect("readable") {}
            }
            (4, Some(first)) => {
                let added = of_burst(&new, &first);
                opened.request(std::slice::from_ref(&added)).await;
                told.push(added);
            }
            _ => {
                opened.request(std::slice::from_ref(&new)).await;
                told.push(new);
            }
        }
        for person in people {
            let person = person.into();
            let unread = opened.inbox.page(&person, None, true, 1_000).await;
            let unread = unread.expect("readable").len() as u64;
            assert_eq!(
                opened.inbox.unread(&person).await,
                Ok(unread),
                "after {number}"
            );
        }
    }
}

/// Once it can be read.
pub async fn whoever_listens_is_told_whose_inbox_changed(store: &impl Store) {
    let opened = store.open().await;
    let told: Arc<Mutex<Vec<PersonId>>> = Arc::default();
    let ears = Arc::clone(&told);
    opened.inbox.on_change(Arc::new(move |people| {
        let mut told = ears.lock().unwrap_or_else(PoisonError::into_inner);
        told.extend_from_slice(people);
    }));
    opened.request(&[push("minji", "one", 1, "daniel")]).await;
    opened.request(&[push("minji", "two", 1, "daniel")]).await;
    opened.request(&[push("ada", "phone", 2, "daniel")]).await;
    opened.read("minji", &[], Pos(1)).await;
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    let people: Vec<&str> = told.iter().map(PersonId::as_str).collect();
    assert_eq!(people, ["minji", "ada", "minji"]);
}

/// Nothing is told twice by it either.
pub async fn reopening_keeps_everything(store: &impl Store) {
    let opened = store.open().await;
    opened.request(&[push("minji", "phone", 1, "daniel")]).await;
    opened.read("minji", &[], Pos(1)).await;
    opened.request(&[push("minji", "phone", 2, "daniel")]).await;
    let before = opened.all("minji").await;
    drop(opened);
    let opened = store.open().await;
    assert_eq!(opened.all("minji").await, before);
    opened.request(&[push("minji", "phone", 3, "daniel")]).await;
    assert_eq!(opened.all("minji").await.len(), 3);
}

/// And is counted.
pub async fn the_oldest_goes_when_there_are_too_many(store: &impl Store) {
    let opened = store.open().await;
    let most = u64::from(RETENTION.entries_max);
    for number in 1..=most + 5 {
        opened
            .request(&[push("minji", "phone", number, "daniel")])
            .await;
    }
    let entries = opened.all("minji").await;
    assert_eq!(entries.len() as u64, most);
    assert_eq!(entries.last().map(|oldest| oldest.pos), Some(Pos(6)));
    assert_eq!(opened.inbox.counts().dropped_over_count, 5);
}

/// As soon as somebody looks for it, for everybody.
pub async fn what_is_too_old_goes(store: &impl Store) {
    let opened = store.open().await;
    for (number, person) in (1..=3).zip(["ada", "minji", "grace"]) {
        opened
            .request(&[push(person, "phone", number, "daniel")])
            .await;
    }
    let before = moment(3);
    while opened.inbox.drop_older(before).await.expect("readable") {}
    assert_eq!(opened.all("ada").await, []);
    assert_eq!(opened.all("minji").await, []);
    assert_eq!(opened.all("grace").await.len(), 1);
    assert_eq!(opened.inbox.counts().dropped_over_age, 2);
}

impl Opened {
    async fn append(&self, draft: Draft) {
        self.journal.append(draft.finish()).await.expect("appended");
    }

    async fn request(&self, pushes: &[Push]) {
        let mut draft = Draft::new(&"test", "test");
        for push in pushes {
            draft.begin(&push.id.to_string(), entity(push), requested(push));
        }
        self.append(draft).await;
    }

    async fn suppress(&self, push: &Push, reason: SuppressReason) {
        let mut draft = Draft::new(&"test", "test");
        let upstream = format!("{}{reason}", push.id);
        draft.begin(&upstream, entity(push), PushSuppressed { reason });
        self.append(draft).await;
    }

    async fn read(&self, person: &str, entries: &[PushId], up_to: Pos) {
        let fact = InboxRead {
            person: person.into(),
            entries: entries.to_vec(),
            up_to,
        };
        let mut draft = Draft::new(&"test", "test");
        let upstream = format!("{person}{up_to}{entries:?}");
        draft.begin(&upstream, Entity::new("inbox", person), fact);
        self.append(draft).await;
    }

    async fn all(&self, person: &str) -> Vec<Entry> {
        let page = self.inbox.page(&person.into(), None, false, 1_000).await;
        page.expect("readable")
    }

    /// Everything behind a position, in pages.
    async fn follow(&self, person: &str, mut after: Pos, limit: usize) -> Vec<Change> {
        let mut told = Vec::new();
        loop {
            let since = self.inbox.since(&person.into(), after, limit).await;
            let since = since.expect("readable");
            told.extend(since.changes);
            assert!(since.as_of > after || !since.more, "each page leads on");
            after = since.as_of;
            if !since.more {
                let head = self.journal.head().await.expect("readable");
                assert_eq!(after, head, "nothing is left out at the end");
                return told;
            }
        }
    }
}

/// A push of `actor`'s, by the commit of this number, which is also when it was.
pub fn push(person: &str, phone: &str, commit: u64, actor: &str) -> Push {
    let (element, template) = (format!("edge-{commit}").into(), "like".into());
    let (recipient, device) = (PersonId::from(person), DeviceToken::from(phone));
    Push {
        id: PushId::derive(commit, &element, &template, &recipient, Some(&device)),
        recipient,
        device: Some(device),
        platform: Some(iyagi_messages::device::Platform::Fcm),
        locale: "ko".to_owned(),
        template,
        category: "reactions".to_owned(),
        commit: Cursor { commit, op: 1 },
        element,
        actor: Some(actor.into()),
        subject: Some("story-1".into()),
        key: None,
        at: moment(commit),
        expires_at: moment(commit).plus_ms(3_600_000),
        on_unknown_outcome: OnUnknownOutcome::default(),
        burst: None,
        own_act_too: false,
        of_deletion: false,
    }
}

fn moment(number: u64) -> Timestamp {
    Timestamp(1_767_225_600_000).plus_ms(number)
}

fn of_burst(push: &Push, first: &Push) -> Push {
    Push {
        burst: Some(first.notification()),
        ..push.clone()
    }
}

fn entity(push: &Push) -> Entity {
    Entity::new("push", push.id)
}

fn requested(push: &Push) -> Fact {
    PushRequested { push: push.clone() }.into()
}
