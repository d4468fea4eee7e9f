//! Permissions, credentials, the region and the graph: what is missing is said in plain words.

use super::{Installation, Phones};
use crate::canned::{self, Answer};
use crate::servers::ministack;

fn denied(head: &str) -> Answer {
    if head.to_ascii_lowercase().contains("x-amz-target") {
        let body = r#"{"__type":"com.amazonaws#AccessDeniedException","message":"not for you"}"#;
        return (403, "AccessDeniedException", body);
    }
    let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>not for you</Message></Error></ErrorResponse>";
    (403, "", body)
}

#[test]
fn what_is_not_allowed_is_told_with_the_action_that_allows_it() {
    let mut installation = Installation::on(ministack(), Phones::Fcm);
    installation.set("AWS_ENDPOINT_URL", &canned::serve(denied));
    let told = installation.iyagi(&["check", "--aws"]);
    assert_eq!(told.status, 1, "{}{}", told.out, told.err);
    for action in [
        "allow sns:ListTopics on topic",
        "allow sqs:GetQueueUrl on queue",
        "allow s3:ListBucket on bucket",
        "allow dynamodb:DescribeTable on table",
        "allow dynamodb:PutItem on table",
    ] {
        assert!(told.out.contains(action), "{action}: {}", told.out);
    }
    let told = installation.iyagi(&["provision"]);
    assert_eq!(told.status, 1);
    assert!(told.err.contains("allow sns:ListTopics"), "{}", told.err);
}

#[test]
fn a_graph_without_a_change_log_is_told_with_its_parameter() {
    let mut installation = Installation::on(ministack(), Phones::Fcm);
    let graph = canned::serve(|_| {
        let body = r#"{"code":"UnsupportedOperationException","detailedMessage":"streams are disabled","requestId":"1"}"#;
        (400, "UnsupportedOperationException", body)
    });
    installation.set("IYAGI_AWS_NEPTUNE_ENDPOINT", &graph);
    let told = installation.iyagi(&["check", "--aws"]);
    assert!(
        told.out.contains("set neptune_streams to 1"),
        "{}",
        told.out
    );
    // A page as Neptune sends it, which the SDK's own types cannot read.
    let graph = canned::serve(|_| {
        (
            200,
            "",
            r#"{"lastEventId":{"commitNum":1,"opNum":1},"records":[{"eventId":{"commitNum":1,"opNum":1}}]}"#,
        )
    });
    installation.set("IYAGI_AWS_NEPTUNE_ENDPOINT", &graph);
    let told = installation.iyagi(&["check", "--aws"]);
    assert!(
        told.out
            .contains("ok   change log of the graph: it has records"),
        "{}",
        told.out
    );
}

#[test]
fn without_credentials_or_region_one_sentence_says_so() {
    let mut installation = Installation::on(ministack(), Phones::Fcm);
    installation
        .environment
        .retain(|(name, _)| name != "AWS_ACCESS_KEY_ID");
    let told = installation.iyagi(&["check", "--aws"]);
    assert_eq!(told.status, 1, "{}{}", told.out, told.err);
    assert_eq!(told.out.matches("BAD").count(), 1, "{}", told.out);
    assert!(told.out.contains("BAD  credentials"), "{}", told.out);
    installation
        .environment
        .retain(|(name, _)| !name.ends_with("REGION"));
    let told = installation.iyagi(&["provision"]);
    assert_eq!(told.status, 78, "{}", told.err);
    assert!(told.err.contains("set aws.region"), "{}", told.err);
    // Starting again cannot help, and systemd is told so by this status.
    let told = installation.iyagi(&["run"]);
    assert_eq!(told.status, 78, "{}", told.err);
    assert!(told.err.contains("set aws.region"), "{}", told.err);
    installation.set("IYAGI_AWS_ENABLED", "false");
    let told = installation.iyagi(&["provision"]);
    assert_eq!(told.status, 2, "{}", told.err);
}
