//! The private key of a distribution's key group: RSA of 2048 bits or ECDSA on P-256, which is what `CloudFront` takes.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use thiserror::Error;

/// Bytes of the only modulus that CloudFront takes.
const MODULUS_BYTES: usize = 2048 / 8;

/// A private key.
pub enum SigningKey {
    /// RSA, whose signatures of the same are the same.
    Rsa(RsaKeyPair),
    /// ECDSA, which signs faster and shorter.
    Ecdsa(EcdsaKeyPair),
}

/// Why there is no key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// Its file cannot be read.
    #[error(
        "the file {} of `delivery.cloudfront.private_key_file` cannot be read: {source}",
        .path.display()
    )]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Its file holds something else.
    #[error(
        "the file {} of `delivery.cloudfront.private_key_file` is of no use: {reason}; make a key with \
         `openssl ecparam -name prime256v1 -genkey -noout`",
        .path.display()
    )]
    Unsound {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it. Never a part of the key.
        reason: &'static str,
    },
}

/// The library did not sign.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
#[error("the key of delivery.cloudfront did not sign")]
pub struct Unsigned;

impl SigningKey {
    /// Reads a key file.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let pem = fs::read(path).map_err(|source| KeyError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::of_pem(&pem).map_err(|reason| KeyError::Unsound {
            path: path.to_owned(),
            reason,
        })
    }

    /// Reads PEM, as `openssl` writes it: with or without what names the curve before the key.
    pub fn of_pem(pem: &[u8]) -> Result<Self, &'static str> {
        let blocks = pem::parse_many(pem).map_err(|_| "it is no PEM")?;
        let key = blocks.iter().find(|one| one.tag().ends_with("PRIVATE KEY"));
        let der = key.ok_or("it has no private key")?.contents();
        if let Ok(key) = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, der) {
            return Ok(Self::Ecdsa(key));
        }
        let rsa = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der));
        match rsa {
            Ok(key) if key.public_modulus_len() == MODULUS_BYTES => Ok(Self::Rsa(key)),
            Ok(_) => Err("an RSA key must have 2048 bits"),
            Err(_) => Err("it is neither an RSA key nor one of ECDSA on P-256"),
        }
    }

    /// Signs a text, hashed by SHA-256.
    pub fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Unsigned> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature)
                    .map_err(|_| Unsigned)?;
                Ok(signature)
            }
            Self::Ecdsa(key) => {
                let signature = key.sign(&random, text).map_err(|_| Unsigned)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

/// Shows everything but the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa(_) => "SigningKey::Rsa",
            Self::Ecdsa(_) => "SigningKey::Ecdsa",
        })
    }
}
