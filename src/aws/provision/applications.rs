//! Platform applications: SNS's way to Google's and Apple's push services.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::plan::{Action, Difference, Kind, Resource};
use super::site::Site;
use super::{Look, Part, Wishes};
use crate::aws::fault::CallFault;
use crate::aws::names::Names;
use crate::config::{ApnsConfig, Config};

/// Where SNS reports pushes that failed after it took them.
const FAILURES: &str = "EventDeliveryFailure";
const ENABLED: &str = "Enabled";
/// What SNS keeps to itself.
const CREDENTIAL: &str = "PlatformCredential";

/// One platform application.
pub(super) struct ApplicationPart {
    resource: Resource,
    platform: Platform,
    credential_file: PathBuf,
    renew_credentials: bool,
}

#[derive(Debug, Clone)]
enum Platform {
    Fcm,
    Apns(ApnsConfig),
}

impl Platform {
    /// SNS's word for it, which is also part of the application's ARN.
    fn word(&self) -> &'static str {
        match self {
            Self::Fcm => "GCM",
            Self::Apns(apns) if apns.sandbox => "APNS_SANDBOX",
            Self::Apns(_) => "APNS",
        }
    }
}

/// The applications that the configuration only names: they are somebody else's work.
pub(super) fn left_out(config: &Config) -> Vec<String> {
    let names = Names::new(&config.aws.name_prefix);
    let fcm = config.aws.fcm.as_ref().map(|fcm| {
        let (arn, file) = (&fcm.application_arn, &fcm.credential_file);
        (names.fcm_application(), arn, file, "aws.fcm")
    });
    let apns = config.aws.apns.as_ref().map(|apns| {
        let (arn, file) = (&apns.application_arn, &apns.credential_file);
        (names.apns_application(), arn, file, "aws.apns")
    });
    let all = fcm.into_iter().chain(apns);
    all.filter_map(|(name, arn, file, key)| match (arn, file) {
        (Some(arn), _) => Some(format!(
            "platform application {arn}: given by {key}.application_arn"
        )),
        (None, None) => Some(format!(
            "platform application {name}: {key}.credential_file is not set"
        )),
        (None, Some(_)) => None,
    })
    .collect()
}

impl ApplicationPart {
    pub(super) fn all(config: &Config, wishes: Wishes) -> Vec<Self> {
        let names = Names::new(&config.aws.name_prefix);
        let fcm = config.aws.fcm.as_ref();
        let fcm = fcm.filter(|fcm| fcm.application_arn.is_none());
        let fcm = fcm.and_then(|fcm| fcm.credential_file.clone());
        let fcm = fcm.map(|file| (names.fcm_application(), Platform::Fcm, file));
        let apns = config.aws.apns.as_ref();
        let apns = apns.filter(|apns| apns.application_arn.is_none());
        let apns = apns.and_then(|apns| {
            let file = apns.credential_file.clone()?;
            Some((names.apns_application(), Platform::Apns(apns.clone()), file))
        });
        let all = fcm.into_iter().chain(apns);
        all.map(|(name, platform, credential_file)| Self {
            resource: Resource::new(Kind::PlatformApplication, name),
            platform,
            credential_file,
            renew_credentials: wishes.renew_credentials,
        })
        .collect()
    }

    async fn find(&self, site: &Site<'_>) -> Result<Option<String>, CallFault> {
        let end = format!(":app/{}/{}", self.platform.word(), self.resource.name);
        let call = site.clients.sns.list_platform_applications();
        let mut pages = call.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                CallFault::of(&self.resource, "sns:ListPlatformApplications", &error)
            })?;
            let all = page.platform_applications.unwrap_or_default().into_iter();
            let mut arns = all.filter_map(|application| application.platform_application_arn);
            if let Some(arn) = arns.find(|arn| arn.ends_with(&end)) {
                return Ok(Some(arn));
            }
        }
        Ok(None)
    }

    /// Settings that can be read back.
    fn settings(site: &Site<'_>) -> HashMap<String, String> {
        let topic = site.settled().topic_arn(&site.names.feedback_topic());
        HashMap::from([
            (FAILURES.to_owned(), topic),
            (ENABLED.to_owned(), "true".to_owned()),
        ])
    }

    /// What the push service asks for.
    fn credentials(&self) -> Result<HashMap<String, String>, CallFault> {
        let mut credentials =
            HashMap::from([(CREDENTIAL.to_owned(), self.read(&self.credential_file)?)]);
        if let Platform::Apns(apns) = &self.platform {
            for (name, key, value) in [
                ("PlatformPrincipal", "aws.apns.key_id", &apns.key_id),
                ("ApplePlatformTeamID", "aws.apns.team_id", &apns.team_id),
                (
                    "ApplePlatformBundleID",
                    "aws.apns.bundle_id",
                    &apns.bundle_id,
                ),
            ] {
                let value = value.clone().ok_or_else(|| {
                    self.refused(format!("Apple asks for `{key}`, which is not set"))
                })?;
                credentials.insert(name.to_owned(), value);
            }
        }
        Ok(credentials)
    }

    fn read(&self, file: &Path) -> Result<String, CallFault> {
        let text = fs::read_to_string(file).map_err(|error| {
            self.refused(format!(
                "the credential file {} cannot be read: {error}",
                file.display()
            ))
        })?;
        let well_formed = match self.platform {
            Platform::Fcm => serde_json::from_str::<serde_json::Value>(&text)
                .is_ok_and(|key| key["type"] == "service_account"),
            Platform::Apns(_) => text.contains("BEGIN PRIVATE KEY"),
        };
        if well_formed {
            return Ok(text);
        }
        let what = match self.platform {
            Platform::Fcm => "the JSON key of a service account",
            Platform::Apns(_) => "a signing key (.p8)",
        };
        Err(self.refused(format!("{} is not {what}", file.display())))
    }

    fn refused(&self, reason: String) -> CallFault {
        CallFault::refused(&self.resource, "sns:CreatePlatformApplication", reason)
    }
}

