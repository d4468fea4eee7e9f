//! Pushes by SNS: against servers that keep them, and against one of our own that fails as told.

mod answers;
mod endpoints;
mod envelopes;
pub(crate) mod fake_sns;
mod feedback;
mod servers_keep;
mod whole_way;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::timeout::TimeoutConfig;
use aws_sdk_sns::config::{BehaviorVersion, Credentials, Region};
use iyagi::aws::dynamodb::fault::TableFault;
use iyagi::aws::sns::registry::{Endpoint, EndpointKey};
use iyagi::aws::sns::{
    Application, Applications, EndpointRegistry, Service, SnsGateway, SnsSettings,
};
use iyagi_actors::ports::Payload;
use iyagi_messages::device::Platform;
use iyagi_messages::ids::{PushId, Seq};

use self::fake_sns::{APPLICATIONS, FakeSns};

/// Longer than a call to a loaded server on loopback takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the tests of silence wait for.
const CALL_TIMEOUT: Duration = Duration::from_millis(1_500);

const SETTINGS: SnsSettings = SnsSettings {
    publish_per_second: 100_000,
    endpoint_calls_per_second: 100_000,
    timeout: PATIENCE,
};

/// A registry in memory that counts what it is asked.
#[derive(Default)]
struct Memory {
    rows: Mutex<HashMap<EndpointKey, Endpoint>>,
    fault: Mutex<Option<TableFault>>,
}

impl Memory {
    fn check(&self) -> Result<(), TableFault> {
        self.fault
            .lock()
            .expect("sound")
            .clone()
            .map_or(Ok(()), Err)
    }

    fn rows(&self) -> usize {
        self.rows.lock().expect("sound").len()
    }
}

#[async_trait]
impl EndpointRegistry for Memory {
    async fn get(&self, key: &EndpointKey) -> Result<Option<Endpoint>, TableFault> {
        self.check()?;
        Ok(self.rows.lock().expect("sound").get(key).cloned())
    }

    async fn put(&self, key: &EndpointKey, endpoint: &Endpoint) -> Result<(), TableFault> {
        self.check()?;
        self.rows
            .lock()
            .expect("sound")
            .insert(key.clone(), endpoint.clone());
        Ok(())
    }

    async fn remove(&self, key: &EndpointKey) -> Result<(), TableFault> {
        self.check()?;
        self.rows.lock().expect("sound").remove(key);
        Ok(())
    }
}

fn payload(number: u64, token: &str) -> Payload {
    Payload {
        push_id: PushId::derive(number, &"e".into(), &"follow".into(), &"p".into(), None),
        collapse_id: PushId::derive(number, &"e".into(), &"follow".into(), &"p".into(), None),
        device: token.into(),
        platform: Platform::Fcm,
        registration: Seq(1),
        title: "민지님이 팔로우했어요".to_owned(),
        body: "\"안녕\" 👋\nA & B <c>".to_owned(),
        link: "iyagi://people/person-민지?from=push&x=1".to_owned(),
        category: "social".to_owned(),
        device_texts: None,
        badge: None,
        presentation: iyagi_messages::template::Presentation::default(),
        ttl_seconds: 3_600,
    }
}

fn iphone(number: u64, token: &str) -> Payload {
    Payload {
        platform: Platform::Apns,
        ..payload(number, token)
    }
}

/// A client at `url` that repeats calls as the daemon's does, until the gateway takes that from it.
fn client(url: &str) -> Client {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(CALL_TIMEOUT)
        .build();
    let config = aws_sdk_sns::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("test-region-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .timeout_config(timeouts)
        .endpoint_url(url);
    Client::from_conf(config.build())
}

fn applications() -> Applications {
    Applications {
        fcm: Some(Application {
            service: Service::Fcm,
            arn: APPLICATIONS[1].to_owned(),
            topic: None,
        }),
        apns: None,
    }
}

fn gateway(fake: &FakeSns, registry: &Arc<Memory>) -> SnsGateway {
    let registry = Arc::clone(registry) as _;
    SnsGateway::new(&client(&fake.url()), applications(), registry, SETTINGS)
}
