//! The platform applications: there, switched on, and open to this host.

use super::{Looked, proven};
use crate::aws::clients::Clients;
use crate::aws::fault::CallFault;
use crate::aws::names::Names;
use crate::config::Config;

/// What SNS says of an endpoint that nobody registered.
const NO_ENDPOINT: [&str; 5] = [
    "NotFound",
    "NotFoundException",
    "InvalidParameter",
    "InvalidParameterException",
    "EndpointDisabled",
];
/// No endpoint is called so.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

pub(super) async fn check(clients: &Clients, config: &Config) -> Vec<Looked> {
    let names = Names::new(&config.aws.name_prefix);
    let aws = &config.aws;
    let fcm = aws
        .fcm
        .as_ref()
        .map(|fcm| ("fcm", "GCM", names.fcm_application(), &fcm.application_arn));
    let apns = aws.apns.as_ref().map(|apns| {
        let platform = if apns.sandbox { "APNS_SANDBOX" } else { "APNS" };
        (
            "apns",
            platform,
            names.apns_application(),
            &apns.application_arn,
        )
    });
    let mut looked = Vec::new();
    for (section, platform, name, arn) in fcm.into_iter().chain(apns) {
        let resource = format!("platform application {name}");
        let arn = match arn {
            Some(arn) => Ok(Some(arn.clone())),
            None => find(clients, &format!(":app/{platform}/{name}")).await,
        };
        match arn {
            Ok(Some(arn)) => looked.extend(application(clients, &resource, &arn).await),
            Ok(None) => {
                let cure = format!(
                    "set aws.{section}.credential_file and run `iyagi provision`, or set aws.{section}.application_arn"
                );
                looked.push(Looked::bad(resource, "it is not there", cure));
            }
            Err(fault) => looked.push(Looked::fault(&resource, &fault)),
        }
    }
    if looked.is_empty() && config.push.fcm.is_none() {
        let detail =
            "none of [aws.fcm], [aws.apns] and [push.fcm] is set, so no phone can be reached";
        looked.push(Looked::bad(
            "push",
            detail,
            "set the one of your app, or one for each platform",
        ));
    }
    looked
}

async fn find(clients: &Clients, end: &str) -> Result<Option<String>, CallFault> {
    let call = clients.sns.list_platform_applications();
    let mut pages = call.into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| {
            CallFault::of("every application", "sns:ListPlatformApplications", &error)
        })?;
        let all = page.platform_applications().iter();
        let mut arns = all.filter_map(|one| one.platform_application_arn());
        if let Some(arn) = arns.find(|arn| arn.ends_with(end)) {
            return Ok(Some(arn.to_owned()));
        }
    }
    Ok(None)
}

async fn application(clients: &Clients, resource: &str, arn: &str) -> Vec<Looked> {
    let sns = &clients.sns;
    let call = sns.get_platform_application_attributes();
    let answer = call.platform_application_arn(arn).send().await;
    let state = match answer {
        Ok(answer) => {
            let attributes = answer.attributes.unwrap_or_default();
            match attributes.get("Enabled").map(String::as_str) {
                Some("false") => Looked::bad(
                    resource,
                    "SNS has switched it off: the push service refused its credential",
                    "put a valid one into its file and run `iyagi provision --renew-credentials`",
                ),
                _ => Looked::good(resource, "switched on"),
            }
        }
        failed => proven(
            resource,
            "sns:GetPlatformApplicationAttributes",
            failed,
            &[],
        ),
    };
    // An application's endpoints are called after it.
    let endpoint = format!("{}/{NOBODY}", arn.replacen(":app/", ":endpoint/", 1));
    let call = sns.get_endpoint_attributes().endpoint_arn(&endpoint);
    let got = call.send().await;
    let call = sns.publish().target_arn(&endpoint).message("{}");
    let published = call.send().await;
    vec![
        state,
        proven(resource, "sns:GetEndpointAttributes", got, &NO_ENDPOINT),
        proven(resource, "sns:Publish", published, &NO_ENDPOINT),
    ]
}
