//! The bucket: closed to the public, encrypted, versioned, and telling the media topic of uploads.

use async_trait::async_trait;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration,
    PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, VersioningConfiguration,
};
use serde_json::{Value, json};

use super::plan::{Action, Difference, Kind, Resource};
use super::site::Site;
use super::{Look, Part, policy};
use crate::aws::fault::{CallFault, code};
use crate::config::Config;

mod contents;
mod lifecycle;
mod notifications;

/// The one region whose buckets name no region.
const UNNAMED_REGION: &str = "us-east-1";

/// The bucket of uploads and derived files.
pub(super) struct BucketPart {
    resource: Resource,
}

/// The settings, each read and written by calls of its own, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    PublicAccess,
    Encryption,
    Versioning,
    Lifecycle,
    Policy,
    Notifications,
}

impl Setting {
    const ALL: [Self; 6] = [
        Self::PublicAccess,
        Self::Encryption,
        Self::Versioning,
        Self::Lifecycle,
        Self::Policy,
        Self::Notifications,
    ];
}

/// Settings that are not as they should be, and what others have set beside them.
#[derive(Debug, Default)]
struct Found {
    differences: Vec<Difference>,
    foreign: Vec<String>,
}

impl From<Option<Difference>> for Found {
    fn from(difference: Option<Difference>) -> Self {
        Self {
            differences: difference.into_iter().collect(),
            foreign: Vec::new(),
        }
    }
}

