//! What the graph said a moment ago: the pushes of a morning tell many people of few things, and each is asked about once a
//! second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use iyagi_messages::change::EdgeEnds;
use iyagi_messages::ids::{ElementId, Timestamp};

use super::Vertex;
use crate::ports::{Clock, GraphFault};

/// How long an answer holds, in milliseconds: no longer than it takes a push to leave.
const RECENT_MS: u64 = 1_000;
/// Answers of one kind that are kept; beyond that all are forgotten, which costs a question each.
const ANSWERS_MAX: usize = 10_000;

/// The answers of the last moment.
pub(super) struct Recent {
    clock: Arc<dyn Clock>,
    vertices: Answers<Vertex>,
    edges: Answers<Option<EdgeEnds>>,
}

/// By element, with when the question was put.
type Answers<T> = Mutex<HashMap<ElementId, (T, Timestamp)>>;

impl Recent {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            vertices: Mutex::default(),
            edges: Mutex::default(),
        }
    }

    /// A vertex, by what is known of it or else by `asked`.
    pub(super) async fn vertex(
        &self,
        id: &ElementId,
        asked: impl Future<Output = Result<Vertex, GraphFault>>,
    ) -> Result<Vertex, GraphFault> {
        self.answer(&self.vertices, id, asked).await
    }

    /// What an edge joins, by what is known of it or else by `asked`.
    pub(super) async fn ends(
        &self,
        id: &ElementId,
        asked: impl Future<Output = Result<Option<EdgeEnds>, GraphFault>>,
    ) -> Result<Option<EdgeEnds>, GraphFault> {
        self.answer(&self.edges, id, asked).await
    }

    async fn answer<T: Clone>(
        &self,
        answers: &Answers<T>,
        id: &ElementId,
        asked: impl Future<Output = Result<T, GraphFault>>,
    ) -> Result<T, GraphFault> {
        // Before it is asked: what changes while the answer is on its way is not in it.
        let now = self.clock.now();
        let lock = || answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, at)) = lock().get(id)
            && (*at..at.plus_ms(RECENT_MS)).contains(&now)
        {
            return Ok(known.clone());
        }
        let answer = asked.await?;
        let mut answers = lock();
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        answers.insert(id.clone(), (answer.clone(), now));
        Ok(answer)
    }
}
