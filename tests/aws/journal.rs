//! One journal that several hosts append to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::types::CreateBucketConfiguration;
use futures_util::future::join_all;
use iyagi::aws::dynamodb::definitions::{TableDefinition, create};
use iyagi::aws::journal::{OpenError, Parts, SharedJournal};
use iyagi::aws::s3::S3Objects;
use iyagi::clock::SystemClock;
use iyagi::embedded::journal::SqliteJournal;
use iyagi_actors::invariants::Audit;
use iyagi_actors::journal::{Append, Draft, Expected, Journal, JournalFault, contract};
use iyagi_actors::ports::contract::inbox as inboxes;
use iyagi_actors::ports::{Inbox, ObjectStore, PutOptions};
use iyagi_messages::event::{Entity, Event, NewEvent};
use iyagi_messages::fact::{CommitMatched, InboxRead, PushAttempted, PushRequested};
use iyagi_messages::ids::{EventId, MemberId, PersonId, Pos, Seq, Timestamp};
use iyagi_messages::object::ObjectKey;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::faults::{Call, Fault, FaultProxy, Rule, Service};
use crate::objects::spool;
use crate::servers::{Server, localemu, ministack, unique};

const CALL_TIMEOUT: Duration = Duration::from_secs(10);

const PUT_ITEM: Call = Call {
    service: Service::Dynamodb,
    operation: "PutItem",
};

/// A log on a server, for any number of hosts.
struct Installation {
    server: &'static Server,
    table: String,
    bucket: String,
    hosts: AtomicU32,
}

/// One host's view of it.
struct Host {
    journal: Arc<SharedJournal>,
    /// Its own copy, which has everybody's inbox.
    copy: Arc<SqliteJournal>,
    folder: TempDir,
    running: JoinHandle<()>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Installation {
    async fn on(server: &'static Server) -> Self {
        let clients = server.clients();
        let (table, bucket) = (unique("journal"), unique("snapshots"));
        create(&clients.dynamodb, &TableDefinition::journal(&table))
            .await
            .expect("the table is made");
        let region = CreateBucketConfiguration::builder()
            .location_constraint(server.region().into())
            .build();
        let made = clients.s3.create_bucket().bucket(&bucket);
        let made = made.create_bucket_configuration(region).send().await;
        made.expect("the bucket is made");
        Self {
            server,
            table,
            bucket,
            hosts: AtomicU32::new(0),
        }
    }

    async fn host(&self) -> Host {
        self.host_at(self.server, TempDir::new().expect("a folder"))
            .await
            .expect("it opens")
    }

    /// A host that reaches the installation by `server`.
    async fn host_at(&self, server: &Server, folder: TempDir) -> Result<Host, OpenError> {
        let clients = server.clients();
        let clock = Arc::new(SystemClock);
        let copy = SqliteJournal::open_copy(
            &folder.path().join("journal.db"),
            clock.clone(),
            inboxes::RETENTION,
        );
        let copy = Arc::new(copy.expect("a sound copy"));
        let number = self.hosts.fetch_add(1, Ordering::Relaxed);
        let parts = Parts {
            client: clients.dynamodb,
            table: self.table.clone(),
            replica: Arc::clone(&copy) as _,
            store: self.store(server).await,
            member: MemberId::new(&format!("host-{number}"), 1),
            clock,
        };
        let (journal, running) = SharedJournal::open(parts).await?;
        #[expect(clippy::disallowed_methods, reason = "held and ended by the host")]
        let running = tokio::task::spawn(running);
        Ok(Host {
            journal: Arc::new(journal),
            copy,
            folder,
            running,
        })
    }

    async fn store(&self, server: &Server) -> Arc<dyn ObjectStore> {
        let client = server.clients().s3;
        let store = S3Objects::open(client, &self.bucket, CALL_TIMEOUT, spool());
        Arc::new(store.await.expect("the bucket is there"))
    }
}

#[async_trait]
impl contract::Store for Installation {
    async fn open(&self) -> Arc<dyn Journal> {
        let host = self.host().await;
        let journal = Arc::clone(&host.journal);
        // The contract's journals live until the test ends.
        std::mem::forget(host);
        journal
    }

