//! Being told to stop: once, to finish what is in hand; a second time, to leave it.

use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::surface::Surface;

/// Signals that tell the process to stop.
pub(crate) struct StopSignals {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
}

/// What a daemon leaves to the next start because it was told to stop at once.
#[derive(Debug, Error)]
#[error(
    "told to stop a second time, so it ends at once: {pushes} pushes are not settled, and {in_hand} are left in hand. The \
     journal and the queues have all of it for the next start"
)]
pub struct CutShort {
    pushes: u64,
    in_hand: String,
}

impl StopSignals {
    /// Watches from now on.
    pub(crate) fn watch() -> Self {
        Self {
            terminate: watched(SignalKind::terminate(), "SIGTERM"),
            interrupt: watched(SignalKind::interrupt(), "SIGINT"),
        }
    }

    /// Resolves whenever the process is told to stop.
    pub(crate) async fn next(&mut self) {
        let name = tokio::select! {
            () = received(self.terminate.as_mut()) => "SIGTERM",
            () = received(self.interrupt.as_mut()) => "SIGINT",
        };
        tracing::info!("told to stop by {name}");
    }
}

fn watched(kind: SignalKind, name: &str) -> Option<Signal> {
    let watched = signal(kind);
    if let Err(error) = &watched {
        tracing::warn!(%error, "{name} cannot be watched for");
    }
    watched.ok()
}

async fn received(signal: Option<&mut Signal>) {
    let told = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if told.is_none() {
        std::future::pending::<()>().await;
    }
}

impl CutShort {
    /// What is left of a daemon that drains.
    pub(crate) fn of(surface: &Surface) -> Self {
        let actors = surface.actors.actors().into_iter();
        let in_hand: Vec<String> = actors
            .filter(|actor| actor.size.is_some() && actor.mailbox.len > 0)
            .map(|pool| format!("{} of {}", pool.mailbox.len, pool.name))
            .collect();
        Self {
            pushes: surface.tree.projections.outbox().counts.pending,
            in_hand: if in_hand.is_empty() {
                "no jobs".to_owned()
            } else {
                in_hand.join(", ")
            },
        }
    }
}
