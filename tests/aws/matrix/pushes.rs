//! Pushes by SNS, and the registry of endpoints beneath them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use iyagi::aws::dynamodb::definitions::{TableDefinition, create};
use iyagi::aws::names::Names;
use iyagi::aws::sns::{Applications, ApplicationsError, DynamoEndpoints, SnsGateway, SnsSettings};
use iyagi::clock::SystemClock;
use iyagi::config::{AwsConfig, FcmConfig};
use iyagi_actors::ports::{GatewayFault, Payload, PushGateway as _};
use iyagi_messages::device::Platform;
use iyagi_messages::ids::{PushId, Seq};
use iyagi_messages::push::FailureClass;
use serde_json::Value;

use super::columns::{self, Column};
use super::table::play;
use super::trial::Trial;
use crate::faults::{Call, Service};
use crate::servers::{Server, moto, unique};

#[derive(Debug, Clone, Copy)]
enum Operation {
    Find,
    Publish,
    CreateEndpoint,
    GetEndpoint,
    SetEndpoint,
    RegistryGet,
    RegistryPut,
    RegistryRemove,
}

/// Calls of the service itself.
const OF_SERVICE: [Operation; 5] = [
    Operation::Find,
    Operation::Publish,
    Operation::CreateEndpoint,
    Operation::GetEndpoint,
    Operation::SetEndpoint,
];

/// Calls of the table in which endpoints are kept.
const OF_REGISTRY: [Operation; 3] = [
    Operation::RegistryGet,
    Operation::RegistryPut,
    Operation::RegistryRemove,
];

impl Operation {
    fn call(self) -> Call {
        let (service, operation) = match self {
            Self::Find => (Service::Sns, "ListPlatformApplications"),
            Self::Publish => (Service::Sns, "Publish"),
            Self::CreateEndpoint => (Service::Sns, "CreatePlatformEndpoint"),
            Self::GetEndpoint => (Service::Sns, "GetEndpointAttributes"),
            Self::SetEndpoint => (Service::Sns, "SetEndpointAttributes"),
            Self::RegistryGet => (Service::Dynamodb, "GetItem"),
            Self::RegistryPut => (Service::Dynamodb, "PutItem"),
            Self::RegistryRemove => (Service::Dynamodb, "DeleteItem"),
        };
        Call { service, operation }
    }

    fn columns(self) -> Vec<Column> {
        columns::of(self.call().service)
    }
}

/// An installation of its own, with one phone.
struct Subject {
    trial: Trial,
    call: Call,
    names: Names,
    config: AwsConfig,
    gateway: SnsGateway,
    phone: Payload,
}

impl Subject {
    async fn new(operation: Operation, trial: Trial) -> Self {
        let names = Names::new(&unique("matrix"));
        let made = trial.direct.sns.create_platform_application();
        let made = made.name(names.fcm_application()).platform("GCM");
        let made = made.attributes("PlatformCredential", "credential");
        made.send().await.expect("an application is made");
        let table = TableDefinition::endpoints(names.endpoints_table());
        create(&trial.direct.dynamodb, &table)
            .await
            .expect("a table is made");
        let config = AwsConfig {
            fcm: Some(FcmConfig::default()),
            ..moto().aws_config()
        };
        let applications = Applications::find(&trial.direct.sns, &config, &names).await;
        let dynamodb = trial.clients.dynamodb.clone();
        let registry = DynamoEndpoints::new(dynamodb, table.name, Arc::new(SystemClock));
        let settings = SnsSettings {
            publish_per_second: 10_000,
            endpoint_calls_per_second: 10_000,
            // Its half is more than the calls before a publish may take.
            timeout: trial.call_timeout * 10,
        };
        let gateway = SnsGateway::new(
            &trial.clients.sns,
            applications.expect("it was made"),
            Arc::new(registry),
            settings,
        );
        Self {
            call: operation.call(),
            phone: phone(&unique("token")),
            trial,
            names,
            config,
            gateway,
        }
    }

    async fn send(&self) -> Result<String, GatewayFault> {
        self.gateway.send(&self.phone).await
    }

    /// How many pushes the phone's endpoint was given.
    async fn pushes(&self) -> usize {
        pushes_to(moto(), self.phone.device.0.clone()).await
    }

    async fn disable(&self) {
        let arn = self.endpoint().await;
        let disabled = self.trial.direct.sns.set_endpoint_attributes();
        let disabled = disabled.endpoint_arn(arn).attributes("Enabled", "false");
        disabled.send().await.expect("it is disabled");
    }

    async fn endpoint(&self) -> String {
        let sns = &self.trial.direct.sns;
        let applications = Applications::find(sns, &self.config, &self.names).await;
        let application = applications.expect("it was made").fcm.expect("it was made");
        let made = sns.create_platform_endpoint().token(&self.phone.device.0);
        let made = made.platform_application_arn(application.arn).send().await;
        made.expect("it is there").endpoint_arn.expect("an ARN")
    }
}