    async fn damage_newest_snapshot(&self, name: &str) {
        let store = self.store(self.server).await;
        let prefix = format!("journal/snapshots/{name}/");
        let page = store.list(&prefix, None, 1_000).await.expect("listed");
        let newest: ObjectKey = page.objects.last().expect("there is one").key.clone();
        let (mut bytes, _) = store.get(&newest, 1 << 20).await.expect("read");
        bytes.push(b'x');
        let put = store.put(&newest, bytes, PutOptions::default()).await;
        put.expect("written");
    }
}

#[async_trait]
impl inboxes::Store for Installation {
    async fn open(&self) -> inboxes::Opened {
        let host = self.host().await;
        let (journal, inbox) = (Arc::clone(&host.journal), Arc::clone(&host.copy));
        // The contract's journals live until the test ends.
        std::mem::forget(host);
        inboxes::Opened { journal, inbox }
    }
}

fn event(id: &str, entity: &str) -> NewEvent {
    NewEvent {
        id: EventId::root("test", id),
        entity: Entity(entity.to_owned()),
        cause: None,
        corr: "commit:1".to_owned(),
        fact: PushAttempted { attempt: 1 }.into(),
    }
}

fn append(events: Vec<NewEvent>, expected: Vec<(&str, u64)>) -> Append {
    let expected = expected.into_iter().map(|(entity, seq)| Expected {
        entity: Entity(entity.to_owned()),
        seq: Seq(seq),
    });
    Append {
        actor: "test#1".into(),
        events,
        expected: expected.collect(),
    }
}

async fn all(host: &Host) -> Vec<Event> {
    host.journal
        .read(Pos(0), usize::MAX)
        .await
        .expect("readable")
}

/// Waits until a host has repeated as much of the log.
async fn until(host: &Host, head: Pos) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while host.journal.head().await.expect("readable") < head {
        assert!(tokio::time::Instant::now() < deadline, "it does not follow");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn every_promise_of_a_journal(server: &'static Server) {
    let installations: Vec<_> = join_all((0..14).map(|_| Installation::on(server))).await;
    let fresh = std::sync::Mutex::new(installations);
    let next = || fresh.lock().expect("sound").pop().expect("one a check");
    contract::holds(next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shared_journal_keeps_every_promise_of_a_journal() {
    every_promise_of_a_journal(ministack()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shared_journal_keeps_every_promise_of_a_journal_on_a_second_server() {
    if let Some(server) = localemu() {
        every_promise_of_a_journal(server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inboxes_of_each_host_keep_every_promise_of_inboxes() {
    let installations = join_all((0..13).map(|_| Installation::on(ministack()))).await;
    let fresh = std::sync::Mutex::new(installations);
    let next = || fresh.lock().expect("sound").pop().expect("one a check");
    inboxes::holds(next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_marked_by_one_host_is_read_on_every_other() {
    let installation = Installation::on(ministack()).await;
    let (one, other) = (installation.host().await, installation.host().await);
    let person = PersonId::from("minji");
    let pushes = [1, 2].map(|number| inboxes::push("minji", "phone", number, "daniel"));
    let mut draft = Draft::new(&"test", "test");
    for push in &pushes {
        let entity = Entity::new("push", push.id);
        let push = push.clone();
        draft.begin(&push.id.to_string(), entity, PushRequested { push });
    }
    one.journal.append(draft.finish()).await.expect("appended");
    let mut draft = Draft::new(&"test", "test");
    let read = InboxRead {
        person: person.clone(),
        entries: vec![pushes[0].notification()],
        up_to: Pos(2),
    };
    draft.begin("read", Entity::new("inbox", &person), read);
    other
        .journal
        .append(draft.finish())
        .await
        .expect("appended");
    for host in [&one, &other] {
        until(host, Pos(3)).await;
        assert_eq!(host.copy.unread(&person).await, Ok(1));
    }
    let pages = [&one, &other].map(|host| host.copy.page(&person, None, false, 10));
    let pages = join_all(pages).await;
    assert_eq!(pages[0].as_ref().map(Vec::len), Ok(2));
    assert_eq!(pages[0], pages[1], "the same to the byte");
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_append_at_once_make_one_gapless_history_that_each_of_them_has() {
    const APPENDS: usize = 60;
    let installation = Installation::on(ministack()).await;
    let hosts = join_all((0..3).map(|_| installation.host())).await;
    let appends = hosts.iter().enumerate().flat_map(|(number, host)| {
        (0..APPENDS).map(move |nth| {
            let (shared, own) = (format!("shared/{}", nth % 5), format!("own/{number}"));
            let ids = [format!("{number}-{nth}-a"), format!("{number}-{nth}-b")];
            let events = vec![event(&ids[0], &shared), event(&ids[1], &own)];
            host.journal.append(append(events, vec![]))
        })
    });
    for appended in join_all(appends).await {
        appended.expect("appended");
    }
    let head = Pos((3 * APPENDS * 2) as u64);
    let mut histories = Vec::new();
    for host in &hosts {
        until(host, head).await;
        histories.push(all(host).await);
    }
    assert_eq!(histories[0].len() as u64, head.0);
    assert_eq!(histories[0], histories[1]);
    assert_eq!(histories[0], histories[2]);
    let mut audit = Audit::default();
    for event in &histories[0] {
        audit.event(event);
    }
    let broken = audit.finish().violations.into_iter();
    let places = broken.filter(|violation| {
        use iyagi_actors::invariants::Invariant::{EntityOrder, Gapless, Unique};
        matches!(violation.invariant, EntityOrder | Gapless | Unique)
    });
    assert_eq!(places.collect::<Vec<_>>(), []);
    let writers: std::collections::BTreeSet<_> = histories[0]
        .iter()
        .filter_map(|event| event.actor.member())
        .collect();
    assert_eq!(writers.len(), 3, "each event tells which host wrote it");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_hosts_that_decide_on_the_same_state_one_prevails() {
    let installation = Installation::on(ministack()).await;
    let hosts = join_all((0..3).map(|_| installation.host())).await;
    for round in 0..10_u64 {
        let race = hosts.iter().enumerate().map(|(number, host)| {
            let events = vec![event(&format!("{round}-{number}"), "lease/1")];
            host.journal
                .append(append(events, vec![("lease/1", round)]))
        });
        let outcomes = join_all(race).await;
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let lost = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(JournalFault::Conflict { .. })))
            .count();
        assert_eq!((won, lost), (1, 2), "round {round}");
        // Who lost knows at once what it lost to.
        for host in &hosts {
            let history = host.journal.entity(&Entity("lease/1".to_owned())).await;
            let known = history.expect("readable").len() as u64;
            assert!(known >= round, "round {round}");
        }
        until(&hosts[0], Pos(round + 1)).await;
        until(&hosts[1], Pos(round + 1)).await;
        until(&hosts[2], Pos(round + 1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_is_lost_is_there_once() {
    let installation = Installation::on(ministack()).await;
    let proxy = FaultProxy::before(ministack());
    let folder = TempDir::new().expect("a folder");
    let host = installation.host_at(proxy.server(), folder).await;
    let host = host.expect("it opens");
    for nth in 0..5 {
        proxy.inject(Rule::nth(PUT_ITEM, 1, Fault::AnswerLost));
        let id = nth.to_string();
        let appended = host
            .journal
            .append(append(vec![event(&id, "push/1")], vec![("push/1", nth)]))
            .await;
        assert_eq!(appended.expect("appended").last, Pos(nth + 1));
    }
    assert_eq!(proxy.fired(), 5);
    let other = installation.host().await;
    assert_eq!(all(&other).await, all(&host).await);
    assert_eq!(all(&other).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_log_does_not_answer_appends_wait_and_then_go_on() {
    let installation = Installation::on(ministack()).await;
    let proxy = FaultProxy::before(ministack());
    let folder = TempDir::new().expect("a folder");
    let host = installation.host_at(proxy.server(), folder).await;
    let host = host.expect("it opens");
    proxy.inject(Rule::always(PUT_ITEM, Fault::Page(503)));
    let waiting = host
        .journal
        .append(append(vec![event("1", "push/1")], vec![]));
    let mut waiting = std::pin::pin!(waiting);
    let mut reachable = host.journal.reachable();
    tokio::select! {
        early = &mut waiting => panic!("acknowledged although nothing was written: {early:?}"),
        told = reachable.wait_for(|now| *now != iyagi::aws::journal::Reachable::Yes) => {
            told.expect("it is told that the log does not answer");
        }
    }
    proxy.heal();
    assert_eq!(waiting.await.expect("appended").last, Pos(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_of_any_size_is_one_append() {
    let installation = Installation::on(ministack()).await;
    let (host, other) = (installation.host().await, installation.host().await);
    let mut random = fastrand::Rng::with_seed(7);
    // Random text hardly deflates: this is well over what one item takes.
    let events: Vec<NewEvent> = (0..600_u64)
        .map(|nth| NewEvent {
            corr: (0..1_000).map(|_| random.alphanumeric()).collect(),
            fact: CommitMatched {
                commit: iyagi_messages::cursor::Cursor::new(nth, 1),
                at: Timestamp(1),
                records: 1,
                pushes: 1,
            }
            .into(),
            ..event(&nth.to_string(), "commit/1")
        })
        .collect();
    let appended = host.journal.append(append(events, vec![])).await;
    assert_eq!(appended.expect("appended").last, Pos(600));
    until(&other, Pos(600)).await;
    assert_eq!(all(&other).await, all(&host).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_of_another_log_is_refused_and_a_copy_that_was_lost_is_made_again() {
    let (one, another) = (
        Installation::on(ministack()).await,
        Installation::on(ministack()).await,
    );
    let host = one.host().await;
    for id in ["1", "2"] {
        let appended = host
            .journal
            .append(append(vec![event(id, "push/1")], vec![]));
        appended.await.expect("appended");
    }
    let history = all(&host).await;
    let folder = TempDir::new().expect("a folder");
    std::fs::copy(
        host.folder.path().join("journal.db-wal"),
        folder.path().join("journal.db-wal"),
    )
    .expect("copied");
    std::fs::copy(
        host.folder.path().join("journal.db"),
        folder.path().join("journal.db"),
    )
    .expect("copied");
    let refused = another.host_at(another.server, folder).await.err();
    assert!(
        matches!(refused, Some(OpenError::Foreign { at: Pos(2), .. })),
        "{refused:?}"
    );
    drop(host);
    assert_eq!(all(&one.host().await).await, history);
}
