//! Queues: their settings, their dead-letter queues, and who may send to them.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use serde_json::{Value, json};

use super::plan::{Action, Difference, Kind, Resource};
use super::site::{Home, Site};
use super::{Look, Part, policy};
use crate::aws::fault::CallFault;
use crate::aws::names::Names;
use crate::config::Config;

/// How long a message stays hidden from others while one host works on it; the host prolongs it at half time.
const VISIBILITY_SECONDS: &str = "30";
/// The longest that SQS keeps a message: a letter waits for a person.
const RETENTION_SECONDS: &str = "1209600";
/// Receives after which a notification goes to the dead-letter queue. The daemon sets aside what it cannot do long
/// before; this is for messages that take their whole host down.
const MEDIA_RECEIVES_MAX: u32 = 20;
/// Receives after which a letter that was moved to the redrive queue goes back to the dead letters.
const REDRIVE_RECEIVES_MAX: u32 = 3;

/// One queue.
pub(super) struct QueuePart {
    resource: Resource,
    duty: Duty,
}

/// What a queue is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Duty {
    /// Notifications of a topic; what takes its receivers down goes to the dead-letter queue, if there is one.
    Notifications { topic: String, dead: Option<String> },
    /// What was received too often on these queues.
    Dead { sources: Vec<String> },
    /// Letters of the daemon, in order for each person; the dead-letter queue of the redrive queue.
    DeadLetters { redrive: String },
    /// Letters that an operator moved here; given back to the dead letters if they cannot be redriven.
    Redrive { dead_letters: String },
}

impl QueuePart {
    /// Dead-letter queues come before the queues that name them.
    pub(super) fn all(config: &Config) -> Vec<Self> {
        let names = Names::new(&config.aws.name_prefix);
        let notifications =
            |topic: String, dead: Option<String>| Duty::Notifications { topic, dead };
        let media_dead = Some(names.media_dead_queue());
        let queues = [
            (
                names.dead_letters_queue(),
                Duty::DeadLetters {
                    redrive: names.redrive_queue(),
                },
            ),
            (
                names.redrive_queue(),
                Duty::Redrive {
                    dead_letters: names.dead_letters_queue(),
                },
            ),
            (
                names.media_dead_queue(),
                Duty::Dead {
                    sources: vec![
                        names.metadata_queue(),
                        names.thumbnails_queue(),
                        names.audio_queue(),
                    ],
                },
            ),
            (
                names.thumbnails_queue(),
                notifications(names.media_topic(), media_dead.clone()),
            ),
            (
                names.audio_queue(),
                notifications(names.media_topic(), media_dead.clone()),
            ),
            (
                names.metadata_queue(),
                notifications(names.media_topic(), media_dead),
            ),
            (
                names.feedback_queue(),
                notifications(names.feedback_topic(), None),
            ),
        ];
        let queues = queues.into_iter().map(|(name, duty)| Self {
            resource: Resource::new(Kind::Queue, name),
            duty,
        });
        queues.collect()
    }

    fn name(&self) -> &str {
        &self.resource.name
    }

    /// Every setting but the policy, which others may add to.
    fn settings(&self, home: &Home) -> BTreeMap<Setting, String> {
        let redrive = |dead: &str, max: u32| {
            let dead = home.queue_arn(dead);
            json!({ "deadLetterTargetArn": dead, "maxReceiveCount": max }).to_string()
        };
        let allow = |sources: &[String]| {
            let sources: Vec<_> = sources.iter().map(|name| home.queue_arn(name)).collect();
            json!({ "redrivePermission": "byQueue", "sourceQueueArns": sources }).to_string()
        };
        let mut settings = BTreeMap::from([
            (Setting::Visibility, VISIBILITY_SECONDS.to_owned()),
            (Setting::Retention, RETENTION_SECONDS.to_owned()),
            (Setting::Encryption, "true".to_owned()),
        ]);
        match &self.duty {
            Duty::Notifications { dead, .. } => {
                let dead = dead.as_ref().map(|dead| redrive(dead, MEDIA_RECEIVES_MAX));
                settings.extend(dead.map(|policy| (Setting::Redrive, policy)));
            }
            Duty::Dead { sources } => {
                settings.insert(Setting::RedriveAllow, allow(sources));
            }
            Duty::DeadLetters { redrive } => {
                settings.insert(Setting::RedriveAllow, allow(std::slice::from_ref(redrive)));
            }
            Duty::Redrive { dead_letters } => {
                let policy = redrive(dead_letters, REDRIVE_RECEIVES_MAX);
                settings.insert(Setting::Redrive, policy);
            }
        }
        if self.is_fifo() {
            // Together they lift the bound on a FIFO queue from all its groups to each group.
            settings.insert(Setting::DeduplicationScope, "messageGroup".to_owned());
            settings.insert(Setting::ThroughputLimit, "perMessageGroupId".to_owned());
        }
        settings
    }

