//! From a commit of the graph to an accepted push, through the whole daemon on real embedded stores.
//!
//! `cargo bench --bench pipeline` prints: records and pushes a second out of a backlog, at two densities; the latency at
//! 1,000 commits a second; resident memory of an idle daemon; and the time to ready on a large journal.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use iyagi::config::{Config, built_in_templates};
use iyagi::daemon::{Daemon, DaemonError, block_on};
use iyagi::embedded::graph::Operation;
use iyagi_actors::journal::Draft;
use iyagi_messages::device::{Device, Platform};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{DeviceRegistered, PushAccepted, PushAttempted, PushRequested};
use iyagi_messages::ids::{PushId, Timestamp};
use iyagi_messages::push::{OnUnknownOutcome, Push};
use serde_json::json;

const PEOPLE: u64 = 2_000;

fn main() {
    // Before any heap has grown.
    let idle = idle_memory();
    println!(
        "idle daemon, resident memory      {:>8.1} MB   (goal < 60)",
        idle as f64 / 1e6
    );
    for (records_a_push, commits) in [(10, 20_000), (1, 40_000)] {
        drain(records_a_push, commits);
    }
    latency(1_000, Duration::from_secs(10));
    start_with(1_000_000);
}

fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    // Each push by itself and at once, whatever came before it.
    config.push.moderate = false;
    config.push.rate.burst = 0;
    folder.clone_into(&mut config.data.dir);
    config.http.public.set_port(0);
    config.http.operations.set_port(0);
    config.stream.interval_ms_min = 10;
    config.push.max_in_flight = 512;
    config
}

fn with_daemon<F: Future<Output = Daemon>>(folder: &Path, work: impl FnOnce(Daemon) -> F) {
    let config = config(folder);
    let done = block_on(async {
        let daemon = Daemon::start(config, built_in_templates()).await?;
        work(daemon).await.stop().await;
        Ok::<_, DaemonError>(())
    });
    done.expect("the daemon runs");
}

fn idle_memory() -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let mut resident = 0;
    with_daemon(folder.path(), async |daemon| {
        tokio::time::sleep(Duration::from_secs(2)).await;
        resident = resident_bytes();
        daemon
    });
    resident
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

async fn settle_people(daemon: &Daemon) {
    let surface = &daemon.surface;
    for chunk in (0..PEOPLE).collect::<Vec<_>>().chunks(500) {
        let vertices = chunk.iter().map(|n| {
            json!({"op": "add_vertex", "id": format!("p{n}"), "label": "Person", "properties": {"name": format!("이름 {n}")}})
        });
        let operations = serde_json::from_value(json!(vertices.collect::<Vec<_>>()));
        surface
            .one_machine
            .as_ref()
            .expect("everything is on one machine")
            .graph
            .commit(operations.expect("operations"))
            .await
            .expect("accepted");
        let mut draft = Draft::new(&"bench", "bench");
        for n in chunk {
            let token = format!("d{n}");
            let device = Device {
                token: token.as_str().into(),
                person: format!("p{n}").into(),
                platform: Platform::Fcm,
                locale: "ko".to_owned(),
            };
            draft.begin(
                &token,
                Entity::new("device", &token),
                DeviceRegistered { device },
            );
        }
        surface
            .journal
            .append(draft.finish())
            .await
            .expect("appended");
    }
}

/// One commit that leads to one push and has `records` records.
fn follow(n: u64, records: u64) -> Vec<Operation> {
    let (from, to) = (n % PEOPLE, (n + 1 + n / PEOPLE) % PEOPLE);
    let mut operations = vec![json!({
        "op": "add_edge", "id": format!("e{n}"), "label": "FOLLOWS",
        "from": format!("p{from}"), "to": format!("p{to}"),
    })];
    for extra in 1..records {
        operations.push(json!({
            "op": "set_property", "id": format!("e{n}"), "key": format!("k{extra}"), "value": n,
        }));
    }
    serde_json::from_value(json!(operations)).expect("operations")
}

fn drain(records_a_push: u64, commits: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    with_daemon(folder.path(), async |daemon| {
        settle_people(&daemon).await;
        let surface = &daemon.surface;
        wait(&daemon, 0).await;
        surface.actors.pause("stream-poller").expect("it runs");
        stream::iter(0..commits)
            .for_each_concurrent(512, async |n| {
                let committed = surface
                    .one_machine
                    .as_ref()
                    .expect("everything is on one machine")
                    .graph
                    .commit(follow(n, records_a_push))
                    .await;
                committed.expect("accepted");
            })
            .await;
        let began = Instant::now();
        surface.actors.resume("stream-poller").expect("it runs");
        wait(&daemon, commits).await;
        let seconds = began.elapsed().as_secs_f64();
        let (records, pushes) = (commits * records_a_push, commits);
        println!(
            "backlog, 1 push in {records_a_push:>2} records        {:>8.0} records/s, {:>6.0} pushes/s   (goal ≥ 20,000 records/s)",
            records as f64 / seconds,
            pushes as f64 / seconds
        );
        daemon
    });
}

