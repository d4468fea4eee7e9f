//! Leases in `DynamoDB`.

use iyagi::aws::dynamodb::definitions::{TableDefinition, create};
use iyagi::aws::dynamodb::leases::DynamoLeases;
use iyagi_actors::ports::{Lease, LeaseFault, Leases as _};

use super::columns;
use super::table::{play, word_for_people};
use super::trial::Trial;
use crate::faults::{Call, Service};
use crate::servers::{ministack, unique};

const NAME: &str = "host/1";
const OWNER: &str = "one";

#[derive(Debug, Clone, Copy)]
enum Operation {
    List,
    Take,
    Renew,
    Release,
}

const OPERATIONS: [Operation; 4] = [
    Operation::List,
    Operation::Take,
    Operation::Renew,
    Operation::Release,
];

impl Operation {
    fn call(self) -> Call {
        let operation = match self {
            Self::List => "Query",
            Self::Take | Self::Renew | Self::Release => "UpdateItem",
        };
        Call {
            service: Service::Dynamodb,
            operation,
        }
    }
}

/// A fresh table, as the adapter has it and as it is.
struct Subject {
    trial: Trial,
    call: Call,
    leases: DynamoLeases,
    direct: DynamoLeases,
}

impl Subject {
    async fn new(operation: Operation, trial: Trial) -> Self {
        let table = unique("matrix");
        let definition = TableDefinition::leases(&table);
        let made = create(&trial.direct.dynamodb, &definition).await;
        made.expect("a table is made");
        Self {
            call: operation.call(),
            leases: DynamoLeases::new(trial.clients.dynamodb.clone(), &table),
            direct: DynamoLeases::new(trial.direct.dynamodb.clone(), &table),
            trial,
        }
    }

    async fn taken(&self) -> Lease {
        let taken = self.direct.take(NAME, OWNER, "detail", None).await;
        taken.expect("nothing is wrong").expect("nobody has it")
    }

    /// The lease as it is.
    async fn found(&self) -> Option<Lease> {
        let mut listed = self.direct.list("").await.expect("nothing is wrong");
        assert!(listed.len() <= 1, "{listed:?}");
        listed.pop()
    }
}

/// The fault is one type, since whoever asks does the same about all of them: its words tell people what to do.
fn word<T>(result: &Result<T, LeaseFault>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(LeaseFault(told)) => word_for_people(told),
    }
}

async fn run(operation: Operation, trial: Trial) -> String {
    let subject = Subject::new(operation, trial).await;
    match operation {
        Operation::List => listing(&subject).await,
        Operation::Take => taking(&subject).await,
        Operation::Renew => renewing(&subject).await,
        Operation::Release => releasing(&subject).await,
    }
}

async fn listing(subject: &Subject) -> String {
    let lease = subject.taken().await;
    subject.trial.begin(subject.call);
    let listed = subject.leases.list("host/").await;
    subject.trial.end();
    let again = subject.leases.list("host/").await;
    assert_eq!(again.expect("the fault is over"), [lease]);
    if let Ok(listed) = &listed {
        assert_eq!(listed.len(), 1, "a host that is there is not seen");
    }
    word(&listed)
}

async fn taking(subject: &Subject) -> String {
    subject.trial.begin(subject.call);
    let taken = subject.leases.take(NAME, OWNER, "detail", None).await;
    subject.trial.end();
    let found = subject.found().await;
    if let Some(found) = &found {
        assert_eq!(found.owner.as_deref(), Some(OWNER));
    }
    match &taken {
        Ok(Some(taken)) => assert_eq!(found.as_ref(), Some(taken)),
        Ok(None) => panic!("whoever took it is told that someone else was quicker"),
        Err(_) => {
            // Whoever takes looks again, and takes what stands still.
            let again = subject.leases.take(NAME, OWNER, "detail", found.as_ref());
            let again = again.await.expect("the fault is over");
            let again = again.expect("nobody else is there");
            assert!(found.is_none_or(|found| found.epoch < again.epoch));
        }
    }
    word(&taken)
}

async fn renewing(subject: &Subject) -> String {
    let lease = subject.taken().await;
    subject.trial.begin(subject.call);
    let renewed = subject.leases.renew(&lease).await;
    subject.trial.end();
    assert_ne!(renewed, Ok(None), "the holder is told that it is none");
    let again = subject.leases.renew(&lease).await;
    let again = again.expect("the fault is over").expect("it is the holder");
    assert_eq!((again.epoch, &again.owner), (lease.epoch, &lease.owner));
    assert!(again.counter > lease.counter);
    assert_eq!(subject.found().await, Some(again));
    word(&renewed)
}

async fn releasing(subject: &Subject) -> String {
    let lease = subject.taken().await;
    subject.trial.begin(subject.call);
    let released = subject.leases.release(&lease).await;
    subject.trial.end();
    let again = subject.leases.release(&lease).await;
    again.expect("the fault is over");
    let found = subject.found().await.expect("its epoch is remembered");
    assert_eq!((found.owner, found.epoch), (None, lease.epoch));
    word(&released)
}

#[tokio::test]
async fn a_lease_has_one_holder_who_knows_it_under_any_fault() {
    let columns = |_| columns::of(Service::Dynamodb);
    let table = play(ministack(), &OPERATIONS, columns, run).await;
    insta::assert_snapshot!("leases", table);
}
