//! Which letters are meant.

use iyagi_actors::projections::{LetterState, Outbox};
use iyagi_messages::device::Platform;
use iyagi_messages::ids::{PersonId, TemplateId, Timestamp};
use iyagi_messages::letter::Origin;
use iyagi_messages::push::Push;
use serde::Deserialize;

use crate::http::problem::Problem;
use crate::http::request::Query;

/// The parameters of a query that restrict a list of letters.
pub(super) const PARAMETERS: [&str; 7] = [
    "origin", "reason", "template", "person", "platform", "since", "until",
];

/// Which letters are meant; what is absent does not restrict. As JSON it is the body's `filter`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Filter {
    /// `push`, `thumbnails` or `metadata`.
    pub(super) origin: Option<String>,
    /// Why the job was given up.
    pub(super) reason: Option<String>,
    /// What a push was matched by.
    pub(super) template: Option<TemplateId>,
    /// Who was to be told by a push.
    pub(super) person: Option<PersonId>,
    /// The push service of a push's phone.
    pub(super) platform: Option<Platform>,
    /// Given up at this moment or later.
    pub(super) since: Option<Timestamp>,
    /// Given up before this moment.
    pub(super) until: Option<Timestamp>,
}

impl Filter {
    pub(super) fn of(query: &Query) -> Result<Self, Problem> {
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

    /// The waiting letters that are meant.
    pub(super) fn among<'o>(&self, outbox: &'o Outbox) -> impl Iterator<Item = &'o LetterState> {
        let fits = move |state: &&LetterState| self.fits(state, outbox);
        outbox.letters().filter(fits)
    }

    fn fits(&self, state: &LetterState, outbox: &Outbox) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        let letter = &state.letter;
        let push = push_of(state, outbox);
        self.origin
            .as_deref()
            .is_none_or(|origin| origin == letter.origin.name())
            && self
                .reason
                .as_ref()
                .is_none_or(|reason| *reason == letter.reason)
            && is(self.template.as_ref(), push.map(|push| &push.template))
            && is(self.person.as_ref(), push.map(|push| &push.recipient))
            && is(
                self.platform.as_ref(),
                push.and_then(|push| push.platform.as_ref()),
            )
            && self.since.is_none_or(|since| letter.at >= since)
            && self.until.is_none_or(|until| letter.at < until)
    }
}

/// The push that a letter stands for. As long as the letter waits, the push is there.
pub(super) fn push_of<'o>(state: &LetterState, outbox: &'o Outbox) -> Option<&'o Push> {
    let Origin::Push { push, .. } = &state.letter.origin else {
        return None;
    };
    Some(&outbox.push(*push)?.push)
}
