//! The instance's own notices stop the daemon, and its group learns when it is drained.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use iyagi::aws::clients::instance_metadata;
use iyagi::aws::instance::{Instance, Notice, Pace};

use crate::servers::Server;
use crate::stub::{self, Answer, Request, response};

const PACE: Pace = Pace {
    look: Duration::from_millis(20),
    heartbeat: Duration::from_millis(50),
};
const PATIENCE: Duration = Duration::from_secs(30);
const TARGET_STATE: &str = "/latest/meta-data/autoscaling/target-lifecycle-state";
const SPOT_ACTION: &str = "/latest/meta-data/spot/instance-action";
const REBALANCE: &str = r#"{"action": "terminate", "time": "2026-01-01T00:00:00Z"}"#;

/// What the metadata service says, and what the group was told.
#[derive(Default)]
struct Said {
    target_state: Option<&'static str>,
    spot_action: Option<&'static str>,
    calls: Vec<String>,
}

struct Surroundings {
    said: Arc<Mutex<Said>>,
    instance: Instance,
}

impl Surroundings {
    fn new(lifecycle_hook: Option<&str>) -> Self {
        let said = Arc::new(Mutex::new(Said::default()));
        let (asked, told) = (Arc::clone(&said), Arc::clone(&said));
        let metadata = stub::serve(move |request| metadata(request, &asked.lock().expect("sound")));
        let group = stub::serve(move |request| {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let action = |name: &str| body.contains(&format!("Action={name}&"));
            let known = [
                "DescribeAutoScalingInstances",
                "RecordLifecycleActionHeartbeat",
            ];
            let name = known.into_iter().find(|name| action(name));
            let name = name.unwrap_or("CompleteLifecycleAction");
            told.lock().expect("sound").calls.push(body.clone());
            let result = if name == known[0] {
                "<AutoScalingInstances><member><InstanceId>i-1</InstanceId>\
                 <AutoScalingGroupName>hosts</AutoScalingGroupName></member></AutoScalingInstances>"
            } else {
                ""
            };
            let answer = format!(
                "<{name}Response xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\">\
                 <{name}Result>{result}</{name}Result></{name}Response>"
            );
            Answer::Whole(response(
                200,
                &[("content-type", "text/xml")],
                answer.as_bytes(),
            ))
        });
        Self {
            said,
            instance: Instance::new(
                instance_metadata()
                    .endpoint(metadata)
                    .expect("an address")
                    .build(),
                Server::at(group).clients().autoscaling,
                lifecycle_hook.map(str::to_owned),
                PACE,
            ),
        }
    }

    fn say(&self, say: impl FnOnce(&mut Said)) {
        say(&mut self.said.lock().expect("sound"));
    }

    fn calls(&self, action: &str) -> Vec<String> {
        let said = self.said.lock().expect("sound");
        let of_action = |call: &&String| call.contains(&format!("Action={action}&"));
        said.calls.iter().filter(of_action).cloned().collect()
    }

    async fn notice(&self) -> Option<Notice> {
        let notice = tokio::time::timeout(PATIENCE, self.instance.notice()).await;
        notice.expect("it is told")
    }
}

fn metadata(request: &Request, said: &Said) -> Answer {
    let text = |text: &str| Answer::Whole(response(200, &[], text.as_bytes()));
    let absent = || Answer::Whole(response(404, &[], b""));
    match (&*request.method, &*request.path) {
        ("PUT", "/latest/api/token") => {
            let ttl = [("x-aws-ec2-metadata-token-ttl-seconds", "21600")];
            Answer::Whole(response(200, &ttl, b"token"))
        }
        _ if request
            .headers
            .get("x-aws-ec2-metadata-token")
            .map(String::as_str)
            != Some("token") =>
        {
            Answer::Whole(response(401, &[], b""))
        }
        ("GET", "/latest/meta-data/instance-id") => text("i-1"),
        ("GET", TARGET_STATE) => said.target_state.map_or_else(absent, text),
        ("GET", SPOT_ACTION) => said.spot_action.map_or_else(absent, text),
        _ => absent(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_host_lets_its_group_go_on_once_it_is_drained_and_not_before() {
    let surroundings = Surroundings::new(Some("drain"));
    surroundings.say(|said| said.target_state = Some("InService"));
    let early = tokio::time::timeout(Duration::from_millis(200), surroundings.instance.notice());
    assert!(early.await.is_err(), "a host in service is told nothing");
    surroundings.say(|said| said.target_state = Some("Terminated"));
    let notice = surroundings.notice().await.expect("it is an instance");
    assert_eq!(notice, Notice::Termination);
    let drained = async {
        // A drain that takes as long as two heartbeats.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while surroundings.calls("RecordLifecycleActionHeartbeat").len() < 2 {
            assert!(tokio::time::Instant::now() < deadline, "no heartbeat");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(
            surroundings.calls("CompleteLifecycleAction"),
            Vec::<String>::new()
        );
        "clean"
    };
    assert_eq!(surroundings.instance.heed(&notice, drained).await, "clean");
    let completed = surroundings.calls("CompleteLifecycleAction");
    assert_eq!(completed.len(), 1);
    for part in [
        "AutoScalingGroupName=hosts",
        "LifecycleHookName=drain",
        "InstanceId=i-1",
        "LifecycleActionResult=CONTINUE",
    ] {
        assert!(completed[0].contains(part), "{part} in {}", completed[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_spot_capacity_is_taken_back_stops_and_tells_nobody() {
    let surroundings = Surroundings::new(Some("drain"));
    surroundings.say(|said| said.spot_action = Some(REBALANCE));
    let notice = surroundings.notice().await.expect("it is an instance");
    let action = REBALANCE.to_owned();
    assert_eq!(notice, Notice::SpotInterruption { action });
    surroundings.instance.heed(&notice, async {}).await;
    assert_eq!(
        surroundings.calls("CompleteLifecycleAction"),
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_hook_or_without_an_instance_nothing_is_waited_for() {
    let surroundings = Surroundings::new(None);
    surroundings
        .instance
        .heed(&Notice::Termination, async {})
        .await;
    assert_eq!(
        surroundings.calls("CompleteLifecycleAction"),
        Vec::<String>::new()
    );
    // Nobody listens here.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", nobody.local_addr().expect("bound"));
    drop(nobody);
    let elsewhere = Instance::new(
        instance_metadata()
            .endpoint(&address)
            .expect("an address")
            .build(),
        Server::at(address).clients().autoscaling,
        None,
        PACE,
    );
    let notice = tokio::time::timeout(PATIENCE, elsewhere.notice()).await;
    assert_eq!(notice.expect("at once"), None);
}
