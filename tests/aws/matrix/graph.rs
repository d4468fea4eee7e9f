//! The graph and its change log on Neptune.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_neptunedata::Client;
use iyagi::aws::neptune::{NeptuneGraph, NeptuneStream};
use iyagi_actors::ports::{
    ChangeStream as _, GraphFault, GraphQueries as _, Position, StreamFault,
};
use iyagi_messages::ids::PersonId;
use serde_json::json;

use super::columns;
use super::table::play;
use super::trial::Trial;
use crate::faults::{Call, Fault, Service};
use crate::neptune::fake::Fake;
use crate::servers::Server;

const LIMIT: u32 = 100;

#[derive(Debug, Clone, Copy)]
enum Operation {
    Fetch,
    Head,
    Oldest,
    Followers,
}

const OPERATIONS: [Operation; 4] = [
    Operation::Fetch,
    Operation::Head,
    Operation::Oldest,
    Operation::Followers,
];

impl Operation {
    fn call(self) -> Call {
        let operation = match self {
            Self::Fetch | Self::Head | Self::Oldest => "GetPropertygraphStream",
            Self::Followers => "ExecuteOpenCypherQuery",
        };
        Call {
            service: Service::Neptune,
            operation,
        }
    }
}

/// The SDK's client as the daemon has it, unless it would wait for a page as long as the daemon does.
fn client(trial: &Trial) -> Client {
    let client = trial.clients.neptune.clone().expect("an endpoint is set");
    if !matches!(trial.column.fault, Fault::Stall) {
        return client;
    }
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_secs(1))
        .operation_timeout(Duration::from_secs(2))
        .build();
    let config = client.config().to_builder().timeout_config(timeouts);
    Client::from_conf(config.build())
}

fn word<T>(result: &Result<T, StreamFault>) -> String {
    let word = match result {
        Ok(_) => "ok",
        Err(StreamFault::NotFound { .. }) => panic!("records that are there are not found"),
        Err(StreamFault::Expired) => panic!("records that are there have expired"),
        Err(StreamFault::Disabled) => panic!("a log that is there is disabled"),
        Err(StreamFault::Denied(_)) => "denied",
        Err(StreamFault::Throttled) => "throttled",
        Err(StreamFault::MemoryLimit) => "memory limit",
        Err(StreamFault::InvalidRequest(_)) => "invalid request",
        Err(StreamFault::Unparsable(_)) => "unparsable",
        Err(StreamFault::Unreachable(_)) => "unreachable",
    };
    word.to_owned()
}

async fn run(operation: Operation, trial: Trial) -> String {
    let stream = NeptuneStream::new(client(&trial));
    match operation {
        Operation::Fetch => {
            let fetch = || stream.fetch(Position::TrimHorizon, LIMIT);
            trial.begin(operation.call());
            let fetched = fetch().await;
            trial.end();
            let again = fetch().await.expect("the fault is over");
            assert!(!again.records.is_empty());
            if let Ok(fetched) = &fetched {
                assert_eq!(fetched, &again, "a part is taken for the whole");
            }
            word(&fetched)
        }
        Operation::Head => {
            trial.begin(operation.call());
            let head = stream.head().await;
            trial.end();
            let again = stream.head().await.expect("the fault is over");
            assert!(again.is_some(), "the log is not empty");
            if let Ok(head) = &head {
                assert_eq!(head, &again, "the log is taken for another");
            }
            word(&head)
        }
        Operation::Oldest => {
            trial.begin(operation.call());
            let oldest = stream.oldest().await;
            trial.end();
            let again = stream.oldest().await.expect("the fault is over");
            assert!(again.is_some(), "the log is not empty");
            if let Ok(oldest) = &oldest {
                assert_eq!(oldest, &again, "the log is taken for another");
            }
            word(&oldest)
        }
        Operation::Followers => {
            let graph = NeptuneGraph::new(client(&trial));
            let person = PersonId::from("b");
            let ask = || graph.followers_of(&person, "FOLLOWS", None, LIMIT);
            trial.begin(operation.call());
            let followers = ask().await;
            trial.end();
            let again = ask().await.expect("the fault is over");
            assert_eq!(again, [PersonId::from("a")]);
            match followers {
                Ok(followers) => {
                    assert_eq!(followers, again, "whoever is there is not seen");
                    "ok".to_owned()
                }
                Err(GraphFault(_)) => "unreachable".to_owned(),
            }
        }
    }
}

#[tokio::test]
async fn the_log_is_never_taken_for_shorter_than_it_is_under_any_fault() {
    let fake = Fake::start();
    let people = ["a", "b"].map(|id| json!({"op": "add_vertex", "id": id, "label": "Person"}));
    let follows = json!({"op": "add_edge", "from": "a", "to": "b", "label": "FOLLOWS"});
    fake.commit([&people[..], &[follows]].concat().into()).await;
    let server = Server::at(fake.url().to_owned());
    let columns = |_| columns::of(Service::Neptune);
    let table = play(&server, &OPERATIONS, columns, run).await;
    insta::assert_snapshot!("graph", table);
}
