//! Queues on SQS.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use iyagi::aws::sqs::{OpenQueueError, SqsQueue};
use iyagi_actors::ports::{Outgoing, Queue as _, QueueFault};

use super::columns::{self, Column, HALF_OF_BATCH};
use super::table::play;
use super::trial::Trial;
use crate::faults::{Call, Service};
use crate::servers::{ministack, unique};

/// Long enough for what follows, short enough to wait for.
const VISIBILITY: Duration = Duration::from_secs(3);
const WAIT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);
const BODIES: [&str; 4] = ["one", "two", "three", "four"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Open,
    Send,
    SendFifo,
    Receive,
    Delete,
    Hide,
    HideMany,
    Depth,
    Purge,
}

const OPERATIONS: [Operation; 9] = [
    Operation::Open,
    Operation::Send,
    Operation::SendFifo,
    Operation::Receive,
    Operation::Delete,
    Operation::Hide,
    Operation::HideMany,
    Operation::Depth,
    Operation::Purge,
];

impl Operation {
    fn call(self) -> Call {
        let operation = match self {
            Self::Open => "GetQueueUrl",
            Self::Send | Self::SendFifo => "SendMessageBatch",
            Self::Receive => "ReceiveMessage",
            Self::Delete => "DeleteMessageBatch",
            Self::Hide => "ChangeMessageVisibility",
            Self::HideMany => "ChangeMessageVisibilityBatch",
            Self::Depth => "GetQueueAttributes",
            Self::Purge => "PurgeQueue",
        };
        Call {
            service: Service::Sqs,
            operation,
        }
    }

    fn columns(self) -> Vec<Column> {
        let mut columns = columns::of(Service::Sqs);
        if self.call().operation.ends_with("Batch") {
            columns.extend(HALF_OF_BATCH);
        }
        columns
    }
}

/// A fresh queue, as the adapter has it and as it is.
struct Subject {
    trial: Trial,
    call: Call,
    name: String,
    url: String,
    queue: SqsQueue,
    fifo: bool,
}

impl Subject {
    async fn new(operation: Operation, trial: Trial) -> Self {
        let fifo = operation == Operation::SendFifo;
        let name = unique("matrix") + if fifo { ".fifo" } else { "" };
        let made = trial.direct.sqs.create_queue().queue_name(&name);
        let made = if fifo {
            made.attributes(QueueAttributeName::FifoQueue, "true")
        } else {
            made
        };
        let made = made.send().await.expect("a queue is made");
        let url = made.queue_url.expect("it has an address");
        let queue = open(&trial, &name).await.expect("nothing is wrong yet");
        Self {
            call: operation.call(),
            trial,
            name,
            url,
            queue,
            fifo,
        }
    }

    async fn fill(&self) {
        for body in BODIES {
            let send = self.trial.direct.sqs.send_message();
            let send = send.queue_url(&self.url).message_body(body);
            send.send().await.expect("it is sent");
        }
    }

    /// Receives everything for `VISIBILITY`, past the proxy.
    async fn receipts(&self) -> Vec<String> {
        let mut receipts = Vec::new();
        while receipts.len() < BODIES.len() {
            let received = self.receive(VISIBILITY).await;
            receipts.extend(received.into_iter().map(|(_, receipt)| receipt));
        }
        receipts
    }

    async fn receive(&self, visibility: Duration) -> Vec<(String, String)> {
        let receive = self.trial.direct.sqs.receive_message();
        let received = receive
            .queue_url(&self.url)
            .max_number_of_messages(10)
            .visibility_timeout(visibility.as_secs() as i32)
            .send()
            .await;
        let messages = received.expect("it is received").messages;
        let messages = messages.unwrap_or_default().into_iter();
        let parts = |message: aws_sdk_sqs::types::Message| {
            let body = message.body.expect("a body");
            (body, message.receipt_handle.expect("a receipt"))
        };
        messages.map(parts).collect()
    }

    /// How often each body is in the queue.
    async fn counted(&self) -> BTreeMap<String, usize> {
        let mut counted = BTreeMap::new();
        loop {
            let received = self.receive(PATIENCE).await;
            if received.is_empty() {
                return counted;
            }
            for (body, _) in received {
                *counted.entry(body).or_default() += 1;
            }
        }
    }

    /// Messages that are there, seen or hidden.
    async fn left(&self) -> u64 {
        let (sqs, name, url) = (&self.trial.direct.sqs, &self.name, &self.url);
        let direct = SqsQueue::open(sqs.clone(), name, name, PATIENCE).await;
        assert_eq!(direct.as_ref().map(SqsQueue::url), Ok(url.as_str()));
        let depth = direct.expect("it is there").depth().await;
        let depth = depth.expect("it is told");
        depth.visible + depth.in_flight
    }
}

async fn open(trial: &Trial, name: &str) -> Result<SqsQueue, OpenQueueError> {
    SqsQueue::open(trial.clients.sqs.clone(), name, name, trial.call_timeout).await
}

fn word<T>(result: &Result<T, QueueFault>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(QueueFault::Refused { .. }) => "refused",
        Err(QueueFault::NotInFlight { .. }) => "not in flight",
        Err(QueueFault::Unavailable { .. }) => "unavailable",
    }
}

/// The word for a batch: that of the call, or of its items.
fn word_of_all<T>(results: &[Result<T, QueueFault>]) -> String {
    let words: BTreeSet<&str> = results.iter().map(word).collect();
    Vec::from_iter(words).join("/")
}

