//! Which queue hears of which topic.

use std::collections::HashMap;

use async_trait::async_trait;

use super::plan::{Action, Difference, Kind, Resource};
use super::site::Site;
use super::{Look, Part};
use crate::aws::fault::{CallFault, code};
use crate::aws::names::Names;
use crate::config::Config;

const RAW: &str = "RawMessageDelivery";
const FILTER: &str = "FilterPolicy";

/// A queue's subscription to a topic.
pub(super) struct SubscriptionPart {
    resource: Resource,
    topic: String,
    queue: String,
}

impl SubscriptionPart {
    pub(super) fn all(config: &Config) -> Vec<Self> {
        let names = Names::new(&config.aws.name_prefix);
        let pairs = [
            (names.media_topic(), names.thumbnails_queue()),
            (names.media_topic(), names.audio_queue()),
            (names.media_topic(), names.metadata_queue()),
            (names.feedback_topic(), names.feedback_queue()),
        ];
        let pairs = pairs.into_iter().map(|(topic, queue)| Self {
            resource: Resource::new(Kind::Subscription, format!("{topic} to {queue}")),
            topic,
            queue,
        });
        pairs.collect()
    }

    /// Its ARN, if topic and subscription are there.
    async fn find(&self, site: &Site<'_>) -> Result<Option<String>, CallFault> {
        let Some(home) = site.home() else {
            return Ok(None);
        };
        let queue = home.queue_arn(&self.queue);
        let call = site.clients.sns.list_subscriptions_by_topic();
        let call = call.topic_arn(home.topic_arn(&self.topic));
        let mut pages = call.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(error) if code(&error).is_some_and(|code| code.starts_with("NotFound")) => {
                    return Ok(None);
                }
                Err(error) => {
                    let action = "sns:ListSubscriptionsByTopic";
                    return Err(CallFault::of(&self.resource, action, &error));
                }
            };
            let mut all = page.subscriptions.unwrap_or_default().into_iter();
            let ours = all.find(|one| one.endpoint.as_deref() == Some(&*queue));
            if let Some(arn) = ours.and_then(|ours| ours.subscription_arn) {
                return Ok(Some(arn));
            }
        }
        Ok(None)
    }

    async fn attributes(
        &self,
        site: &Site<'_>,
        arn: &str,
    ) -> Result<HashMap<String, String>, CallFault> {
        let call = site.clients.sns.get_subscription_attributes();
        let answer = call.subscription_arn(arn).send().await;
        let answer = answer.map_err(|error| {
            CallFault::of(&self.resource, "sns:GetSubscriptionAttributes", &error)
        })?;
        Ok(answer.attributes.unwrap_or_default())
    }
}

#[async_trait]
impl Part for SubscriptionPart {
    fn resource(&self) -> &Resource {
        &self.resource
    }

    async fn look(&self, site: &Site<'_>) -> Result<Look, CallFault> {
        let Some(arn) = self.find(site).await? else {
            return Ok(Action::Create.into());
        };
        let attributes = self.attributes(site, &arn).await?;
        let is = |name: &str| attributes.get(name).map_or("", String::as_str);
        let mut differences = Vec::new();
        if is(RAW) != "true" {
            differences.push(Difference::new(RAW, is(RAW), "true"));
        }
        // A filter would keep notifications from us in silence.
        if !matches!(is(FILTER), "" | "{}") {
            differences.push(Difference::new(FILTER, is(FILTER), "{}"));
        }
        Ok(Action::mending(differences).into())
    }

    async fn create(&self, site: &Site<'_>) -> Result<(), CallFault> {
        let home = site.settled();
        let call = site.clients.sns.subscribe();
        let call = call.topic_arn(home.topic_arn(&self.topic)).protocol("sqs");
        let call = call
            .endpoint(home.queue_arn(&self.queue))
            .attributes(RAW, "true");
        let sent = call.return_subscription_arn(true).send().await;
        sent.map(drop)
            .map_err(|error| CallFault::of(&self.resource, "sns:Subscribe", &error))
    }

    async fn change(&self, site: &Site<'_>, differences: &[Difference]) -> Result<(), CallFault> {
        let Some(arn) = self.find(site).await? else {
            return self.create(site).await;
        };
        for difference in differences {
            let call = site.clients.sns.set_subscription_attributes();
            let call = call
                .subscription_arn(&arn)
                .attribute_name(&difference.setting);
            let sent = call.attribute_value(&difference.wanted).send().await;
            sent.map_err(|error| {
                CallFault::of(&self.resource, "sns:SetSubscriptionAttributes", &error)
            })?;
        }
        Ok(())
    }

    async fn farewell(&self, site: &Site<'_>, _: bool) -> Result<Option<Action>, CallFault> {
        let found = self.find(site).await?;
        Ok(found.map(|_| Action::Delete { with_data: false }))
    }

    async fn delete(&self, site: &Site<'_>, _: bool) -> Result<(), CallFault> {
        let Some(arn) = self.find(site).await? else {
            return Ok(());
        };
        let call = site.clients.sns.unsubscribe().subscription_arn(arn);
        call.send()
            .await
            .map(drop)
            .map_err(|error| CallFault::of(&self.resource, "sns:Unsubscribe", &error))
    }
}
