//! Links on AWS: uploads go to S3 itself, and what is read comes from the distribution before it, if there is one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use iyagi_actors::ports::StoreFault;
use iyagi_messages::ids::{PersonId, Timestamp};
use iyagi_messages::object::ObjectKey;

use super::clients::Clients;
use super::cloudfront::Signer;
use super::cloudfront::key::{KeyError, SigningKey};
use super::cloudfront::policy::Policy;
use super::s3::{PostForms, S3Objects};
use crate::config::{CloudFrontConfig, DeliveryConfig};
use crate::links::{
    Cookie, Cookies, Grant, GrantForm, Link, LinkFault, Links, Upload, Validity, escaped,
};

/// Where the originals of a person lie. One policy lets one of them through.
const ORIGINALS: [&str; 2] = ["profile/", "uploads/"];

/// Makes links to a bucket.
pub struct AwsLinks {
    objects: Arc<S3Objects>,
    forms: Option<PostForms>,
    distribution: Option<Distribution>,
    link_seconds: u32,
    upload_seconds: u32,
}

struct Distribution {
    domain: String,
    cookie_domain: Option<String>,
    signer: Signer,
}

impl AwsLinks {
    /// As configured.
    pub fn open(
        config: &DeliveryConfig,
        clients: &Clients,
        objects: Arc<S3Objects>,
    ) -> Result<Self, KeyError> {
        let credentials = clients.credentials.clone();
        let distribution = config.cloudfront.as_ref().map(Distribution::open);
        Ok(Self {
            objects,
            forms: credentials.map(|some| PostForms::new(some, clients.region.as_ref())),
            distribution: distribution.transpose()?,
            link_seconds: config.link_seconds,
            upload_seconds: config.upload_seconds,
        })
    }
}

impl Distribution {
    fn open(config: &CloudFrontConfig) -> Result<Self, KeyError> {
        let key = SigningKey::read(&config.private_key_file)?;
        Ok(Self {
            domain: config.domain.clone(),
            cookie_domain: config.cookie_domain.clone(),
            signer: Signer::new(config.key_pair_id.clone(), key),
        })
    }

    fn address(&self, key: &str) -> String {
        format!("https://{}/{}", self.domain, escaped(key))
    }
}

#[async_trait]
impl Links for AwsLinks {
    async fn to_read(&self, key: &ObjectKey, now: Timestamp) -> Result<Link, LinkFault> {
        let validity = Validity::of(self.link_seconds, now);
        let url = if let Some(distribution) = &self.distribution {
            let address = distribution.address(key.as_str());
            let policy = Policy::new(address.clone(), validity.until_seconds());
            let signed = distribution.signer.url(&address, &policy);
            signed.map_err(|error| LinkFault::Unsigned(error.to_string()))?
        } else {
            let lasts = Duration::from_millis(validity.until.since_ms(validity.from));
            let signed = self.objects.presign_get(key, validity.from, lasts).await;
            signed.map_err(|fault| unsigned(&fault))?.url
        };
        Ok(Link {
            url,
            expires_at: validity.until,
        })
    }

    async fn to_put(&self, upload: &Upload, now: Timestamp) -> Result<Grant, LinkFault> {
        let lasts = Duration::from_secs(self.upload_seconds.into());
        let signed = self.objects.presign_put(upload, now, lasts).await;
        let signed = signed.map_err(|fault| unsigned(&fault))?;
        Ok(Grant {
            url: signed.url,
            form: GrantForm::Put(signed.headers),
            expires_at: self.upload_ends(now),
        })
    }

    async fn to_post(&self, upload: &Upload, now: Timestamp) -> Result<Grant, LinkFault> {
        let Some(forms) = &self.forms else {
            return Err(LinkFault::Unsigned("there are no credentials".to_owned()));
        };
        let until = self.upload_ends(now);
        let form = forms.form(&self.objects, upload, now, until).await;
        let form = form.map_err(|fault| unsigned(&fault))?;
        Ok(Grant {
            url: form.url,
            form: GrantForm::Post(form.fields),
            expires_at: until,
        })
    }

    fn cookies(&self, person: &PersonId, now: Timestamp) -> Result<Cookies, LinkFault> {
        let Some(distribution) = &self.distribution else {
            return Err(LinkFault::NotHere(
                "cookies are for CloudFront, and `delivery.cloudfront` is not configured",
            ));
        };
        let validity = Validity::of(self.link_seconds, now);
        let mut cookies = Vec::new();
        for prefix in ORIGINALS {
            let folder = format!("{prefix}{person}/");
            let resource = format!("{}*", distribution.address(&folder));
            // `*` makes it a custom policy: a canned one is for one address.
            let policy = Policy::new(resource, validity.until_seconds());
            let signed = distribution.signer.cookies(&policy);
            let signed = signed.map_err(|error| LinkFault::Unsigned(error.to_string()))?;
            let path = format!("/{}", escaped(&folder));
            cookies.extend(signed.map(|(name, value)| Cookie {
                name,
                value,
                path: path.clone(),
            }));
        }
        Ok(Cookies {
            cookies,
            domain: distribution.cookie_domain.clone(),
            expires_at: validity.until,
        })
    }
}

impl AwsLinks {
    fn upload_ends(&self, now: Timestamp) -> Timestamp {
        now.plus_ms(u64::from(self.upload_seconds) * 1_000)
    }
}

fn unsigned(fault: &StoreFault) -> LinkFault {
    LinkFault::Unsigned(fault.to_string())
}
