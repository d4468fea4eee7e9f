//! What works beside the actors while a host is part of a fleet.

use std::sync::Arc;

use iyagi_actors::fleet::keeper::{FleetFault, FleetKeeper};
use iyagi_actors::ports::{Clock, PushGateway};
use iyagi_actors::runtime::{System, Task, TaskError};
use iyagi_actors::tree::Tree;
use tokio::sync::watch;

use crate::aws::journal::Reachable;

/// The keeper of this host's place among the others, and what goes along.
pub struct FleetLife {
    leaving: watch::Sender<bool>,
    end: watch::Sender<bool>,
    keeper: Task<Result<(), FleetFault>>,
    failed: watch::Receiver<Option<String>>,
    beside: Vec<Task<()>>,
}

impl FleetLife {
    /// Begins with the keeper of this host's place; `beside` are its other tasks.
    pub(super) fn begin(system: &System, keeper: FleetKeeper, beside: Vec<Task<()>>) -> Self {
        let (leaving, told_leaving) = watch::channel(false);
        let (end, told_end) = watch::channel(false);
        let (fail, failed) = watch::channel(None);
        let keeper = async move {
            let ended = keeper.run(told_leaving, told_end).await;
            if let Err(fault) = &ended {
                fail.send_replace(Some(fault.to_string()));
            }
            ended
        };
        Self {
            leaving,
            end,
            keeper: system.spawn_named("fleet-keeper", keeper),
            failed,
            beside,
        }
    }

    /// Leaves new pushes to the others, while what is begun is finished.
    pub fn leave(&self) {
        self.leaving.send_replace(true);
    }

    /// Resolves with the reason once this host is no longer part of the fleet.
    pub async fn failed(&self) -> String {
        let mut failed = self.failed.clone();
        match failed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            // It ended without a fault, as it was told to.
            Err(_) => std::future::pending().await,
        }
    }

    /// Gives up this host's place, after the last append.
    pub async fn end(self) {
        self.end.send_replace(true);
        if let Err(error) = self.keeper.await {
            tracing::warn!(%error, "this host's leases were not given up; they run out by themselves");
        }
        for task in self.beside {
            task.cancel();
            // Waited for, so that none of them meets a runtime that is being taken down.
            match task.await {
                Ok(()) | Err(TaskError::Cancelled { .. }) => {}
                Err(error) => {
                    tracing::error!(%error, "what works beside the actors did not end well");
                }
            }
        }
    }
}

/// Says in the daemon's health whether the shared journal can be reached.
pub(super) fn report(
    mut reachable: watch::Receiver<Reachable>,
    tree: &Tree,
    clock: &Arc<dyn Clock>,
) -> impl Future<Output = ()> + Send + use<> {
    let (health, clock) = (Arc::clone(&tree.health), Arc::clone(clock));
    async move {
        loop {
            let (ready, detail) = match &*reachable.borrow_and_update() {
                Reachable::Yes => (true, "answers".to_owned()),
                Reachable::No(reason) => (false, format!("appends wait: {reason}")),
            };
            health.report("shared journal", ready, detail, clock.now());
            if reachable.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Keeps this host to its share of the quotas.
pub(super) fn share(
    gateway: Arc<dyn PushGateway>,
    tree: &Tree,
) -> impl Future<Output = ()> + Send + use<> {
    let projections = Arc::clone(&tree.projections);
    let mut folded = projections.folded();
    async move {
        let mut known = 0;
        loop {
            let senders = projections
                .members()
                .all
                .iter()
                .filter(|member| member.pushes)
                .count();
            if senders != known {
                known = senders;
                gateway.set_share(u32::try_from(senders.max(1)).unwrap_or(u32::MAX));
            }
            if folded.changed().await.is_err() {
                return;
            }
        }
    }
}
