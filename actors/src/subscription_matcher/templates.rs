//! The kinds of notification that there are.

use std::collections::HashMap;

use iyagi_messages::ids::TemplateId;
use iyagi_messages::template::Template;

/// The template of pushes that tell of different things.
const DIGEST: &str = "digest";

/// Templates by id, in the order of precedence.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Templates {
    ordered: Vec<Template>,
    by_id: HashMap<TemplateId, usize>,
}

impl Templates {
    /// Earlier templates win over later ones about the same change.
    pub fn new(ordered: Vec<Template>) -> Self {
        let by_id = ordered
            .iter()
            .enumerate()
            .map(|(at, one)| (one.id.clone(), at))
            .collect();
        Self { ordered, by_id }
    }

    /// A template.
    pub fn get(&self, id: &TemplateId) -> Option<&Template> {
        self.by_id.get(id).map(|at| &self.ordered[*at])
    }

    /// The same without windows: every push goes by itself.
    #[must_use]
    pub fn unmoderated(&self) -> Self {
        let mut templates = self.clone();
        for template in &mut templates.ordered {
            template.burst_seconds = 0;
            template.duplicate_seconds = 0;
        }
        templates
    }

    /// The longest time, in milliseconds, that any of them looks back for repeats and bursts.
    pub fn longest_window_ms(&self) -> u64 {
        let windows = self
            .ordered
            .iter()
            .map(|template| template.duplicate_seconds.max(template.burst_seconds));
        windows
            .max()
            .map_or(0, |seconds| u64::from(seconds) * 1_000)
    }

    /// What a push is told by that tells of different things; each by its own texts if there is none.
    pub fn digest(&self) -> Option<&Template> {
        self.get(&TemplateId::from(DIGEST))
    }

    /// Every template, in order of precedence.
    pub fn iter(&self) -> impl Iterator<Item = &Template> {
        self.ordered.iter()
    }
}
