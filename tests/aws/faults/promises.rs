//! A proxy that did less than it says would make every test of a fault pass.

use std::time::Duration;

use aws_sdk_sns::error::ProvideErrorMetadata as _;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageOutput;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use iyagi::aws::clients::Clients;
use serde_json::json;

use super::{Call, Fault, FaultProxy, Rule, Service, ServiceError, microburst};
use crate::servers::{Server, ministack, unique};

const SEND: Call = Call {
    service: Service::Sqs,
    operation: "SendMessage",
};
const SEND_BATCH: Call = Call {
    service: Service::Sqs,
    operation: "SendMessageBatch",
};
const LIST_TOPICS: Call = Call {
    service: Service::Sns,
    operation: "ListTopics",
};
const LIST_TABLES: Call = Call {
    service: Service::Dynamodb,
    operation: "ListTables",
};
const GET_OBJECT: Call = Call {
    service: Service::S3,
    operation: "GetObject",
};

async fn queue(clients: &Clients) -> String {
    let made = clients.sqs.create_queue().queue_name(unique("faults"));
    let made = made.send().await.expect("a queue is made");
    made.queue_url.expect("it has an address")
}

async fn bodies(clients: &Clients, queue: &str) -> Vec<String> {
    let receive = clients.sqs.receive_message().queue_url(queue);
    let received = receive.max_number_of_messages(10).send().await;
    let ReceiveMessageOutput { messages, .. } = received.expect("they are received");
    let mut bodies: Vec<String> = messages
        .unwrap_or_default()
        .into_iter()
        .filter_map(|message| message.body)
        .collect();
    bodies.sort_unstable();
    bodies
}

/// Clients that give up at once, so that each fault is seen as it is.
fn impatient(server: &Server) -> aws_sdk_sqs::Client {
    let sqs = server.clients().sqs;
    let timeout = aws_config::timeout::TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_millis(300))
        .build();
    let config = sqs.config().to_builder();
    let config = config
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .timeout_config(timeout);
    aws_sdk_sqs::Client::from_conf(config.build())
}

#[tokio::test]
async fn a_lost_answer_is_of_a_call_that_took_effect() {
    let proxy = FaultProxy::before(ministack());
    let clients = proxy.server().clients();
    let queue = queue(&clients).await;
    let sqs = impatient(proxy.server());
    proxy.inject(Rule::nth(SEND, 2, Fault::AnswerLost));
    let send = |body: &str| sqs.send_message().queue_url(&queue).message_body(body);
    send("heard").send().await.expect("the first one passes");
    let lost = send("unheard").send().await.expect_err("no answer");
    assert!(lost.as_service_error().is_none(), "{lost:?}");
    send("heard again")
        .send()
        .await
        .expect("the third one passes");
    assert_eq!(proxy.fired(), 1);
    assert_eq!(
        bodies(&clients, &queue).await,
        ["heard", "heard again", "unheard"]
    );
}

#[tokio::test]
async fn a_stalled_call_does_not_take_effect() {
    let proxy = FaultProxy::before(ministack());
    let clients = proxy.server().clients();
    let queue = queue(&clients).await;
    let sqs = impatient(proxy.server());
    proxy.inject(Rule::always(SEND, Fault::Stall));
    let send = sqs.send_message().queue_url(&queue).message_body("stalled");
    let stalled = send.clone().send().await.expect_err("no answer");
    assert!(
        matches!(stalled, aws_sdk_sqs::error::SdkError::TimeoutError(_)),
        "{stalled:?}"
    );
    proxy.heal();
    assert_eq!(bodies(&clients, &queue).await, [] as [&str; 0]);
    send.send().await.expect("it is healed");
}

#[tokio::test]
async fn a_call_that_is_held_takes_effect_although_nobody_waits_any_more() {
    let proxy = FaultProxy::before(ministack());
    let clients = proxy.server().clients();
    let queue = queue(&clients).await;
    let sqs = impatient(proxy.server());
    proxy.inject(Rule::always(SEND, Fault::Held));
    let send = sqs.send_message().queue_url(&queue).message_body("held");
    send.send().await.expect_err("no answer");
    let direct = ministack().clients();
    assert_eq!(bodies(&direct, &queue).await, [] as [&str; 0]);
    proxy.deliver_held();
    assert_eq!(bodies(&direct, &queue).await, ["held"]);
}

