//! Who is to be told of a commit: a pure function of the commit, the graph and the audience.

use std::collections::{HashMap, HashSet};

use iyagi_messages::change::{
    ChangeKind, Commit, EdgeEnds, ElementChange, ElementKind, element_changes,
};
use iyagi_messages::ids::{ElementId, PersonId, PushId, TemplateId};
use iyagi_messages::push::Push;
use iyagi_messages::subscription::{Anchor, Direction, Subscription, When};
use iyagi_messages::template::Template;

use super::graph::{Graph, GraphModel};
use crate::projections::Audience;

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

/// A person who is to be told of a change, and as what.
struct Match<'a> {
    recipient: PersonId,
    template: &'a Template,
}

/// The pushes of a commit, one per person, changed element and device, and the graph as of the commit.
///
/// `graph` must be as of the commit before. A person without a phone gets one push without a device, so that the
/// journal can say why nothing was sent.
pub fn pushes_of(
    commit: &Commit,
    graph: &mut Graph,
    model: &GraphModel,
    audience: &Audience,
    templates: &Templates,
) -> Vec<Push> {
    let mut changes = element_changes(commit, |vertex| graph.labels_of(vertex));
    for change in &mut changes {
        if change.kind == ElementKind::Edge && change.edge.is_none() {
            change.edge = graph.edge(&change.id);
        }
    }
    // What is gone is judged by the graph before the commit, everything else by the graph after it.
    let (gone, present): (Vec<_>, Vec<_>) = changes
        .into_iter()
        .partition(|change| change.change == ChangeKind::Deleted);
    let mut pushes = Vec::new();
    let mut collect = |changes: &[ElementChange], graph: &Graph| {
        let view = View {
            commit: commit.number,
            graph,
            model,
            audience,
            templates,
        };
        for change in changes {
            view.collect(commit, change, &mut pushes);
        }
    };
    collect(&gone, graph);
    graph.fold(commit, model);
    collect(&present, graph);
    pushes
}

struct View<'a> {
    commit: u64,
    graph: &'a Graph,
    model: &'a GraphModel,
    audience: &'a Audience,
    templates: &'a Templates,
}

impl<'a> View<'a> {
    fn collect(&self, commit: &Commit, change: &ElementChange, pushes: &mut Vec<Push>) {
        let mut told = HashSet::new();
        let actor = self.actor_of(change);
        for found in self.matches(change) {
            if told.insert(found.recipient.clone()) {
                self.address(commit, change, actor.as_ref(), found, pushes);
            }
        }
    }

