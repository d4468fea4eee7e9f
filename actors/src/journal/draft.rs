//! Gathers the events of one handled message, with their derived ids and causes.

use std::collections::HashMap;

use iyagi_messages::event::{Entity, NewEvent};
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{EventId, Incarnation, Seq};

use super::port::{Append, Expected};

/// The events of one handled message, before they are appended.
pub struct Draft {
    actor: Incarnation,
    corr: String,
    events: Vec<NewEvent>,
    expected: Vec<Expected>,
    ordinals: HashMap<(EventId, String), u32>,
}

impl Draft {
    /// An empty draft of `actor` about what began with `corr`.
    pub fn new(actor: &impl ToString, corr: impl Into<String>) -> Self {
        Self {
            actor: Incarnation(actor.to_string()),
            corr: corr.into(),
            events: Vec::new(),
            expected: Vec::new(),
            ordinals: HashMap::new(),
        }
    }

    /// Goes on with events that began with something else.
    pub fn correlate(&mut self, corr: impl Into<String>) {
        self.corr = corr.into();
    }

    /// Adds an event that another one led to.
    pub fn follow(&mut self, cause: EventId, entity: Entity, fact: impl Into<Fact>) -> EventId {
        let fact = fact.into();
        let ordinal = self
            .ordinals
            .entry((cause, fact.kind().to_owned()))
            .or_default();
        let id = EventId::derived(cause, fact.kind(), *ordinal);
        *ordinal += 1;
        self.add(id, Some(cause), entity, fact)
    }

    /// Adds an event that began outside; `upstream` tells it from every other of its kind.
    pub fn begin(&mut self, upstream: &str, entity: Entity, fact: impl Into<Fact>) -> EventId {
        let fact = fact.into();
        let id = EventId::root(fact.kind(), upstream);
        self.add(id, None, entity, fact)
    }

    /// Lets the append fail unless the entity is still where the decision saw it.
    pub fn expect(&mut self, entity: Entity, seq: Seq) {
        self.expected.push(Expected { entity, seq });
    }

    /// Whether there is nothing to append.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The append.
    pub fn finish(self) -> Append {
        Append {
            actor: self.actor,
            events: self.events,
            expected: self.expected,
        }
    }

    fn add(&mut self, id: EventId, cause: Option<EventId>, entity: Entity, fact: Fact) -> EventId {
        self.events.push(NewEvent {
            id,
            entity,
            cause,
            corr: self.corr.clone(),
            fact,
        });
        id
    }
}