fn phone(token: &str) -> Payload {
    Payload {
        push_id: PushId::derive(1, &"e".into(), &"follow".into(), &"p".into(), None),
        collapse_id: PushId::derive(1, &"e".into(), &"follow".into(), &"p".into(), None),
        device: token.into(),
        platform: Platform::Fcm,
        registration: Seq(1),
        title: "title".to_owned(),
        body: "body".to_owned(),
        link: "iyagi://people/p".to_owned(),
        category: "social".to_owned(),
        device_texts: None,
        badge: None,
        presentation: iyagi_messages::template::Presentation::default(),
        ttl_seconds: 60,
    }
}

async fn pushes_to(server: &'static Server, token: String) -> usize {
    let data = tokio::task::spawn_blocking(move || everything(server));
    let data = data.await.expect("it is read");
    let endpoints = data["sns"]["PlatformEndpoint"].as_array();
    let endpoint = endpoints
        .into_iter()
        .flatten()
        .find(|endpoint| endpoint["token"] == token);
    let messages = endpoint.and_then(|endpoint| endpoint["messages"].as_object());
    messages.map_or(0, serde_json::Map::len)
}

/// What moto holds. It fails at telling while other tests add to it.
fn everything(server: &Server) -> Value {
    let address = format!("{}/moto-api/data.json", server.url());
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut answer = match ureq::get(&address).call() {
            Ok(answer) => answer,
            Err(error) => {
                assert!(Instant::now() < deadline, "{error}");
                continue;
            }
        };
        let reader = answer.body_mut().with_config().limit(100_000_000);
        return reader.read_json().expect("JSON");
    }
}

fn word(answer: &Result<String, GatewayFault>) -> String {
    let word = match answer {
        Ok(_) => "ok",
        Err(fault) => fault.class.as_str(),
    };
    word.to_owned()
}

async fn run(operation: Operation, trial: Trial) -> String {
    let mut subject = Subject::new(operation, trial).await;
    match operation {
        Operation::Find => return finding(&subject).await,
        Operation::RegistryRemove => return forgetting(&subject).await,
        Operation::SetEndpoint => {
            subject.endpoint().await;
            subject.disable().await;
        }
        // Only what a publish needs is left to do.
        Operation::Publish => {
            subject.send().await.expect("nothing is wrong yet");
        }
        Operation::CreateEndpoint
        | Operation::GetEndpoint
        | Operation::RegistryGet
        | Operation::RegistryPut => {}
    }
    sending(&mut subject, operation).await
}

async fn sending(subject: &mut Subject, operation: Operation) -> String {
    let before = subject.pushes().await;
    subject.trial.begin(subject.call);
    let sent = subject.send().await;
    subject.trial.end();
    let after = subject.pushes().await - before;
    if subject.call.service == Service::Sns {
        assert_eq!(subject.trial.fired(), 1, "only the journal repeats a push");
    }
    match &sent {
        Ok(_) => assert_eq!(after, 1, "a push that is told to be sent is lost"),
        Err(fault) if fault.class == FailureClass::Unknown => assert!(after <= 1),
        Err(_) => assert_eq!(after, 0, "a push that was sent is told not to be"),
    }
    let endpoint_lives = !sent
        .as_ref()
        .is_err_and(|fault| fault.class == FailureClass::EndpointDead);
    assert!(endpoint_lives, "a phone is dropped because of a fault");
    if matches!(operation, Operation::RegistryPut) && sent.is_ok() {
        // Another registration is made sure anew, whether or not the last one was kept.
        subject.phone.registration = Seq(2);
    }
    let again = subject.send().await;
    again.unwrap_or_else(|fault| panic!("the fault is over: {fault}"));
    assert_eq!(subject.pushes().await, before + after + 1);
    word(&sent)
}

async fn finding(subject: &Subject) -> String {
    let find = || Applications::find(&subject.trial.clients.sns, &subject.config, &subject.names);
    subject.trial.begin(subject.call);
    let found = find().await;
    subject.trial.end();
    let again = find().await.expect("the fault is over");
    match found {
        Ok(found) => {
            assert_eq!(found, again);
            "ok".to_owned()
        }
        Err(ApplicationsError::Unlisted { .. }) => "unlisted".to_owned(),
        Err(fault) => panic!("an application that is there is called missing: {fault}"),
    }
}

/// A dead endpoint is forgotten; its phone's next registration must not find it again.
async fn forgetting(subject: &Subject) -> String {
    subject.send().await.expect("nothing is wrong yet");
    subject.disable().await;
    subject.trial.begin(subject.call);
    let dead = subject.send().await;
    subject.trial.end();
    let mut registered_again = subject.phone.clone();
    registered_again.registration = Seq(2);
    let again = subject.gateway.send(&registered_again).await;
    again.unwrap_or_else(|fault| panic!("the fault is over: {fault}"));
    word(&dead)
}

#[tokio::test]
async fn a_push_is_told_to_be_sent_only_if_it_was_under_any_fault() {
    let table = play(moto(), &OF_SERVICE, Operation::columns, run).await;
    insta::assert_snapshot!("pushes", table);
}

#[tokio::test]
async fn a_registry_that_fails_costs_calls_and_no_pushes() {
    let table = play(moto(), &OF_REGISTRY, Operation::columns, run).await;
    insta::assert_snapshot!("registry", table);
}
