//! Being told to stop: once, to finish what is in hand; a second time, to leave it.

use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::surface::Surface;

/// Signals that tell the process to stop.
pub(crate) struct StopSignals {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
    /// How many came.
    told: u32,
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
            told: 0,
        }
    }

    /// Resolves whenever the process is told to stop.
    pub(crate) async fn next(&mut self) {
        let name = tokio::select! {
            () = received(self.terminate.as_mut()) => "SIGTERM",
            () = received(self.interrupt.as_mut()) => "SIGINT",
        };
        tracing::info!("told to stop by {name}");
        self.told += 1;
    }

    /// Resolves once the process was told to stop twice. A daemon that stops for another reason, such as that its instance is
    /// taken away, is not cut short by the first.
    pub(crate) async fn insisted(&mut self) {
        while self.told < 2 {
            self.next().await;
        }
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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn a_drain_that_no_signal_began_is_cut_short_by_the_second_and_not_by_the_first() {
        let (mut signals, mut witness) = (StopSignals::watch(), StopSignals::watch());
        let mut insisted = pin!(signals.insisted());
        kill_process(getpid(), Signal::TERM).expect("sent");
        witness.next().await;
        let looked = tokio::time::timeout(Duration::ZERO, &mut insisted).await;
        assert!(looked.is_err(), "it was told once");
        kill_process(getpid(), Signal::INT).expect("sent");
        insisted.await;
    }
}
