//! Links of one machine: the public listener itself answers them, because a secret of the data folder signed them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use async_trait::async_trait;
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::Serializer;
use iyagi_messages::ids::{PersonId, Timestamp};
use iyagi_messages::object::ObjectKey;
use thiserror::Error;

use crate::config::DeliveryConfig;
use crate::links::{
    Checksum, Cookies, Grant, GrantForm, Link, LinkFault, Links, Upload, Validity, escaped,
};
use crate::own_secret;

/// Where the public listener answers links.
pub const PATH: &str = "/v1/signed/";
/// The parameters of a link to read.
pub const READ_PARAMETERS: [&str; 2] = ["expires", "signature"];
/// The parameters of a link to upload.
pub const UPLOAD_PARAMETERS: [&str; 5] = ["expires", "type", "size", "checksum", "signature"];

const FILE: &str = "link-key";
const KEY_BYTES: usize = 32;

/// Signs links, and knows its own again.
pub struct LocalLinks {
    key: hmac::Key,
    link_seconds: u32,
    upload_seconds: u32,
}

/// What a link lets somebody do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms<'t> {
    /// The object.
    pub key: &'t ObjectKey,
    /// When it ends, in seconds of the epoch.
    pub expires: i64,
    /// What may be uploaded; absent of a link to read.
    pub upload: Option<&'t Upload>,
}

/// Why a link is not followed.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub enum Refused {
    /// It was never made like that.
    #[error("the link is not as it was made")]
    Forged,
    /// Its time is over.
    #[error("the link has ended; ask for a new one")]
    Ended,
}

impl LocalLinks {
    /// With the data folder's secret, made if it has none. One that is too short is refused.
    pub fn open(data_dir: &Path, config: &DeliveryConfig) -> io::Result<Self> {
        let secret = own_secret::read_or_make(data_dir, FILE, || {
            let mut secret = vec![0; KEY_BYTES];
            rand::fill(&mut secret).map_err(|_| io::Error::other("there is no randomness"))?;
            Ok(secret)
        })?;
        if secret.len() != KEY_BYTES {
            let bytes = secret.len();
            return Err(io::Error::other(format!(
                "{FILE} has {bytes} bytes instead of {KEY_BYTES}; remove it, and a new one is made"
            )));
        }
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            link_seconds: config.link_seconds,
            upload_seconds: config.upload_seconds,
        })
    }

    /// Whether a link was made here for exactly that, and holds.
    pub fn check(&self, terms: &Terms<'_>, signature: &str, now: Timestamp) -> Result<(), Refused> {
        let signature = STANDARD.decode(signature).map_err(|_| Refused::Forged)?;
        // In constant time, so that nobody finds out a signature byte by byte.
        let verified = hmac::verify(&self.key, terms.signed().as_bytes(), &signature);
        verified.map_err(|_| Refused::Forged)?;
        if now.0 < terms.expires.saturating_mul(1_000) {
            Ok(())
        } else {
            Err(Refused::Ended)
        }
    }

    fn url(&self, terms: &Terms<'_>) -> String {
        let signature = hmac::sign(&self.key, terms.signed().as_bytes());
        let mut query = Serializer::new(String::new());
        query.append_pair("expires", &terms.expires.to_string());
        if let Some(upload) = terms.upload {
            query
                .append_pair("type", &upload.content_type)
                .append_pair("size", &upload.size.to_string())
                .append_pair("checksum", &checksum_text(upload.checksum));
        }
        query.append_pair("signature", &STANDARD.encode(signature));
        let key = escaped(terms.key.as_str());
        format!("{PATH}{key}?{}", query.finish())
    }
}

impl Terms<'_> {
    /// What is signed. Neither keys nor media types that are let in have a line break.
    fn signed(&self) -> String {
        let Self { key, expires, .. } = self;
        match self.upload {
            None => format!("iyagi link 1\nGET\n{key}\n{expires}"),
            Some(Upload {
                content_type,
                size,
                checksum,
                ..
            }) => {
                let checksum = checksum_text(*checksum);
                format!("iyagi link 1\nPUT\n{key}\n{expires}\n{content_type}\n{size}\n{checksum}")
            }
        }
    }
}

/// A checksum as links have it: `sha256:<Base64>`.
fn checksum_text(checksum: Checksum) -> String {
    format!(
        "{}:{}",
        checksum.algorithm(),
        STANDARD.encode(checksum.bytes())
    )
}

/// Reads a checksum as links have it.
pub fn read_checksum(text: &str) -> Option<Checksum> {
    let (algorithm, encoded) = text.split_once(':')?;
    Checksum::of(algorithm, &STANDARD.decode(encoded).ok()?)
}

