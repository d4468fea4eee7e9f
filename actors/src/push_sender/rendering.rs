//! Turns a push into what the phone shows. Names are looked up when it is sent, so that they are current and the
//! journal holds none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use iyagi_messages::ids::{ElementId, Seq, Timestamp};
use iyagi_messages::push::MergeKind;
use iyagi_messages::template::{ShownWith, Template};
use thiserror::Error;

use super::state::PushState;
use super::texts::{Texts, Values};
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

    /// A thing's title, or else its name, as of a moment or later.
    pub async fn title_or_name_of(
        &self,
        thing: &ElementId,
        as_of: Timestamp,
    ) -> Result<Option<String>, GraphFault> {
        match self.title_of(thing, as_of).await? {
            Some(title) => Ok(Some(title)),
            None => self.name_of(thing, as_of).await,
        }
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
        let found = self.graph.values_of(id, property).await?;
        let found = found.into_iter().next();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= NAMES_MAX {
            known.clear();
        }
        known.insert(key, (found.clone(), now));
        Ok(found)
    }
}

/// What a push is rendered with, besides itself.
pub struct Rendering<'a> {
    /// The template's texts, in the recipient's language.
    pub texts: &'a Texts,
    /// What the push was matched by.
    pub template: &'a Template,
    /// What a push is told by that tells of different things.
    pub digest: Option<&'a Template>,
    /// Names and titles.
    pub names: &'a Names,
    /// The recipient's own choice of language, instead of the phone's.
    pub locale: Option<&'a str>,
    /// Number of the phone's registration.
    pub registration: Seq,
    /// What the recipient has not read, this push included; absent if that is not known.
    pub badge: Option<u32>,
    /// The moment.
    pub now: Timestamp,
}

impl Rendering<'_> {
    /// Renders a push for its phone.
    pub async fn render(&self, state: &PushState) -> Result<Payload, Unrenderable> {
        let push = &*state.push;
        let (Some(device), Some(platform)) = (&push.device, push.platform) else {
            return Err(Unrenderable::NoDevice);
        };
        let locale = self.locale.unwrap_or(&push.locale);
        let digest = state
            .progress
            .merged
            .filter(|merged| merged.kind == MergeKind::Digest)
            .and(self.digest);
        let template = digest.unwrap_or(self.template);
        let values = self.values_of(state, template.shown_with()).await?;
        let device_texts = self.texts.keys(template, &values);
        let (title, body) =
            match &device_texts {
                // The app has its own: not a word of it leaves the daemon.
                Some(_) => Default::default(),
                None => self.texts.fill(template, locale, &values).ok_or_else(|| {
                    Unrenderable::NoText {
                        template: template.id.to_string(),
                        locale: locale.to_owned(),
                    }
                })?,
            };
        Ok(Payload {
            push_id: push.id,
            collapse_id: push.burst.unwrap_or_else(|| push.notification()),
            device: device.clone(),
            platform,
            registration: self.registration,
            title,
            body,
            device_texts,
            link: link_to(template, &values),
            category: template.category.clone(),
            badge: self.badge,
            presentation: template.presentation.clone(),
            ttl_seconds: u32::try_from(state.deadline().since_ms(self.now) / 1000)
                .unwrap_or(u32::MAX),
        })
    }

    /// Nobody is asked for names that are not shown.
    async fn values_of(&self, state: &PushState, shown: ShownWith) -> Result<Values, Unrenderable> {
        let push = &*state.push;
        let mut values = Values {
            key: push.key.clone().unwrap_or_default(),
            count: state.progress.merged.map_or(1, |merged| merged.count),
            others: state
                .progress
                .merged
                .map_or(0, |merged| merged.actors.saturating_sub(1)),
            ..Values::default()
        };
        if let Some(actor) = &push.actor {
            let id: ElementId = actor.clone().into();
            if shown.names {
                let name = self.names.name_of(&id, push.at).await?;
                values.actor = name.unwrap_or_else(|| id.to_string());
            }
            values.actor_id = id.to_string();
        }
        if let Some(subject) = &push.subject {
            if shown.titles {
                let title = self.names.title_or_name_of(subject, push.at).await?;
                values.title = title.unwrap_or_else(|| subject.to_string());
            }
            values.subject = subject.to_string();
        }
        Ok(values)
    }
}

/// Where a tap leads: the template's link with the subject's id in the place of `{subject}`.
pub fn link_to(template: &Template, values: &Values) -> String {
    template.link.replace("{subject}", &values.subject)
}