    fn is_fifo(&self) -> bool {
        matches!(self.duty, Duty::DeadLetters { .. } | Duty::Redrive { .. })
    }

    fn statements(&self, home: &Home) -> Vec<Value> {
        let queue = home.queue_arn(self.name());
        let mut statements = vec![policy::tls_only("sqs:*", json!(queue))];
        if let Duty::Notifications { topic, .. } = &self.duty {
            statements.push(json!({
                "Sid": "IyagiTopicMaySend",
                "Effect": "Allow",
                "Principal": { "Service": "sns.amazonaws.com" },
                "Action": "sqs:SendMessage",
                "Resource": queue,
                "Condition": {
                    "ArnEquals": { "aws:SourceArn": home.topic_arn(topic) },
                    "StringEquals": { "aws:SourceAccount": home.account },
                },
            }));
        }
        statements
    }

    async fn url(&self, site: &Site<'_>) -> Result<Option<String>, CallFault> {
        let call = site.clients.sqs.get_queue_url().queue_name(self.name());
        match call.send().await {
            Ok(answer) => Ok(answer.queue_url),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(aws_sdk_sqs::operation::get_queue_url::GetQueueUrlError::is_queue_does_not_exist) =>
            {
                Ok(None)
            }
            Err(error) => Err(CallFault::of(&self.resource, "sqs:GetQueueUrl", &error)),
        }
    }

    async fn attributes(
        &self,
        site: &Site<'_>,
        url: &str,
    ) -> Result<HashMap<Attribute, String>, CallFault> {
        let call = site.clients.sqs.get_queue_attributes().queue_url(url);
        let answer = call.attribute_names(Attribute::All).send().await;
        let answer = answer
            .map_err(|error| CallFault::of(&self.resource, "sqs:GetQueueAttributes", &error))?;
        let attributes = answer.attributes.unwrap_or_default();
        if let Some(arn) = attributes.get(&Attribute::QueueArn) {
            site.learn(arn);
        }
        Ok(attributes)
    }
}

/// The settings of a queue that are ours alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Setting {
    Visibility,
    Retention,
    Encryption,
    Redrive,
    RedriveAllow,
    DeduplicationScope,
    ThroughputLimit,
}

impl Setting {
    fn attribute(self) -> Attribute {
        match self {
            Self::Visibility => Attribute::VisibilityTimeout,
            Self::Retention => Attribute::MessageRetentionPeriod,
            Self::Encryption => Attribute::SqsManagedSseEnabled,
            Self::Redrive => Attribute::RedrivePolicy,
            Self::RedriveAllow => Attribute::RedriveAllowPolicy,
            Self::DeduplicationScope => Attribute::DeduplicationScope,
            Self::ThroughputLimit => Attribute::FifoThroughputLimit,
        }
    }

    /// Whether a queue with these attributes has it as wanted.
    fn holds(self, attributes: &HashMap<Attribute, String>, wanted: &str) -> bool {
        // A key of one's own is more than SQS's own encryption, and the two exclude each other.
        let own_key = || attributes.get(&Attribute::KmsMasterKeyId);
        if self == Self::Encryption && own_key().is_some_and(|key| !key.is_empty()) {
            return true;
        }
        let is = attributes.get(&self.attribute());
        is.is_some_and(|is| policy::same(is, wanted))
    }
}

