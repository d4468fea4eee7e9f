//! The journal that hosts share in `DynamoDB`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_s3::types::CreateBucketConfiguration;
use iyagi::aws::dynamodb::definitions::{TableDefinition, create};
use iyagi::aws::journal::{Parts, Reachable, SharedJournal};
use iyagi::aws::s3::S3Objects;
use iyagi::clock::SystemClock;
use iyagi::embedded::journal::SqliteJournal;
use iyagi_actors::journal::{Append, Journal as _};
use iyagi_actors::ports::Retention;
use iyagi_messages::event::{Entity, Event, NewEvent};
use iyagi_messages::fact::PushAttempted;
use iyagi_messages::ids::{EventId, MemberId, Pos};
use tempfile::TempDir;

use super::columns;
use super::table::play;
use super::trial::Trial;
use crate::faults::{Call, Service};
use crate::objects::spool;
use crate::servers::{ministack, unique};

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy)]
enum Operation {
    Append,
    Follow,
}

const OPERATIONS: [Operation; 2] = [Operation::Append, Operation::Follow];

impl Operation {
    fn call(self) -> Call {
        let operation = match self {
            Self::Append => "PutItem",
            Self::Follow => "Query",
        };
        Call {
            service: Service::Dynamodb,
            operation,
        }
    }
}

/// A log of its own.
struct Log {
    table: String,
    bucket: String,
    folder: TempDir,
}

impl Log {
    async fn new(trial: &Trial) -> Self {
        let (table, bucket) = (unique("matrix"), unique("matrix"));
        let definition = TableDefinition::journal(&table);
        let made = create(&trial.direct.dynamodb, &definition);
        made.await.expect("a table is made");
        let place = CreateBucketConfiguration::builder()
            .location_constraint(trial.direct.region.as_ref().into())
            .build();
        let made = trial.direct.s3.create_bucket().bucket(&bucket);
        let made = made.create_bucket_configuration(place).send().await;
        made.expect("a bucket is made");
        Self {
            table,
            bucket,
            folder: TempDir::new().expect("a folder"),
        }
    }

    /// A host that reaches it by `clients`, and what it must run.
    async fn host(
        &self,
        name: &str,
        clients: &iyagi::aws::clients::Clients,
    ) -> (SharedJournal, impl Future<Output = ()>) {
        let clock = Arc::new(SystemClock);
        let file = self.folder.path().join(name);
        let copy = SqliteJournal::open_copy(&file, clock.clone(), Retention::default())
            .expect("a sound copy");
        let store = S3Objects::open(clients.s3.clone(), &self.bucket, PATIENCE, spool()).await;
        let parts = Parts {
            client: clients.dynamodb.clone(),
            table: self.table.clone(),
            replica: Arc::new(copy),
            store: Arc::new(store.expect("it is there")),
            member: MemberId::new(name, 1),
            clock,
        };
        SharedJournal::open(parts).await.expect("it opens")
    }
}

fn append(id: &str) -> Append {
    let event = NewEvent {
        id: EventId::root("test", id),
        entity: Entity("push/1".to_owned()),
        cause: None,
        corr: "commit:1".to_owned(),
        fact: PushAttempted { attempt: 1 }.into(),
    };
    Append {
        actor: "test#1".into(),
        events: vec![event],
        expected: Vec::new(),
    }
}

async fn all(journal: &SharedJournal) -> Vec<Event> {
    let events = journal.read(Pos(0), usize::MAX).await;
    events.expect("readable")
}

async fn until(journal: &SharedJournal, head: Pos) {
    let deadline = Instant::now() + PATIENCE;
    while journal.head().await.expect("readable") < head {
        assert!(Instant::now() < deadline, "it does not follow");
        tokio::time::sleep(POLL).await;
    }
}

async fn run(operation: Operation, trial: Trial) -> String {
    let log = Log::new(&trial).await;
    let (journal, running) = log.host("spoilt", &trial.clients).await;
    let (other, other_running) = log.host("sound", &trial.direct).await;
    let story = async {
        let word = match operation {
            Operation::Append => appending(&trial, operation.call(), &journal).await,
            Operation::Follow => following(&trial, operation.call(), &journal, &other).await,
        };
        journal
            .append(append("afterwards"))
            .await
            .expect("the fault is over");
        until(&other, Pos(2)).await;
        assert_eq!(all(&journal).await, all(&other).await);
        assert_eq!(all(&other).await.len(), 2, "an event is lost or doubled");
        word.to_owned()
    };
    tokio::select! {
        word = story => word,
        () = running => panic!("the journal gave up"),
        () = other_running => panic!("the other journal gave up"),
    }
}

async fn appending(trial: &Trial, call: Call, journal: &SharedJournal) -> &'static str {
    let mut reachable = journal.reachable();
    let mut appending = std::pin::pin!(journal.append(append("first")));
    trial.begin(call);
    let word = tokio::select! {
        appended = &mut appending => {
            trial.end();
            assert_eq!(appended.expect("the journal is not broken").last, Pos(1));
            return "ok";
        }
        told = reachable.wait_for(|now| *now != Reachable::Yes) => {
            told.expect("it runs");
            "waits"
        }
    };
    trial.end();
    let appended = appending.await.expect("the fault is over");
    assert_eq!(appended.last, Pos(1));
    word
}

async fn following(
    trial: &Trial,
    call: Call,
    journal: &SharedJournal,
    other: &SharedJournal,
) -> &'static str {
    let mut reachable = journal.reachable();
    trial.begin(call);
    let appended = other.append(append("first")).await;
    assert_eq!(appended.expect("nothing is wrong there").last, Pos(1));
    let word = tokio::select! {
        () = until(journal, Pos(1)) => "ok",
        told = reachable.wait_for(|now| *now != Reachable::Yes) => {
            told.expect("it runs");
            "waits"
        }
    };
    trial.end();
    until(journal, Pos(1)).await;
    word
}

#[tokio::test]
async fn an_event_is_there_once_for_everybody_under_any_fault() {
    let columns = |_| columns::of(Service::Dynamodb);
    let table = play(ministack(), &OPERATIONS, columns, run).await;
    insta::assert_snapshot!("journal", table);
}
