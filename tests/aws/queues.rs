//! Queues in SQS.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::types::QueueAttributeName;
use iyagi::aws::sqs::{OpenQueueError, SqsQueue};
use iyagi_actors::ports::contract::queue as contract;
use iyagi_actors::ports::contract::queue::QueueHarness;
use iyagi_actors::ports::{Outgoing, Queue};

use crate::faults::{Call, Fault, FaultProxy, Rule, Service};
use crate::servers::{Server, localemu, ministack, moto, unique};

pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const VISIBILITY: Duration = Duration::from_secs(30);

/// Makes queues on a server. Its own time passes as everybody's does.
pub(crate) struct Sqs {
    client: aws_sdk_sqs::Client,
}

impl Sqs {
    pub(crate) fn on(server: &Server) -> Self {
        let client = server.clients().sqs;
        Self { client }
    }

    /// A fresh queue, which ends in `.fifo` if it is one.
    pub(crate) async fn create(&self, what: &str, redrive_policy: Option<&str>) -> SqsQueue {
        let (stem, suffix) = match what.strip_suffix(".fifo") {
            Some(stem) => (stem, ".fifo"),
            None => (what, ""),
        };
        let queue = format!("{}{suffix}", unique(stem));
        let mut request = self.client.create_queue().queue_name(&queue);
        if !suffix.is_empty() {
            request = request.attributes(QueueAttributeName::FifoQueue, "true");
        }
        if let Some(policy) = redrive_policy {
            request = request.attributes(QueueAttributeName::RedrivePolicy, policy);
        }
        request.send().await.expect("a queue is made");
        let opened = SqsQueue::open(self.client.clone(), what, &queue, CALL_TIMEOUT).await;
        opened.expect("it is there")
    }

    /// The policy by which another queue sends what nobody handles to `dead_letters`.
    pub(crate) async fn redrive_policy(
        &self,
        dead_letters: &SqsQueue,
        max_receive_count: u32,
    ) -> String {
        let arn = self.arn(dead_letters).await;
        serde_json::json!({
            "deadLetterTargetArn": arn, "maxReceiveCount": max_receive_count.to_string(),
        })
        .to_string()
    }

    /// The queue's name among all of AWS.
    pub(crate) async fn arn(&self, queue: &SqsQueue) -> String {
        let asked = self.client.get_queue_attributes().queue_url(queue.url());
        let asked = asked.attribute_names(QueueAttributeName::QueueArn);
        let attributes = asked.send().await.expect("the server answers").attributes;
        attributes.expect("attributes")[&QueueAttributeName::QueueArn].clone()
    }
}

#[async_trait]
impl QueueHarness for Sqs {
    async fn queue(&self, fifo: bool) -> Arc<dyn Queue> {
        Arc::new(self.create(name(fifo), None).await)
    }

    async fn with_dead_letters(
        &self,
        fifo: bool,
        max_receive_count: u32,
    ) -> (Arc<dyn Queue>, Arc<dyn Queue>) {
        let dead_letters = self.create(name(fifo), None).await;
        let policy = self.redrive_policy(&dead_letters, max_receive_count).await;
        let queue = self.create(name(fifo), Some(&policy)).await;
        (Arc::new(queue), Arc::new(dead_letters))
    }

    async fn advance(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }
}

fn name(fifo: bool) -> &'static str {
    if fifo { "jobs.fifo" } else { "jobs" }
}

fn text(body: &str) -> Outgoing {
    Outgoing {
        body: body.to_owned(),
        ..Outgoing::default()
    }
}

/// What every server gets right, but for one check: that a deduplication id is forgotten after five minutes, for a
/// server cannot be told to let time pass. The checks wait beside each other, each on queues of its own.
async fn keep_the_contract(sqs: &Sqs) {
    tokio::join!(
        contract::a_message_is_received_until_it_is_deleted(sqs),
        contract::a_received_message_is_hidden_until_its_visibility_ends(sqs),
        contract::a_visibility_can_be_prolonged_and_given_up(sqs),
        contract::a_delayed_message_waits(sqs),
        contract::a_message_that_nobody_handles_is_set_aside(sqs, false),
        contract::a_message_that_nobody_handles_is_set_aside(sqs, true),
        contract::what_the_queue_does_not_take_is_refused_alone(sqs),
        contract::a_batch_out_of_bounds_is_refused_whole(sqs),
        contract::a_batch_of_large_messages_is_taken(sqs),
        contract::ten_receivers_never_share_a_message(sqs),
        contract::a_fifo_queue_needs_a_group_and_takes_no_delay(sqs),
        contract::a_duplicate_is_taken_once_even_after_the_first_is_deleted(sqs),
    );
}

