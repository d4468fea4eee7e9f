//! From a token to its endpoint: made sure once per registration, and forgotten when it is dead.

use std::sync::Arc;
use std::time::Duration;

use iyagi::aws::dynamodb::fault::TableFault;
use iyagi::aws::names::Names;
use iyagi::aws::sns::{Applications, Service, SnsGateway, SnsSettings};
use iyagi::config::{ApnsConfig, AwsConfig, FcmConfig};
use iyagi_actors::ports::{Payload, PushGateway};
use iyagi_messages::ids::Seq;
use iyagi_messages::push::FailureClass;

use super::fake_sns::{APPLICATIONS, FakeSns, Reply};
use super::{Memory, SETTINGS, applications, client, gateway, iphone, payload};

const FIRST: [&str; 3] = ["CreatePlatformEndpoint", "GetEndpointAttributes", "Publish"];

fn registered(number: u64, registration: u64) -> Payload {
    Payload {
        registration: Seq(registration),
        ..payload(number, "phone")
    }
}

#[tokio::test]
async fn an_endpoint_is_made_sure_at_the_first_push_and_only_then() {
    let fake = FakeSns::start();
    let registry = Arc::<Memory>::default();
    let gateway = gateway(&fake, &registry);
    gateway.send(&registered(1, 1)).await.expect("sent");
    assert_eq!(fake.calls(), FIRST);
    let created = fake.last("CreatePlatformEndpoint");
    assert_eq!(created["Token"], "phone");
    assert!(
        !created.contains_key("CustomUserData"),
        "a phone may change hands"
    );
    fake.forget_calls();
    gateway.send(&registered(2, 1)).await.expect("sent");
    assert_eq!(fake.calls(), ["Publish"]);
    // Another host, or this one after a restart, has the table.
    fake.forget_calls();
    let other = super::gateway(&fake, &registry);
    other.send(&registered(3, 1)).await.expect("sent");
    assert_eq!(fake.calls(), ["Publish"]);
}

#[tokio::test]
async fn a_new_registration_enables_an_endpoint_that_was_disabled_and_nothing_else_does() {
    let fake = FakeSns::start();
    let registry = Arc::<Memory>::default();
    let gateway = gateway(&fake, &registry);
    gateway.send(&registered(1, 1)).await.expect("sent");
    fake.disable_all();
    fake.forget_calls();
    let fault = gateway.send(&registered(2, 1)).await.expect_err("disabled");
    assert_eq!(fault.class, FailureClass::EndpointDead);
    assert_eq!(fake.calls(), ["Publish"]);
    assert_eq!(registry.rows(), 0, "a dead endpoint is forgotten");
    fake.forget_calls();
    gateway.send(&registered(3, 3)).await.expect("sent");
    let enabled = [
        "CreatePlatformEndpoint",
        "GetEndpointAttributes",
        "SetEndpointAttributes",
        "Publish",
    ];
    assert_eq!(fake.calls(), enabled);
    assert_eq!(fake.endpoints().len(), 1, "it is still the same endpoint");
}

#[tokio::test]
async fn an_endpoint_with_anothers_attributes_is_taken_over_by_its_arn() {
    let fake = FakeSns::start();
    let gateway = gateway(&fake, &Arc::default());
    gateway.send(&registered(1, 1)).await.expect("sent");
    let (arn, _) = fake.endpoints().remove(0);
    fake.disable_all();
    fake.forget_calls();
    let message = format!(
        "Invalid parameter: Token Reason: Endpoint {arn} already exists with the same Token, but different attributes."
    );
    fake.answer(
        "CreatePlatformEndpoint",
        Reply::Error(400, "InvalidParameter", message),
    );
    gateway.send(&registered(2, 2)).await.expect("sent");
    assert_eq!(
        fake.calls(),
        ["CreatePlatformEndpoint", "SetEndpointAttributes", "Publish"]
    );
    assert_eq!(fake.last("Publish")["TargetArn"], arn);
    assert_eq!(fake.endpoints(), [(arn, true)]);
}

