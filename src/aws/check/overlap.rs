//! Whether the bucket tells iyagi of what iyagi itself writes: each derived file would then call for the next, for ever
//! and at a price. The workers pass over such notifications, but each is sent, received and paid for.

use std::fmt;

use aws_sdk_s3::types::{NotificationConfigurationFilter, S3KeyFilter};
use iyagi_messages::media::DERIVED_PREFIX;

use crate::aws::clients::Clients;
use crate::aws::fault::CallFault;
use crate::aws::names::Names;
use crate::config::Config;

/// A rule of the bucket that tells one of our topics or queues of derived files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// Who is told.
    to: String,
    /// Of which keys.
    prefix: String,
}

impl Overlap {
    /// What to do about one.
    pub const CURE: &str =
        "`iyagi provision` takes away those to its topic; take away those to its queues yourself";

    /// The first such rule, if there is one.
    pub(crate) async fn find(
        clients: &Clients,
        config: &Config,
    ) -> Result<Option<Self>, CallFault> {
        let bucket = &config.media.bucket;
        let call = clients.s3.get_bucket_notification_configuration();
        let answer = call.bucket(bucket).send().await.map_err(|error| {
            CallFault::of(
                format!("bucket {bucket}"),
                "s3:GetBucketNotification",
                &error,
            )
        })?;
        let names = Names::new(&config.aws.name_prefix);
        let ours = [
            names.media_topic(),
            names.metadata_queue(),
            names.thumbnails_queue(),
            names.audio_queue(),
        ];
        let is_ours = |arn: &str| {
            let mut names = ours.iter();
            names.any(|name| arn.ends_with(&format!(":{name}")))
        };
        let topics = answer.topic_configurations().iter();
        let topics = topics.map(|one| (one.topic_arn.as_str(), one.filter()));
        let queues = answer.queue_configurations().iter();
        let queues = queues.map(|one| (one.queue_arn.as_str(), one.filter()));
        let rules = topics.chain(queues).filter(|(arn, _)| is_ours(arn));
        let mut rules = rules.map(|(arn, filter)| Self {
            to: arn.to_owned(),
            prefix: prefix_of(filter),
        });
        Ok(rules.find(|rule| {
            DERIVED_PREFIX.starts_with(&rule.prefix) || rule.prefix.starts_with(DERIVED_PREFIX)
        }))
    }
}

fn prefix_of(filter: Option<&NotificationConfigurationFilter>) -> String {
    let rules = filter.and_then(|filter| filter.key());
    let mut rules = rules.into_iter().flat_map(S3KeyFilter::filter_rules);
    let prefix = rules.find(|rule| {
        // S3 itself answers with a capital, against its own model.
        let name = rule.name().map(|name| name.as_str().to_ascii_lowercase());
        name.as_deref() == Some("prefix")
    });
    let prefix = prefix.and_then(|rule| rule.value()).unwrap_or_default();
    prefix.to_owned()
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, prefix } = self;
        write!(
            f,
            "the bucket tells {to} of \"{prefix}*\", and with it of what iyagi itself writes under \"{DERIVED_PREFIX}\": \
             each file would call for the next"
        )
    }
}
