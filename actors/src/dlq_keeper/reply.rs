//! Where the answer to an operator's message goes.

use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

/// Takes one answer. A message may be handled again after a panic, so the first answer counts.
#[derive(Debug)]
pub struct Reply<T>(Mutex<Option<oneshot::Sender<T>>>);

impl<T> Reply<T> {
    /// A reply, and the future of its answer.
    pub fn channel() -> (Self, oneshot::Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Mutex::new(Some(sender))), receiver)
    }

    pub(super) fn send(&self, answer: T) {
        if let Some(sender) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Whoever asked may have gone; what was asked for is done all the same.
            sender.send(answer).ok();
        }
    }
}
