//! What the service tells later of a push is understood as it comes through a topic and a queue.

use iyagi_actors::ports::PushGateway;
use iyagi_messages::feedback::{BounceClass, DeliveryFailure, Feedback};
use tokio::time::Instant;

use super::fake_sns::{FakeSns, delivery_failure};
use super::{PATIENCE, gateway, payload};
use crate::servers::{ministack, unique};

fn failure(body: &str) -> DeliveryFailure {
    match Feedback::parse(body) {
        Ok(Feedback::Failed(failure)) => failure,
        other => panic!("{body} is {other:?}"),
    }
}

#[tokio::test]
async fn a_failed_delivery_names_the_push_by_the_id_that_its_publish_gave() {
    let fake = FakeSns::start();
    let gateway = gateway(&fake, &std::sync::Arc::default());
    let id = gateway.send(&payload(1, "phone")).await.expect("sent");
    let published = fake.published().remove(0);
    for (word, dead) in [
        ("InvalidPlatformToken", true),
        ("InvalidNotification", false),
        ("DependencyUnavailable", false),
        ("InvalidCredentials", false),
    ] {
        let failure = failure(&delivery_failure(&published, word));
        assert_eq!(
            (&failure.gateway_id, failure.failure_type.as_str()),
            (&id, word)
        );
        let class = BounceClass::of(&failure.failure_type, &failure.detail);
        assert_eq!(class.token_is_dead(), dead, "{word}");
    }
}

#[tokio::test]
async fn an_event_is_read_out_of_the_envelope_that_a_topic_puts_around_it() {
    let clients = ministack().clients();
    let (sns, sqs) = (&clients.sns, &clients.sqs);
    let name = unique("push-feedback");
    let topic = sns.create_topic().name(&name).send().await.expect("made");
    let queue = sqs
        .create_queue()
        .queue_name(&name)
        .send()
        .await
        .expect("made");
    let (topic, queue) = (
        topic.topic_arn.expect("told"),
        queue.queue_url.expect("told"),
    );
    let attributes = sqs.get_queue_attributes().queue_url(&queue);
    let attributes = attributes
        .attribute_names("QueueArn".into())
        .send()
        .await
        .expect("there");
    let arn = attributes
        .attributes
        .expect("told")
        .remove(&"QueueArn".into())
        .expect("told");
    let event = r#"{"EventType": "DeliveryFailure", "MessageId": "message-7", "FailureType": "UNREGISTERED", "FailureMessage": "\"gone\" & 끝"}"#;
    for raw in ["false", "true"] {
        let subscription = sns
            .subscribe()
            .topic_arn(&topic)
            .protocol("sqs")
            .endpoint(&arn);
        let subscription = subscription
            .attributes("RawMessageDelivery", raw)
            .return_subscription_arn(true);
        let subscription = subscription.send().await.expect("subscribed");
        sns.publish()
            .topic_arn(&topic)
            .message(event)
            .send()
            .await
            .expect("published");
        let deadline = Instant::now() + PATIENCE;
        let body = loop {
            let received = sqs
                .receive_message()
                .queue_url(&queue)
                .wait_time_seconds(2)
                .send()
                .await;
            let message = received
                .expect("received")
                .messages
                .unwrap_or_default()
                .pop();
            if let Some(message) = message {
                let receipt = message.receipt_handle.expect("told");
                let deleted = sqs
                    .delete_message()
                    .queue_url(&queue)
                    .receipt_handle(receipt);
                deleted.send().await.expect("deleted");
                break message.body.expect("a text");
            }
            assert!(Instant::now() < deadline, "the topic never delivered");
        };
        assert_eq!(body == event, raw == "true", "{body}");
        let failure = failure(&body);
        assert_eq!(
            (failure.gateway_id.as_str(), failure.detail.as_str()),
            ("message-7", "\"gone\" & 끝")
        );
        let arn = subscription.subscription_arn.expect("told");
        sns.unsubscribe()
            .subscription_arn(arn)
            .send()
            .await
            .expect("ended");
    }
}
