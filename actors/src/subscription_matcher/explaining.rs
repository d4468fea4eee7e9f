//! Why somebody is told of a change, or why not: the matcher's decision for one person, clause by clause.
//!
//! A pure function beside the one that decides. They cannot come to different ends: a property test holds that a rule is
//! said to match here exactly when a push is made there.
//!
//! # Layout
//! - this file: the rules, and where they are anchored
//! - `conditions`: what they ask besides
//! - `words`: how it is put

mod conditions;
mod words;

use std::fmt;

use iyagi_messages::change::{
    ChangeKind, Commit, EdgeEnds, ElementChange, ElementKind, element_changes,
};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::{ElementId, PersonId, SubscriptionId, TemplateId};
use iyagi_messages::subscription::{Anchor, Direction, Subscription, Then, When};
use serde::Serialize;
use utoipa::ToSchema;

use self::words::{drawn, listed};
use super::graph::{Graph, GraphModel};
use super::templates::Templates;
use crate::projections::Subscriptions;
use crate::stream_poller::assembler::Portion;

/// The graph as of a commit of the past.
#[derive(Debug, Clone, Default)]
pub struct PastGraph(Graph);

impl PastGraph {
    /// The graph that a snapshot of the matcher holds; nothing if it cannot be read.
    pub fn of_snapshot(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().map(Self)
    }

    /// The last operation folded.
    pub fn cursor(&self) -> Cursor {
        self.0.cursor
    }

    /// Folds what comes next of the change log.
    pub fn fold(&mut self, portion: &Portion, model: &GraphModel) {
        match portion {
            Portion::Whole(commit) => self.0.fold(commit, model),
            Portion::Part(records) => {
                for record in records {
                    self.0.absorb(record, model);
                }
            }
            Portion::End(extent) => self.0.cursor = extent.end,
        }
    }
}

/// A changed element, and what every rule says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExplainedChange {
    /// The element.
    pub element: ElementId,
    /// The change, drawn: `(daniel)-[:LIKES]->(story-1) created`.
    pub change: String,
    /// Templates first, in their order; then the person's subscriptions.
    pub rules: Vec<ExplainedRule>,
}

/// What one rule says of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExplainedRule {
    /// The texts that would announce it.
    pub template: TemplateId,
    /// The subscription; absent for a default notification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionId>,
    /// Whether the person is told by it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Whether a person is told by a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// They are.
    Matches,
    /// They would be, if an earlier rule did not tell them already.
    Outranked,
    /// They are not.
    Fails(FalseClause),
}

/// The first clause of a rule that is false.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FalseClause {
    /// Which: `anchor`, or a key of `when`.
    pub clause: &'static str,
    /// How it is.
    pub is: String,
    /// How it would have to be.
    pub wants: String,
}

impl fmt::Display for FalseClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clause, is, wants } = self;
        write!(f, "{clause}: {is}; wanted is {wants}")
    }
}

/// What decides besides the commit.
#[derive(Clone, Copy)]
pub struct Grounds<'a> {
    /// What the graph's labels mean.
    pub model: &'a GraphModel,
    /// Who subscribed to what, as of then.
    pub subscriptions: &'a Subscriptions,
    /// Default notifications and texts.
    pub templates: &'a Templates,
}

/// Explains a commit to one person. `graph` must be as of the commit before, and is as of the commit then.
pub fn explain(
    commit: &Commit,
    graph: &mut PastGraph,
    grounds: Grounds<'_>,
    person: &PersonId,
) -> Vec<ExplainedChange> {
    let before = graph.0.clone();
    graph.0.fold(commit, grounds.model);
    let mut changes = element_changes(commit, |vertex| before.labels_of(vertex));
    for change in &mut changes {
        if change.kind == ElementKind::Edge && change.edge.is_none() {
            change.edge = before.edge(&change.id);
        }
    }
    let explained = changes.iter().map(|change| {
        // What is gone is judged by the graph before the commit, everything else by the graph after it.
        let gone = change.change == ChangeKind::Deleted;
        let view = View {
            commit,
            graph: if gone { &before } else { &graph.0 },
            grounds,
            person,
            change,
        };
        view.explain()
    });
    explained.collect()
}

