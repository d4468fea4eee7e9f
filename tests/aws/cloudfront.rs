//! What `CloudFront` would let through, held against what openssl signs: `cloudfront/make.sh` made the files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iyagi::aws::cloudfront::Signer;
use iyagi::aws::cloudfront::key::SigningKey;
use iyagi::aws::cloudfront::policy::Policy;
use iyagi::aws::links::AwsLinks;
use iyagi::config::{CloudFrontConfig, DeliveryConfig};
use iyagi::links::Links;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::object::ObjectKey;

use crate::objects::S3;
use crate::servers::ministack;

const DOMAIN: &str = "https://d111111abcdef8.cloudfront.net";
const KEY_PAIR_ID: &str = "K2JCJMDEHXQW5F";
const UNTIL: i64 = 1_767_290_400;
const KINDS: [&str; 2] = ["rsa", "ecdsa"];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/aws/cloudfront")
        .join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).expect(name)
}

fn signer(kind: &str) -> Signer {
    let key = SigningKey::read(&path(&format!("{kind}.pem"))).expect(kind);
    Signer::new(KEY_PAIR_ID.to_owned(), key)
}

fn canned() -> (String, Policy) {
    let url = format!("{DOMAIN}/derived/ab/small.webp");
    (url.clone(), Policy::new(url, UNTIL))
}

fn custom() -> Policy {
    let resource = format!("{DOMAIN}/uploads/minji/*");
    Policy::new(resource, UNTIL)
        .from(1_767_290_000)
        .to("192.0.2.0/24".to_owned())
}

/// What Base64 with CloudFront's characters stands for.
fn decoded(text: &str) -> Vec<u8> {
    let text = text.replace('-', "+").replace('_', "=").replace('~', "/");
    STANDARD.decode(text).expect("Base64")
}

/// One parameter of a signed address.
fn parameter<'u>(url: &'u str, name: &str) -> Option<&'u str> {
    let (_, query) = url.split_once('?')?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// Whether a signature is that of a key, as the library sees it.
fn holds(kind: &str, policy: &str, signature: &[u8]) -> bool {
    let algorithm: &'static dyn VerificationAlgorithm = match kind {
        "rsa" => &RSA_PKCS1_2048_8192_SHA256,
        _ => &ECDSA_P256_SHA256_ASN1,
    };
    let public = pem::parse(text(&format!("{kind}.pub.pem"))).expect("PEM");
    let key = UnparsedPublicKey::new(algorithm, public.contents());
    key.verify(policy.as_bytes(), signature).is_ok()
}

/// Whether openssl thinks so too; where there is none, it has nothing to say.
fn openssl_agrees(kind: &str, policy: &str, signature: &[u8]) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let (said, signed) = (
        folder.path().join("policy"),
        folder.path().join("signature"),
    );
    std::fs::write(&said, policy).expect("written");
    std::fs::write(&signed, signature).expect("written");
    let verified = Command::new("openssl")
        .args(["dgst", "-sha256", "-verify"])
        .arg(path(&format!("{kind}.pub.pem")))
        .arg("-signature")
        .args([&signed, &said])
        .output();
    match verified {
        Ok(verified) => verified.status.success(),
        Err(error) => {
            eprintln!("openssl is left out: {error}");
            true
        }
    }
}

#[test]
fn policies_are_what_openssl_signed_to_the_byte() {
    assert_eq!(canned().1.to_string(), text("canned.json"));
    assert_eq!(custom().to_string(), text("custom.json"));
}

#[test]
fn a_link_and_cookies_are_signed_as_openssl_signs() {
    for kind in KINDS {
        let signer = signer(kind);
        let (url, policy) = canned();
        let url = signer.url(&url, &policy).expect("signed");
        assert!(url.starts_with(&format!("{DOMAIN}/derived/ab/small.webp?Expires={UNTIL}&")));
        assert_eq!(parameter(&url, "Key-Pair-Id"), Some(KEY_PAIR_ID));
        assert_eq!(parameter(&url, "Hash-Algorithm"), Some("SHA256"));
        assert_eq!(parameter(&url, "Policy"), None);
        let of_link = parameter(&url, "Signature").expect("signed");

        let cookies = signer.cookies(&custom()).expect("signed");
        let [sent, of_cookies, id, hash] = &cookies;
        assert_eq!(sent.0, "CloudFront-Policy");
        assert_eq!(decoded(&sent.1), text("custom.json").as_bytes());
        assert_eq!(of_cookies.0, "CloudFront-Signature");
        assert_eq!(*id, ("CloudFront-Key-Pair-Id", KEY_PAIR_ID.to_owned()));
        assert_eq!(*hash, ("CloudFront-Hash-Algorithm", "SHA256".to_owned()));

        for (policy, signature) in [("canned", of_link), ("custom", &of_cookies.1)] {
            let said = text(&format!("{policy}.json"));
            let openssls = text(&format!("{policy}.{kind}.txt"));
            if kind == "rsa" {
                assert_eq!(signature, openssls, "RSA signs the same the same");
            }
            assert!(holds(kind, &said, &decoded(signature)), "{kind} {policy}");
            assert!(holds(kind, &said, &decoded(&openssls)), "{kind} {policy}");
            assert!(openssl_agrees(kind, &said, &decoded(signature)));
            let other = said.replace("1767290400", "1767290401");
            assert!(!holds(kind, &other, &decoded(signature)), "{kind}");
        }
    }
}

