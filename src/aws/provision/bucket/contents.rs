//! What the bucket holds, where it must be known or go.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::BucketPart;
use crate::aws::fault::CallFault;
use crate::aws::provision::Part as _;
use crate::aws::provision::site::Site;

/// Whether there is any version of any object, or the mark of a deleted one.
pub(super) async fn any(bucket: &BucketPart, site: &Site<'_>) -> Result<bool, CallFault> {
    let call = site.clients.s3.list_object_versions().bucket(bucket.name());
    let page = call
        .max_keys(1)
        .send()
        .await
        .map_err(|error| CallFault::of(bucket.resource(), "s3:ListBucketVersions", &error))?;
    Ok(!page.versions().is_empty() || !page.delete_markers().is_empty())
}

/// Deletes every version of every object, and what was begun to be uploaded.
pub(super) async fn delete(bucket: &BucketPart, site: &Site<'_>) -> Result<(), CallFault> {
    let s3 = &site.clients.s3;
    loop {
        // Each round begins anew: what the last one deleted is no longer listed.
        let page = s3.list_object_versions().bucket(bucket.name()).send().await;
        let page = page
            .map_err(|error| CallFault::of(bucket.resource(), "s3:ListBucketVersions", &error))?;
        let versions = page.versions.unwrap_or_default().into_iter();
        let versions = versions.map(|one| (one.key, one.version_id));
        let marks = page.delete_markers.unwrap_or_default().into_iter();
        let marks = marks.map(|one| (one.key, one.version_id));
        let objects: Vec<_> = versions
            .chain(marks)
            .filter_map(|(key, version)| {
                let object = ObjectIdentifier::builder().key(key?);
                Some(
                    object
                        .set_version_id(version)
                        .build()
                        .expect("it has a key"),
                )
            })
            .collect();
        if objects.is_empty() {
            break;
        }
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true);
        let call = s3.delete_objects().bucket(bucket.name());
        let answer = call
            .delete(delete.build().expect("it has objects"))
            .send()
            .await;
        let answer = answer
            .map_err(|error| CallFault::of(bucket.resource(), "s3:DeleteObjectVersion", &error))?;
        if let Some(error) = answer.errors().first() {
            let reason = format!(
                "{}: {}",
                error.key().unwrap_or_default(),
                error.message().or(error.code()).unwrap_or("not deleted")
            );
            return Err(CallFault::refused(
                bucket.resource(),
                "s3:DeleteObjectVersion",
                reason,
            ));
        }
    }
    abort_uploads(bucket, site).await
}

async fn abort_uploads(bucket: &BucketPart, site: &Site<'_>) -> Result<(), CallFault> {
    let s3 = &site.clients.s3;
    let call = s3.list_multipart_uploads().bucket(bucket.name());
    let uploads = call.send().await.map_err(|error| {
        CallFault::of(bucket.resource(), "s3:ListBucketMultipartUploads", &error)
    })?;
    for upload in uploads.uploads() {
        let call = s3.abort_multipart_upload().bucket(bucket.name());
        let call = call
            .set_key(upload.key.clone())
            .set_upload_id(upload.upload_id.clone());
        bucket.done("s3:AbortMultipartUpload", call.send().await)?;
    }
    Ok(())
}
