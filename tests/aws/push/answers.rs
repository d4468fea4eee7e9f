//! Every answer of the service, through the real SDK over HTTP.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_sns::Client;
use iyagi::aws::sns::SnsGateway;
use iyagi_actors::ports::PushGateway;
use iyagi_messages::push::FailureClass;

use super::fake_sns::{FakeSns, Reply};
use super::{Memory, SETTINGS, applications, client, gateway, payload};

/// Knows no credentials.
#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("nobody is signed in")))
    }
}

fn error(status: u16, code: &'static str) -> Reply {
    Reply::Error(status, code, "as told".to_owned())
}

#[tokio::test]
async fn every_answer_to_a_publish_has_its_class_and_is_never_asked_for_twice() {
    use FailureClass::*;
    const HTML: &str = "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>";
    let deleted =
        "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified";
    let rows = [
        (
            error(400, "EndpointDisabled"),
            EndpointDead,
            "EndpointDisabled",
        ),
        (error(404, "NotFound"), EndpointDead, "NotFound"),
        (
            Reply::Error(400, "InvalidParameter", deleted.to_owned()),
            EndpointDead,
            "InvalidParameter",
        ),
        (error(400, "InvalidParameter"), Poison, "InvalidParameter"),
        (
            error(400, "ParameterValueInvalid"),
            Poison,
            "ParameterValueInvalid",
        ),
        (
            error(400, "ValidationException"),
            Poison,
            "ValidationException",
        ),
        (
            error(400, "PlatformApplicationDisabled"),
            ApplicationBroken,
            "PlatformApplicationDisabled",
        ),
        (
            error(403, "AuthorizationError"),
            ConfigurationBroken,
            "AuthorizationError",
        ),
        (
            error(403, "InvalidSecurity"),
            ConfigurationBroken,
            "InvalidSecurity",
        ),
        (
            error(400, "KMSAccessDenied"),
            ConfigurationBroken,
            "KMSAccessDenied",
        ),
        (
            error(400, "KMSDisabled"),
            ConfigurationBroken,
            "KMSDisabled",
        ),
        (
            error(400, "KMSInvalidState"),
            ConfigurationBroken,
            "KMSInvalidState",
        ),
        (
            error(400, "KMSNotFound"),
            ConfigurationBroken,
            "KMSNotFound",
        ),
        (
            error(403, "KMSOptInRequired"),
            ConfigurationBroken,
            "KMSOptInRequired",
        ),
        (
            error(403, "ExpiredToken"),
            ConfigurationBroken,
            "ExpiredToken",
        ),
        (
            error(403, "InvalidClientTokenId"),
            ConfigurationBroken,
            "InvalidClientTokenId",
        ),
        (error(400, "Throttling"), Throttled, "Throttling"),
        (error(429, "Throttled"), Throttled, "Throttled"),
        (error(400, "Throttled"), Throttled, "Throttled"),
        (
            error(400, "ThrottledException"),
            Throttled,
            "ThrottledException",
        ),
        (error(400, "KMSThrottling"), Throttled, "KMSThrottling"),
        (Reply::Foreign(429, "", "slow down"), Throttled, "HTTP 429"),
        (error(500, "InternalError"), Transient, "InternalError"),
        (
            error(503, "ServiceUnavailable"),
            Transient,
            "ServiceUnavailable",
        ),
        (Reply::Foreign(503, "", HTML), Transient, "HTTP 503"),
        (Reply::Foreign(502, "", ""), Transient, "HTTP 502"),
        (Reply::Foreign(200, "", HTML), Unknown, "HTTP 200"),
        (Reply::Silence, Unknown, "Timeout"),
        (Reply::HangUp, Unknown, "ConnectionBroken"),
    ];
    let fake = FakeSns::start();
    let registry = Arc::<Memory>::default();
    let gateway = gateway(&fake, &registry);
    gateway
        .send(&payload(0, "phone"))
        .await
        .expect("all is well");
    for (number, (reply, class, code)) in rows.into_iter().enumerate() {
        fake.forget_calls();
        fake.answer("Publish", reply.clone());
        let fault = gateway.send(&payload(number as u64, "phone")).await;
        let fault = fault.expect_err("it was told to fail");
        assert_eq!(
            (fault.class, fault.code.as_str()),
            (class, code),
            "{reply:?}: {fault}"
        );
        assert!(
            !fault.detail.is_empty() && !fault.detail.contains("phone"),
            "{fault}"
        );
        let publishes = fake
            .calls()
            .iter()
            .filter(|call| *call == "Publish")
            .count();
        assert_eq!(publishes, 1, "{reply:?}");
    }
    gateway
        .send(&payload(99, "phone"))
        .await
        .expect("all is well again");
}

