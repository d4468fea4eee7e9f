//! Wall-clock time, injected so that decisions can be replayed and tests need not wait.

use iyagi_messages::ids::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}
