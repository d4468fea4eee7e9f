//! Where actors run: the thread that made the system, or named OS threads of their own.
//!
//! Each named thread runs an actix system of its own, so nothing depends on which system happens
//! to be current where a tree is declared.

use std::sync::Mutex;
use std::thread::JoinHandle;

use actix_rt::{ArbiterHandle, System};
use tokio::sync::mpsc;

use super::spec::Placement;

type Job = Box<dyn FnOnce() + Send>;

/// A thread that actors can be started on, from any thread.
pub(super) struct Place {
    kind: Kind,
}

enum Kind {
    Here(mpsc::UnboundedSender<Job>),
    Arbiter {
        arbiter: ArbiterHandle,
        system: System,
        thread: Mutex<Option<JoinHandle<()>>>,
    },
}

impl Place {
    /// Opens a place; `Here` must be opened inside a `LocalSet`.
    pub(super) fn open(placement: &Placement) -> Self {
        let kind = match placement {
            Placement::Here => {
                let (jobs, mut waiting) = mpsc::unbounded_channel::<Job>();
                tokio::task::spawn_local(async move {
                    while let Some(job) = waiting.recv().await {
                        job();
                    }
                });
                Kind::Here(jobs)
            }
            Placement::Arbiter(name) => {
                let (ready, opened) = std::sync::mpsc::channel();
                let thread = std::thread::Builder::new()
                    .name(name.clone())
                    .spawn(move || {
                        let runner = System::new();
                        let _ = ready.send(System::current());
                        if let Err(error) = runner.run() {
                            tracing::error!(%error, "arbiter ended with an error");
                        }
                    });
                let thread = thread.expect("the system has room for one more thread");
                let system = opened
                    .recv()
                    .expect("the thread answers before it does anything");
                let arbiter = system.arbiter().clone();
                Kind::Arbiter {
                    arbiter,
                    system,
                    thread: Mutex::new(Some(thread)),
                }
            }
        };
        Self { kind }
    }

    /// Runs a job on the thread of this place, where it may start local tasks.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let accepted = match &self.kind {
            Kind::Here(jobs) => jobs.send(Box::new(job)).is_ok(),
            Kind::Arbiter { arbiter, .. } => arbiter.spawn_fn(job),
        };
        if !accepted {
            tracing::error!("an actor was started on a thread that has ended");
        }
    }

    /// Ends the thread of this place, once its actors have stopped.
    pub(super) async fn close(&self) {
        let Kind::Arbiter { system, thread, .. } = &self.kind else {
            return;
        };
        system.stop();
        let thread = thread
            .lock()
            .expect("no panic happens while it is held")
            .take();
        if let Some(thread) = thread {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("an arbiter thread panicked");
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Kind::Arbiter { system, .. } = &self.kind {
            system.stop();
        }
    }
}
