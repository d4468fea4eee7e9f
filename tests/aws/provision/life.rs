//! From nothing to all of it, and back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::TimeToLiveSpecification;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter,
    QueueConfiguration, S3KeyFilter, VersioningConfiguration,
};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

use super::{FCM_KEY, Installation, Phones};
use crate::servers::{Server, localemu, ministack};

#[tokio::test]
async fn an_installation_is_made_repaired_checked_and_taken_away_on_ministack() {
    live(ministack(), Phones::Fcm).await;
}

#[tokio::test]
async fn an_installation_is_made_repaired_checked_and_taken_away_on_localemu() {
    // It wants what AWS does not ask for of FCM, but is right about APNs.
    if let Some(server) = localemu() {
        live(server, Phones::Apns).await;
    }
}

async fn live(server: &Server, phones: Phones) {
    let installation = Installation::on(server, phones);
    a_dry_run_changes_nothing(&installation);
    before_it_is_made_everything_is_missed(&installation);
    let made = installation.done(&["provision"]);
    assert!(made.out.contains("created bucket"), "{}", made.out);
    let again = installation.done(&["provision"]);
    assert!(again.out.ends_with("nothing to do\n"), "{}", again.out);
    once_it_is_made_all_is_well(&installation);
    an_upload_reaches_every_queue(server, &installation).await;
    what_was_broken_is_mended(server, &installation).await;
    what_holds_data_stays_until_it_is_meant(&installation);
}

fn a_dry_run_changes_nothing(installation: &Installation) {
    let (first, untouched) = installation.plan(&[]);
    assert!(first.len() >= 16, "{first:?}");
    for (resource, step) in &first {
        assert_eq!(step["action"], "create", "{resource}");
    }
    assert!(untouched.to_string().contains("Neptune"), "{untouched}");
    assert_eq!(installation.plan(&[]).0, first);
}

fn before_it_is_made_everything_is_missed(installation: &Installation) {
    let told = installation.iyagi(&["check", "--aws"]);
    assert_eq!(told.status, 1, "{}{}", told.out, told.err);
    for missed in [
        format!(
            "BAD  queue {}: it is not there",
            installation.name("thumbnails")
        ),
        format!("BAD  bucket {}: it is not there", installation.bucket),
        format!(
            "BAD  table {}: it is not there",
            installation.name("leases")
        ),
        "`iyagi provision` creates it".to_owned(),
    ] {
        assert!(told.out.contains(&missed), "{missed}: {}", told.out);
    }
}

fn once_it_is_made_all_is_well(installation: &Installation) {
    let told = installation.done(&["check", "--aws"]);
    assert!(!told.out.contains("BAD"), "{}", told.out);
    for looked in [
        "ok   change log of the graph: it is empty",
        "ok   notifications of derived files: none",
        "ok   s3:PutObject",
        "ok   sns:Publish",
        "ok   dynamodb:UpdateItem",
    ] {
        assert!(told.out.contains(looked), "{looked}: {}", told.out);
    }
    // Trying the permissions has left nothing behind.
    let (left, _) = installation.plan(&["--destroy"]);
    let bucket = &left[&format!(
        "bucket {}",
        installation
            .bucket
            .replace(&format!("{}-", installation.prefix), "")
    )];
    assert_eq!(bucket["action"], "delete");
}

async fn an_upload_reaches_every_queue(server: &Server, installation: &Installation) {
    let clients = server.clients();
    let put = clients.s3.put_object().bucket(&installation.bucket);
    let put = put.key("profile/ada/her photo.jpg");
    let body = ByteStream::from_static(b"a picture");
    put.body(body).send().await.expect("an upload");
    for queue in ["thumbnails", "audio", "metadata"] {
        let url = clients
            .sqs
            .get_queue_url()
            .queue_name(installation.name(queue));
        let url = url.send().await.expect("a queue").queue_url;
        let deadline = Instant::now() + Duration::from_secs(30);
        let told = loop {
            let call = clients.sqs.receive_message().set_queue_url(url.clone());
            let received = call.wait_time_seconds(2).max_number_of_messages(10).send();
            let received = received.await.expect("received").messages;
            let mut bodies = received.unwrap_or_default().into_iter();
            // S3 first says that it can be heard.
            if let Some(body) =
                bodies.find_map(|one| one.body.filter(|body| body.contains("Records")))
            {
                break body;
            }
            assert!(Instant::now() < deadline, "{queue} heard of no upload");
        };
        // Raw: the event itself, in no envelope.
        let told: Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!(
            told["Records"][0]["s3"]["bucket"]["name"],
            installation.bucket.as_str()
        );
    }
}

