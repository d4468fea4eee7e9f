//! Which keys raise notifications, and to whom.
//!
//! A bucket has one document of all its notifications, so ours are put among those of others. Those that go to our topic
//! are ours, whoever made them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter,
    S3KeyFilter, TopicConfiguration,
};

use super::{BucketPart, Found};
use crate::aws::fault::CallFault;
use crate::aws::provision::Part as _;
use crate::aws::provision::plan::Difference;
use crate::aws::provision::site::Site;

/// What the consumers act on. Whatever else happens to an object changes neither its bytes nor its being there.
pub(crate) const EVENTS: [Event; 3] = [
    Event::S3ObjectCreated,
    Event::S3ObjectRemoved,
    Event::S3LifecycleExpiration,
];

pub(super) async fn compare(bucket: &BucketPart, site: &Site<'_>) -> Result<Found, CallFault> {
    let current = read(bucket, site).await?;
    let topic = topic_arn(site);
    let mut differences = Vec::new();
    let wanted = wanted(site);
    // Without a topic whatever there is of notifications is somebody else's.
    let is = topic.as_deref().map(|topic| ours(&current, topic));
    let is = is.unwrap_or_default();
    for (key, events) in &wanted {
        let found = is.get(key);
        if found != Some(events) {
            let is = found.map_or_else(|| "none".to_owned(), words);
            let setting = format!("notifications of {}", key.describe());
            differences.push(Difference::new(setting, is, words(events)));
        }
    }
    for (key, events) in is.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
        let setting = format!("notifications of {}", key.describe());
        differences.push(Difference::new(setting, words(events), "none"));
    }
    Ok(Found {
        differences,
        foreign: foreign(&current, topic.as_deref(), bucket.name()),
    })
}

pub(super) async fn set(bucket: &BucketPart, site: &Site<'_>) -> Result<(), CallFault> {
    let topic = site.settled().topic_arn(&site.names.media_topic());
    let mut configuration = read(bucket, site).await?;
    let mut topics = configuration.topic_configurations.unwrap_or_default();
    topics.retain(|one| one.topic_arn != topic);
    for (number, (key, events)) in wanted(site).into_iter().enumerate() {
        let rule = FilterRule::builder()
            .name(FilterRuleName::Prefix)
            .value(&key.prefix);
        let filter = S3KeyFilter::builder().filter_rules(rule.build());
        let filter = NotificationConfigurationFilter::builder().key(filter.build());
        let mut ours = TopicConfiguration::builder()
            .id(format!("{}-{}", site.names.media_topic(), number + 1))
            .topic_arn(&topic)
            .filter(filter.build());
        for event in events {
            ours = ours.events(Event::from(event.as_str()));
        }
        topics.push(ours.build().expect("it has a topic and events"));
    }
    configuration.topic_configurations = Some(topics);
    write(bucket, site, configuration).await
}

/// Takes ours out and leaves those of others.
pub(super) async fn take_away(bucket: &BucketPart, site: &Site<'_>) -> Result<(), CallFault> {
    let Some(topic) = topic_arn(site) else {
        return Ok(());
    };
    let mut configuration = read(bucket, site).await?;
    let topics = configuration.topic_configurations.as_mut();
    if let Some(topics) = topics.filter(|topics| topics.iter().any(|one| one.topic_arn == topic)) {
        topics.retain(|one| one.topic_arn != topic);
        return write(bucket, site, configuration).await;
    }
    Ok(())
}

/// Which keys a notification is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Keys {
    prefix: String,
    suffix: String,
}

impl Keys {
    fn describe(&self) -> String {
        format!("{}*{}", self.prefix, self.suffix)
    }
}

fn topic_arn(site: &Site<'_>) -> Option<String> {
    let home = site.home()?;
    Some(home.topic_arn(&site.names.media_topic()))
}

/// Derived files lie outside of the prefixes: the configuration is refused otherwise.
fn wanted(site: &Site<'_>) -> BTreeMap<Keys, BTreeSet<String>> {
    let prefixes = site.config.aws.upload_prefixes.iter();
    let keys = prefixes.map(|prefix| Keys {
        prefix: prefix.clone(),
        suffix: String::new(),
    });
    let events: BTreeSet<_> = EVENTS
        .iter()
        .map(|event| event.as_str().to_owned())
        .collect();
    keys.map(|keys| (keys, events.clone())).collect()
}

fn ours(current: &NotificationConfiguration, topic: &str) -> BTreeMap<Keys, BTreeSet<String>> {
    let mut found = BTreeMap::<_, BTreeSet<_>>::new();
    let all = current.topic_configurations().iter();
    for one in all.filter(|one| one.topic_arn == topic) {
        let mut keys = Keys::default();
        let filter = one.filter().and_then(|filter| filter.key());
        for rule in filter.map(S3KeyFilter::filter_rules).unwrap_or_default() {
            let value = rule.value().unwrap_or_default();
            // S3 itself answers with a capital, against its own model.
            match rule.name().map(|name| name.as_str().to_ascii_lowercase()) {
                Some(name) if name == "prefix" => value.clone_into(&mut keys.prefix),
                Some(name) if name == "suffix" => value.clone_into(&mut keys.suffix),
                _ => {}
            }
        }
        let events = one.events.iter().map(|event| event.as_str().to_owned());
        found.entry(keys).or_default().extend(events);
    }
    found
}

fn foreign(current: &NotificationConfiguration, topic: Option<&str>, bucket: &str) -> Vec<String> {
    let topics = current.topic_configurations().iter();
    let topics = topics.map(|one| one.topic_arn.as_str());
    let queues = current.queue_configurations().iter();
    let queues = queues.map(|one| one.queue_arn.as_str());
    let functions = current.lambda_function_configurations().iter();
    let functions = functions.map(|one| one.lambda_function_arn.as_str());
    let bridge = current.event_bridge_configuration();
    let bridge = bridge.map(|_| "EventBridge");
    topics
        .filter(|arn| Some(*arn) != topic)
        .chain(queues)
        .chain(functions)
        .chain(bridge)
        .map(|to| format!("bucket {bucket}: notifications to {to}"))
        .collect()
}

fn words(events: &BTreeSet<String>) -> String {
    let events: Vec<_> = events.iter().map(String::as_str).collect();
    events.join(" ")
}

async fn read(
    bucket: &BucketPart,
    site: &Site<'_>,
) -> Result<NotificationConfiguration, CallFault> {
    let call = site.clients.s3.get_bucket_notification_configuration();
    let answer = call.bucket(bucket.name()).send().await;
    let answer = answer
        .map_err(|error| CallFault::of(bucket.resource(), "s3:GetBucketNotification", &error))?;
    Ok(NotificationConfiguration::builder()
        .set_topic_configurations(answer.topic_configurations)
        .set_queue_configurations(answer.queue_configurations)
        .set_lambda_function_configurations(answer.lambda_function_configurations)
        .set_event_bridge_configuration(answer.event_bridge_configuration)
        .build())
}

async fn write(
    bucket: &BucketPart,
    site: &Site<'_>,
    configuration: NotificationConfiguration,
) -> Result<(), CallFault> {
    let call = site.clients.s3.put_bucket_notification_configuration();
    let call = call
        .bucket(bucket.name())
        .notification_configuration(configuration);
    bucket.done("s3:PutBucketNotification", call.send().await)
}