#[tokio::test]
async fn an_endpoint_that_vanishes_while_it_is_made_sure_is_made_again() {
    let fake = FakeSns::start();
    let gateway = gateway(&fake, &Arc::default());
    let missing = Reply::Error(404, "NotFound", "Endpoint does not exist".to_owned());
    fake.answer("GetEndpointAttributes", missing);
    gateway.send(&registered(1, 1)).await.expect("sent");
    let calls = [
        "CreatePlatformEndpoint",
        "GetEndpointAttributes",
        "CreatePlatformEndpoint",
        "Publish",
    ];
    assert_eq!(fake.calls(), calls);
}

#[tokio::test]
async fn a_deleted_endpoint_is_dead_until_the_phone_registers_anew() {
    let fake = FakeSns::start();
    let gateway = gateway(&fake, &Arc::default());
    gateway.send(&registered(1, 1)).await.expect("sent");
    fake.delete_all();
    let fault = gateway.send(&registered(2, 1)).await.expect_err("deleted");
    assert_eq!(
        (fault.class, fault.code.as_str()),
        (FailureClass::EndpointDead, "InvalidParameter")
    );
    gateway.send(&registered(3, 3)).await.expect("sent");
}

#[tokio::test]
async fn trouble_with_an_endpoint_never_leaves_the_outcome_of_a_push_unknown() {
    use FailureClass::*;
    let error = |status, code| Reply::Error(status, code, "as told".to_owned());
    for (action, reply, class) in [
        ("CreatePlatformEndpoint", error(429, "Throttled"), Throttled),
        (
            "CreatePlatformEndpoint",
            error(404, "NotFound"),
            ConfigurationBroken,
        ),
        (
            "CreatePlatformEndpoint",
            error(403, "AuthorizationError"),
            ConfigurationBroken,
        ),
        (
            "CreatePlatformEndpoint",
            error(500, "InternalError"),
            Transient,
        ),
        ("CreatePlatformEndpoint", Reply::Silence, Transient),
        ("CreatePlatformEndpoint", Reply::HangUp, Transient),
        ("GetEndpointAttributes", error(400, "Throttling"), Throttled),
        ("GetEndpointAttributes", Reply::Silence, Transient),
        (
            "GetEndpointAttributes",
            Reply::Foreign(503, "", "<html>"),
            Transient,
        ),
    ] {
        let fake = FakeSns::start();
        let gateway = gateway(&fake, &Arc::default());
        fake.answer(action, reply.clone());
        let fault = gateway
            .send(&payload(1, "phone"))
            .await
            .expect_err("told to fail");
        assert_eq!(fault.class, class, "{action} {reply:?}: {fault}");
        assert_eq!(fake.published().len(), 0);
        let throttled = gateway.quotas().endpoint_calls.throttled;
        assert_eq!(
            throttled,
            u64::from(class == Throttled),
            "{action} {reply:?}"
        );
        gateway
            .send(&payload(2, "phone"))
            .await
            .expect("all is well again");
    }
}

#[tokio::test]
async fn a_push_that_cannot_be_begun_in_time_is_not_begun() {
    let fake = FakeSns::start();
    let settings = SnsSettings {
        timeout: Duration::from_millis(200),
        ..SETTINGS
    };
    let registry = Arc::<Memory>::default();
    let gateway = SnsGateway::new(&client(&fake.url()), applications(), registry, settings);
    fake.answer(
        "GetEndpointAttributes",
        Reply::Slow(Duration::from_millis(300)),
    );
    let fault = gateway.send(&payload(1, "phone")).await.expect_err("late");
    assert_eq!(
        (fault.class, fault.code.as_str()),
        (FailureClass::Transient, "EndpointTimeout")
    );
    assert_eq!(fake.published().len(), 0);
}