async fn what_was_broken_is_mended(server: &Server, installation: &Installation) {
    break_things(server, installation).await;
    let (broken, untouched) = installation.plan(&[]);
    let actions: BTreeMap<_, _> = broken
        .iter()
        .map(|(resource, step)| (resource.as_str(), step["action"].as_str().expect("a word")))
        .collect();
    let expected = BTreeMap::from([
        ("bucket files", "change"),
        ("queue redrive.fifo", "change"),
        ("subscription media to thumbnails", "create"),
        ("table metadata", "change"),
        ("topic media", "change"),
    ]);
    assert_eq!(actions, expected, "{broken:?}");
    let foreign = installation.name("theirs");
    assert!(untouched.to_string().contains(&foreign), "{untouched}");
    let told = installation.iyagi(&["check", "--aws"]);
    assert_eq!(told.status, 1, "{}", told.out);
    assert!(
        told.out.contains("versioning: Suspended -> Enabled"),
        "{}",
        told.out
    );
    installation.done(&["provision"]);
    let (left, untouched) = installation.plan(&[]);
    assert_eq!(left, BTreeMap::new());
    assert!(untouched.to_string().contains(&foreign), "{untouched}");
    let bucket = server.clients().s3.get_bucket_notification_configuration();
    let notifications = bucket.bucket(&installation.bucket).send().await;
    let notifications = notifications.expect("notifications");
    assert_eq!(notifications.queue_configurations().len(), 1);
    assert_eq!(notifications.topic_configurations().len(), 3);
}

/// What people do to installations by hand.
async fn break_things(server: &Server, installation: &Installation) {
    let clients = server.clients();
    let topics = clients.sns.list_topics().into_paginator().items().send();
    let topics = topics.collect::<Result<Vec<_>, _>>().await.expect("topics");
    let media = installation.name("media");
    let mut arns = topics.into_iter().filter_map(|topic| topic.topic_arn);
    let topic = arns.find(|arn| arn.ends_with(&media)).expect("the topic");

    let call = clients.sns.list_subscriptions_by_topic().topic_arn(&topic);
    let subscriptions = call.send().await.expect("subscriptions");
    let thumbnails = installation.name("thumbnails");
    let ours = subscriptions.subscriptions().iter().find(|one| {
        let endpoint = one.endpoint().unwrap_or_default();
        endpoint.ends_with(&thumbnails)
    });
    let arn = ours
        .and_then(|one| one.subscription_arn())
        .expect("it subscribes");
    let call = clients.sns.unsubscribe().subscription_arn(arn);
    call.send().await.expect("unsubscribed");

    let open = json!({ "Version": "2012-10-17", "Statement": [{
        "Sid": "IyagiBucketMayPublish", "Effect": "Allow", "Principal": "*",
        "Action": "sns:Publish", "Resource": topic,
    }] });
    let call = clients.sns.set_topic_attributes().topic_arn(&topic);
    let call = call
        .attribute_name("Policy")
        .attribute_value(open.to_string());
    call.send().await.expect("opened");

    let url = clients
        .sqs
        .get_queue_url()
        .queue_name(installation.name("redrive.fifo"));
    let url = url.send().await.expect("a queue").queue_url;
    let dead = topic
        .replace(":sns:", ":sqs:")
        .replace(&media, &installation.name("dead-letters.fifo"));
    let redrive = json!({ "deadLetterTargetArn": dead, "maxReceiveCount": 9 });
    let call = clients.sqs.set_queue_attributes().set_queue_url(url);
    let call = call.attributes(QueueAttributeName::RedrivePolicy, redrive.to_string());
    call.send().await.expect("changed");

    let off = TimeToLiveSpecification::builder()
        .enabled(false)
        .attribute_name("expires_at");
    let call = clients
        .dynamodb
        .update_time_to_live()
        .table_name(installation.name("metadata"));
    let call = call.time_to_live_specification(off.build().expect("both are given"));
    call.send().await.expect("switched off");

    let suspended = VersioningConfiguration::builder().status("Suspended".into());
    let call = clients
        .s3
        .put_bucket_versioning()
        .bucket(&installation.bucket);
    let call = call.versioning_configuration(suspended.build());
    call.send().await.expect("suspended");

    let theirs = clients
        .sqs
        .create_queue()
        .queue_name(installation.name("theirs"));
    theirs.send().await.expect("a queue of somebody else");
    let theirs = topic
        .replace(":sns:", ":sqs:")
        .replace(&media, &installation.name("theirs"));
    let rule = FilterRule::builder()
        .name(FilterRuleName::Prefix)
        .value("theirs/");
    let filter = S3KeyFilter::builder().filter_rules(rule.build()).build();
    let theirs = QueueConfiguration::builder()
        .id("theirs")
        .queue_arn(theirs)
        .events(Event::S3ObjectCreated)
        .filter(
            NotificationConfigurationFilter::builder()
                .key(filter)
                .build(),
        )
        .build()
        .expect("queue and events are given");
    let only = NotificationConfiguration::builder().queue_configurations(theirs);
    let call = clients.s3.put_bucket_notification_configuration();
    let call = call
        .bucket(&installation.bucket)
        .notification_configuration(only.build());
    call.send()
        .await
        .expect("notifications of somebody else alone");
}