#[async_trait]
impl Links for LocalLinks {
    async fn to_read(&self, key: &ObjectKey, now: Timestamp) -> Result<Link, LinkFault> {
        let validity = Validity::of(self.link_seconds, now);
        let terms = Terms {
            key,
            expires: validity.until_seconds(),
            upload: None,
        };
        Ok(Link {
            url: self.url(&terms),
            expires_at: validity.until,
        })
    }

    async fn to_put(&self, upload: &Upload, now: Timestamp) -> Result<Grant, LinkFault> {
        let expires = now.0.div_euclid(1_000) + i64::from(self.upload_seconds);
        let terms = Terms {
            key: &upload.key,
            expires,
            upload: Some(upload),
        };
        let headers = [
            ("content-length", upload.size.to_string()),
            ("content-type", upload.content_type.clone()),
        ];
        let headers: BTreeMap<String, String> =
            headers.map(|(name, value)| (name.to_owned(), value)).into();
        Ok(Grant {
            url: self.url(&terms),
            form: GrantForm::Put(headers),
            expires_at: Timestamp(expires * 1_000),
        })
    }

    async fn to_post(&self, _: &Upload, _: Timestamp) -> Result<Grant, LinkFault> {
        Err(LinkFault::NotHere(
            "forms are taken by S3 alone; ask for `method` \"PUT\"",
        ))
    }

    fn cookies(&self, _: &PersonId, _: Timestamp) -> Result<Cookies, LinkFault> {
        Err(LinkFault::NotHere(
            "cookies are for CloudFront, and there is none here; links to files need no cookies",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_767_225_600_500);

    fn links() -> (LocalLinks, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let links = LocalLinks::open(folder.path(), &DeliveryConfig::default());
        (links.expect("a secret"), folder)
    }

    fn key(text: &str) -> ObjectKey {
        ObjectKey::new(text).expect("valid")
    }

    fn terms(upload: &Upload, expires: i64) -> Terms<'_> {
        Terms {
            key: &upload.key,
            expires,
            upload: Some(upload),
        }
    }

    fn signature(url: &str) -> String {
        let (_, query) = url.split_once('?').expect("a query");
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let found = pairs.find(|(name, _)| name == "signature");
        found.expect("signed").1.into_owned()
    }

    #[tokio::test]
    async fn a_link_holds_for_what_it_was_made_for_and_for_nothing_else() {
        let (links, folder) = links();
        let upload = Upload {
            key: key("uploads/민지/a.jpg"),
            content_type: "image/jpeg".to_owned(),
            size: 5,
            checksum: Checksum::Crc32([1, 2, 3, 4]),
        };
        let grant = links.to_put(&upload, NOW).await.expect("signed");
        let expires = grant.expires_at.0 / 1_000;
        let signature = signature(&grant.url);
        assert_eq!(
            links.check(&terms(&upload, expires), &signature, NOW),
            Ok(())
        );
        let other = |change: &dyn Fn(&mut Upload)| {
            let mut other = upload.clone();
            change(&mut other);
            other
        };
        for other in [
            other(&|upload| upload.key = key("uploads/grace/a.jpg")),
            other(&|upload| upload.content_type = "image/png".to_owned()),
            other(&|upload| upload.size = 6),
            other(&|upload| upload.checksum = Checksum::Crc32([1, 2, 3, 5])),
            other(&|upload| upload.checksum = Checksum::Sha256([0; 32])),
        ] {
            let checked = links.check(&terms(&other, expires), &signature, NOW);
            assert_eq!(checked, Err(Refused::Forged), "{other:?}");
        }
        let longer = Terms {
            expires: expires + 1,
            ..terms(&upload, expires)
        };
        let to_read = Terms {
            upload: None,
            ..terms(&upload, expires)
        };
        for terms in [longer, to_read] {
            let checked = links.check(&terms, &signature, NOW);
            assert_eq!(checked, Err(Refused::Forged), "{terms:?}");
        }
        let last = Timestamp(expires * 1_000 - 1);
        assert_eq!(
            links.check(&terms(&upload, expires), &signature, last),
            Ok(())
        );
        let end = Timestamp(expires * 1_000);
        let ended = links.check(&terms(&upload, expires), &signature, end);
        assert_eq!(ended, Err(Refused::Ended));

        let again = LocalLinks::open(folder.path(), &DeliveryConfig::default());
        let again = again.expect("the same secret");
        assert_eq!(
            again.check(&terms(&upload, expires), &signature, NOW),
            Ok(())
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_secret_is_for_the_daemon_alone_and_a_cut_one_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (_, folder) = links();
        let path = folder.path().join(FILE);
        let mode = std::fs::metadata(&path).expect("is there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        std::fs::write(&path, [0; KEY_BYTES - 1]).expect("written");
        assert!(LocalLinks::open(folder.path(), &DeliveryConfig::default()).is_err());
    }
}