#[test]
fn what_a_canned_policy_cannot_say_is_sent_along() {
    let signer = signer("ecdsa");
    let url = format!("{DOMAIN}/a.m4a?size=large");
    for policy in [
        Policy::new(format!("{DOMAIN}/*"), UNTIL),
        Policy::new(url.clone(), UNTIL).from(0),
        Policy::new(url.clone(), UNTIL).to("192.0.2.1".to_owned()),
    ] {
        let signed = signer.url(&url, &policy).expect("signed");
        let sent = parameter(&signed, "Policy").expect("a custom policy");
        assert_eq!(decoded(sent), policy.to_string().as_bytes());
        assert!(signed.starts_with(&format!("{url}&Policy=")), "{signed}");
        assert_eq!(parameter(&signed, "Expires"), None);
    }
    let cookies = signer.cookies(&canned().1).expect("signed");
    assert_eq!(cookies[0], ("CloudFront-Expires", UNTIL.to_string()));
}

#[test]
fn keys_of_another_kind_are_refused_and_never_shown() {
    for good in KINDS {
        assert!(SigningKey::of_pem(text(&format!("{good}.pem")).as_bytes()).is_ok());
    }
    let der = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa3072);
    let der = aws_lc_rs::encoding::AsDer::as_der(&der.expect("a key")).expect("DER");
    let larger = pem::encode(&pem::Pem::new("PRIVATE KEY", der.as_ref()));
    let public = text("rsa.pub.pem");
    let rsa = text("rsa.pem");
    let damaged = rsa.replacen("MII", "MIJ", 1);
    for (pem, reason) in [
        (larger.as_str(), "an RSA key must have 2048 bits"),
        (public.as_str(), "it has no private key"),
        ("", "it has no private key"),
        (
            damaged.as_str(),
            "it is neither an RSA key nor one of ECDSA on P-256",
        ),
    ] {
        let refused = SigningKey::of_pem(pem.as_bytes()).expect_err(reason);
        assert_eq!(refused, reason);
    }
    let shown = format!("{:?}", signer("rsa"));
    assert!(shown.contains("SigningKey::Rsa"), "{shown}");
    assert!(!shown.contains("BEGIN"), "{shown}");
}

#[tokio::test]
async fn links_lead_to_the_distribution_and_cookies_to_the_persons_own_prefixes() {
    let server = ministack();
    let objects = Arc::new(S3::on(server).await.open().await);
    let config = DeliveryConfig {
        cloudfront: Some(CloudFrontConfig {
            domain: "media.example.com".to_owned(),
            key_pair_id: KEY_PAIR_ID.to_owned(),
            private_key_file: path("rsa.pem"),
            cookie_domain: Some("example.com".to_owned()),
        }),
        ..DeliveryConfig::default()
    };
    let links = AwsLinks::open(&config, &server.clients(), objects).expect("a key");
    let now = Timestamp(1_767_225_600_000);
    let key = ObjectKey::new("profile/민지/a*b?.jpg").expect("valid");
    let link = links.to_read(&key, now).await.expect("signed");
    let escaped = "https://media.example.com/profile/%EB%AF%BC%EC%A7%80/a%2Ab%3F.jpg?Expires=";
    assert!(link.url.starts_with(escaped), "{}", link.url);
    assert_eq!(link.expires_at, Timestamp(now.0 + 7_200_000));
    let later = now.plus_ms(Duration::from_mins(59).as_millis() as u64);
    let again = links.to_read(&key, later).await.expect("signed");
    assert_eq!(
        again, link,
        "whatever keeps files by their address finds it again"
    );

    let cookies = links.cookies(&"min*".into(), now).expect("signed");
    assert_eq!(cookies.domain.as_deref(), Some("example.com"));
    let paths: Vec<&str> = cookies.cookies.iter().map(|one| &*one.path).collect();
    assert_eq!(paths[..4], ["/profile/min%2A/"; 4]);
    assert_eq!(paths[4..], ["/uploads/min%2A/"; 4]);
    let policy = &cookies.cookies[4];
    assert_eq!(policy.name, "CloudFront-Policy");
    let said = String::from_utf8(decoded(&policy.value)).expect("text");
    let resource = r#""Resource":"https://media.example.com/uploads/min%2A/*""#;
    assert!(said.contains(resource), "{said}");
}