impl BucketPart {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            resource: Resource::new(Kind::Bucket, &config.media.bucket),
        }
    }

    fn name(&self) -> &str {
        &self.resource.name
    }

    async fn exists(&self, site: &Site<'_>) -> Result<bool, CallFault> {
        match site
            .clients
            .s3
            .head_bucket()
            .bucket(self.name())
            .send()
            .await
        {
            Ok(_) => Ok(true),
            Err(error) => match error.raw_response().map(|answer| answer.status().as_u16()) {
                Some(404) => Ok(false),
                // A HEAD has no body, so that the status is all there is to tell by.
                Some(403) => {
                    let mut fault = CallFault::refused(
                        &self.resource,
                        "s3:ListBucket",
                        "403: the bucket is somebody else's, or these credentials may not look",
                    );
                    fault.kind = crate::aws::fault::FaultKind::Denied;
                    Err(fault)
                }
                Some(301) => Err(CallFault::refused(
                    &self.resource,
                    "s3:ListBucket",
                    "301: it is in another region",
                )),
                _ => Err(CallFault::of(&self.resource, "s3:ListBucket", &error)),
            },
        }
    }

    async fn compare(&self, site: &Site<'_>, setting: Setting) -> Result<Found, CallFault> {
        match setting {
            Setting::PublicAccess => self.public_access(site).await.map(Found::from),
            Setting::Encryption => self.encryption(site).await.map(Found::from),
            Setting::Versioning => self.versioning(site).await.map(Found::from),
            Setting::Lifecycle => lifecycle::compare(self, site).await,
            Setting::Policy => {
                let current = self.policy(site).await?;
                let compared = policy::compare(current.as_deref(), &statements(site), &[]);
                let foreign = compared.foreign.iter();
                Ok(Found {
                    differences: compared.differences,
                    foreign: foreign
                        .map(|name| format!("{}: policy statement {name}", self.resource))
                        .collect(),
                })
            }
            Setting::Notifications => notifications::compare(self, site).await,
        }
    }

    async fn set(&self, site: &Site<'_>, setting: Setting) -> Result<(), CallFault> {
        match setting {
            Setting::PublicAccess => self.close(site).await,
            Setting::Encryption => self.encrypt(site).await,
            Setting::Versioning => self.keep_versions(site).await,
            Setting::Lifecycle => lifecycle::set(self, site).await,
            Setting::Policy => {
                let current = self.policy(site).await?;
                let wanted = policy::compare(current.as_deref(), &statements(site), &[]).wanted;
                let call = site.clients.s3.put_bucket_policy().bucket(self.name());
                let sent = call.policy(wanted).send().await;
                self.done("s3:PutBucketPolicy", sent)
            }
            Setting::Notifications => notifications::set(self, site).await,
        }
    }

    async fn public_access(&self, site: &Site<'_>) -> Result<Option<Difference>, CallFault> {
        let call = site.clients.s3.get_public_access_block();
        let answer = call.bucket(self.name()).send().await;
        let is = self.unless(
            "s3:GetBucketPublicAccessBlock",
            "NoSuchPublicAccessBlockConfiguration",
            answer,
        )?;
        let block = is.and_then(|answer| answer.public_access_block_configuration);
        let closed = block.as_ref().is_some_and(|block| {
            [
                block.block_public_acls,
                block.ignore_public_acls,
                block.block_public_policy,
                block.restrict_public_buckets,
            ]
            .iter()
            .all(|on| *on == Some(true))
        });
        let is = if block.is_some() { "in part" } else { "open" };
        Ok((!closed).then(|| Difference::new("public access", is, "blocked")))
    }

    async fn close(&self, site: &Site<'_>) -> Result<(), CallFault> {
        let block = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .ignore_public_acls(true)
            .block_public_policy(true)
            .restrict_public_buckets(true)
            .build();
        let call = site.clients.s3.put_public_access_block();
        let call = call
            .bucket(self.name())
            .public_access_block_configuration(block);
        self.done("s3:PutBucketPublicAccessBlock", call.send().await)
    }

    async fn encryption(&self, site: &Site<'_>) -> Result<Option<Difference>, CallFault> {
        let call = site.clients.s3.get_bucket_encryption();
        let answer = call.bucket(self.name()).send().await;
        let is = self.unless(
            "s3:GetEncryptionConfiguration",
            "ServerSideEncryptionConfigurationNotFoundError",
            answer,
        )?;
        let rules = is.and_then(|answer| answer.server_side_encryption_configuration);
        let rules = rules.map(|rules| rules.rules).unwrap_or_default();
        let mut defaults = rules.into_iter().filter_map(|rule| {
            let key = rule.bucket_key_enabled.unwrap_or(false);
            Some((rule.apply_server_side_encryption_by_default?, key))
        });
        let Some((default, bucket_key)) = defaults.next() else {
            let wanted = if site.config.aws.kms_key_arn.is_some() {
                "aws:kms"
            } else {
                "AES256"
            };
            return Ok(Some(Difference::new("encryption", "none", wanted)));
        };
        // Without a key of one's own, whatever encryption there is will do.
        let Some(wanted) = &site.config.aws.kms_key_arn else {
            return Ok(None);
        };
        let key = default.kms_master_key_id().unwrap_or("none");
        let good = default.sse_algorithm == ServerSideEncryption::AwsKms
            && key == wanted.as_str()
            && bucket_key;
        let algorithm = default.sse_algorithm.as_str();
        Ok((!good).then(|| {
            let is = format!("{algorithm}, key {key}, bucket key {bucket_key}");
            let wanted = format!("aws:kms, key {wanted}, bucket key true");
            Difference::new("encryption", is, wanted)
        }))
    }

    async fn encrypt(&self, site: &Site<'_>) -> Result<(), CallFault> {
        let key = site.config.aws.kms_key_arn.as_deref();
        let default = match key {
            Some(key) => ServerSideEncryptionByDefault::builder()
                .sse_algorithm(ServerSideEncryption::AwsKms)
                .kms_master_key_id(key),
            None => {
                ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::Aes256)
            }
        };
        let rule = ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(default.build().expect("it has an algorithm"))
            // One data key for many objects, instead of a call to the key for each.
            .bucket_key_enabled(key.is_some());
        let rules = ServerSideEncryptionConfiguration::builder().rules(rule.build());
        let call = site.clients.s3.put_bucket_encryption();
        let call = call
            .bucket(self.name())
            .server_side_encryption_configuration(rules.build().expect("it has a rule"));
        self.done("s3:PutEncryptionConfiguration", call.send().await)
    }

    async fn versioning(&self, site: &Site<'_>) -> Result<Option<Difference>, CallFault> {
        let call = site.clients.s3.get_bucket_versioning();
        let answer = call.bucket(self.name()).send().await;
        let answer = answer
            .map_err(|error| CallFault::of(&self.resource, "s3:GetBucketVersioning", &error))?;
        let status = answer.status;
        Ok((status != Some(BucketVersioningStatus::Enabled)).then(|| {
            let is = status
                .as_ref()
                .map_or("off", BucketVersioningStatus::as_str);
            Difference::new("versioning", is, BucketVersioningStatus::Enabled.as_str())
        }))
    }

    async fn keep_versions(&self, site: &Site<'_>) -> Result<(), CallFault> {
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
        let call = site.clients.s3.put_bucket_versioning();
        let call = call
            .bucket(self.name())
            .versioning_configuration(enabled.build());
        self.done("s3:PutBucketVersioning", call.send().await)
    }

    async fn policy(&self, site: &Site<'_>) -> Result<Option<String>, CallFault> {
        let call = site.clients.s3.get_bucket_policy().bucket(self.name());
        let answer = self.unless(
            "s3:GetBucketPolicy",
            "NoSuchBucketPolicy",
            call.send().await,
        )?;
        Ok(answer.and_then(|answer| answer.policy))
    }

    /// What a call yielded, or nothing where the service says that nothing is configured.
    fn unless<T, E, R>(
        &self,
        action: &'static str,
        absent: &str,
        answer: Result<T, SdkError<E, R>>,
    ) -> Result<Option<T>, CallFault>
    where
        E: aws_sdk_s3::error::ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if code(&error) == Some(absent) => Ok(None),
            Err(error) => Err(CallFault::of(&self.resource, action, &error)),
        }
    }

    fn done<T, E, R>(
        &self,
        action: &'static str,
        answer: Result<T, SdkError<E, R>>,
    ) -> Result<(), CallFault>
    where
        E: aws_sdk_s3::error::ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        answer
            .map(drop)
            .map_err(|error| CallFault::of(&self.resource, action, &error))
    }
}

