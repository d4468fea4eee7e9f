//! Servers that speak the service's protocol keep what is published, and refuse what the service refuses.

use std::sync::Arc;

use aws_sdk_sns::Client;
use iyagi::aws::dynamodb::definitions::{TableDefinition, create};
use iyagi::aws::dynamodb::fault::TableFault;
use iyagi::aws::names::Names;
use iyagi::aws::sns::envelope::envelope;
use iyagi::aws::sns::registry::{EndpointKey, EndpointRegistry};
use iyagi::aws::sns::{Applications, DynamoEndpoints, SnsGateway};
use iyagi::clock::SystemClock;
use iyagi::config::{ApnsConfig, AwsConfig, FcmConfig};
use iyagi_actors::ports::{Payload, PushGateway};
use iyagi_messages::ids::Seq;
use iyagi_messages::push::FailureClass;
use serde_json::Value;

use super::{SETTINGS, iphone, payload};
use crate::servers::{Server, localemu, moto, unique};

/// An installation on a server.
struct World {
    server: &'static Server,
    sns: Client,
    applications: Applications,
    registry: Arc<DynamoEndpoints>,
    gateway: SnsGateway,
}

impl World {
    async fn on(server: &'static Server) -> Self {
        let clients = server.clients();
        let names = Names::new(&unique("push"));
        for (name, platform) in [
            (names.fcm_application(), "GCM"),
            (names.apns_application(), "APNS"),
        ] {
            let application = clients
                .sns
                .create_platform_application()
                .name(name)
                .platform(platform);
            // One of the servers asks for a principal where the service does not.
            let application = application
                .attributes("PlatformPrincipal", "principal")
                .attributes("PlatformCredential", "credential");
            application.send().await.expect("made");
        }
        let table = TableDefinition::endpoints(names.endpoints_table());
        create(&clients.dynamodb, &table).await.expect("made");
        let config = AwsConfig {
            fcm: Some(FcmConfig::default()),
            apns: Some(ApnsConfig {
                bundle_id: Some("com.example.iyagi".to_owned()),
                ..ApnsConfig::default()
            }),
            ..server.aws_config()
        };
        let applications = Applications::find(&clients.sns, &config, &names).await;
        let applications = applications.expect("both are there");
        let clock = Arc::new(SystemClock);
        let registry = DynamoEndpoints::new(clients.dynamodb.clone(), table.name, clock);
        let registry = Arc::new(registry);
        let gateway = SnsGateway::new(
            &clients.sns,
            applications.clone(),
            Arc::clone(&registry) as _,
            SETTINGS,
        );
        Self {
            server,
            sns: clients.sns,
            applications,
            registry,
            gateway,
        }
    }

    /// The same installation after a restart: nothing is in memory.
    fn restarted(&self) -> SnsGateway {
        let registry = Arc::clone(&self.registry) as _;
        SnsGateway::new(&self.sns, self.applications.clone(), registry, SETTINGS)
    }

    async fn endpoint_of(&self, payload: &Payload) -> Option<String> {
        let key = EndpointKey::of(payload.platform, &payload.device);
        let kept = self.registry.get(&key).await.expect("readable");
        kept.map(|endpoint| endpoint.arn)
    }

    async fn send(&self, payload: &Payload) -> String {
        let sent = self.gateway.send(payload).await;
        sent.unwrap_or_else(|fault| panic!("{}: {fault}", self.server.url()))
    }

    async fn refused(&self, payload: &Payload) -> (FailureClass, String) {
        let answer = self.gateway.send(payload).await;
        let fault = answer.expect_err("the server knows better");
        (fault.class, fault.code)
    }

    async fn set_enabled(&self, arn: &str, enabled: &str) {
        let call = self.sns.set_endpoint_attributes().endpoint_arn(arn);
        let call = call.attributes("Enabled", enabled).send().await;
        call.expect("set");
    }

    async fn enabled(&self, arn: &str) -> String {
        let call = self.sns.get_endpoint_attributes().endpoint_arn(arn).send();
        let attributes = call.await.expect("there").attributes.expect("told");
        attributes["Enabled"].clone()
    }
}

fn get(url: &str) -> Value {
    let mut answer = ureq::get(url).call().expect("an answer");
    let text = answer.body_mut().read_to_string().expect("text");
    serde_json::from_str(&text).expect("JSON")
}

async fn worlds() -> Vec<World> {
    let mut worlds = vec![World::on(moto()).await];
    if let Some(localemu) = localemu() {
        worlds.push(World::on(localemu).await);
    }
    worlds
}

#[tokio::test]
async fn moto_has_the_message_of_every_push_byte_for_byte() {
    let world = World::on(moto()).await;
    for payload in [payload(1, &unique("android")), iphone(2, &unique("iphone"))] {
        let id = world.send(&payload).await;
        let arn = world.endpoint_of(&payload).await.expect("kept");
        let data = get(&format!("{}/moto-api/data.json", world.server.url()));
        let endpoints = data["sns"]["PlatformEndpoint"].as_array().expect("a list");
        let endpoint = endpoints
            .iter()
            .find(|one| one["arn"] == *arn)
            .expect("it is there");
        let application = world.applications.of(payload.platform).expect("there");
        let expected = envelope(&payload, application).expect("it fits").message;
        let kept: Vec<_> = endpoint["messages"]
            .as_object()
            .expect("a map")
            .iter()
            .collect();
        assert_eq!(kept, [(&id, &Value::String(expected))]);
    }
}