async fn run(operation: Operation, trial: Trial) -> String {
    let subject = Subject::new(operation, trial).await;
    match operation {
        Operation::Open => opening(&subject).await,
        Operation::Send | Operation::SendFifo => sending(&subject).await,
        Operation::Receive => receiving(&subject).await,
        Operation::Delete => deleting(&subject).await,
        Operation::Hide | Operation::HideMany => hiding(&subject, operation).await,
        Operation::Depth => counting(&subject).await,
        Operation::Purge => purging(&subject).await,
    }
}

async fn opening(subject: &Subject) -> String {
    subject.trial.begin(subject.call);
    let opened = open(&subject.trial, &subject.name).await;
    subject.trial.end();
    open(&subject.trial, &subject.name)
        .await
        .expect("the fault is over");
    match opened {
        Ok(_) => "ok".to_owned(),
        Err(OpenQueueError::Unavailable { .. }) => "unavailable".to_owned(),
        Err(OpenQueueError::Missing { .. }) => panic!("a queue that is there is called missing"),
    }
}

async fn sending(subject: &Subject) -> String {
    let Subject {
        trial, queue, fifo, ..
    } = subject;
    let message = |body: &str| Outgoing {
        body: body.to_owned(),
        delay: Duration::ZERO,
        group: fifo.then(|| body.to_owned()),
        deduplication_id: fifo.then(|| body.to_owned()),
    };
    trial.begin(subject.call);
    let sent = queue.send(BODIES.map(message).into()).await;
    trial.end();
    let sent = sent.unwrap_or_else(|fault| vec![Err(fault); BODIES.len()]);
    // Whoever sends keeps what failed and sends it again.
    let failed = BODIES.iter().zip(&sent).filter(|(_, sent)| sent.is_err());
    let failed: Vec<_> = failed.map(|(body, _)| message(body)).collect();
    if !failed.is_empty() {
        let again = queue.send(failed).await.expect("the fault is over");
        assert_eq!(word_of_all(&again), "ok", "the fault is over");
    }
    let counted = subject.counted().await;
    let found: BTreeSet<&str> = counted.keys().map(String::as_str).collect();
    assert_eq!(found, BTreeSet::from(BODIES), "a message is lost");
    let copies = counted.values().copied().max().unwrap_or_default();
    let word = word_of_all(&sent);
    if copies == 1 {
        return word;
    }
    assert!(!fifo, "a FIFO queue has a message {copies} times");
    assert!(
        trial.column.takes_effect(),
        "calls that took no effect doubled a message"
    );
    format!("{word}, {copies} copies")
}

async fn receiving(subject: &Subject) -> String {
    let Subject { trial, queue, .. } = subject;
    subject.fill().await;
    trial.begin(subject.call);
    let received = queue.receive(10, WAIT, VISIBILITY).await;
    trial.end();
    let word = word(&received);
    let mut found = BTreeSet::new();
    let deadline = Instant::now() + PATIENCE;
    let mut more = received.unwrap_or_default();
    loop {
        found.extend(more.drain(..).map(|message| message.body));
        if found.len() == BODIES.len() {
            return word.to_owned();
        }
        assert!(Instant::now() < deadline, "only {found:?} came again");
        let received = queue.receive(10, WAIT, VISIBILITY).await;
        more = received.expect("the fault is over");
    }
}

async fn deleting(subject: &Subject) -> String {
    let Subject { trial, queue, .. } = subject;
    subject.fill().await;
    let receipts = subject.receipts().await;
    trial.begin(subject.call);
    let deleted = queue.delete(&receipts).await;
    trial.end();
    if deleted.is_ok() {
        assert_eq!(subject.left().await, 0, "they are told to be deleted");
    }
    let again = queue.delete(&receipts).await;
    again.expect("the fault is over");
    assert_eq!(subject.left().await, 0, "a message is left");
    word(&deleted).to_owned()
}

async fn hiding(subject: &Subject, operation: Operation) -> String {
    let Subject { trial, queue, .. } = subject;
    subject.fill().await;
    let receipts = subject.receipts().await;
    let give_back = async || match operation {
        Operation::Hide => {
            let mut results = Vec::new();
            for receipt in &receipts {
                results.push(queue.change_visibility(receipt, Duration::ZERO).await);
            }
            results
        }
        _ => queue.change_visibilities(&receipts, Duration::ZERO).await,
    };
    trial.begin(subject.call);
    let given_back = give_back().await;
    trial.end();
    for again in give_back().await {
        let over = matches!(again, Ok(()) | Err(QueueFault::NotInFlight { .. }));
        assert!(over, "the fault is over: {again:?}");
    }
    let counted = subject.counted().await;
    assert_eq!(counted.len(), BODIES.len(), "a message stays hidden");
    word_of_all(&given_back)
}

async fn counting(subject: &Subject) -> String {
    let Subject { trial, queue, .. } = subject;
    subject.fill().await;
    trial.begin(subject.call);
    let depth = queue.depth().await;
    trial.end();
    let again = queue.depth().await.expect("the fault is over");
    assert_eq!(again.visible, BODIES.len() as u64);
    if let Ok(depth) = &depth {
        assert_eq!(depth, &again, "a wrong number");
    }
    word(&depth).to_owned()
}

async fn purging(subject: &Subject) -> String {
    let Subject { trial, queue, .. } = subject;
    subject.fill().await;
    trial.begin(subject.call);
    let purged = queue.purge().await;
    trial.end();
    if purged.is_err() && !trial.column.takes_effect() {
        assert_eq!(subject.left().await, BODIES.len() as u64);
        queue.purge().await.expect("the fault is over");
    }
    assert_eq!(subject.left().await, 0, "a message is left");
    word(&purged).to_owned()
}

#[tokio::test]
async fn a_queue_loses_nothing_under_any_fault() {
    let table = play(ministack(), &OPERATIONS, Operation::columns, run).await;
    insta::assert_snapshot!("queues", table);
}
