//! Metadata of files in `DynamoDB`.

use std::sync::Arc;

use iyagi::aws::dynamodb::definitions::{TableDefinition, create};
use iyagi::aws::dynamodb::metadata::DynamoMetadata;
use iyagi::clock::SystemClock;
use iyagi_actors::ports::{MetadataFault, MetadataTable as _, Written};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::media::{MetadataItem, Thumbnails, owner_of_key};
use iyagi_messages::object::{ObjectKey, Sequencer};

use super::columns::{self, Column, HALF_OF_BATCH};
use super::table::{play, word_for_people};
use super::trial::Trial;
use crate::faults::{Call, Service};
use crate::servers::{ministack, unique};

const PREFIX: &str = "profile/one/";
const OWNER: &str = "one";

#[derive(Debug, Clone, Copy)]
enum Operation {
    Record,
    Attach,
    Remove,
    Get,
    List,
    OfOwner,
}

const OPERATIONS: [Operation; 6] = [
    Operation::Record,
    Operation::Attach,
    Operation::Remove,
    Operation::Get,
    Operation::List,
    Operation::OfOwner,
];

impl Operation {
    fn call(self) -> Call {
        let operation = match self {
            Self::Record | Self::Attach | Self::Remove => "UpdateItem",
            Self::Get => "GetItem",
            Self::List => "Query",
            Self::OfOwner => "BatchGetItem",
        };
        Call {
            service: Service::Dynamodb,
            operation,
        }
    }

    fn columns(self) -> Vec<Column> {
        let mut columns = columns::of(Service::Dynamodb);
        if matches!(self, Self::OfOwner) {
            columns.extend(HALF_OF_BATCH);
        }
        columns
    }
}

/// A fresh table, as the adapter has it and as it is.
struct Subject {
    trial: Trial,
    call: Call,
    table: DynamoMetadata,
    direct: DynamoMetadata,
}

impl Subject {
    async fn new(operation: Operation, trial: Trial) -> Self {
        let name = unique("matrix");
        let definition = TableDefinition::metadata(&name);
        let made = create(&trial.direct.dynamodb, &definition);
        made.await.expect("a table is made");
        let of = |client: &aws_sdk_dynamodb::Client| {
            DynamoMetadata::new(client.clone(), &name, Arc::new(SystemClock))
        };
        Self {
            call: operation.call(),
            table: of(&trial.clients.dynamodb),
            direct: of(&trial.direct.dynamodb),
            trial,
        }
    }

    async fn fill(&self) {
        for name in ["a", "b"] {
            let recorded = self.direct.record(item(name)).await;
            assert_eq!(recorded, Ok(Written::Yes));
        }
    }

    async fn attach(&self) {
        let attached = self.direct.attach_thumbnails(&key("a"), thumbnails()).await;
        assert_eq!(attached, Ok(Written::Yes));
    }

    /// The item as it is.
    async fn found(&self) -> Option<MetadataItem> {
        self.direct.get(&key("a")).await.expect("nothing is wrong")
    }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(format!("{PREFIX}{name}")).expect("a key")
}

fn item(name: &str) -> MetadataItem {
    MetadataItem {
        key: key(name),
        owner: owner_of_key(&key(name)),
        sequencer: sequencer(),
        version_id: None,
        content_type: "image/jpeg".to_owned(),
        size: 3,
        sha256: None,
        dimensions: None,
        animated: false,
        defect: None,
        recorded_at: Timestamp(5),
        thumbnails: None,
        audio: None,
    }
}

fn sequencer() -> Sequencer {
    Sequencer("02".to_owned())
}

fn thumbnails() -> Thumbnails {
    Thumbnails {
        sequencer: sequencer(),
        dominant_colour: "#102030".to_owned(),
        placeholder: None,
        rendered_in_ms: None,
        variants: Vec::new(),
    }
}

/// The fault is one type, since whoever asks does the same about all of them: its words tell people what to do.
fn word<T>(result: &Result<T, MetadataFault>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(MetadataFault(told)) => word_for_people(told),
    }
}

