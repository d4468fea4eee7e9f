//! Work for the processor: on blocking threads, a bounded number at a time, with a deadline.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Why a piece of work has no result.
#[derive(Debug, thiserror::Error)]
pub enum CpuError {
    /// It ran longer than it was given. Its thread is not free before it returns by itself.
    #[error("work in cpu pool {pool} ran longer than {deadline:?}")]
    TimedOut {
        /// The pool.
        pool: Arc<str>,
        /// What it was given.
        deadline: Duration,
    },
    /// It panicked; the thread lives.
    #[error("work in cpu pool {pool} panicked: {message}")]
    Panicked {
        /// The pool.
        pool: Arc<str>,
        /// What the panic said.
        message: String,
    },
    /// The pool was closed, or the runtime is going down.
    #[error("cpu pool {pool} is closed")]
    Closed {
        /// The pool.
        pool: Arc<str>,
    },
}

/// A bounded number of blocking threads, which may be changed while they work.
#[derive(Debug, Clone)]
pub struct CpuPool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: Arc<str>,
    permits: Arc<Semaphore>,
    size: AtomicUsize,
    /// Permits to be withdrawn when those who hold them return.
    surplus: AtomicUsize,
}

impl CpuPool {
    /// A pool that runs `size` pieces of work at a time.
    pub fn new(name: &str, size: usize) -> Self {
        let inner = Inner {
            name: name.into(),
            permits: Arc::new(Semaphore::new(size)),
            size: AtomicUsize::new(size),
            surplus: AtomicUsize::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Runs work on a thread of its own once there is one; the deadline counts from then on.
    pub async fn run<T, F>(&self, deadline: Duration, work: F) -> Result<T, CpuError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let pool = || Arc::clone(&self.inner.name);
        let permit = Arc::clone(&self.inner.permits).acquire_owned().await;
        let seat = Seat {
            inner: Arc::clone(&self.inner),
            permit: Some(permit.map_err(|_| CpuError::Closed { pool: pool() })?),
        };
        let running = tokio::task::spawn_blocking(move || {
            // Work that has timed out keeps its seat until it returns, so the bound holds.
            let _seat = seat;
            work()
        });
        match tokio::time::timeout(deadline, running).await {
            Err(_) => Err(CpuError::TimedOut {
                pool: pool(),
                deadline,
            }),
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(match error.try_into_panic() {
                Ok(panic) => CpuError::Panicked {
                    pool: pool(),
                    message: super::panic_text(&*panic as &(dyn Any + Send)),
                },
                Err(_) => CpuError::Closed { pool: pool() },
            }),
        }
    }

    /// Changes how many run at a time; those that run already are let finish.
    pub fn resize(&self, size: usize) {
        let before = self.inner.size.swap(size, SeqCst);
        if size > before {
            let forgiven = self.inner.forgive(size - before);
            self.inner.permits.add_permits(size - before - forgiven);
        } else {
            let withdrawn = self.inner.permits.forget_permits(before - size);
            self.inner
                .surplus
                .fetch_add(before - size - withdrawn, SeqCst);
        }
    }

    /// How many may run at a time.
    pub fn size(&self) -> usize {
        self.inner.size.load(SeqCst)
    }

    /// How many run now.
    pub fn busy(&self) -> usize {
        let seats = self.size() + self.inner.surplus.load(SeqCst);
        seats.saturating_sub(self.inner.permits.available_permits())
    }

    /// Lets those that run finish and takes no more.
    pub fn close(&self) {
        self.inner.permits.close();
    }
}

impl Inner {
    /// Takes back up to `count` withdrawals that have not happened yet.
    fn forgive(&self, count: usize) -> usize {
        let mut forgiven = 0;
        let _ = self.surplus.fetch_update(SeqCst, SeqCst, |surplus| {
            forgiven = surplus.min(count);
            Some(surplus - forgiven)
        });
        forgiven
    }
}

/// The right to run, given back or withdrawn at the end.
struct Seat {
    inner: Arc<Inner>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take()
            && self.inner.forgive(1) == 1
        {
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_panic_costs_its_own_work_and_no_thread() {
        let pool = CpuPool::new("images", 1);
        let error = pool
            .run(LONG, || panic!("bomb"))
            .await
            .map(|(): ()| ())
            .unwrap_err();
        assert_eq!(error.to_string(), "work in cpu pool images panicked: bomb");
        assert_eq!(pool.run(LONG, || 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_that_timed_out_keeps_its_seat_until_it_returns() {
        let pool = CpuPool::new("images", 1);
        let (release, wait) = mpsc::channel::<()>();
        let error = pool
            .run(Duration::from_millis(5), move || wait.recv())
            .await
            .unwrap_err();
        assert!(matches!(error, CpuError::TimedOut { .. }), "{error}");
        assert_eq!(pool.busy(), 1);
        release.send(()).unwrap();
        assert_eq!(pool.run(LONG, || 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_pool_shrinks_under_work_and_grows_again() {
        let pool = CpuPool::new("images", 2);
        let (release, wait) = mpsc::channel::<()>();
        let running = pool.run(LONG, move || wait.recv());
        let shrink = async {
            while pool.busy() == 0 {
                tokio::task::yield_now().await;
            }
            pool.resize(0);
            assert_eq!((pool.size(), pool.busy()), (0, 1));
            release.send(()).unwrap();
        };
        let (ran, ()) = tokio::join!(running, shrink);
        ran.unwrap().unwrap();
        while pool.busy() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.inner.permits.available_permits(), 0);
        pool.resize(3);
        assert_eq!(pool.inner.permits.available_permits(), 3);
    }

    #[tokio::test]
    async fn a_closed_pool_says_so() {
        let pool = CpuPool::new("images", 1);
        pool.close();
        let error = pool.run(LONG, || ()).await.unwrap_err();
        assert_eq!(error.to_string(), "cpu pool images is closed");
    }
}