async fn wait(daemon: &Daemon, sent: u64) {
    loop {
        let tip = daemon
            .surface
            .one_machine
            .as_ref()
            .expect("everything is on one machine")
            .graph
            .tip()
            .await
            .expect("a tip");
        let settled = {
            let outbox = daemon.surface.tree.projections.outbox();
            outbox.cursor >= tip && outbox.counts.sent >= sent && outbox.counts.pending == 0
        };
        if settled {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn latency(commits_a_second: u64, lasting: Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    with_daemon(folder.path(), async |daemon| {
        settle_people(&daemon).await;
        wait(&daemon, 0).await;
        let surface = &daemon.surface;
        let mut accepted = surface
            .one_machine
            .as_ref()
            .expect("everything is on one machine")
            .push_log
            .subscribe();
        let total = commits_a_second * lasting.as_secs();
        let began = Instant::now();
        let commits = stream::iter(0..total)
            .map(async |n| {
                let due = Duration::from_micros(n * 1_000_000 / commits_a_second);
                tokio::time::sleep_until((began + due).into()).await;
                let committed = surface
                    .one_machine
                    .as_ref()
                    .expect("everything is on one machine")
                    .graph
                    .commit(follow(n, 1))
                    .await
                    .expect("accepted");
                let to = (n + 1 + n / PEOPLE) % PEOPLE;
                let id = PushId::derive(
                    committed.commit,
                    &format!("e{n}").into(),
                    &"follow".into(),
                    &format!("p{to}").into(),
                    Some(&format!("d{to}").into()),
                );
                (id, due)
            })
            .buffer_unordered(1024)
            .collect::<HashMap<_, _>>();
        let arrivals = async {
            let mut arrivals = HashMap::new();
            while (arrivals.len() as u64) < total {
                match accepted.recv().await {
                    Ok(one) => {
                        arrivals.insert(one.payload.push_id, began.elapsed());
                    }
                    Err(error) => panic!("the bench lags behind the gateway: {error}"),
                }
            }
            arrivals
        };
        let (due, arrivals) = tokio::join!(commits, arrivals);
        // From when the commit was due, so that a stall counts for everything that it held up.
        let mut latencies: Vec<Duration> = due
            .iter()
            .map(|(id, due)| arrivals[id].saturating_sub(*due))
            .collect();
        latencies.sort();
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
        println!(
            "{commits_a_second} commits/s, commit → accepted     p50 {:?}, p99 {:?}, max {:?}   (goal p99 < 250 ms)",
            at(0.5),
            at(0.99),
            at(1.0)
        );
        daemon
    });
}

fn start_with(events: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    with_daemon(folder.path(), async |daemon| {
        let journal = &daemon.surface.journal;
        let gap = (events / 3) as usize;
        for chunk in (0..gap).collect::<Vec<_>>().chunks(5_000) {
            let mut draft = Draft::new(&"bench", "bench");
            for n in chunk {
                let push = push(*n as u64);
                let entity = Entity::new("push", push.id);
                let id = draft.begin(&n.to_string(), entity.clone(), PushRequested { push });
                let id = draft.follow(id, entity.clone(), PushAttempted { attempt: 1 });
                let accepted = PushAccepted {
                    attempt: 1,
                    gateway_id: n.to_string(),
                };
                draft.follow(id, entity, accepted);
            }
            journal.append(draft.finish()).await.expect("appended");
        }
        daemon
    });
    let began = Instant::now();
    with_daemon(folder.path(), async |daemon| {
        let ready = began.elapsed();
        let head = daemon.surface.tree.projections.outbox().pos;
        println!("start with {head} events         ready in {ready:.2?}   (goal < 2 s)");
        daemon
    });
}

fn push(n: u64) -> Push {
    let (element, template) = (format!("e{n}").into(), "follow".into());
    let (recipient, device) = (format!("p{n}").into(), format!("d{n}").into());
    Push {
        id: PushId::derive(n, &element, &template, &recipient, Some(&device)),
        recipient,
        device: Some(device),
        platform: Some(Platform::Fcm),
        locale: "ko".to_owned(),
        template,
        category: "people".to_owned(),
        commit: iyagi_messages::cursor::Cursor::new(n, 1),
        element,
        actor: Some("someone".into()),
        subject: Some("something".into()),
        key: None,
        at: Timestamp(1),
        expires_at: Timestamp(i64::MAX),
        on_unknown_outcome: OnUnknownOutcome::Resend,
        burst: None,
        own_act_too: false,
        of_deletion: false,
    }
}
