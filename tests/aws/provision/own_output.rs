//! A bucket that tells of what iyagi itself writes would keep it busy for ever, so no daemon starts on one.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use aws_sdk_s3::types::{
    Event, NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration,
    TopicConfiguration,
};

use super::{Installation, Phones, Told};
use crate::objects::under;
use crate::servers::{Server, ministack};

/// A daemon that refuses to start ends long before.
const PATIENCE: Duration = Duration::from_mins(1);

impl Installation {
    /// Starts a daemon, which is to end by itself.
    fn start_in_vain(&self) -> Told {
        let mut process = Command::new(env!("CARGO_BIN_EXE_iyagi"))
            .arg("run")
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("IYAGI_LOG_FILTER", "off")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let deadline = Instant::now() + PATIENCE;
        while process.try_wait().expect("it is ours").is_none() {
            if Instant::now() > deadline {
                process.kill().ok();
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let output = process.wait_with_output().expect("it has ended");
        Told {
            status: output.status.code().expect("it ends by itself"),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    async fn notify(&self, server: &Server, configuration: NotificationConfiguration) {
        let call = server.clients().s3.put_bucket_notification_configuration();
        let call = call.bucket(&self.bucket);
        let call = call.notification_configuration(configuration);
        call.send().await.expect("notifications are set up");
    }
}

async fn arn_of_topic(server: &Server, name: &str) -> String {
    let topics = server.clients().sns.list_topics().into_paginator();
    let topics = topics.items().send().collect::<Result<Vec<_>, _>>().await;
    let mut arns = topics.expect("topics").into_iter();
    let arn = arns.find_map(|topic| topic.topic_arn.filter(|arn| arn.ends_with(name)));
    arn.expect("the topic is there")
}

fn topic(arn: &str, filter: Option<NotificationConfigurationFilter>) -> NotificationConfiguration {
    let rule = TopicConfiguration::builder()
        .topic_arn(arn)
        .events(Event::S3ObjectCreated)
        .set_filter(filter);
    NotificationConfiguration::builder()
        .topic_configurations(rule.build().expect("complete"))
        .build()
}

fn queue(arn: &str, filter: NotificationConfigurationFilter) -> NotificationConfiguration {
    let rule = QueueConfiguration::builder()
        .queue_arn(arn)
        .events(Event::S3ObjectCreated)
        .filter(filter);
    NotificationConfiguration::builder()
        .queue_configurations(rule.build().expect("complete"))
        .build()
}

#[tokio::test]
async fn no_daemon_starts_where_the_bucket_tells_it_of_its_own_files() {
    let server = ministack();
    let installation = Installation::on(server, Phones::Fcm);
    installation.done(&["provision"]);
    let media = arn_of_topic(server, &format!(":{}", installation.name("media"))).await;
    let queue_arn = |name: &str| {
        let arn = media.replace(":sns:", ":sqs:");
        arn.replace(&installation.name("media"), &installation.name(name))
    };
    let mut cases = vec![
        ("media", "", topic(&media, None)),
        ("media", "d", topic(&media, Some(under("d")))),
        ("media", "derived/", topic(&media, Some(under("derived/")))),
    ];
    for name in ["metadata", "thumbnails", "audio"] {
        let told = queue(&queue_arn(name), under("derived/ab/"));
        cases.push((name, "derived/ab/", told));
    }
    for (name, prefix, configuration) in cases {
        installation.notify(server, configuration).await;
        let told = installation.start_in_vain();
        assert_eq!(told.status, 78, "{name} {prefix}: {}{}", told.out, told.err);
        let line = told.err.split_whitespace().collect::<Vec<_>>().join(" ");
        let whom = installation.name(name);
        let of = format!("of \"{prefix}*\"");
        for said in [whom.as_str(), &of, "iyagi provision"] {
            assert!(line.contains(said), "{said}: {line}");
        }
    }

    // Neither what is beside the prefix nor what others are told concerns us.
    for configuration in [
        topic(&media, Some(under("posts/"))),
        queue(&queue_arn("push-feedback"), under("derived/")),
    ] {
        installation.notify(server, configuration).await;
        let told = installation.iyagi(&["check", "--aws"]);
        let well = "ok   notifications of derived files: none";
        assert!(told.out.contains(well), "{}", told.out);
    }
}
