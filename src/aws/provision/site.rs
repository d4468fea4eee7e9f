//! Where an installation stands: clients, configuration, and the account, which the services themselves tell.

use std::sync::OnceLock;

use crate::aws::clients::Clients;
use crate::aws::fault::CallFault;
use crate::aws::names::Names;
use crate::config::Config;

/// Where an installation stands.
pub(super) struct Site<'a> {
    pub(super) clients: &'a Clients,
    pub(super) config: &'a Config,
    pub(super) names: Names,
    home: OnceLock<Home>,
}

/// Partition and account, as they stand in ARNs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Home {
    partition: String,
    region: String,
    pub(super) account: String,
}

impl<'a> Site<'a> {
    pub(super) fn new(clients: &'a Clients, config: &'a Config) -> Self {
        Self {
            clients,
            config,
            names: Names::new(&config.aws.name_prefix),
            home: OnceLock::new(),
        }
    }

    /// Partition and account, if any of the topics and queues is there to tell them.
    pub(super) fn home(&self) -> Option<&Home> {
        self.home.get()
    }

    /// Partition and account, once a topic is there.
    pub(super) fn settled(&self) -> &Home {
        let home = self.home.get();
        home.expect("topics are made first, and their ARNs tell the account")
    }

    /// Learns partition and account from an ARN that a service returned.
    pub(super) fn learn(&self, arn: &str) {
        if let Some(home) = Home::of(arn) {
            // Every ARN of one site says the same, so the first is as good as any.
            self.home.get_or_init(|| home);
        }
    }

    /// The ARN of a topic that is there.
    pub(super) async fn find_topic(&self, name: &str) -> Result<Option<String>, CallFault> {
        let mut pages = self.clients.sns.list_topics().into_paginator().send();
        let end = format!(":{name}");
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                CallFault::of(format_args!("topic {name}"), "sns:ListTopics", &error)
            })?;
            let arns = page.topics().iter().filter_map(|topic| topic.topic_arn());
            if let Some(arn) = arns.into_iter().find(|arn| arn.ends_with(&end)) {
                self.learn(arn);
                return Ok(Some(arn.to_owned()));
            }
        }
        Ok(None)
    }

    pub(super) fn bucket(&self) -> &'a str {
        &self.config.media.bucket
    }

    /// The ARN of the bucket, which names neither region nor account.
    pub(super) fn bucket_arn(&self) -> String {
        let region = self.clients.region.as_ref();
        let partition = match self.home() {
            Some(home) => &home.partition,
            None if region.starts_with("cn-") => "aws-cn",
            None if region.starts_with("us-gov-") => "aws-us-gov",
            None => "aws",
        };
        format!("arn:{partition}:s3:::{}", self.bucket())
    }
}

impl Home {
    fn of(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let ("arn", partition, _service) = (next()?, next()?, next()?) else {
            return None;
        };
        let (region, account) = (next()?, next()?);
        Some(Self {
            partition: partition.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
        })
    }

    pub(super) fn topic_arn(&self, name: &str) -> String {
        self.arn("sns", name)
    }

    pub(super) fn queue_arn(&self, name: &str) -> String {
        self.arn("sqs", name)
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        let Self {
            partition,
            region,
            account,
        } = self;
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_read_from_an_arn_that_a_service_returned() {
        let home = Home::of("arn:aws-cn:sns:cn-north-1:111122223333:iyagi-media").expect("an ARN");
        assert_eq!(home.account, "111122223333");
        assert_eq!(
            home.queue_arn("iyagi-metadata"),
            "arn:aws-cn:sqs:cn-north-1:111122223333:iyagi-metadata"
        );
        assert_eq!(Home::of("arn:aws:s3:::bucket"), None);
        assert_eq!(Home::of("iyagi-media"), None);
    }
}