async fn run(operation: Operation, trial: Trial) -> String {
    let subject = Subject::new(operation, trial).await;
    match operation {
        Operation::Record => recording(&subject).await,
        Operation::Attach => attaching(&subject).await,
        Operation::Remove => removing(&subject).await,
        Operation::Get => getting(&subject).await,
        Operation::List | Operation::OfOwner => listing(&subject, operation).await,
    }
}

async fn recording(subject: &Subject) -> String {
    subject.trial.begin(subject.call);
    let recorded = subject.table.record(item("a")).await;
    subject.trial.end();
    assert_ne!(recorded, Ok(Written::Outdated), "by nobody");
    if recorded.is_ok() {
        assert_eq!(subject.found().await, Some(item("a")));
    }
    let again = subject.table.record(item("a")).await;
    assert_eq!(again, Ok(Written::Yes), "the fault is over");
    assert_eq!(subject.found().await, Some(item("a")));
    word(&recorded)
}

async fn attaching(subject: &Subject) -> String {
    subject.fill().await;
    subject.trial.begin(subject.call);
    let attached = subject
        .table
        .attach_thumbnails(&key("a"), thumbnails())
        .await;
    subject.trial.end();
    assert_ne!(attached, Ok(Written::Outdated), "by nobody");
    let again = subject
        .table
        .attach_thumbnails(&key("a"), thumbnails())
        .await;
    assert_eq!(again, Ok(Written::Yes), "the fault is over");
    let found = subject.found().await.expect("it stays");
    assert_eq!(found.thumbnails, Some(thumbnails()));
    word(&attached)
}

async fn removing(subject: &Subject) -> String {
    subject.fill().await;
    subject.attach().await;
    subject.trial.begin(subject.call);
    let removed = subject.table.remove(&key("a"), &sequencer()).await;
    subject.trial.end();
    let again = subject.table.remove(&key("a"), &sequencer()).await;
    let (written, told_again) = again.expect("the fault is over");
    assert_eq!(written, Written::Yes);
    assert_eq!(subject.found().await, None);
    let straggler = subject.direct.record(item("a")).await;
    assert_eq!(straggler, Ok(Written::Outdated), "the removal is forgotten");
    let told = match &removed {
        Ok((written, told)) => {
            assert_eq!(*written, Written::Yes);
            told.clone()
        }
        Err(_) => told_again,
    };
    // A repeat finds nothing any more that it could tell of.
    match told {
        Some(told) => assert_eq!(told, thumbnails()),
        None => return format!("{}, pictures untold", word(&removed)),
    }
    word(&removed)
}

async fn getting(subject: &Subject) -> String {
    subject.fill().await;
    subject.trial.begin(subject.call);
    let got = subject.table.get(&key("a")).await;
    subject.trial.end();
    if let Ok(got) = &got {
        assert_eq!(got, &Some(item("a")), "an item that is there is not seen");
    }
    let again = subject.table.get(&key("a")).await;
    assert_eq!(again, Ok(Some(item("a"))), "the fault is over");
    word(&got)
}

async fn listing(subject: &Subject, operation: Operation) -> String {
    subject.fill().await;
    let list = async || match operation {
        Operation::OfOwner => subject.table.list_of_owner(OWNER, None, 10).await,
        _ => subject.table.list(PREFIX, None, 10).await,
    };
    subject.trial.begin(subject.call);
    let listed = list().await;
    subject.trial.end();
    let again = list().await;
    let again = again.expect("the fault is over");
    assert_eq!(again.items, [item("a"), item("b")]);
    if let Ok(listed) = &listed {
        assert_eq!(listed, &again, "a part is taken for the whole");
    }
    word(&listed)
}

#[tokio::test]
async fn metadata_is_what_was_recorded_under_any_fault() {
    let table = play(ministack(), &OPERATIONS, Operation::columns, run).await;
    insta::assert_snapshot!("metadata", table);
}
