//! Which letters are meant.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use iyagi_actors::projections::{LetterPlace, LetterState, Outbox, bodies};
use iyagi_messages::device::Platform;
use iyagi_messages::ids::{LetterId, PersonId, PushId, TemplateId, Timestamp};
use iyagi_messages::letter::{Letter, Origin};
use iyagi_messages::push::Push;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::http::journalled;
use crate::http::problem::Problem;
use crate::http::request::Query;
use crate::surface::Surface;

/// The parameters of a query that restrict a list of letters.
pub(in crate::http) const PARAMETERS: [&str; 7] = [
    "origin", "reason", "template", "person", "platform", "since", "until",
];

/// Which letters are meant; what is absent does not restrict. As JSON it is the body's `filter`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
#[schema(as = DeadLetterFilter)]
pub(in crate::http) struct Filter {
    /// `push`, `thumbnails`, `audio`, `metadata` or `document`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) origin: Option<String>,
    /// Why the job was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) reason: Option<String>,
    /// What a push was matched by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    #[schema(value_type = Option<String>)]
    pub(in crate::http) template: Option<TemplateId>,
    /// Who was to be told by a push.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    #[schema(value_type = Option<String>)]
    pub(in crate::http) person: Option<PersonId>,
    /// The push service of a push's phone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub(in crate::http) platform: Option<Platform>,
    /// Given up at this moment or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<i64>, minimum = 0)]
    pub(in crate::http) since: Option<Timestamp>,
    /// Given up before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<i64>, minimum = 0)]
    pub(in crate::http) until: Option<Timestamp>,
}

impl Filter {
    pub(in crate::http) fn of(query: &Query) -> Result<Self, Problem> {
        let moment = |name| match query.text(name) {
            Some(_) => {
                let ms = query.number(name, 0..=i64::MAX as u64, 0)?;
                Ok(Some(Timestamp(ms as i64)))
            }
            None => Ok(None),
        };
        let platform = match query.text("platform") {
            None => None,
            Some("fcm") => Some(Platform::Fcm),
            Some("apns") => Some(Platform::Apns),
            Some(other) => {
                let detail = format!("`platform` is `fcm` or `apns`, not `{other}`");
                return Err(Problem::invalid("platform", detail));
            }
        };
        Ok(Self {
            origin: query.text("origin").map(str::to_owned),
            reason: query.text("reason").map(str::to_owned),
            template: query.text("template").map(TemplateId::from),
            person: query.text("person").map(PersonId::from),
            platform,
            since: moment("since")?,
            until: moment("until")?,
        })
    }

    /// The waiting letters that are meant, the newest first, behind a place in the list.
    pub(super) fn among<'o>(
        &self,
        outbox: &'o Outbox,
        pushes: &DeadPushes,
        behind: Option<LetterPlace>,
    ) -> impl Iterator<Item = &'o LetterState> {
        let fits = move |state: &&LetterState| {
            self.fits(&state.letter) && self.fits_push(pushes.of(&state.letter).map(|push| &**push))
        };
        let group = self.origin.as_deref().zip(self.reason.as_deref());
        outbox
            .letters_between(group, self.bounds(behind))
            .filter(fits)
    }

    /// Where in the list those letters can be.
    fn bounds(&self, behind: Option<LetterPlace>) -> (Bound<LetterPlace>, Bound<LetterPlace>) {
        // Newest first: the end of a time is the beginning of its part of the list.
        let until = self
            .until
            .map(|until| LetterPlace(Reverse(until), LetterId(Uuid::max())));
        let since = self
            .since
            .map(|since| LetterPlace(Reverse(since), LetterId(Uuid::max())));
        let from = until.into_iter().chain(behind).max();
        (
            from.map_or(Bound::Unbounded, Bound::Excluded),
            since.map_or(Bound::Unbounded, Bound::Included),
        )
    }

    /// Whether a letter can be chosen only by the push that it stands for.
    fn asks_for_pushes(&self) -> bool {
        self.template.is_some() || self.platform.is_some()
    }

    /// Whether nothing but the kind of job and the reason is asked for.
    pub(super) fn is_of_groups(&self) -> bool {
        let group = Self {
            origin: self.origin.clone(),
            reason: self.reason.clone(),
            ..Self::default()
        };
        *self == group
    }

    fn fits(&self, letter: &Letter) -> bool {
        let person = match &letter.origin {
            Origin::Push { recipient, .. } => Some(recipient),
            Origin::Object { .. } | Origin::Document { .. } => None,
        };
        self.origin
            .as_deref()
            .is_none_or(|origin| origin == letter.origin.name())
            && self
                .reason
                .as_ref()
                .is_none_or(|reason| *reason == letter.reason)
            && is(self.person.as_ref(), person)
            && self.since.is_none_or(|since| letter.at >= since)
            && self.until.is_none_or(|until| letter.at < until)
    }

    fn fits_push(&self, push: Option<&Push>) -> bool {
        is(self.template.as_ref(), push.map(|push| &push.template))
            && is(
                self.platform.as_ref(),
                push.and_then(|push| push.platform.as_ref()),
            )
    }
}

fn is<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
    wanted.is_none() || wanted == found
}

/// The pushes that letters stand for. They are in the journal, so they are read before anything is looked at.
#[derive(Default)]
pub(super) struct DeadPushes(HashMap<PushId, Arc<Push>>);

impl DeadPushes {
    /// Those that a filter chooses letters by: none, unless it does so by what only pushes have.
    pub(super) async fn behind(surface: &Surface, filter: &Filter) -> Result<Self, Problem> {
        if !filter.asks_for_pushes() {
            return Ok(Self::default());
        }
        let ids: Vec<LetterId> = {
            let outbox = surface.tree.projections.outbox();
            let letters = outbox.letters().map(|state| &state.letter);
            let fitting = letters.filter(|letter| filter.fits(letter));
            fitting.map(|letter| letter.id).collect()
        };
        Self::of_letters(surface, &ids).await
    }

    /// Those of letters.
    pub(super) async fn of_letters(surface: &Surface, ids: &[LetterId]) -> Result<Self, Problem> {
        let pending: Vec<_> = {
            let outbox = surface.tree.projections.outbox();
            let letters = ids.iter().filter_map(|id| outbox.letter(*id));
            let pushes = letters.filter_map(|state| push_id(&state.letter));
            pushes.filter_map(|id| outbox.body_of(id)).collect()
        };
        let bodies = bodies(&*surface.journal, pending).await;
        let bodies = bodies.map_err(|fault| journalled::problem_of(&fault))?;
        let by_id = bodies.into_iter().map(|body| (body.push.id, body.push));
        Ok(Self(by_id.collect()))
    }

    /// The push that a letter stands for, if it was there when it was looked for.
    pub(super) fn of(&self, letter: &Letter) -> Option<&Arc<Push>> {
        self.0.get(&push_id(letter)?)
    }
}

fn push_id(letter: &Letter) -> Option<PushId> {
    match &letter.origin {
        Origin::Push { push, .. } => Some(*push),
        Origin::Object { .. } | Origin::Document { .. } => None,
    }
}
