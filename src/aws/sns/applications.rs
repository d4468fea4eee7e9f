//! The platform applications, through which the service speaks to Firebase and Apple.

use std::fmt;

use aws_sdk_sns::Client;
use iyagi_messages::device::Platform;
use thiserror::Error;

use super::classify::told;
use crate::aws::names::Names;
use crate::config::AwsConfig;

/// A push service as SNS names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Firebase Cloud Messaging, still under its old name.
    Fcm,
    /// Apple Push Notification service.
    Apns,
    /// Apple's sandbox, for builds of developers.
    ApnsSandbox,
}

impl Service {
    /// The name in ARNs and in envelopes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fcm => "GCM",
            Self::Apns => "APNS",
            Self::ApnsSandbox => "APNS_SANDBOX",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One platform application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Which push service it speaks to.
    pub service: Service,
    /// Its ARN.
    pub arn: String,
    /// Apple only: the app's bundle id, if pushes are to name it.
    pub topic: Option<String>,
}

/// The platform applications of one installation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applications {
    /// For Android phones.
    pub fcm: Option<Application>,
    /// For iPhones.
    pub apns: Option<Application>,
}

/// Why the platform applications are not known.
#[derive(Debug, Error)]
pub enum ApplicationsError {
    /// There is none of that name.
    #[error(
        "there is no platform application {name} of {service}: run `iyagi provision`, or name one in `{key}`"
    )]
    Missing {
        /// Its name.
        name: String,
        /// The push service.
        service: Service,
        /// The setting that can name another.
        key: &'static str,
    },
    /// The ARN is not of a platform application of that push service.
    #[error("`{key}` is {arn}, which is no platform application of {service}")]
    Foreign {
        /// The setting.
        key: &'static str,
        /// What it says.
        arn: String,
        /// The push service.
        service: Service,
    },
    /// The list of platform applications was not given.
    #[error("the platform applications cannot be listed: {reason}")]
    Unlisted {
        /// Why.
        reason: String,
    },
}

impl Applications {
    /// The applications that are configured, by ARN or else by name.
    pub async fn find(
        sns: &Client,
        config: &AwsConfig,
        names: &Names,
    ) -> Result<Self, ApplicationsError> {
        let mut wanted = Vec::new();
        if let Some(fcm) = &config.fcm {
            wanted.push(Wanted {
                service: Service::Fcm,
                name: names.fcm_application(),
                arn: fcm.application_arn.clone(),
                key: "aws.fcm.application_arn",
                topic: None,
            });
        }
        if let Some(apns) = &config.apns {
            wanted.push(Wanted {
                service: if apns.sandbox {
                    Service::ApnsSandbox
                } else {
                    Service::Apns
                },
                name: names.apns_application(),
                arn: apns.application_arn.clone(),
                key: "aws.apns.application_arn",
                topic: apns.bundle_id.clone(),
            });
        }
        let listed = if wanted.iter().any(|one| one.arn.is_none()) {
            list(sns).await?
        } else {
            Vec::new()
        };
        let mut found = Self::default();
        for one in wanted {
            let application = one.among(&listed)?;
            match application.service {
                Service::Fcm => found.fcm = Some(application),
                Service::Apns | Service::ApnsSandbox => found.apns = Some(application),
            }
        }
        Ok(found)
    }

    /// The application for phones of a platform.
    pub fn of(&self, platform: Platform) -> Option<&Application> {
        match platform {
            Platform::Fcm => self.fcm.as_ref(),
            Platform::Apns => self.apns.as_ref(),
        }
    }
}

/// An application that the configuration asks for.
struct Wanted {
    service: Service,
    name: String,
    arn: Option<String>,
    key: &'static str,
    topic: Option<String>,
}

impl Wanted {
    fn among(self, listed: &[String]) -> Result<Application, ApplicationsError> {
        let kind = format!(":app/{}/", self.service);
        let arn = match self.arn {
            Some(arn) if arn.contains(&kind) => arn,
            Some(arn) => {
                return Err(ApplicationsError::Foreign {
                    key: self.key,
                    arn,
                    service: self.service,
                });
            }
            None => {
                let end = format!("{kind}{}", self.name);
                let arn = listed.iter().find(|arn| arn.ends_with(&end)).cloned();
                arn.ok_or(ApplicationsError::Missing {
                    name: self.name,
                    service: self.service,
                    key: self.key,
                })?
            }
        };
        Ok(Application {
            service: self.service,
            arn,
            topic: self.topic,
        })
    }
}

async fn list(sns: &Client) -> Result<Vec<String>, ApplicationsError> {
    let mut arns = Vec::new();
    let mut pages = sns.list_platform_applications().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| ApplicationsError::Unlisted {
            reason: told(&error),
        })?;
        let applications = page.platform_applications.unwrap_or_default();
        arns.extend(
            applications
                .into_iter()
                .filter_map(|application| application.platform_application_arn),
        );
    }
    Ok(arns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(arn: Option<&str>) -> Wanted {
        Wanted {
            service: Service::Apns,
            name: "iyagi-apns".to_owned(),
            arn: arn.map(str::to_owned),
            key: "aws.apns.application_arn",
            topic: None,
        }
    }

    #[test]
    fn an_application_is_found_by_its_push_service_and_whole_name() {
        let arn = |end: &str| format!("arn:aws:sns:r:1:app/{end}");
        let listed = [
            arn("APNS_SANDBOX/iyagi-apns"),
            arn("APNS/not-iyagi-apns"),
            arn("APNS/iyagi-apns-old"),
            arn("APNS/iyagi-apns"),
        ];
        let found = wanted(None).among(&listed).expect("it is there");
        assert_eq!(found.arn, listed[3]);
        let error = wanted(None).among(&listed[..3]).expect_err("it is not");
        let told = error.to_string();
        assert!(
            told.contains("iyagi-apns") && told.contains("iyagi provision"),
            "{told}"
        );
    }

    #[test]
    fn an_arn_of_another_push_service_is_refused_with_its_setting() {
        let arn = "arn:aws:sns:r:1:app/APNS_SANDBOX/mine";
        let error = wanted(Some(arn))
            .among(&[])
            .expect_err("it is the sandbox's");
        let told = error.to_string();
        assert!(
            told.contains("aws.apns.application_arn") && told.contains(arn),
            "{told}"
        );
    }
}
