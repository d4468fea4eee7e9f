//! A supervised actor's mailbox against a bounded tokio channel of the same capacity.
//!
//! `cargo bench --bench mailbox`: both are measured in turns within one run, on one thread; the
//! ratio of the medians is what counts, for the absolute figures depend on the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use iyagi_actors::runtime::{
    ChildSpec, Cx, Done, Failure, Fault, Intensity, Mailbox, Strategy, System, Unobserved, Worker,
};
use tokio::sync::{Notify, mpsc};

const CAPACITY: usize = 4_096;
const MESSAGES: u64 = 1_000_000;
const ROUNDS: usize = 7;

/// Adds up what it is told.
struct Sum {
    total: u64,
    result: Arc<AtomicU64>,
    done: Arc<Notify>,
}

impl Worker for Sum {
    type Msg = u64;

    async fn handle(&mut self, message: &u64, _: &Cx<u64>) -> Result<Done, Fault> {
        self.total += message;
        if *message == MESSAGES {
            self.result.store(std::mem::take(&mut self.total), Relaxed);
            self.done.notify_one();
        }
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, _: &u64, _: &[Failure]) -> Result<(), Fault> {
        Ok(())
    }
}

async fn actor_round(mailbox: &Mailbox<u64>, result: &AtomicU64, done: &Notify) -> Duration {
    let began = Instant::now();
    for message in 1..=MESSAGES {
        mailbox.tell(message).await.expect("the actor lives");
    }
    done.notified().await;
    let took = began.elapsed();
    assert_eq!(result.load(Relaxed), MESSAGES * (MESSAGES + 1) / 2);
    took
}

async fn channel_round(system: &System) -> Duration {
    let (tx, mut rx) = mpsc::channel::<u64>(CAPACITY);
    let began = Instant::now();
    let sum = system.spawn_local_named("sum", async move {
        let mut total = 0;
        while let Some(message) = rx.recv().await {
            total += message;
        }
        total
    });
    for message in 1..=MESSAGES {
        tx.send(message).await.expect("the receiver lives");
    }
    drop(tx);
    let total = sum.await.expect("adding up does not panic");
    assert_eq!(total, MESSAGES * (MESSAGES + 1) / 2);
    began.elapsed()
}

fn median_rate(mut rounds: Vec<Duration>) -> f64 {
    rounds.sort_unstable();
    MESSAGES as f64 / rounds[rounds.len() / 2].as_secs_f64()
}

async fn compare() {
    let system = System::new(1, Intensity::default(), Arc::new(Unobserved));
    let group = system.group("bench", Strategy::OneForOne, Intensity::default());
    let (result, done) = (Arc::<AtomicU64>::default(), Arc::<Notify>::default());
    let shared = (Arc::clone(&result), Arc::clone(&done));
    let spec = ChildSpec {
        mailbox_capacity: CAPACITY,
        ..ChildSpec::new("sum")
    };
    let mailbox = group.child(spec, move |_| {
        let (result, done) = shared.clone();
        async move {
            Ok(Sum {
                total: 0,
                result,
                done,
            })
        }
    });
    let (mut actor, mut channel) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        actor.push(actor_round(&mailbox, &result, &done).await);
        channel.push(channel_round(&system).await);
    }
    let (actor, channel) = (median_rate(actor), median_rate(channel));
    println!(
        "mailbox  {:>6.2} M messages/s, told, handled, supervised and measured",
        actor / 1e6
    );
    println!(
        "channel  {:>6.2} M messages/s, tokio mpsc bounded at {CAPACITY}",
        channel / 1e6
    );
    println!("ratio    {:>6.2} (goal: at least 0.30)", actor / channel);
    system.drain(Duration::from_secs(1)).await;
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime needs nothing but the machine");
    tokio::task::LocalSet::new().block_on(&runtime, compare());
}