struct View<'a> {
    commit: &'a Commit,
    graph: &'a Graph,
    grounds: Grounds<'a>,
    person: &'a PersonId,
    change: &'a ElementChange,
}

type Clause = Result<(), FalseClause>;

fn clause(
    name: &'static str,
    holds: bool,
    is: impl FnOnce() -> String,
    wants: impl Into<String>,
) -> Clause {
    if holds {
        return Ok(());
    }
    Err(FalseClause {
        clause: name,
        is: is(),
        wants: wants.into(),
    })
}

impl View<'_> {
    fn explain(&self) -> ExplainedChange {
        let templates = self.grounds.templates;
        let defaults = templates.iter().filter_map(|template| {
            let anchor = template.anchor.as_ref()?;
            let verdict = self.default_notification(anchor, &template.when);
            Some((template.id.clone(), None, verdict))
        });
        let subscriptions = self.grounds.subscriptions.of(self.person);
        let explicit = subscriptions.iter().map(|subscription| {
            let id = Some(subscription.id.clone());
            let verdict = self.subscription(subscription);
            (subscription.template.clone(), id, verdict)
        });
        let mut told = false;
        let rules = defaults.chain(explicit);
        let rules = rules.map(|(template, subscription, verdict)| ExplainedRule {
            template,
            subscription,
            verdict: match verdict {
                Err(clause) => Verdict::Fails(clause),
                Ok(()) if std::mem::replace(&mut told, true) => Verdict::Outranked,
                Ok(()) => Verdict::Matches,
            },
        });
        ExplainedChange {
            element: self.change.id.clone(),
            rules: rules.collect(),
            change: self.drawing(),
        }
    }

    fn default_notification(&self, anchor: &Anchor, when: &When) -> Clause {
        let others = match anchor {
            Anchor::Incident { vertex, dir } if vertex.as_str() == "@me" => {
                let me = ElementId::from(self.person.clone());
                let others = self.incident(&me, *dir)?;
                let label = &self.grounds.model.person_label;
                clause(
                    "anchor",
                    self.graph.has_label(&me, label),
                    || format!("{me} is {}", listed(&self.graph.labels_of(&me))),
                    label,
                )?;
                others
            }
            Anchor::Owned { dir } => self.owned(*dir)?,
            Anchor::Followed { via, then } => self.followed(via, *then)?,
            Anchor::Incident { .. } | Anchor::Element { .. } | Anchor::Label { .. } => {
                let is = || "it leads to nobody".to_owned();
                return clause("anchor", false, is, "one that leads to people");
            }
        };
        self.when(when, &others)
    }

    fn subscription(&self, subscription: &Subscription) -> Clause {
        let is = || "it is switched off".to_owned();
        clause("enabled", subscription.enabled, is, "one that is on")?;
        let others = match &subscription.anchor {
            Anchor::Incident { vertex, dir } => self.incident(vertex, *dir)?,
            Anchor::Owned { dir } => self.owned(*dir)?,
            Anchor::Followed { via, then } => self.followed(via, *then)?,
            Anchor::Element { id } => {
                let changed = || format!("what changed is {}", self.change.id);
                clause("anchor", self.change.id == *id, changed, id.as_str())?;
                Vec::new()
            }
            Anchor::Label { label } => {
                let labels = self.labels();
                let is = || format!("the {} is {}", self.kind(), listed(&labels));
                clause("anchor", labels.contains(label), is, label)?;
                Vec::new()
            }
        };
        let (after, commit) = (subscription.effective_after, self.commit);
        clause(
            "effective_after",
            subscription.awaits(Cursor::new(commit.number, self.change.first_op)),
            || format!("this is commit {}", commit.number),
            format!("one behind {}, when it was asked for", after.commit),
        )?;
        clause(
            "expires_at",
            subscription.expires_at.is_none_or(|at| commit.at < at),
            || format!("the change was made at {}", commit.at.0),
            "one from before it expired",
        )?;
        self.when(&subscription.when, &others)?;
        let template = &subscription.template;
        clause(
            "template",
            self.grounds.templates.get(template).is_some(),
            || format!("{template} is not configured"),
            "a template that is",
        )
    }

    fn edge(&self) -> Result<&EdgeEnds, FalseClause> {
        self.change.edge.as_ref().ok_or_else(|| FalseClause {
            clause: "anchor",
            is: format!("{} is a vertex", self.change.id),
            wants: "an edge".to_owned(),
        })
    }

    /// The other ends of the edge at those of its ends that are what is wanted.
    fn others(
        &self,
        dir: Direction,
        wanted: impl Fn(&ElementId) -> bool,
    ) -> Result<Vec<&ElementId>, FalseClause> {
        let edge = self.edge()?;
        let ends = ends(edge, dir).filter(|(end, _)| wanted(end));
        Ok(ends.map(|(_, other)| other).collect())
    }

    fn incident(&self, vertex: &ElementId, dir: Direction) -> Result<Vec<&ElementId>, FalseClause> {
        let others = self.others(dir, |end| end == vertex)?;
        clause(
            "anchor",
            !others.is_empty(),
            || self.change.edge.as_ref().map(drawn).unwrap_or_default(),
            match dir {
                Direction::In => format!("an edge to {vertex}"),
                Direction::Out => format!("an edge from {vertex}"),
                Direction::Any => format!("an edge that touches {vertex}"),
            },
        )?;
        Ok(others)
    }

    fn owned(&self, dir: Direction) -> Result<Vec<&ElementId>, FalseClause> {
        let edge = self.edge()?;
        let person = self.person;
        let others = self.others(dir, |end| self.graph.maker_of(end).as_ref() == Some(person))?;
        let is = || {
            let makers: Vec<_> = ends(edge, dir)
                .map(|(end, _)| match self.graph.maker_of(end) {
                    Some(maker) => format!("{end} was made by {maker}"),
                    None => format!("{end} was made by nobody known"),
                })
                .collect();
            makers.join(", ")
        };
        let wants = format!("something that {person} made");
        clause("anchor", !others.is_empty(), is, wants)?;
        Ok(others)
    }

    fn followed(&self, via: &String, then: Then) -> Result<Vec<&ElementId>, FalseClause> {
        let dir = match then {
            Then::In => Direction::In,
            Then::Out => Direction::Out,
            Then::Any => Direction::Any,
            Then::Element => return self.followed_itself(via).map(|()| Vec::new()),
        };
        let edge = self.edge()?;
        self.follow_label(via)?;
        let person = self.person;
        let others = self.others(dir, |end| self.graph.follows(person, end, via))?;
        let is = || {
            let ends: Vec<_> = ends(edge, dir).map(|(end, _)| end.as_str()).collect();
            format!("{person} does not follow {}", ends.join(" nor "))
        };
        clause("anchor", !others.is_empty(), is, "someone whom they follow")?;
        Ok(others)
    }

    fn followed_itself(&self, via: &String) -> Clause {
        let id = &self.change.id;
        let is = || format!("{id} is an edge");
        clause(
            "anchor",
            self.change.kind == ElementKind::Vertex,
            is,
            "a vertex",
        )?;
        self.follow_label(via)?;
        let person = self.person;
        let is = || format!("{person} does not follow {id}");
        let follows = self.graph.follows(person, id, via);
        clause("anchor", follows, is, "what they follow")
    }

    fn follow_label(&self, via: &String) -> Clause {
        let labels = &self.grounds.model.follow_labels;
        let is = || format!("{via} is no label by which people follow");
        clause("anchor", labels.contains(via), is, listed(labels))
    }
}

/// The ends of an edge that an anchor may name, each with the other one.
fn ends(edge: &EdgeEnds, dir: Direction) -> impl Iterator<Item = (&ElementId, &ElementId)> {
    let from = (dir != Direction::In).then_some((&edge.from, &edge.to));
    let to = (dir != Direction::Out).then_some((&edge.to, &edge.from));
    from.into_iter().chain(to)
}