fn what_holds_data_stays_until_it_is_meant(installation: &Installation) {
    let told = installation.iyagi(&["provision", "--destroy"]);
    assert_eq!(
        told.status, 2,
        "nobody can be asked: {}{}",
        told.out, told.err
    );
    assert!(told.err.contains("--yes"), "{}", told.err);
    let told = installation.iyagi(&["provision", "--destroy", "--yes"]);
    assert_eq!(told.status, 1, "{}{}", told.out, told.err);
    let kept = format!("retain  bucket {}", installation.bucket);
    assert!(told.out.contains(&kept), "{}", told.out);
    assert!(told.out.contains("deleted topic"), "{}", told.out);
    installation.done(&["provision", "--destroy", "--with-data", "--yes"]);
    let (left, _) = installation.plan(&["--destroy"]);
    assert_eq!(left, BTreeMap::new());
    let told = installation.done(&["provision", "--destroy", "--yes"]);
    assert!(told.out.starts_with("nothing is there\n"), "{}", told.out);
}

#[tokio::test]
async fn platform_applications_report_failures_and_are_given_new_credentials() {
    // Not moto: what it says of a bucket without notifications is no answer that S3 would give.
    let server = ministack();
    let mut installation = Installation::on(server, Phones::Fcm);
    installation.done(&["provision"]);
    let clients = server.clients();
    let applications = clients.sns.list_platform_applications().send().await;
    let applications = applications.expect("applications");
    let name = installation.name("fcm");
    let ours = applications.platform_applications().iter().find(|one| {
        let arn = one.platform_application_arn().unwrap_or_default();
        arn.ends_with(&format!(":app/GCM/{name}"))
    });
    let ours = ours.expect("it was made");
    let attributes = ours.attributes().expect("attributes");
    let topic = &attributes["EventDeliveryFailure"];
    assert!(
        topic.ends_with(&installation.name("push-feedback")),
        "{topic}"
    );
    let (renewed, _) = installation.plan(&["--renew-credentials"]);
    assert_eq!(renewed["platform_application fcm"]["action"], "change");
    installation.done(&["provision", "--renew-credentials"]);

    let call = clients.sns.set_platform_application_attributes();
    let call = call.set_platform_application_arn(ours.platform_application_arn.clone());
    let call = call.attributes("Enabled", "false");
    call.send().await.expect("switched off");
    let told = installation.iyagi(&["check", "--aws"]);
    assert!(told.out.contains("SNS has switched it off"), "{}", told.out);
    let (broken, _) = installation.plan(&[]);
    assert_eq!(
        broken["platform_application fcm"]["differences"][0]["setting"],
        "Enabled"
    );

    installation.set("IYAGI_AWS_FCM_CREDENTIAL_FILE", "/nowhere/key.json");
    let told = installation.iyagi(&["provision", "--renew-credentials"]);
    assert_eq!(told.status, 1, "{}", told.out);
    assert!(told.err.contains("/nowhere/key.json"), "{}", told.err);
}

#[test]
fn a_credential_file_that_is_none_is_told_before_anything_is_made() {
    let installation = Installation::on(ministack(), Phones::Apns);
    std::fs::write(installation.folder.path().join("key"), FCM_KEY).expect("written");
    let told = installation.iyagi(&["provision"]);
    assert_eq!(told.status, 1, "{}", told.out);
    assert!(told.err.contains("is not a signing key"), "{}", told.err);
    assert_eq!(told.out, "");
}
