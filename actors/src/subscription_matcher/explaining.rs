//! Why somebody is told of a change, or why not: the matcher's decision for one person, clause by clause.
//!
//! A pure function beside the one that decides. They cannot come to different ends: a property test holds that a rule is
//! said to match here exactly when a push is made there.

use std::fmt;

use iyagi_messages::change::{
    ChangeKind, Commit, EdgeEnds, ElementChange, ElementKind, element_changes,
};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::{ElementId, PersonId, SubscriptionId, TemplateId};
use iyagi_messages::subscription::{Anchor, Direction, Subscription, When};
use serde::Serialize;

use super::graph::{Graph, GraphModel};
use super::matching::{Templates, ends, other_end};
use crate::projections::Audience;
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedChange {
    /// The element.
    pub element: ElementId,
    /// The change, drawn: `(daniel)-[:LIKES]->(story-1) created`.
    pub change: String,
    /// Templates first, in their order; then the person's subscriptions.
    pub rules: Vec<ExplainedRule>,
}

/// What one rule says of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    pub audience: &'a Audience,
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
            commit: commit.number,
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
    commit: u64,
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
        let subscriptions = self.grounds.audience.subscriptions_of(self.person);
        let explicit = subscriptions.map(|subscription| {
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
        match anchor {
            Anchor::Incident { vertex, dir } if vertex.as_str() == "@me" => {
                let me = ElementId::from(self.person.clone());
                self.incident(&me, *dir)?;
                let label = &self.grounds.model.person_label;
                clause(
                    "anchor",
                    self.graph.has_label(&me, label),
                    || format!("{me} is {}", listed(&self.graph.labels_of(&me))),
                    label,
                )?;
            }
            Anchor::Owned { dir } => self.owned(*dir)?,
            Anchor::Followed { via, dir } => self.followed(via, *dir)?,
            Anchor::Incident { .. } | Anchor::Element { .. } | Anchor::Label { .. } => {
                let is = || "it leads to nobody".to_owned();
                clause("anchor", false, is, "one that leads to people")?;
            }
        }
        let edge = self.edge()?;
        self.when(when, Some(other_end(anchor, edge)))
    }

    fn subscription(&self, subscription: &Subscription) -> Clause {
        let other = match &subscription.anchor {
            Anchor::Incident { vertex, dir } => {
                self.incident(vertex, *dir)?;
                Some(other_end(&subscription.anchor, self.edge()?))
            }
            Anchor::Owned { dir } => {
                self.owned(*dir)?;
                Some(other_end(&subscription.anchor, self.edge()?))
            }
            Anchor::Followed { via, dir } => {
                self.followed(via, *dir)?;
                Some(other_end(&subscription.anchor, self.edge()?))
            }
            Anchor::Element { id } => {
                let changed = || format!("what changed is {}", self.change.id);
                clause("anchor", self.change.id == *id, changed, id.as_str())?;
                None
            }
            Anchor::Label { label } => {
                let labels = self.labels();
                let is = || format!("the {} is {}", self.kind(), listed(&labels));
                clause("anchor", labels.contains(label), is, label)?;
                None
            }
        };
        let (after, commit) = (subscription.effective_after, self.commit);
        clause(
            "effective_after",
            after < commit,
            || format!("this is commit {commit}"),
            format!("one behind {after}, when it was asked for"),
        )?;
        self.when(&subscription.when, other)?;
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

    fn incident(&self, vertex: &ElementId, dir: Direction) -> Clause {
        let edge = self.edge()?;
        clause(
            "anchor",
            ends(edge, dir).any(|end| end == vertex),
            || drawn(edge),
            match dir {
                Direction::In => format!("an edge to {vertex}"),
                Direction::Out => format!("an edge from {vertex}"),
                Direction::Any => format!("an edge that touches {vertex}"),
            },
        )
    }

    fn owned(&self, dir: Direction) -> Clause {
        let edge = self.edge()?;
        let person = self.person;
        let made = |end: &ElementId| self.graph.maker_of(end).as_ref() == Some(person);
        let is = || {
            let makers: Vec<_> = ends(edge, dir)
                .map(|end| match self.graph.maker_of(end) {
                    Some(maker) => format!("{end} was made by {maker}"),
                    None => format!("{end} was made by nobody known"),
                })
                .collect();
            makers.join(", ")
        };
        clause(
            "anchor",
            ends(edge, dir).any(made),
            is,
            format!("something that {person} made"),
        )
    }

    fn followed(&self, via: &String, dir: Direction) -> Clause {
        let edge = self.edge()?;
        let labels = &self.grounds.model.follow_labels;
        clause(
            "anchor",
            labels.contains(via),
            || format!("{via} is no label by which people follow"),
            listed(labels),
        )?;
        let person = self.person;
        let follows = |end: &ElementId| self.graph.follows(person, end);
        let is = || {
            let ends: Vec<_> = ends(edge, dir).map(ElementId::as_str).collect();
            format!("{person} does not follow {}", ends.join(" nor "))
        };
        clause(
            "anchor",
            ends(edge, dir).any(follows),
            is,
            "someone whom they follow",
        )
    }

    fn when(&self, when: &When, other: Option<&ElementId>) -> Clause {
        let change = self.change;
        clause(
            "change",
            when.change.is_empty() || when.change.contains(&change.change),
            || format!("it was {}", kind(change.change)),
            listed(
                &when
                    .change
                    .iter()
                    .map(|wanted| kind(*wanted))
                    .collect::<Vec<_>>(),
            ),
        )?;
        clause(
            "labels",
            when.labels.is_empty() || change.has_label(&when.labels),
            || format!("the {} is {}", self.kind(), listed(&self.labels())),
            listed(&when.labels),
        )?;
        clause(
            "keys",
            when.keys.is_empty() || when.keys.iter().any(|key| change.touches(key)),
            || {
                let mut keys: Vec<_> = change.properties.keys().collect();
                keys.sort();
                format!("changed were {}", listed(&keys))
            },
            listed(&when.keys),
        )?;
        let others = other
            .map(|other| self.graph.labels_of(other))
            .unwrap_or_default();
        clause(
            "other_labels",
            when.other_labels.is_empty()
                || when.other_labels.iter().any(|label| others.contains(label)),
            || match other {
                Some(other) => format!("{other} is {}", listed(&others)),
                None => "it has no other end".to_owned(),
            },
            listed(&when.other_labels),
        )
    }

    fn kind(&self) -> &'static str {
        match self.change.kind {
            ElementKind::Vertex => "vertex",
            ElementKind::Edge => "edge",
        }
    }

    /// Labels before and after the commit, each once.
    fn labels(&self) -> Vec<String> {
        let of_edge = self.change.edge.iter().map(|edge| &edge.label);
        let (before, after) = (&self.change.labels_before, &self.change.labels_after);
        let mut labels: Vec<String> = Vec::new();
        for label in of_edge.chain(before).chain(after) {
            if !labels.contains(label) {
                labels.push(label.clone());
            }
        }
        labels
    }

    fn drawing(&self) -> String {
        let drawn = match &self.change.edge {
            Some(edge) => drawn(edge),
            None => format!("({}:{})", self.change.id, self.labels().join(":")),
        };
        let mut keys: Vec<_> = self.change.properties.keys().map(String::as_str).collect();
        keys.sort_unstable();
        let kind = kind(self.change.change);
        if self.change.change == ChangeKind::Updated && !keys.is_empty() {
            format!("{drawn} {kind}: {}", keys.join(", "))
        } else {
            format!("{drawn} {kind}")
        }
    }
}

fn drawn(edge: &EdgeEnds) -> String {
    format!("({})-[:{}]->({})", edge.from, edge.label, edge.to)
}

fn kind(change: ChangeKind) -> &'static str {
    match change {
        ChangeKind::Created => "created",
        ChangeKind::Updated => "updated",
        ChangeKind::Deleted => "deleted",
    }
}

fn listed<T: AsRef<str>>(words: &[T]) -> String {
    if words.is_empty() {
        return "nothing".to_owned();
    }
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    words.join(" or ")
}