    /// Default notifications first, so that they win over explicit subscriptions to the same change.
    fn matches(&self, change: &ElementChange) -> Vec<Match<'a>> {
        let mut found = Vec::new();
        if let Some(edge) = &change.edge {
            for template in self.templates.iter() {
                if let Some(anchor) = &template.anchor {
                    for recipient in self.default_recipients(anchor, edge) {
                        if self.holds(&template.when, change, Some(other_end(anchor, edge))) {
                            found.push(Match {
                                recipient,
                                template,
                            });
                        }
                    }
                }
            }
            for subscription in self.subscriptions_to_edge(edge) {
                self.subscribed(
                    subscription,
                    change,
                    Some(other_end(&subscription.anchor, edge)),
                    &mut found,
                );
            }
        }
        for subscription in self.audience.at_element(&change.id) {
            self.subscribed(subscription, change, None, &mut found);
        }
        let of_edge = change.edge.iter().map(|edge| &edge.label);
        let labels: HashSet<&String> = change
            .labels_before
            .iter()
            .chain(&change.labels_after)
            .chain(of_edge)
            .collect();
        for label in labels {
            for subscription in self.audience.at_label(label) {
                self.subscribed(subscription, change, None, &mut found);
            }
        }
        found
    }

    /// Recipients of a template, found from the changed edge: no row per person is needed.
    fn default_recipients(&self, anchor: &Anchor, edge: &EdgeEnds) -> Vec<PersonId> {
        match anchor {
            Anchor::Incident { vertex, dir } if vertex.as_str() == "@me" => ends(edge, *dir)
                .filter(|end| self.graph.has_label(end, &self.model.person_label))
                .map(|end| end.clone().into())
                .collect(),
            Anchor::Owned { dir } => ends(edge, *dir)
                .filter_map(|end| self.graph.maker_of(end))
                .collect(),
            Anchor::Followed { via, dir } if self.model.follow_labels.contains(via) => {
                ends(edge, *dir)
                    .flat_map(|end| self.graph.followers_of(end))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn subscriptions_to_edge(&self, edge: &EdgeEnds) -> Vec<&'a Subscription> {
        let mut found = Vec::new();
        for end in [&edge.from, &edge.to] {
            for subscription in self.audience.incident_to(end) {
                if let Anchor::Incident { dir, .. } = &subscription.anchor
                    && ends(edge, *dir).any(|touched| touched == end)
                {
                    found.push(subscription);
                }
            }
            let maker = self.graph.maker_of(end);
            for person in self.graph.followers_of(end).chain(maker) {
                for subscription in self.audience.relative_to(&person) {
                    if self.concerns(subscription, edge, &person) {
                        found.push(subscription);
                    }
                }
            }
        }
        found
    }

    fn concerns(&self, subscription: &Subscription, edge: &EdgeEnds, person: &PersonId) -> bool {
        match &subscription.anchor {
            Anchor::Owned { dir } => {
                ends(edge, *dir).any(|end| self.graph.maker_of(end).as_ref() == Some(person))
            }
            Anchor::Followed { via, dir } => {
                self.model.follow_labels.contains(via)
                    && ends(edge, *dir).any(|end| self.graph.follows(person, end))
            }
            _ => false,
        }
    }

    fn subscribed(
        &self,
        subscription: &Subscription,
        change: &ElementChange,
        other: Option<&ElementId>,
        found: &mut Vec<Match<'a>>,
    ) {
        // What was committed before someone asked for it is not news to them, also when it is matched later.
        if subscription.effective_after >= self.commit
            || !self.holds(&subscription.when, change, other)
        {
            return;
        }
        let Some(template) = self.templates.get(&subscription.template) else {
            tracing::error!(
                subscription = %subscription.id, template = %subscription.template,
                "the subscription's template is not configured, so it announces nothing"
            );
            return;
        };
        found.push(Match {
            recipient: subscription.owner.clone(),
            template,
        });
    }

    fn holds(&self, when: &When, change: &ElementChange, other: Option<&ElementId>) -> bool {
        let any = |list: &[String], holds: &dyn Fn(&str) -> bool| {
            list.is_empty() || list.iter().any(|item| holds(item))
        };
        (when.change.is_empty() || when.change.contains(&change.change))
            && (when.labels.is_empty() || change.has_label(&when.labels))
            && any(&when.keys, &|key| change.touches(key))
            && any(&when.other_labels, &|label| {
                other.is_some_and(|vertex| self.graph.has_label(vertex, label))
            })
    }

    fn actor_of(&self, change: &ElementChange) -> Option<PersonId> {
        if let Some(edge) = &change.edge {
            if self.graph.has_label(&edge.from, &self.model.person_label) {
                return Some(edge.from.clone().into());
            }
            return self.graph.maker_of(&edge.from);
        }
        let named = change.properties.get(&self.model.actor_property)?;
        named.added.first().map(|person| person.text().into())
    }

    fn address(
        &self,
        commit: &Commit,
        change: &ElementChange,
        actor: Option<&PersonId>,
        found: Match<'_>,
        pushes: &mut Vec<Push>,
    ) {
        let Match {
            recipient,
            template,
        } = found;
        let at = commit.at;
        let subject = change.edge.as_ref().map_or(&change.id, |edge| {
            // What a follower or a like points at is its subject; a new follower is about the follower.
            if edge.to.as_str() == recipient.as_str() {
                &edge.from
            } else {
                &edge.to
            }
        });
        let mut keys: Vec<&String> = change
            .properties
            .keys()
            .filter(|key| **key != self.model.actor_property)
            .collect();
        keys.sort();
        let key = keys
            .iter()
            .find(|key| template.when.keys.contains(**key))
            .or_else(|| keys.first())
            .map(|key| (**key).clone());
        let push = Push {
            id: PushId::derive(commit.number, &change.id, &template.id, &recipient, None),
            recipient: recipient.clone(),
            device: None,
            platform: None,
            locale: String::new(),
            template: template.id.clone(),
            category: template.category.clone(),
            commit: commit.end(),
            element: change.id.clone(),
            actor: actor.cloned(),
            subject: Some(subject.clone()),
            key,
            at,
            expires_at: at.plus_ms(u64::from(template.ttl_seconds) * 1000),
            on_unknown_outcome: template.on_unknown_outcome,
            burst: None,
        };
        let before = pushes.len();
        for device in self.audience.devices_of(&recipient) {
            let token = Some(&device.token);
            pushes.push(Push {
                id: PushId::derive(commit.number, &change.id, &template.id, &recipient, token),
                device: Some(device.token.clone()),
                platform: Some(device.platform),
                locale: device.locale.clone(),
                ..push.clone()
            });
        }
        if pushes.len() == before {
            pushes.push(push);
        }
    }
}

pub(super) fn ends(edge: &EdgeEnds, dir: Direction) -> impl Iterator<Item = &ElementId> {
    let from = (dir != Direction::In).then_some(&edge.from);
    let to = (dir != Direction::Out).then_some(&edge.to);
    from.into_iter().chain(to)
}

/// The end of the edge that the anchor does not name.
pub(super) fn other_end<'e>(anchor: &Anchor, edge: &'e EdgeEnds) -> &'e ElementId {
    match anchor {
        Anchor::Incident { vertex, .. } if *vertex == edge.to => &edge.from,
        Anchor::Incident {
            dir: Direction::In, ..
        }
        | Anchor::Owned { dir: Direction::In } => &edge.from,
        _ => &edge.to,
    }
}
