//! The parts of pages that change, each written by the template that wrote it when the page was loaded.

use askama::Template;

use super::look::Look;
use super::overview::Now;
use super::verdict::Strip;
use crate::http::State;
use crate::http::problem::{Kind, Problem};
use crate::http::request::did_you_mean;

/// A part of a page. A page names those it has in `data-live`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Topic {
    /// The line above every page.
    Verdict,
    /// What the overview says of now.
    Overview,
}

const NAMES: [&str; 2] = ["verdict", "overview"];

impl Topic {
    /// Reads a name: one of [`NAMES`].
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        match text {
            "verdict" => Ok(Self::Verdict),
            "overview" => Ok(Self::Overview),
            other => {
                let hint = did_you_mean(other, NAMES.into_iter());
                let detail = format!("there is no topic `{other}`{hint}");
                let problem = Problem::new(Kind::InvalidField, detail);
                Err(problem
                    .with("field", "topics")
                    .with("available", NAMES.to_vec()))
            }
        }
    }

    /// The name as it was read.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Verdict => "verdict".to_owned(),
            Self::Overview => "overview".to_owned(),
        }
    }

    /// What the part is now.
    pub(super) async fn html(&self, _: &State, look: &Look) -> Result<String, Problem> {
        let html = match self {
            Self::Verdict => Strip::of(look).render(),
            Self::Overview => Now::of(look).render(),
        };
        html.map_err(|error| Problem::internal("a part of a page", &error))
    }
}
