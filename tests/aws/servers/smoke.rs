//! The servers are there, for this machine only, and only as long as they are needed.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{MINISTACK, MOTO, Server, localemu, ministack, moto, unique};

/// How the kernel writes 127.0.0.1 and the state of a socket that listens.
const LOOPBACK: &str = "0100007F";
const LISTENS: &str = "0A";

async fn answers(server: &Server) {
    let clients = server.clients();
    let name = unique("smoke");
    let sqs = &clients.sqs;
    let queue = sqs.create_queue().queue_name(&name).send().await;
    let queue = queue.expect("a queue is made");
    let listed = sqs.list_queues().queue_name_prefix(&name).send().await;
    assert_eq!(
        listed.expect("queues are listed").queue_urls(),
        [queue.queue_url().expect("it has an address")]
    );
    let topic = clients.sns.create_topic().name(&name).send().await;
    let topic = topic.expect("a topic is made");
    let arn = topic.topic_arn().expect("it has a name");
    assert!(arn.contains(server.region()), "{arn} is in another region");
    listens_on_loopback_only(server);
}

fn listens_on_loopback_only(server: &Server) {
    let (_, port) = server
        .url()
        .rsplit_once(':')
        .expect("an address with a port");
    let port = format!(":{:04X}", port.parse::<u16>().expect("a port"));
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = fs::read_to_string(table).unwrap_or_default();
        for line in table.lines().skip(1) {
            let mut words = line.split_whitespace().skip(1);
            let local = words.next().expect("a local address").to_owned();
            if local.ends_with(&port) && words.nth(1) == Some(LISTENS) {
                found.push(local);
            }
        }
    }
    assert_eq!(found, [format!("{LOOPBACK}{port}")]);
}

#[tokio::test]
async fn ministack_answers_on_loopback() {
    answers(ministack()).await;
}

#[tokio::test]
async fn moto_answers_on_loopback() {
    answers(moto()).await;
}

#[tokio::test]
async fn localemu_answers_on_loopback() {
    if let Some(server) = localemu() {
        answers(server).await;
    }
}

#[tokio::test]
async fn a_child_with_the_environment_reaches_the_same_server() {
    let server = ministack();
    let name = unique("smoke");
    let queue = server.clients().sqs.create_queue().queue_name(&name);
    queue.send().await.expect("a queue is made");
    let listing = "import boto3; print(boto3.client('sqs').list_queues()['QueueUrls'])";
    let python = MOTO
        .requirements
        .python()
        .expect("an environment with boto3");
    let output = Command::new(python)
        .args(["-I", "-c", listing])
        .env_clear()
        .envs(server.environment())
        .output()
        .expect("Python runs");
    let listed = String::from_utf8_lossy(&output.stdout);
    assert!(listed.contains(&name), "{name} is not in {listed:?}");
}

#[test]
fn a_server_ends_when_the_pipe_to_it_closes() {
    let server = Server::start(&MINISTACK, &[]).expect("it starts");
    let address = server.url().trim_start_matches("http://").to_owned();
    TcpStream::connect(&address).expect("it listens");
    drop(server);
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(&address).is_ok() {
        assert!(Instant::now() < deadline, "{address} still listens");
        std::thread::sleep(Duration::from_millis(20));
    }
}
