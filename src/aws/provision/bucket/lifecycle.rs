//! Uploads in parts that were never finished are cleared away: they are invisible, and cost.

use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus, LifecycleRule,
    LifecycleRuleFilter,
};

use super::{BucketPart, Found};
use crate::aws::fault::CallFault;
use crate::aws::provision::plan::Difference;
use crate::aws::provision::site::Site;

/// Our rule's name; every other rule is somebody else's.
const RULE: &str = "iyagi-abort-incomplete-uploads";
/// How long an upload in parts may take.
const DAYS: i32 = 7;

pub(super) async fn compare(bucket: &BucketPart, site: &Site<'_>) -> Result<Found, CallFault> {
    let rules = rules(bucket, site).await?;
    let good = rules.iter().any(|rule| {
        let abort = rule.abort_incomplete_multipart_upload();
        rule.id() == Some(RULE)
            && rule.status == ExpirationStatus::Enabled
            && abort.and_then(AbortIncompleteMultipartUpload::days_after_initiation) == Some(DAYS)
    });
    let difference = (!good).then(|| {
        let wanted = format!("cleared after {DAYS} days");
        Difference::new("unfinished uploads", "kept", wanted)
    });
    let foreign = rules.iter().filter(|rule| rule.id() != Some(RULE));
    let foreign = foreign.map(|rule| {
        let name = rule.id().unwrap_or("without a name");
        format!("bucket {}: lifecycle rule {name}", bucket.name())
    });
    Ok(Found {
        differences: difference.into_iter().collect(),
        foreign: foreign.collect(),
    })
}

pub(super) async fn set(bucket: &BucketPart, site: &Site<'_>) -> Result<(), CallFault> {
    let mut rules = rules(bucket, site).await?;
    rules.retain(|rule| rule.id() != Some(RULE));
    let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(DAYS);
    let rule = LifecycleRule::builder()
        .id(RULE)
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("").build())
        .abort_incomplete_multipart_upload(abort.build());
    rules.push(rule.build().expect("it has a status"));
    let all = BucketLifecycleConfiguration::builder().set_rules(Some(rules));
    let call = site.clients.s3.put_bucket_lifecycle_configuration();
    let call = call
        .bucket(bucket.name())
        .lifecycle_configuration(all.build().expect("it has rules"));
    bucket.done("s3:PutLifecycleConfiguration", call.send().await)
}

async fn rules(bucket: &BucketPart, site: &Site<'_>) -> Result<Vec<LifecycleRule>, CallFault> {
    let call = site.clients.s3.get_bucket_lifecycle_configuration();
    let answer = bucket.unless(
        "s3:GetLifecycleConfiguration",
        "NoSuchLifecycleConfiguration",
        call.bucket(bucket.name()).send().await,
    )?;
    Ok(answer.and_then(|answer| answer.rules).unwrap_or_default())
}
