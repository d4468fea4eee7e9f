//! Futures that run beside the actors: named, counted, and never silent when they panic.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

use super::panic_text;
use super::register::Shared;
use super::system::System;

/// A future that was started beside the actors; awaiting it waits for its end.
#[derive(Debug)]
pub struct Task<T> {
    name: Arc<str>,
    handle: JoinHandle<T>,
}

/// Why a task has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// It panicked.
    #[error("task {name} panicked: {message}")]
    Panicked {
        /// The task.
        name: Arc<str>,
        /// What the panic said.
        message: String,
    },
    /// It was cancelled.
    #[error("task {name} was cancelled")]
    Cancelled {
        /// The task.
        name: Arc<str>,
    },
}

impl<T> Task<T> {
    /// Cancels it at its next await.
    pub fn cancel(&self) {
        self.handle.abort();
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let name = Arc::clone(&self.name);
        Pin::new(&mut self.handle)
            .poll(task)
            .map_err(|error| match error.try_into_panic() {
                Ok(panic) => TaskError::Panicked {
                    name,
                    message: panic_text(&*panic),
                },
                Err(_) => TaskError::Cancelled { name },
            })
    }
}

impl System {
    /// Starts a future on the current runtime.
    pub fn spawn_named<F>(&self, name: &str, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let counted = Counted::new(&self.shared, name);
        Task {
            name: name.into(),
            handle: tokio::spawn(counted.run(future)),
        }
    }

    /// Starts a future that stays on this thread.
    pub fn spawn_local_named<F>(&self, name: &str, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let counted = Counted::new(&self.shared, name);
        Task {
            name: name.into(),
            handle: tokio::task::spawn_local(counted.run(future)),
        }
    }

    /// How many tasks of each name run now.
    pub fn tasks(&self) -> Vec<(String, usize)> {
        let tasks = self
            .shared
            .tasks
            .lock()
            .expect("no panic happens while it is held");
        tasks
            .iter()
            .map(|(name, count)| (name.clone(), *count))
            .collect()
    }
}

/// A future that runs beside the actors under a name.
struct Counted {
    shared: Arc<Shared>,
    name: String,
}

impl Counted {
    fn new(shared: &Arc<Shared>, name: &str) -> Self {
        let mut tasks = shared
            .tasks
            .lock()
            .expect("no panic happens while it is held");
        *tasks.entry(name.to_owned()).or_default() += 1;
        drop(tasks);
        Self {
            shared: Arc::clone(shared),
            name: name.to_owned(),
        }
    }

    async fn run<F: Future>(self, future: F) -> F::Output {
        future.await
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut tasks = self
            .shared
            .tasks
            .lock()
            .expect("no panic happens while it is held");
        if let Some(count) = tasks.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                tasks.remove(&self.name);
            }
        }
    }
}