#[async_trait]
impl Part for ApplicationPart {
    fn resource(&self) -> &Resource {
        &self.resource
    }

    async fn look(&self, site: &Site<'_>) -> Result<Look, CallFault> {
        let Some(arn) = self.find(site).await? else {
            // A file that cannot be used is told before anything is made.
            self.credentials()?;
            return Ok(Action::Create.into());
        };
        let call = site.clients.sns.get_platform_application_attributes();
        let answer = call.platform_application_arn(arn).send().await;
        let answer = answer.map_err(|error| {
            CallFault::of(
                &self.resource,
                "sns:GetPlatformApplicationAttributes",
                &error,
            )
        })?;
        let attributes = answer.attributes.unwrap_or_default();
        let mut differences = Vec::new();
        if site.home().is_none() {
            // Without an account there is no topic yet that it could report to.
            differences.push(Difference::new(
                FAILURES,
                "none",
                site.names.feedback_topic(),
            ));
        } else {
            for (name, wanted) in Self::settings(site) {
                let is = attributes.get(&name).map_or("none", String::as_str);
                // An application that never was switched off does not say that it is on.
                let on = name == ENABLED && !attributes.contains_key(ENABLED);
                if is != wanted && !on {
                    differences.push(Difference::new(name, is, wanted));
                }
            }
        }
        differences.sort_by(|one, other| one.setting.cmp(&other.setting));
        if self.renew_credentials {
            let file = self.credential_file.display().to_string();
            differences.push(Difference::new(CREDENTIAL, "not told", file));
        }
        Ok(Action::mending(differences).into())
    }

    async fn create(&self, site: &Site<'_>) -> Result<(), CallFault> {
        let mut attributes = self.credentials()?;
        attributes.extend(Self::settings(site));
        let call = site.clients.sns.create_platform_application();
        let call = call
            .name(&self.resource.name)
            .platform(self.platform.word());
        let sent = call.set_attributes(Some(attributes)).send().await;
        sent.map(drop)
            .map_err(|error| CallFault::of(&self.resource, "sns:CreatePlatformApplication", &error))
    }

    async fn change(&self, site: &Site<'_>, differences: &[Difference]) -> Result<(), CallFault> {
        let Some(arn) = self.find(site).await? else {
            return self.create(site).await;
        };
        let mut attributes = Self::settings(site);
        let mut renewed = differences.iter();
        if renewed.any(|difference| difference.setting == CREDENTIAL) {
            attributes.extend(self.credentials()?);
        }
        let call = site.clients.sns.set_platform_application_attributes();
        let call = call
            .platform_application_arn(arn)
            .set_attributes(Some(attributes));
        call.send().await.map(drop).map_err(|error| {
            CallFault::of(
                &self.resource,
                "sns:SetPlatformApplicationAttributes",
                &error,
            )
        })
    }

    /// Every phone's endpoint goes with its application, and with it the way to the phone.
    async fn farewell(
        &self,
        site: &Site<'_>,
        with_data: bool,
    ) -> Result<Option<Action>, CallFault> {
        let found = self.find(site).await?;
        Ok(found.map(|_| {
            if with_data {
                return Action::Delete { with_data };
            }
            let why = "every phone's endpoint goes with it; --with-data deletes them";
            Action::Retain {
                why: why.to_owned(),
            }
        }))
    }

    async fn delete(&self, site: &Site<'_>, _: bool) -> Result<(), CallFault> {
        let Some(arn) = self.find(site).await? else {
            return Ok(());
        };
        let call = site.clients.sns.delete_platform_application();
        let sent = call.platform_application_arn(arn).send().await;
        sent.map(drop)
            .map_err(|error| CallFault::of(&self.resource, "sns:DeletePlatformApplication", &error))
    }
}