#[tokio::test]
async fn keep_the_contract_on_ministack() {
    let sqs = &Sqs::on(ministack());
    tokio::join!(
        keep_the_contract(sqs),
        contract::a_group_comes_in_order_and_to_one_receiver_at_a_time(sqs),
        contract::an_old_receipt_of_a_fifo_queue_deletes_nothing(sqs),
    );
}

/// Without what `LocalEmu` gets wrong about FIFO queues: a message in flight keeps those of other groups from coming
/// again, and an old receipt deletes the message from whoever has it now.
#[tokio::test]
async fn keep_the_contract_on_localemu() {
    if let Some(server) = localemu() {
        keep_the_contract(&Sqs::on(server)).await;
    }
}

/// Without what moto gets wrong (it forgets a deduplication id with its message) or takes minutes for (many messages).
#[tokio::test]
async fn keep_the_contract_on_moto() {
    let sqs = &Sqs::on(moto());
    tokio::join!(
        contract::a_message_is_received_until_it_is_deleted(sqs),
        contract::a_received_message_is_hidden_until_its_visibility_ends(sqs),
        contract::a_visibility_can_be_prolonged_and_given_up(sqs),
        contract::a_delayed_message_waits(sqs),
        contract::what_the_queue_does_not_take_is_refused_alone(sqs),
        contract::a_batch_of_large_messages_is_taken(sqs),
        contract::a_fifo_queue_needs_a_group_and_takes_no_delay(sqs),
    );
}

#[tokio::test]
async fn a_queue_that_is_not_there_says_what_makes_it() {
    for server in [Some(ministack()), Some(moto()), localemu()] {
        let Some(server) = server else { continue };
        let name = unique("missing");
        let client = server.clients().sqs;
        let opened = SqsQueue::open(client, "thumbnails", &name, CALL_TIMEOUT).await;
        let missing = opened.expect_err("nobody made it");
        assert_eq!(missing, OpenQueueError::Missing { queue: name });
        assert!(missing.to_string().contains("`iyagi provision`"));
    }
}

#[tokio::test]
async fn a_queue_that_nobody_answers_for_is_unavailable() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let queue = Sqs::on(ministack()).create("jobs", None).await;
    let config = ministack().clients().sqs.config().to_builder();
    let config = config
        .endpoint_url(format!("http://{address}"))
        .retry_config(aws_config::retry::RetryConfig::disabled());
    let client = aws_sdk_sqs::Client::from_conf(config.build());
    let opened = SqsQueue::open(client, "jobs", &unique("jobs"), CALL_TIMEOUT).await;
    let unavailable = opened.expect_err("nobody listens");
    assert!(
        matches!(unavailable, OpenQueueError::Unavailable { .. }),
        "{unavailable}"
    );
    drop(queue);
}

#[tokio::test]
async fn an_answer_that_is_lost_doubles_nothing_in_a_fifo_queue() {
    let proxy = FaultProxy::before(ministack());
    let queue = Sqs::on(proxy.server()).create("jobs.fifo", None).await;
    let call = Call {
        service: Service::Sqs,
        operation: "SendMessageBatch",
    };
    proxy.inject(Rule::nth(call, 1, Fault::AnswerLost));
    let message = Outgoing {
        group: Some("g".to_owned()),
        deduplication_id: Some("1".to_owned()),
        ..text("once")
    };
    let sent = queue.send(vec![message]).await.expect("in bounds");
    assert!(sent[0].is_ok(), "the repeat is answered: {sent:?}");
    assert_eq!(proxy.fired(), 1);
    assert_eq!(queue.depth().await.expect("counts").visible, 1);
}

#[tokio::test]
async fn a_queue_counts_what_waits_what_is_in_flight_and_what_is_delayed() {
    for server in [Some(ministack()), localemu()].into_iter().flatten() {
        let queue = Sqs::on(server).create("jobs", None).await;
        let delayed = Outgoing {
            delay: Duration::from_mins(1),
            ..text("later")
        };
        let messages = vec![text("a"), text("b"), text("c"), delayed];
        let sent = queue.send(messages).await.expect("in bounds");
        assert!(sent.iter().all(Result::is_ok));
        let received = queue.receive(1, Duration::from_secs(2), VISIBILITY).await;
        assert_eq!(received.expect("receives").len(), 1);
        let depth = queue.depth().await.expect("counts");
        assert_eq!((depth.visible, depth.in_flight, depth.delayed), (2, 1, 1));
        queue.purge().await.expect("purges");
        let depth = queue.depth().await.expect("counts");
        assert_eq!(depth.visible, 0);
    }
}
