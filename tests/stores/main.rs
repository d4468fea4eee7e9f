//! The embedded stores keep what the ports promise, and what is theirs alone: restarts, crashes, full disks.

mod arrivals;
mod drop_folder;
mod inbox;
mod leases;
mod metadata;
mod objects;
mod push_log;
mod queues;
mod retention;
mod search;

use std::sync::Arc;

use iyagi_actors::ports::Clock;
use iyagi_messages::ids::Timestamp;
use tokio::time::Instant;

/// Follows tokio's clock, so that a paused test moves timers and wall clock together.
struct TokioClock(Instant);

impl TokioClock {
    fn start() -> Arc<dyn Clock> {
        Arc::new(Self(Instant::now()))
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let since = u64::try_from(self.0.elapsed().as_millis()).expect("a short test");
        Timestamp(1_767_225_600_000).plus_ms(since)
    }
}