#[tokio::test]
async fn a_push_beyond_the_quota_waits_in_the_journal_and_not_here() {
    let fake = FakeSns::start();
    let settings = SnsSettings {
        endpoint_calls_per_second: 1,
        ..SETTINGS
    };
    let registry = Arc::<Memory>::default();
    let gateway = SnsGateway::new(&client(&fake.url()), applications(), registry, settings);
    // One call at once, the next after a second: the third push has no turn within that.
    let pushes = [payload(1, "a"), payload(2, "b"), payload(3, "c")];
    let answers =
        futures_util::future::join_all(pushes.iter().map(|push| gateway.send(push))).await;
    let refused = answers
        .into_iter()
        .filter_map(Result::err)
        .collect::<Vec<_>>();
    assert!(!refused.is_empty());
    for fault in refused {
        assert_eq!(
            (fault.class, fault.code.as_str()),
            (FailureClass::Throttled, "QuotaExhausted")
        );
        assert!(
            fault
                .retry_after
                .is_some_and(|wait| wait > Duration::from_millis(500)),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn a_platform_without_an_application_is_a_matter_of_configuration() {
    let fake = FakeSns::start();
    let gateway = gateway(&fake, &Arc::default());
    let fault = gateway
        .send(&iphone(1, "phone"))
        .await
        .expect_err("no iPhones here");
    assert_eq!(
        (fault.class, fault.code.as_str()),
        (
            FailureClass::ConfigurationBroken,
            "ApplicationNotConfigured"
        )
    );
    assert_eq!(fake.calls(), [""; 0]);
}

#[tokio::test]
async fn a_table_that_fails_delays_pushes_and_one_that_is_missing_is_told_with_the_cure() {
    let table = "iyagi-endpoints".to_owned();
    let unreachable = TableFault::Unreachable {
        table: table.clone(),
        detail: "busy".to_owned(),
    };
    for (fault, class) in [
        (unreachable, FailureClass::Transient),
        (
            TableFault::Missing { table },
            FailureClass::ConfigurationBroken,
        ),
    ] {
        let fake = FakeSns::start();
        let registry = Arc::<Memory>::default();
        *registry.fault.lock().expect("sound") = Some(fault.clone());
        let gateway = gateway(&fake, &registry);
        let refused = gateway
            .send(&payload(1, "phone"))
            .await
            .expect_err("no table");
        assert_eq!(refused.class, class);
        assert_eq!(refused.detail, fault.to_string());
        assert_eq!(fake.calls(), [""; 0]);
    }
}

#[tokio::test]
async fn applications_are_found_by_name_over_all_pages_or_by_the_arn_that_is_configured() {
    let fake = FakeSns::start();
    let sns = client(&fake.url());
    let names = Names::new("iyagi");
    let apns = |arn: Option<&str>| ApnsConfig {
        sandbox: true,
        application_arn: arn.map(str::to_owned),
        bundle_id: Some("com.example.iyagi".to_owned()),
        ..ApnsConfig::default()
    };
    let config = AwsConfig {
        fcm: Some(FcmConfig::default()),
        apns: Some(apns(None)),
        ..AwsConfig::default()
    };
    let found = Applications::find(&sns, &config, &names)
        .await
        .expect("both are there");
    let (fcm, found) = (found.fcm.expect("found"), found.apns.expect("found"));
    assert_eq!(
        (fcm.arn.as_str(), fcm.service),
        (APPLICATIONS[1], Service::Fcm)
    );
    assert_eq!(
        (found.arn.as_str(), found.service),
        (APPLICATIONS[2], Service::ApnsSandbox)
    );
    assert_eq!(found.topic.as_deref(), Some("com.example.iyagi"));
    let elsewhere = Applications::find(&sns, &config, &Names::new("other")).await;
    let told = elsewhere.expect_err("other-apns is missing").to_string();
    assert!(
        told.contains("other-apns") && told.contains("iyagi provision"),
        "{told}"
    );
    fake.forget_calls();
    let arn = "arn:aws:sns:test-region-1:111122223333:app/APNS_SANDBOX/by-hand";
    let config = AwsConfig {
        apns: Some(apns(Some(arn))),
        ..AwsConfig::default()
    };
    let found = Applications::find(&sns, &config, &names)
        .await
        .expect("it is named");
    assert_eq!(found.apns.expect("found").arn, arn);
    assert_eq!(fake.calls(), [""; 0], "nobody needs the list");
}
