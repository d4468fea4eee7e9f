//! The parts of pages that change, each written by the template that wrote it when the page was loaded.

use askama::Template;

use super::actors::{Detail, Tree};
use super::dead_letters::Groups;
use super::look::Look;
use super::overview::Now;
use super::pipelines::Lanes;
use super::verdict::Strip;
use crate::http::State;
use crate::http::problem::Problem;
use crate::http::request::{decoded, did_you_mean};
use crate::http::response::encoded;

/// A part of a page. A page names those it has in `data-live`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Topic {
    /// The line above every page.
    Verdict,
    /// What the overview says of now.
    Overview,
    /// The supervision tree, with the workers of a pool.
    Actors(Option<String>),
    /// One actor, by name.
    Actor(String),
    /// The lanes of both pipelines.
    Pipelines,
    /// The groups of dead letters.
    DeadLetters,
}

const NAMES: [&str; 7] = [
    "verdict",
    "overview",
    "actors",
    "actors:{pool}",
    "actor:{name}",
    "pipelines",
    "dead-letters",
];

impl Topic {
    /// Reads a name, behind which a colon and what it is of may stand.
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        let (name, of) = text.split_once(':').unwrap_or((text, ""));
        match (name, of) {
            ("verdict", "") => Ok(Self::Verdict),
            ("overview", "") => Ok(Self::Overview),
            ("actors", "") => Ok(Self::Actors(None)),
            ("actors", of) => Ok(Self::Actors(Some(decoded(of, "topics")?))),
            ("actor", of) => Ok(Self::Actor(decoded(of, "topics")?)),
            ("pipelines", "") => Ok(Self::Pipelines),
            ("dead-letters", "") => Ok(Self::DeadLetters),
            _ => {
                let hint = did_you_mean(name, NAMES.into_iter());
                let detail = format!("there is no topic `{text}`{hint}");
                let problem = Problem::invalid("topics", detail);
                Err(problem.with("available", NAMES.to_vec()))
            }
        }
    }

    /// The name as it was read.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Verdict => "verdict".to_owned(),
            Self::Overview => "overview".to_owned(),
            Self::Actors(None) => "actors".to_owned(),
            Self::Actors(Some(pool)) => format!("actors:{}", encoded(pool)),
            Self::Actor(name) => format!("actor:{}", encoded(name)),
            Self::Pipelines => "pipelines".to_owned(),
            Self::DeadLetters => "dead-letters".to_owned(),
        }
    }

    /// What the part is now, for somebody who may act or may only look; nothing once what it is of is gone.
    pub(super) fn html(
        &self,
        state: &State,
        look: &Look,
        may_act: bool,
    ) -> Result<Option<String>, Problem> {
        let html = match self {
            Self::Verdict => Strip::of(look).render(),
            Self::Overview => Now::of(look, &state.board.marks()).render(),
            Self::Actors(open) => Tree::of(look, open.as_deref(), may_act).render(),
            Self::Actor(name) => match Detail::of(look, name, may_act) {
                Some(detail) => detail.render(),
                None => return Ok(None),
            },
            Self::Pipelines => Lanes::of(look, may_act).render(),
            Self::DeadLetters => Groups::of(&state.surface, look.at).render(),
        };
        let html = html.map_err(|error| Problem::internal("a part of a page", &error))?;
        Ok(Some(html))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_named_as_it_was_read() {
        for name in [
            "verdict",
            "actors",
            "actors:push-sender",
            "actor:push-sender/0",
            "actor:a%2Cb",
        ] {
            assert_eq!(Topic::read(name).expect("a topic").name(), name);
        }
        for unknown in ["", "verdicts", "verdict:x", "actor:"] {
            let problem = Topic::read(unknown).unwrap_err();
            assert_eq!(problem.to_json()["field"], "topics", "{unknown}");
        }
    }
}
