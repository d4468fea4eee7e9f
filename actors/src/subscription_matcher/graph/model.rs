//! What the labels of a network's graph mean.

use iyagi_messages::preferences::Silence;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::projections::lexicon::Lexicon;
use crate::visibility::Visibility;

/// What the labels of the graph mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GraphModel {
    /// Label of vertices that are people.
    pub person_label: String,
    /// Labels of edges by which a person follows someone or something.
    pub follow_labels: Vec<String>,
    /// Labels of edges by which a person blocks another: neither hears of the other.
    pub block_labels: Vec<String>,
    /// Labels of edges by which a person mutes someone or something.
    pub mute_labels: Vec<String>,
    /// Labels of edges from a person to what they made.
    pub authored_labels: Vec<String>,
    /// Property that holds a person's name.
    pub name_property: String,
    /// Property that holds a thing's title.
    pub title_property: String,
    /// Property that says who made a change to a vertex.
    pub actor_property: String,
    /// Property of a thing that says who may see it: `public`, `followers` or `private`.
    pub visibility_property: String,
    /// Who may see a thing that does not say it.
    pub visibility_default: Visibility,
}

impl Default for GraphModel {
    fn default() -> Self {
        Self {
            person_label: "Person".to_owned(),
            follow_labels: vec!["FOLLOWS".to_owned()],
            block_labels: vec!["BLOCKS".to_owned()],
            mute_labels: vec!["MUTES".to_owned()],
            authored_labels: vec!["POSTED".to_owned()],
            name_property: "name".to_owned(),
            title_property: "title".to_owned(),
            actor_property: "updated_by".to_owned(),
            visibility_property: "visibility".to_owned(),
            visibility_default: Visibility::Followers,
        }
    }
}

impl GraphModel {
    /// What an edge with a label keeps from whom it comes from.
    pub fn silence_of(&self, label: &str) -> Option<Silence> {
        let is_one_of = |labels: &[String]| labels.iter().any(|known| known == label);
        if is_one_of(&self.block_labels) {
            Some(Silence::Block)
        } else if is_one_of(&self.mute_labels) {
            Some(Silence::Mute)
        } else {
            None
        }
    }
}

/// What a [`GraphModel`] means, by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// Label of people.
    pub person: u32,
    pub(super) follow: Vec<u32>,
    pub(super) authored: Vec<u32>,
    /// Property that says who may see a vertex.
    pub(super) visibility_property: String,
    /// Who may see what does not say it.
    pub visibility_default: Visibility,
}

impl Meaning {
    /// Looks the model's labels up once.
    pub fn of(model: &GraphModel, lexicon: &mut Lexicon) -> Self {
        let mut numbers = |labels: &[String]| {
            let numbers = labels.iter().map(|label| lexicon.labels.intern(label));
            numbers.collect()
        };
        Self {
            follow: numbers(&model.follow_labels),
            authored: numbers(&model.authored_labels),
            person: lexicon.labels.intern(&model.person_label),
            visibility_property: model.visibility_property.clone(),
            visibility_default: model.visibility_default,
        }
    }

    /// Whether people follow by edges of a label.
    pub fn is_follow(&self, label: u32) -> bool {
        self.follow.contains(&label)
    }
}