#[async_trait]
impl Part for QueuePart {
    fn resource(&self) -> &Resource {
        &self.resource
    }

    async fn look(&self, site: &Site<'_>) -> Result<Look, CallFault> {
        let Some(url) = self.url(site).await? else {
            return Ok(Action::Create.into());
        };
        let attributes = self.attributes(site, &url).await?;
        let home = site.settled();
        let mut differences = Vec::new();
        for (setting, wanted) in self.settings(home) {
            if !setting.holds(&attributes, &wanted) {
                let attribute = setting.attribute();
                let is = attributes.get(&attribute).map_or("none", String::as_str);
                differences.push(Difference::new(attribute.as_str(), is, wanted));
            }
        }
        let current = attributes.get(&Attribute::Policy).map(String::as_str);
        let compared = policy::compare(current, &self.statements(home), &[]);
        differences.extend(compared.differences);
        let foreign = compared.foreign.iter();
        let foreign = foreign.map(|name| format!("{}: policy statement {name}", self.resource));
        Ok(Look {
            action: Action::mending(differences),
            untouched: foreign.collect(),
        })
    }

    async fn create(&self, site: &Site<'_>) -> Result<(), CallFault> {
        let home = site.settled();
        let mut call = site.clients.sqs.create_queue().queue_name(self.name());
        if self.is_fifo() {
            call = call.attributes(Attribute::FifoQueue, "true");
        }
        for (setting, value) in self.settings(home) {
            call = call.attributes(setting.attribute(), value);
        }
        let policy = policy::compare(None, &self.statements(home), &[]).wanted;
        let call = call.attributes(Attribute::Policy, policy);
        call.send()
            .await
            .map(drop)
            .map_err(|error| CallFault::of(&self.resource, "sqs:CreateQueue", &error))
    }

    async fn change(&self, site: &Site<'_>, _: &[Difference]) -> Result<(), CallFault> {
        let Some(url) = self.url(site).await? else {
            return self.create(site).await;
        };
        let attributes = self.attributes(site, &url).await?;
        let home = site.settled();
        let mut call = site.clients.sqs.set_queue_attributes().queue_url(url);
        for (setting, wanted) in self.settings(home) {
            if !setting.holds(&attributes, &wanted) {
                call = call.attributes(setting.attribute(), wanted);
            }
        }
        let current = attributes.get(&Attribute::Policy).map(String::as_str);
        let compared = policy::compare(current, &self.statements(home), &[]);
        if !compared.differences.is_empty() {
            call = call.attributes(Attribute::Policy, compared.wanted);
        }
        call.send()
            .await
            .map(drop)
            .map_err(|error| CallFault::of(&self.resource, "sqs:SetQueueAttributes", &error))
    }

    async fn farewell(
        &self,
        site: &Site<'_>,
        with_data: bool,
    ) -> Result<Option<Action>, CallFault> {
        let Some(url) = self.url(site).await? else {
            return Ok(None);
        };
        let attributes = self.attributes(site, &url).await?;
        let count = |name| {
            let text: Option<&String> = attributes.get(&name);
            text.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0)
        };
        let waiting = count(Attribute::ApproximateNumberOfMessages)
            + count(Attribute::ApproximateNumberOfMessagesNotVisible);
        // Notifications can be had again from the bucket; what was given up is nowhere else.
        let precious = !matches!(self.duty, Duty::Notifications { .. });
        if precious && waiting > 0 && !with_data {
            let why =
                format!("about {waiting} dead letters wait in it; --with-data deletes them too");
            return Ok(Some(Action::Retain { why }));
        }
        Ok(Some(Action::Delete { with_data }))
    }

    async fn delete(&self, site: &Site<'_>, _: bool) -> Result<(), CallFault> {
        let Some(url) = self.url(site).await? else {
            return Ok(());
        };
        let call = site.clients.sqs.delete_queue().queue_url(url);
        call.send()
            .await
            .map(drop)
            .map_err(|error| CallFault::of(&self.resource, "sqs:DeleteQueue", &error))
    }
}
