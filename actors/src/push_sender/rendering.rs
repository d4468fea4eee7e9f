//! Turns a push into what the phone shows. Names are looked up when it is sent, so that they are current and the
//! journal holds none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use iyagi_messages::ids::{ElementId, Seq, Timestamp};
use iyagi_messages::push::Push;
use iyagi_messages::template::Template;
use thiserror::Error;

use crate::ports::{Clock, GraphFault, GraphQueries, Payload};
use crate::subscription_matcher::graph::GraphModel;

/// How long a name that was looked up is taken to be current, in milliseconds. A push never shows one that was looked
/// up before its own change.
const NAME_TTL_MS: u64 = 10_000;
/// Names kept; beyond that all are forgotten, which costs a look-up each.
const NAMES_MAX: usize = 10_000;

/// Looks up names and titles, and remembers them for a moment.
pub struct Names {
    graph: Arc<dyn GraphQueries>,
    clock: Arc<dyn Clock>,
    model: GraphModel,
    known: Mutex<HashMap<Question, (Option<String>, Timestamp)>>,
}

/// Whose name, or else whose title.
type Question = (ElementId, bool);

/// Why a push cannot be rendered.
#[derive(Debug, Error)]
pub enum Unrenderable {
    /// The graph did not answer.
    #[error(transparent)]
    Graph(#[from] GraphFault),
    /// Configuration lacks the texts.
    #[error("template `{template}` has no text for locale `{locale}` nor for `en`")]
    NoText {
        /// The template.
        template: String,
        /// The recipient's locale.
        locale: String,
    },
    /// The push has no phone, which is suppressed before it comes here.
    #[error("the push has no device")]
    NoDevice,
}

impl Names {
    /// Names out of `graph`.
    pub fn new(graph: Arc<dyn GraphQueries>, clock: Arc<dyn Clock>, model: GraphModel) -> Self {
        Self {
            graph,
            clock,
            model,
            known: Mutex::default(),
        }
    }

    /// A person's name, as of a moment or later.
    pub async fn name_of(
        &self,
        person: &ElementId,
        as_of: Timestamp,
    ) -> Result<Option<String>, GraphFault> {
        self.look_up(person, true, as_of).await
    }

    /// A thing's title, as of a moment or later.
    pub async fn title_of(
        &self,
        thing: &ElementId,
        as_of: Timestamp,
    ) -> Result<Option<String>, GraphFault> {
        self.look_up(thing, false, as_of).await
    }

    async fn look_up(
        &self,
        id: &ElementId,
        name: bool,
        as_of: Timestamp,
    ) -> Result<Option<String>, GraphFault> {
        let now = self.clock.now();
        let key = (id.clone(), name);
        if let Some((known, at)) = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            && *at > as_of
            && now.since_ms(*at) < NAME_TTL_MS
        {
            return Ok(known.clone());
        }
        let property = if name {
            &self.model.name_property
        } else {
            &self.model.title_property
        };
        let found = self.graph.property_of(id, property).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= NAMES_MAX {
            known.clear();
        }
        known.insert(key, (found.clone(), now));
        Ok(found)
    }
}

/// Renders a push for its phone, which has the given registration.
pub async fn render(
    push: &Push,
    registration: Seq,
    template: &Template,
    names: &Names,
    now: Timestamp,
) -> Result<Payload, Unrenderable> {
    let texts = template
        .texts_for(&push.locale)
        .ok_or_else(|| Unrenderable::NoText {
            template: template.id.to_string(),
            locale: push.locale.clone(),
        })?;
    let (Some(device), Some(platform)) = (&push.device, push.platform) else {
        return Err(Unrenderable::NoDevice);
    };
    let mut values = HashMap::from([("key", push.key.clone().unwrap_or_default())]);
    if let Some(actor) = &push.actor {
        let id: ElementId = actor.clone().into();
        let name = names.name_of(&id, push.at).await?;
        values.insert("actor", name.unwrap_or_else(|| id.to_string()));
    }
    if let Some(subject) = &push.subject {
        let title = names.title_of(subject, push.at).await?;
        let title = match title {
            Some(title) => title,
            None => names
                .name_of(subject, push.at)
                .await?
                .unwrap_or_else(|| subject.to_string()),
        };
        values.insert("title", title);
        values.insert("subject", subject.to_string());
    }
    Ok(Payload {
        push_id: push.id,
        device: device.clone(),
        platform,
        registration,
        title: fill(&texts.title, &values),
        body: fill(&texts.body, &values),
        link: fill(&template.link, &values),
        category: push.category.clone(),
        ttl_seconds: u32::try_from(push.expires_at.since_ms(now) / 1000).unwrap_or(u32::MAX),
    })
}

/// Puts values in the place of `{name}`; what has no value is left out, and values are never filled in again.
fn fill(text: &str, values: &HashMap<&str, String>) -> String {
    let mut filled = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}') else {
            break;
        };
        filled.push_str(&rest[..open]);
        if let Some(value) = values.get(&rest[open + 1..open + close]) {
            filled.push_str(value);
        }
        rest = &rest[open + close + 1..];
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_braces_is_not_filled_in_again() {
        let values = HashMap::from([("actor", "{title}".to_owned()), ("title", "x".to_owned())]);
        assert_eq!(
            fill("{actor} likes {title}{unknown} {", &values),
            "{title} likes x {"
        );
    }
}