#[tokio::test]
async fn localemu_has_the_payload_and_the_headers_of_every_push() {
    let Some(localemu) = localemu() else { return };
    let world = World::on(localemu).await;
    for payload in [payload(1, &unique("android")), iphone(2, &unique("iphone"))] {
        let id = world.send(&payload).await;
        let arn = world.endpoint_of(&payload).await.expect("kept");
        let url = format!(
            "{}/_aws/sns/platform-endpoint-messages?endpointArn={arn}&region={}",
            world.server.url(),
            world.server.region(),
        );
        let kept = get(&url);
        let kept = kept["platform_endpoint_messages"][&arn]
            .as_array()
            .expect("a list");
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(kept[0]["MessageId"], id);
        let application = world.applications.of(payload.platform).expect("there");
        let expected = envelope(&payload, application).expect("it fits");
        let message: Value = serde_json::from_str(&expected.message).expect("JSON");
        let told: Value =
            serde_json::from_str(kept[0]["Message"].as_str().expect("text")).expect("JSON");
        assert_eq!(told, message[application.service.as_str()]);
        let attributes = kept[0]["MessageAttributes"].as_object().expect("a map");
        assert_eq!(
            attributes.len(),
            expected.attributes.len(),
            "{attributes:?}"
        );
        for (name, value) in &expected.attributes {
            assert_eq!(attributes[*name]["DataType"], "String", "{name}");
            assert_eq!(attributes[*name]["StringValue"], **value, "{name}");
        }
    }
}

#[tokio::test]
async fn a_disabled_endpoint_is_dead_until_its_phone_registers_anew() {
    for world in worlds().await {
        let first = payload(1, &unique("phone"));
        world.send(&first).await;
        let arn = world.endpoint_of(&first).await.expect("kept");
        world.set_enabled(&arn, "false").await;
        let dead = (FailureClass::EndpointDead, "EndpointDisabled".to_owned());
        assert_eq!(world.refused(&first).await, dead);
        assert_eq!(world.endpoint_of(&first).await, None, "it is forgotten");
        let again = Payload {
            registration: Seq(3),
            ..first
        };
        world.send(&again).await;
        assert_eq!(world.endpoint_of(&again).await, Some(arn.clone()));
        assert_eq!(world.enabled(&arn).await, "true");
    }
}

#[tokio::test]
async fn a_deleted_endpoint_is_dead_in_the_words_of_every_server() {
    let mut words = Vec::new();
    for world in worlds().await {
        let first = payload(1, &unique("phone"));
        world.send(&first).await;
        let arn = world.endpoint_of(&first).await.expect("kept");
        let deleted = world.sns.delete_endpoint().endpoint_arn(&arn).send().await;
        deleted.expect("deleted");
        let (class, code) = world.refused(&first).await;
        assert_eq!(class, FailureClass::EndpointDead, "{code}");
        words.push(code);
        let again = Payload {
            registration: Seq(3),
            ..first
        };
        world.send(&again).await;
    }
    assert_eq!(words[0], "NotFound");
    assert!(
        words[1..].iter().all(|word| word == "InvalidParameter"),
        "{words:?}"
    );
}

#[tokio::test]
async fn an_endpoint_that_another_system_made_is_taken_over() {
    for world in worlds().await {
        let push = payload(1, &unique("phone"));
        let application = &world.applications.fcm.as_ref().expect("there").arn;
        let made = world
            .sns
            .create_platform_endpoint()
            .platform_application_arn(application);
        let made = made
            .token(&push.device.0)
            .custom_user_data("person-7")
            .send()
            .await;
        let arn = made.expect("made").endpoint_arn.expect("told");
        world.set_enabled(&arn, "false").await;
        world.send(&push).await;
        assert_eq!(world.endpoint_of(&push).await, Some(arn.clone()));
        assert_eq!(world.enabled(&arn).await, "true");
    }
}

#[tokio::test]
async fn a_phone_that_changes_hands_keeps_its_endpoint() {
    for world in worlds().await {
        let first = payload(1, &unique("phone"));
        world.send(&first).await;
        let arn = world.endpoint_of(&first).await.expect("kept");
        let second = Payload {
            registration: Seq(2),
            ..payload(2, &first.device.0)
        };
        world.send(&second).await;
        assert_eq!(world.endpoint_of(&second).await, Some(arn));
    }
}

#[tokio::test]
async fn the_table_spares_a_restarted_host_the_calls_about_endpoints() {
    for world in worlds().await {
        let push = payload(1, &unique("phone"));
        world.send(&push).await;
        let gateway = world.restarted();
        let before = gateway.quotas().endpoint_calls;
        gateway.send(&push).await.expect("sent");
        let after = gateway.quotas().endpoint_calls;
        assert!(after.tokens >= before.tokens, "{before:?} {after:?}");
    }
}

#[tokio::test]
async fn a_missing_table_is_told_with_the_cure() {
    for world in worlds().await {
        let clients = world.server.clients();
        let table = unique("nowhere");
        let registry = DynamoEndpoints::new(clients.dynamodb, table.clone(), Arc::new(SystemClock));
        let key = EndpointKey::of(payload(1, "p").platform, &"p".into());
        let fault = registry.get(&key).await.expect_err("there is none");
        assert_eq!(fault, TableFault::Missing { table });
        assert!(fault.to_string().contains("iyagi provision"));
    }
}
