//! How work on other threads learns that it is in vain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Held by whoever waits for the work. Once it is gone, because the time is over or the worker that waited is, the work
/// is to stop.
#[derive(Default)]
pub struct Watch(Arc<AtomicBool>);

impl Watch {
    /// Tells the work whether to stop.
    pub fn ended(&self) -> impl Fn() -> bool + Send + 'static {
        let ended = Arc::clone(&self.0);
        move || ended.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
