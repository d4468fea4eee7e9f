//! Access tokens: had once, kept, renewed before they run out, and once more when they are refused.

use std::time::Duration;

use futures_util::future::join_all;
use iyagi::fcm::{CredentialError, ServiceAccount};
use iyagi_actors::ports::PushGateway;
use iyagi_messages::push::FailureClass;
use serde_json::{Value, json};

use super::token_endpoint::Grant;
use super::{BEGINNING, Stage, payload};

impl Stage {
    async fn send(&self) -> Result<String, iyagi_actors::ports::GatewayFault> {
        self.gateway.send(&payload(1, "phone")).await
    }

    fn tokens_asked(&self) -> usize {
        self.tokens.asked().claims.len()
    }

    /// The access token that the latest push came with.
    fn bearer(&self) -> String {
        let seen = self.fcm.seen();
        let call = seen.calls.last().expect("a push came");
        call.headers["authorization"].clone()
    }
}

#[tokio::test]
async fn pushes_that_set_out_together_wait_for_one_token() {
    let stage = Stage::new();
    stage.tokens.next(Grant::After(Duration::from_millis(100)));
    let all = (0..100).map(|_| stage.send());
    for answer in join_all(all).await {
        answer.expect("taken");
    }
    assert_eq!(stage.tokens_asked(), 1);
    let issued = stage.tokens.asked().claims[0]["iat"].clone();
    assert_eq!(issued, BEGINNING.0 / 1_000, "by the injected clock");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_runs_out_and_nobody_waits_for_that_but_one() {
    let stage = Stage::new();
    stage.send().await.expect("taken");
    stage.clock.move_on(Duration::from_mins(50));
    stage.send().await.expect("taken");
    assert_eq!(stage.tokens_asked(), 1, "it holds");
    stage.clock.move_on(Duration::from_mins(6));
    // The one that renews is held up for as long as the test likes; the others are not.
    stage.tokens.next(Grant::Silence);
    let renewing = stage.send();
    tokio::pin!(renewing);
    let others = async {
        while stage.tokens_asked() < 2 {
            tokio::task::yield_now().await;
        }
        for answer in join_all((0..20).map(|_| stage.send())).await {
            answer.expect("taken");
        }
    };
    tokio::select! {
        answer = &mut renewing => panic!("answered without a token: {answer:?}"),
        () = others => {}
    }
    assert_eq!(
        (stage.tokens_asked(), stage.bearer()),
        (2, "Bearer ya29.token-1".to_owned())
    );
}

#[tokio::test]
async fn a_renewal_that_nobody_waits_for_any_more_is_begun_anew() {
    let stage = Stage::new();
    stage.tokens.next(Grant::Silence);
    {
        let abandoned = stage.send();
        tokio::pin!(abandoned);
        let asked = async {
            while stage.tokens_asked() < 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            answer = &mut abandoned => panic!("answered without a token: {answer:?}"),
            () = asked => {}
        }
    }
    stage.send().await.expect("taken");
    assert_eq!(stage.tokens_asked(), 2);
}

#[tokio::test]
async fn while_a_token_holds_a_renewal_that_fails_costs_nothing_and_is_not_tried_for_every_push() {
    let stage = Stage::new();
    stage.send().await.expect("taken");
    stage.clock.move_on(Duration::from_mins(56));
    stage.tokens.next(Grant::Answer(503, "try later"));
    for _ in 0..10 {
        stage.send().await.expect("taken");
    }
    assert_eq!(stage.tokens_asked(), 2);
    stage.clock.move_on(Duration::from_secs(31));
    stage.send().await.expect("taken");
    assert_eq!(stage.tokens_asked(), 3);
    assert_eq!(stage.bearer(), "Bearer ya29.token-3");
}

#[tokio::test]
async fn a_token_that_ran_out_is_not_used_and_without_another_nothing_leaves() {
    let stage = Stage::new();
    stage.tokens.set_lifetime(60);
    stage.send().await.expect("taken");
    stage.clock.move_on(Duration::from_secs(55));
    stage.tokens.next(Grant::Answer(500, "<html>oops</html>"));
    let fault = stage.send().await.expect_err("no token");
    assert_eq!(
        (fault.class, &*fault.code),
        (FailureClass::Transient, "NoAccessToken")
    );
    assert!(
        fault.detail.contains("500") && fault.detail.contains("oops"),
        "{fault}"
    );
    assert_eq!(stage.fcm.seen().calls.len(), 1);
    stage.send().await.expect("taken");
    assert_eq!(stage.bearer(), "Bearer ya29.token-3");
}

#[tokio::test]
async fn tokens_that_are_refused_are_renewed_once_for_all() {
    let stage = Stage::new();
    stage.send().await.expect("taken");
    stage.fcm.revoke_all();
    for answer in join_all((0..50).map(|_| stage.send())).await {
        answer.expect("taken at the second try");
    }
    assert_eq!(stage.tokens_asked(), 2);
    assert_eq!(stage.bearer(), "Bearer ya29.token-2");
}

#[tokio::test]
async fn a_new_token_that_is_refused_too_is_a_broken_configuration() {
    let stage = Stage::new();
    stage.send().await.expect("taken");
    stage.fcm.revoke_all();
    stage.tokens.next(Grant::Counterfeit);
    let fault = stage.send().await.expect_err("refused twice");
    assert_eq!(
        (fault.class, &*fault.code),
        (FailureClass::ConfigurationBroken, "UNAUTHENTICATED")
    );
    assert_eq!((stage.tokens_asked(), stage.fcm.seen().calls.len()), (2, 3));
    stage.send().await.expect("taken with the next");
}

#[tokio::test]
async fn a_key_that_google_does_not_take_is_told_with_the_cure_and_trouble_at_google_is_not_the_keys()
 {
    use FailureClass::{ConfigurationBroken, Transient};
    let signature = r#"{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}"#;
    let deleted =
        r#"{"error": "invalid_grant", "error_description": "Invalid grant: account not found"}"#;
    let unavailable = r#"{"error": "temporarily_unavailable"}"#;
    let rate = r#"{"error": "rate_limit_exceeded"}"#;
    for (grant, class, code, says) in [
        (
            Grant::Answer(400, signature),
            ConfigurationBroken,
            "invalid_grant",
            "Signature",
        ),
        (
            Grant::Answer(400, deleted),
            ConfigurationBroken,
            "invalid_grant",
            "account not found",
        ),
        (
            Grant::Answer(400, unavailable),
            Transient,
            "NoAccessToken",
            "temporarily",
        ),
        (
            Grant::Answer(429, rate),
            Transient,
            "NoAccessToken",
            "rate_limit",
        ),
        (
            Grant::Answer(502, "<html>"),
            Transient,
            "NoAccessToken",
            "502",
        ),
        (
            Grant::Answer(200, "{}"),
            Transient,
            "NoAccessToken",
            "no usable token",
        ),
        (
            Grant::Answer(200, r#"{"access_token": "two\nlines"}"#),
            Transient,
            "NoAccessToken",
            "no usable token",
        ),
    ] {
        let stage = Stage::new();
        stage.tokens.next(grant);
        let fault = stage.send().await.expect_err("no token");
        assert_eq!((fault.class, &*fault.code), (class, code), "{fault}");
        assert!(fault.detail.contains(says), "{fault}");
        let cure = fault.detail.contains("push.fcm.credential_file");
        assert_eq!(cure, class == ConfigurationBroken, "{fault}");
        assert_eq!(stage.fcm.seen().calls.len(), 0);
    }
}

#[tokio::test]
async fn a_token_endpoint_that_is_silent_holds_up_no_push_beyond_its_part() {
    let stage = Stage::with(|settings| settings.timeout = Duration::from_millis(400));
    stage.tokens.next(Grant::Silence);
    let fault = stage.send().await.expect_err("no token");
    assert_eq!(
        (fault.class, &*fault.code),
        (FailureClass::Transient, "NoAccessToken")
    );
}

#[test]
fn a_key_file_that_is_of_no_use_is_told_by_name_and_never_shown() {
    let fcm = std::sync::Arc::new(super::FakeFcm::start());
    let endpoint = super::TokenEndpoint::start(&fcm);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key.json");
    let error = ServiceAccount::read(&path).expect_err("it is not there");
    assert!(
        matches!(error, CredentialError::Unreadable { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("key.json"), "{error}");
    let without = |name: &str| {
        let mut key = endpoint.key();
        key.as_object_mut().expect("an object").remove(name);
        key
    };
    let with = |name: &str, value: Value| {
        let mut key = endpoint.key();
        key[name] = value;
        key
    };
    let cut = endpoint.key()["private_key"].as_str().expect("text")[..400].to_owned();
    for (text, says) in [
        ("the secret is tea".to_owned(), "line 1"),
        (endpoint.key().to_string()[..500].to_owned(), "line 1"),
        (
            json!({"type": "authorized_user", "refresh_token": "secret"}).to_string(),
            "authorized_user",
        ),
        (without("client_email").to_string(), "client_email"),
        (without("private_key").to_string(), "private_key"),
        (without("token_uri").to_string(), "token_uri"),
        (
            with("token_uri", json!("oauth2.googleapis.com")).to_string(),
            "token_uri",
        ),
        (
            with("private_key", json!("secret")).to_string(),
            "private_key",
        ),
        (with("private_key", json!(cut)).to_string(), "private_key"),
    ] {
        std::fs::write(&path, &text).expect("written");
        let error = ServiceAccount::read(&path).expect_err("it is of no use");
        let told = error.to_string();
        assert!(told.contains("key.json") && told.contains(says), "{told}");
        assert!(!told.contains("secret") && !told.contains("MII"), "{told}");
    }
    let account = ServiceAccount::read(&endpoint.key_file(folder.path())).expect("sound");
    assert!(!format!("{account:?}").contains("PRIVATE"), "{account:?}");
}
