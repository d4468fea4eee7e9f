//! Topics, and who may publish to them.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::plan::{Action, Difference, Kind, Resource};
use super::policy::{self, BUILT_IN};
use super::site::{Home, Site};
use super::{Look, Part};
use crate::aws::fault::{CallFault, code};
use crate::aws::names::Names;
use crate::config::Config;

const POLICY: &str = "Policy";
const KEY: &str = "KmsMasterKeyId";

/// One topic.
pub(super) struct TopicPart {
    resource: Resource,
    audience: Audience,
}

/// Who publishes to a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// The bucket.
    Bucket,
    /// SNS itself, about pushes that failed later.
    Sns,
}

impl TopicPart {
    pub(super) fn all(config: &Config) -> Vec<Self> {
        let names = Names::new(&config.aws.name_prefix);
        let topics = [
            (names.feedback_topic(), Audience::Sns),
            (names.media_topic(), Audience::Bucket),
        ];
        let topics = topics.into_iter().map(|(name, audience)| Self {
            resource: Resource::new(Kind::Topic, name),
            audience,
        });
        topics.collect()
    }

    fn statements(&self, site: &Site<'_>, home: &Home) -> Vec<Value> {
        let topic = home.topic_arn(&self.resource.name);
        let account = &home.account;
        let publisher = match self.audience {
            Audience::Bucket => json!({
                "Sid": "IyagiBucketMayPublish",
                "Effect": "Allow",
                "Principal": { "Service": "s3.amazonaws.com" },
                "Action": "sns:Publish",
                "Resource": topic,
                "Condition": {
                    "ArnEquals": { "aws:SourceArn": site.bucket_arn() },
                    "StringEquals": { "aws:SourceAccount": account },
                },
            }),
            Audience::Sns => json!({
                "Sid": "IyagiSnsMayPublish",
                "Effect": "Allow",
                "Principal": { "Service": "sns.amazonaws.com" },
                "Action": "sns:Publish",
                "Resource": topic,
                "Condition": { "StringEquals": { "aws:SourceAccount": account } },
            }),
        };
        vec![publisher, policy::tls_only("sns:Publish", json!(topic))]
    }

    /// The statement that lets anybody of the account publish is only needed where SNS reports on the account's behalf.
    fn replaced(&self) -> &'static [&'static str] {
        match self.audience {
            Audience::Bucket => &[BUILT_IN],
            Audience::Sns => &[],
        }
    }

    async fn set(
        &self,
        site: &Site<'_>,
        arn: &str,
        name: &str,
        value: &str,
    ) -> Result<(), CallFault> {
        let call = site.clients.sns.set_topic_attributes().topic_arn(arn);
        let sent = call
            .attribute_name(name)
            .attribute_value(value)
            .send()
            .await;
        sent.map(drop)
            .map_err(|error| CallFault::of(&self.resource, "sns:SetTopicAttributes", &error))
    }

    async fn policy(&self, site: &Site<'_>, arn: &str) -> Result<policy::Comparison, CallFault> {
        let attributes = self.attributes(site, arn).await?;
        let current = attributes
            .as_ref()
            .and_then(|all| all.get(POLICY))
            .map(String::as_str);
        let ours = self.statements(site, site.settled());
        Ok(policy::compare(current, &ours, self.replaced()))
    }

    async fn attributes(
        &self,
        site: &Site<'_>,
        arn: &str,
    ) -> Result<Option<std::collections::HashMap<String, String>>, CallFault> {
        let call = site.clients.sns.get_topic_attributes().topic_arn(arn);
        match call.send().await {
            Ok(answer) => Ok(Some(answer.attributes.unwrap_or_default())),
            Err(error) if code(&error).is_some_and(|code| code.starts_with("NotFound")) => Ok(None),
            Err(error) => Err(CallFault::of(
                &self.resource,
                "sns:GetTopicAttributes",
                &error,
            )),
        }
    }
}

#[async_trait]
impl Part for TopicPart {
    fn resource(&self) -> &Resource {
        &self.resource
    }

    async fn look(&self, site: &Site<'_>) -> Result<Look, CallFault> {
        let Some(arn) = site.find_topic(&self.resource.name).await? else {
            return Ok(Action::Create.into());
        };
        let Some(attributes) = self.attributes(site, &arn).await? else {
            return Ok(Action::Create.into());
        };
        let current = attributes.get(POLICY).map(String::as_str);
        let ours = self.statements(site, site.settled());
        let compared = policy::compare(current, &ours, self.replaced());
        let mut differences = compared.differences;
        let key = attributes.get(KEY).map_or("", String::as_str);
        if let Some(wanted) = site.config.aws.kms_key_arn.as_deref()
            && key != wanted
        {
            let is = if key.is_empty() { "none" } else { key };
            differences.push(Difference::new(KEY, is, wanted));
        }
        let foreign = compared.foreign.iter();
        let foreign = foreign.map(|name| format!("{}: policy statement {name}", self.resource));
        Ok(Look {
            action: Action::mending(differences),
            untouched: foreign.collect(),
        })
    }

    async fn create(&self, site: &Site<'_>) -> Result<(), CallFault> {
        let mut call = site.clients.sns.create_topic().name(&self.resource.name);
        if let Some(key) = &site.config.aws.kms_key_arn {
            call = call.attributes(KEY, key);
        }
        let made = call.send().await;
        let made =
            made.map_err(|error| CallFault::of(&self.resource, "sns:CreateTopic", &error))?;
        let arn = made.topic_arn.unwrap_or_default();
        site.learn(&arn);
        let policy = self.policy(site, &arn).await?.wanted;
        self.set(site, &arn, POLICY, &policy).await
    }

    async fn change(&self, site: &Site<'_>, differences: &[Difference]) -> Result<(), CallFault> {
        let arn = site.settled().topic_arn(&self.resource.name);
        if differences
            .iter()
            .any(|difference| difference.setting != KEY)
        {
            let policy = self.policy(site, &arn).await?.wanted;
            self.set(site, &arn, POLICY, &policy).await?;
        }
        if let Some(key) = &site.config.aws.kms_key_arn {
            self.set(site, &arn, KEY, key).await?;
        }
        Ok(())
    }

    async fn farewell(&self, site: &Site<'_>, _: bool) -> Result<Option<Action>, CallFault> {
        let found = site.find_topic(&self.resource.name).await?;
        Ok(found.map(|_| Action::Delete { with_data: false }))
    }

    async fn delete(&self, site: &Site<'_>, _: bool) -> Result<(), CallFault> {
        let arn = site.settled().topic_arn(&self.resource.name);
        let call = site.clients.sns.delete_topic().topic_arn(arn);
        call.send()
            .await
            .map(drop)
            .map_err(|error| CallFault::of(&self.resource, "sns:DeleteTopic", &error))
    }
}