#[tokio::test]
async fn half_of_a_batch_fails_and_was_not_sent() {
    let proxy = FaultProxy::before(ministack());
    let clients = proxy.server().clients();
    let queue = queue(&clients).await;
    proxy.inject(Rule::nth(SEND_BATCH, 1, Fault::HalfOfBatch));
    let entry = |id: &str| {
        let entry = SendMessageBatchRequestEntry::builder();
        entry.id(id).message_body(id).build().expect("it is whole")
    };
    let entries: Vec<_> = ["a", "b", "c", "d"].map(entry).into();
    let batch = clients.sqs.send_message_batch().queue_url(&queue);
    let batch = batch.set_entries(Some(entries)).send().await;
    let batch = batch.expect("half of it is taken");
    let ids = |failed: &aws_sdk_sqs::types::BatchResultErrorEntry| failed.id.clone();
    let failed: Vec<String> = batch.failed().iter().map(ids).collect();
    assert_eq!(failed, ["b", "d"]);
    assert_eq!(batch.successful().len(), 2);
    assert_eq!(bodies(&clients, &queue).await, ["a", "c"]);
}

#[tokio::test]
async fn a_spoilt_body_is_noticed() {
    let proxy = FaultProxy::before(ministack());
    let s3 = proxy.server().clients().s3;
    let bucket = unique("faults");
    let made = s3.create_bucket().bucket(&bucket);
    let place = aws_sdk_s3::types::BucketLocationConstraint::from(proxy.server().region());
    let place = aws_sdk_s3::types::CreateBucketConfiguration::builder()
        .location_constraint(place)
        .build();
    let made = made.create_bucket_configuration(place).send().await;
    made.expect("a bucket is made");
    let body = vec![7_u8; 100_000];
    let put = s3.put_object().bucket(&bucket).key("a");
    let put = put.body(body.clone().into()).send().await;
    put.expect("an object is stored");
    for fault in [Fault::ResetMidBody, Fault::Truncated] {
        proxy.inject(Rule::always(GET_OBJECT, fault));
        let got = s3.get_object().bucket(&bucket).key("a").send().await;
        let got = match got {
            Ok(got) => got
                .body
                .collect()
                .await
                .map(aws_sdk_s3::primitives::AggregatedBytes::to_vec)
                .ok(),
            Err(_) => None,
        };
        assert_ne!(got.as_ref(), Some(&body), "{fault:?}");
        proxy.heal();
    }
    let got = s3.get_object().bucket(&bucket).key("a").send().await;
    let got = got.expect("it is there").body.collect().await;
    assert_eq!(got.expect("it is whole").to_vec(), body);
}

#[tokio::test]
async fn errors_come_in_the_form_of_each_protocol() {
    let proxy = FaultProxy::before(ministack());
    let clients = proxy.server().clients();
    let error = |code| Fault::Error(ServiceError { status: 400, code });
    proxy.inject(Rule::nth(LIST_TOPICS, 1, error("AuthorizationError")));
    let sns = clients.sns.list_topics().send().await;
    assert_eq!(
        sns.expect_err("it is injected").code(),
        Some("AuthorizationError")
    );
    proxy.inject(Rule::nth(LIST_TABLES, 1, error("AccessDeniedException")));
    let tables = clients.dynamodb.list_tables().send().await;
    let tables = tables.expect_err("it is injected");
    assert_eq!(tables.code(), Some("AccessDeniedException"));
    proxy.inject(Rule::nth(SEND, 1, error("AccessDenied")));
    let sent = clients.sqs.send_message().queue_url("q").message_body("m");
    let sent = sent.send().await.expect_err("it is injected");
    assert_eq!(sent.code(), Some("AccessDenied"));
    let object = ServiceError {
        status: 403,
        code: "ExpiredToken",
    };
    proxy.inject(Rule::nth(GET_OBJECT, 1, Fault::Error(object)));
    let got = clients.s3.get_object().bucket("bucket").key("k");
    let got = got.send().await.expect_err("it is injected");
    assert_eq!(got.code(), Some("ExpiredToken"));
    assert_eq!(proxy.fired(), 4);
}

#[tokio::test]
async fn a_page_of_a_load_balancer_is_repeated_by_the_sdk() {
    let proxy = FaultProxy::before(ministack());
    let clients = proxy.server().clients();
    for status in [500, 503] {
        proxy.inject(Rule::nth(LIST_TABLES, 1, Fault::Page(status)));
        let tables = clients.dynamodb.list_tables().send().await;
        tables.expect("the second attempt passes");
    }
    assert_eq!(proxy.fired(), 2);
}

#[tokio::test]
async fn microburst_injects_what_its_rules_say() {
    let proxy = microburst(ministack());
    // It reads AWS's models before its first answer.
    let mut config = proxy.server().aws_config();
    config.call_timeout_ms = 120_000;
    let sns = proxy.server().clients_with(&config).sns;
    proxy.set_rules(&json!([{
        "service": "sns",
        "operation": "ListTopics",
        "error": { "code": "AuthorizationError" },
    }]));
    let listed = sns.list_topics().send().await;
    assert_eq!(
        listed.expect_err("it is injected").code(),
        Some("AuthorizationError")
    );
    assert_eq!(proxy.fired().len(), 1);
    proxy.heal();
    sns.list_topics().send().await.expect("it is healed");
}