fn statements(site: &Site<'_>) -> [Value; 1] {
    let arn = site.bucket_arn();
    [policy::tls_only("s3:*", json!([arn, format!("{arn}/*")]))]
}

#[async_trait]
impl Part for BucketPart {
    fn resource(&self) -> &Resource {
        &self.resource
    }

    async fn look(&self, site: &Site<'_>) -> Result<Look, CallFault> {
        if !self.exists(site).await? {
            return Ok(Action::Create.into());
        }
        let mut found = Found::default();
        for setting in Setting::ALL {
            let Found {
                differences,
                foreign,
            } = self.compare(site, setting).await?;
            found.differences.extend(differences);
            found.foreign.extend(foreign);
        }
        Ok(Look {
            action: Action::mending(found.differences),
            untouched: found.foreign,
        })
    }

    async fn create(&self, site: &Site<'_>) -> Result<(), CallFault> {
        let region = site.clients.region.as_ref();
        let place = (region != UNNAMED_REGION).then(|| {
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(region))
                .build()
        });
        let call = site.clients.s3.create_bucket().bucket(self.name());
        let made = call.set_create_bucket_configuration(place).send().await;
        match made {
            Ok(_) => {}
            // Made by a run whose answer was lost.
            Err(error) if code(&error) == Some("BucketAlreadyOwnedByYou") => {}
            Err(error) => {
                return Err(CallFault::of(&self.resource, "s3:CreateBucket", &error));
            }
        }
        for setting in Setting::ALL {
            self.set(site, setting).await?;
        }
        Ok(())
    }

    async fn change(&self, site: &Site<'_>, _: &[Difference]) -> Result<(), CallFault> {
        for setting in Setting::ALL {
            if !self.compare(site, setting).await?.differences.is_empty() {
                self.set(site, setting).await?;
            }
        }
        Ok(())
    }

    async fn farewell(
        &self,
        site: &Site<'_>,
        with_data: bool,
    ) -> Result<Option<Action>, CallFault> {
        if !self.exists(site).await? {
            return Ok(None);
        }
        if !with_data && contents::any(self, site).await? {
            let why = "it holds objects; --with-data deletes them too, with every version. Its notifications are taken away";
            return Ok(Some(Action::Retain {
                why: why.to_owned(),
            }));
        }
        Ok(Some(Action::Delete { with_data }))
    }

    async fn delete(&self, site: &Site<'_>, with_data: bool) -> Result<(), CallFault> {
        if with_data {
            contents::delete(self, site).await?;
        }
        let call = site.clients.s3.delete_bucket().bucket(self.name());
        self.done("s3:DeleteBucket", call.send().await)
    }

    /// The topic goes, so the bucket must no longer name it.
    async fn release(&self, site: &Site<'_>) -> Result<(), CallFault> {
        notifications::take_away(self, site).await
    }
}
