//! What a request asks for: a subscription with terms of its own, or a default notification again.

use iyagi_actors::subscription_matcher::graph::GraphModel;
use iyagi_actors::subscription_matcher::matching::Templates;
use iyagi_messages::ids::{PersonId, TemplateId};

use super::terms::{Terms, known_default};
use crate::auth::Caller;
use crate::http::problem::Problem;
use crate::http::request::Fields;

/// What a request asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Wanted {
    Explicit {
        owner: PersonId,
        terms: Terms,
    },
    Default {
        owner: PersonId,
        template: TemplateId,
    },
}

impl Wanted {
    pub(super) fn read(
        body: &[u8],
        caller: &Caller,
        templates: &Templates,
        model: &GraphModel,
    ) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        let owner = caller.as_field("owner", &mut fields)?;
        if fields.has("anchor") {
            let terms = Terms::read(fields, templates, model)?;
            return Ok(Self::Explicit { owner, terms });
        }
        if !fields.has("template") {
            let detail =
                "name an `anchor` for a subscription, or the `template` of a default notification";
            return Err(Problem::invalid("anchor", detail));
        }
        let template: TemplateId = fields.required("template")?;
        fields.end(&["owner", "anchor", "template"])?;
        known_default(templates, &template)?;
        Ok(Self::Default { owner, template })
    }
}
