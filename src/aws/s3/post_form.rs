//! Forms with which a browser uploads to S3: a policy that says what is let in, signed by Signature Version 4. The SDK has
//! none.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_s3::config::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iyagi_actors::ports::StoreFault;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::object::ObjectKey;
use serde_json::{Value, json};

use super::S3Objects;
use super::presign::system_time;
use crate::links::Upload;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// A key that needs no escaping, so that what stands before it is the bucket's address.
const PLAIN_KEY: &str = "x";

/// Signs forms.
#[derive(Debug, Clone)]
pub struct PostForms {
    credentials: SharedCredentialsProvider,
    region: String,
}

/// A form that uploads one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostForm {
    /// Where to send it.
    pub url: String,
    /// Its fields, but for the file, which is the last one.
    pub fields: BTreeMap<String, String>,
}

impl PostForms {
    /// Signs with these credentials, for a bucket in that region.
    pub fn new(credentials: SharedCredentialsProvider, region: &str) -> Self {
        Self {
            credentials,
            region: region.to_owned(),
        }
    }

    /// Lets whoever has the form upload what is declared, and at most so many bytes, until a moment. It can be sent again,
    /// but nothing else with it.
    pub async fn form(
        &self,
        objects: &S3Objects,
        upload: &Upload,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<PostForm, StoreFault> {
        let credentials = self.credentials.provide_credentials().await;
        let credentials =
            credentials.map_err(|error| StoreFault::Unavailable(error.to_string()))?;
        Ok(PostForm {
            url: objects.address(now).await?,
            fields: self.fields(&credentials, &objects.bucket, upload, now, until),
        })
    }

    fn fields(
        &self,
        credentials: &Credentials,
        bucket: &str,
        upload: &Upload,
        now: Timestamp,
        until: Timestamp,
    ) -> BTreeMap<String, String> {
        let date = written(now, "%Y%m%dT%H%M%SZ");
        let scope = format!("{}/{}/s3/aws4_request", &date[..8], self.region);
        let algorithm = upload.checksum.algorithm();
        let mut fields = BTreeMap::from(
            [
                ("key", upload.key.to_string()),
                ("content-type", upload.content_type.clone()),
                ("success_action_status", "201".to_owned()),
                ("x-amz-checksum-algorithm", algorithm.to_ascii_uppercase()),
                (
                    &*format!("x-amz-checksum-{algorithm}"),
                    STANDARD.encode(upload.checksum.bytes()),
                ),
                ("x-amz-algorithm", ALGORITHM.to_owned()),
                (
                    "x-amz-credential",
                    format!("{}/{scope}", credentials.access_key_id()),
                ),
                ("x-amz-date", date),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        if let Some(token) = credentials.session_token() {
            fields.insert("x-amz-security-token".to_owned(), token.to_owned());
        }
        let mut conditions = vec![
            json!({ "bucket": bucket }),
            json!(["content-length-range", 1, upload.size]),
        ];
        conditions.extend(fields.iter().map(|(name, value)| json!({ name: value })));
        let policy: Value = json!({
            "expiration": written(until, "%Y-%m-%dT%H:%M:%S%.3fZ"),
            "conditions": conditions,
        });
        let policy = STANDARD.encode(policy.to_string());
        let secret = credentials.secret_access_key();
        let signature = signature(&policy, secret, now, &self.region);
        fields.insert("policy".to_owned(), policy);
        fields.insert("x-amz-signature".to_owned(), signature);
        fields
    }
}

impl S3Objects {
    /// The bucket's address, wherever the SDK finds it.
    async fn address(&self, now: Timestamp) -> Result<String, StoreFault> {
        let key = ObjectKey::new(PLAIN_KEY).expect("a letter is a key");
        let signed = self.presign_get(&key, now, Duration::from_mins(1)).await?;
        let object = signed.url.split('?').next().unwrap_or_default();
        let address = object.strip_suffix(PLAIN_KEY).unwrap_or(object);
        Ok(address.to_owned())
    }
}

fn signature(policy: &str, secret: &str, at: Timestamp, region: &str) -> String {
    let key = generate_signing_key(secret, system_time(at), region, "s3");
    calculate_signature(key, policy.as_bytes())
}

fn written(at: Timestamp, format: &str) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Amazon's API reference, "Browser-Based Upload using HTTP POST (Using AWS Signature Version 4)".
    #[test]
    fn a_policy_is_signed_as_amazons_own_example_is() {
        let policy = [
            r#"{ "expiration": "2015-12-30T12:00:00.000Z","#,
            r#"  "conditions": ["#,
            r#"    {"bucket": "sigv4examplebucket"},"#,
            r#"    ["starts-with", "$key", "user/user1/"],"#,
            r#"    {"acl": "public-read"},"#,
            r#"    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},"#,
            r#"    ["starts-with", "$Content-Type", "image/"],"#,
            r#"    {"x-amz-meta-uuid": "14365123651274"},"#,
            r#"    {"x-amz-server-side-encryption": "AES256"},"#,
            r#"    ["starts-with", "$x-amz-meta-tag", ""],"#,
            "",
            r#"    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},"#,
            r#"    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},"#,
            r#"    {"x-amz-date": "20151229T000000Z" }"#,
            "  ]",
            "}",
        ];
        let policy = STANDARD.encode(policy.join("\r\n"));
        let midnight: jiff::Timestamp = "2015-12-29T00:00:00Z".parse().expect("a moment");
        let signature = signature(
            &policy,
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            Timestamp(midnight.as_millisecond()),
            "us-east-1",
        );
        let published = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e";
        assert_eq!(signature, published);
    }
}
