//! What a caller may see. The rest is to them as if it were not there.

use iyagi_actors::ports::GraphFault;
use iyagi_actors::visibility::Look;
use iyagi_messages::object::ObjectKey;

use super::State;
use super::problem::{Kind, Problem};
use crate::auth::Caller;

/// Seconds after which a client may ask again while the graph does not answer.
const RETRY_SECONDS: u32 = 5;

/// Begins to look with a caller's eyes.
pub fn look<'s>(state: &'s State, caller: &'s Caller) -> Look<'s> {
    state.surface.sight.of(caller.viewer())
}

/// Answers `missing` for a file that the caller may not see, the same as for one that is not there.
pub async fn check_file(
    state: &State,
    caller: &Caller,
    key: &ObjectKey,
    missing: impl FnOnce() -> Problem,
) -> Result<(), Problem> {
    let visible = look(state, caller).sees_file(key).await;
    if visible.map_err(|fault| unanswered(&fault))? {
        Ok(())
    } else {
        Err(missing())
    }
}

/// Nothing is shown while it cannot be told whether it may be.
pub fn unanswered(fault: &GraphFault) -> Problem {
    tracing::warn!(%fault, "it cannot be told who may see what");
    let detail = "the graph does not tell at present who may see what";
    Problem::new(Kind::Unavailable, detail).retry_after(RETRY_SECONDS)
}