#[tokio::test]
async fn what_is_unknown_was_indeed_taken_and_what_is_slow_is_waited_for() {
    let fake = FakeSns::start();
    let gateway = gateway(&fake, &Arc::default());
    for reply in [Reply::Silence, Reply::HangUp] {
        fake.answer("Publish", reply);
        let fault = gateway.send(&payload(1, "phone")).await;
        assert_eq!(fault.expect_err("no answer").class, FailureClass::Unknown);
    }
    assert_eq!(fake.published().len(), 2);
    fake.answer("Publish", Reply::Slow(Duration::from_millis(50)));
    let id = gateway.send(&payload(1, "phone")).await.expect("in time");
    assert_eq!(fake.published()[2].message_id, id);
}

#[tokio::test]
async fn a_server_may_ask_for_patience() {
    let fake = FakeSns::start();
    let gateway = gateway(&fake, &Arc::default());
    fake.answer("Publish", Reply::Foreign(503, "retry-after: 7\r\n", "busy"));
    let fault = gateway.send(&payload(1, "phone")).await.expect_err("busy");
    assert_eq!(fault.retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let fake = FakeSns::start();
    let registry = Arc::<Memory>::default();
    gateway(&fake, &registry)
        .send(&payload(1, "phone"))
        .await
        .expect("its endpoint is known now");
    // Nobody listens on a port that was free a moment ago.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", nobody.local_addr().expect("bound"));
    drop(nobody);
    let gateway = SnsGateway::new(&client(&url), applications(), registry, SETTINGS);
    let fault = gateway
        .send(&payload(2, "phone"))
        .await
        .expect_err("refused");
    assert_eq!(
        (fault.class, fault.code.as_str()),
        (FailureClass::Transient, "NotConnected")
    );
    assert!(fault.detail.to_lowercase().contains("refused"), "{fault}");
}

#[tokio::test]
async fn without_credentials_the_configuration_is_at_fault() {
    let fake = FakeSns::start();
    let registry = Arc::<Memory>::default();
    let known = gateway(&fake, &registry).send(&payload(1, "phone")).await;
    known.expect("its endpoint is known now");
    let config = client(&fake.url()).config().to_builder();
    let sns = Client::from_conf(config.credentials_provider(Nobody).build());
    let gateway = SnsGateway::new(&sns, applications(), registry, SETTINGS);
    let fault = gateway
        .send(&payload(2, "phone"))
        .await
        .expect_err("who asks?");
    assert_eq!(fault.class, FailureClass::ConfigurationBroken, "{fault}");
    assert_eq!(fake.published().len(), 1);
}

#[tokio::test]
async fn throttling_halves_the_rate_and_hosts_share_what_is_left() {
    let fake = FakeSns::start();
    let gateway = gateway(&fake, &Arc::default());
    gateway
        .send(&payload(1, "phone"))
        .await
        .expect("all is well");
    let before = gateway.quotas().publishes;
    assert!(
        before.rate >= before.limit && before.tokens > 0.0,
        "{before:?}"
    );
    fake.answer("Publish", error(429, "Throttled"));
    gateway
        .send(&payload(2, "phone"))
        .await
        .expect_err("throttled");
    let after = gateway.quotas().publishes;
    assert!(
        after.rate < before.rate * 0.6 && after.throttled == 1,
        "{after:?}"
    );
    assert_eq!(gateway.quotas().endpoint_calls.throttled, 0);
    gateway.set_share(4);
    let shared = gateway.quotas();
    for (now, before) in [(shared.publishes, before), (shared.endpoint_calls, before)] {
        assert!((now.limit - before.limit / 4.0).abs() < 1.0, "{now:?}");
    }
}
