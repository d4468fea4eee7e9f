//! Who is to be told of a commit: a pure function of the commit, the graph and the subscriptions.

use std::ops::Range;
use std::sync::Arc;

use iyagi_messages::change::{ChangeKind, Commit, ElementKind};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::subscription::Anchor;

use super::changes::{Change, Changes};
use super::graph::{Edge, Graph, GraphModel, Meaning};
use super::looking_ahead::LookedUp;
use super::sight::Surroundings;
pub use super::templates::Templates;
use crate::projections::clause::{Clause, EndRoles, Evidence, POINTED_TO, POINTING, Role};
use crate::projections::lexicon::{Lexicon, NO_LABELS, SharedLexicon};
use crate::projections::{Group, Subscriptions, Wishes};

/// Matches commits. Keeps nothing between them but its room.
pub struct Matcher {
    pub(super) model: GraphModel,
    pub(super) templates: Arc<Templates>,
    /// What the numbers below are of.
    pub(super) lexicon: SharedLexicon,
    meaning: Meaning,
    defaults: Vec<DefaultNotification>,
    pub(super) ahead: LookedUp,
    pub(super) changes: Changes,
    pub(super) found: Matches,
}

/// A template that finds its recipients by itself.
struct DefaultNotification {
    /// Which of the templates.
    template: u32,
    anchor: DefaultAnchor,
    clause: Clause,
}

#[derive(Clone, Copy)]
enum DefaultAnchor {
    Me,
    Followed,
    Owned,
}

/// Who is to be told of what.
#[derive(Debug, Default)]
pub struct Matches {
    /// Changes of which somebody is to be told.
    changes: Vec<Matched>,
    /// Recipients of default notifications, and which of the templates each is.
    defaults: Vec<(u32, u32)>,
    /// Rows of subscriptions.
    rows: Vec<u32>,
}

/// A change of which somebody is to be told.
#[derive(Debug, Clone)]
pub struct Matched {
    /// The change.
    pub change: Change,
    /// Who did it, as far as an edge says.
    pub actor: Option<u32>,
    defaults: Range<usize>,
    rows: Range<usize>,
}

impl Matches {
    /// The changes, those of what is gone first.
    pub fn changes(&self) -> &[Matched] {
        &self.changes
    }

    /// Rows of the subscriptions to a change.
    pub fn rows(&self, matched: &Matched) -> &[u32] {
        &self.rows[matched.rows.clone()]
    }

    /// Recipients of default notifications of a change, and which of the templates each is.
    pub fn defaults(&self, matched: &Matched) -> &[(u32, u32)] {
        &self.defaults[matched.defaults.clone()]
    }

    fn clear(&mut self) {
        self.changes.clear();
        self.defaults.clear();
        self.rows.clear();
    }
}

impl Matcher {
    /// A matcher that matches with these templates, whatever has the same lexicon.
    pub fn new(model: GraphModel, templates: Arc<Templates>, lexicon: &SharedLexicon) -> Self {
        let shared = lexicon.clone();
        let lexicon = &mut *lexicon.write();
        let defaults = templates.iter().zip(0..).filter_map(|(template, nth)| {
            let anchor = template.anchor.as_ref()?;
            let kind = match anchor {
                Anchor::Incident { vertex, .. } if vertex.as_str() == "@me" => DefaultAnchor::Me,
                Anchor::Followed { via, .. } if model.follow_labels.contains(via) => {
                    DefaultAnchor::Followed
                }
                Anchor::Owned { .. } => DefaultAnchor::Owned,
                _ => return None,
            };
            Some(DefaultNotification {
                template: nth,
                anchor: kind,
                clause: Clause::of(anchor, &template.when, lexicon),
            })
        });
        let defaults = defaults.collect();
        Self {
            meaning: Meaning::of(&model, lexicon),
            lexicon: shared,
            defaults,
            model,
            templates,
            ahead: LookedUp::default(),
            changes: Changes::default(),
            found: Matches::default(),
        }
    }

    /// Who is to be told of a commit, and the graph as of it. `graph` must be as of the commit before.
    pub fn matches(
        &mut self,
        commit: &Commit,
        graph: &mut Graph,
        subscriptions: &Subscriptions,
    ) -> &Matches {
        self.match_and(commit, graph, subscriptions, |_, _, _, _| {});
        &self.found
    }

    /// As [`Self::matches`]. `then` is shown which changes were found, and the graph that they are judged by.
    pub(super) fn match_and(
        &mut self,
        commit: &Commit,
        graph: &mut Graph,
        subscriptions: &Subscriptions,
        mut then: impl FnMut(&Self, &[Matched], &Graph, &Lexicon),
    ) {
        assert!(
            self.lexicon.is(subscriptions.lexicon()),
            "a matcher speaks of the subscriptions that it was made for"
        );
        graph.speak(&self.lexicon);
        let shared = self.lexicon.clone();
        let lexicon = &mut *shared.write();
        let numbers = self.ahead.take(commit, lexicon);
        let label_sets = &mut lexicon.label_sets;
        self.changes.fold(
            commit,
            &self.ahead.numbers[numbers.clone()],
            graph,
            label_sets,
        );
        self.found.clear();
        // What is gone is judged by the graph before the commit, everything else by the graph after it.
        self.judge(commit, graph, subscriptions, lexicon, |change| {
            change == ChangeKind::Deleted
        });
        then(self, &self.found.changes, graph, lexicon);
        let gone = self.found.changes.len();
        let numbers = &self.ahead.numbers[numbers];
        graph.fold_numbered(commit, numbers, &self.meaning, &mut lexicon.label_sets);
        self.judge(commit, graph, subscriptions, lexicon, |change| {
            change != ChangeKind::Deleted
        });
        then(self, &self.found.changes[gone..], graph, lexicon);
    }

    /// Shows what people see by in a graph as it is.
    pub(super) fn look<T>(
        &self,
        graph: &mut Graph,
        wishes: &Wishes,
        look: impl FnOnce(Surroundings<'_>) -> T,
    ) -> T {
        graph.speak(&self.lexicon);
        look(self.surroundings(graph, &self.lexicon.read(), wishes))
    }

    /// What people see by.
    pub(super) fn surroundings<'a>(
        &'a self,
        graph: &'a Graph,
        lexicon: &'a Lexicon,
        wishes: &'a Wishes,
    ) -> Surroundings<'a> {
        Surroundings {
            graph,
            meaning: &self.meaning,
            lexicon,
            wishes,
        }
    }

    fn judge(
        &mut self,
        commit: &Commit,
        graph: &Graph,
        subscriptions: &Subscriptions,
        lexicon: &Lexicon,
        which: impl Fn(ChangeKind) -> bool,
    ) {
        let view = View {
            commit,
            graph,
            subscriptions,
            lexicon,
            meaning: &self.meaning,
            defaults: &self.defaults,
        };
        let found = &mut self.found;
        for change in self
            .changes
            .list()
            .iter()
            .filter(|change| which(change.change))
        {
            let (defaults, rows) = (found.defaults.len(), found.rows.len());
            let evidence = self.changes.evidence(change, commit, lexicon);
            view.judge(change, &evidence, found);
            if (defaults, rows) != (found.defaults.len(), found.rows.len()) {
                found.changes.push(Matched {
                    change: *change,
                    actor: match change.edge {
                        Some(edge) => view.person_behind(edge.from),
                        _ => None,
                    },
                    defaults: defaults..found.defaults.len(),
                    rows: rows..found.rows.len(),
                });
            }
        }
    }
}

struct View<'a> {
    commit: &'a Commit,
    graph: &'a Graph,
    subscriptions: &'a Subscriptions,
    lexicon: &'a Lexicon,
    meaning: &'a Meaning,
    defaults: &'a [DefaultNotification],
}

/// One end of a changed edge.
#[derive(Clone, Copy)]
struct End {
    vertex: u32,
    other: u32,
    roles: EndRoles,
}

impl View<'_> {
    fn judge(&self, change: &Change, evidence: &Evidence<'_>, found: &mut Matches) {
        let Matches { defaults, rows, .. } = found;
        let mut ends = None;
        if let Some(Edge { from, to, .. }) = change.edge {
            ends = Some([(from, to, POINTING), (to, from, POINTED_TO)].map(End::from));
        }
        for default in self.defaults {
            for end in ends.iter().flatten() {
                self.default_recipients(default, end, evidence, defaults);
            }
            if change.kind == ElementKind::Vertex {
                self.default_followers(default, change.id, evidence, defaults);
            }
        }
        let begin = rows.len();
        let operation = self.commit.records[change.first as usize].event_id;
        let mut listed = |groups: &[Group], role: Role, other: Option<u32>| {
            for group in groups {
                let clause = self.subscriptions.clause(*group);
                if self.holds(clause, role, evidence, other) {
                    self.subscriptions
                        .collect(*group, operation, self.commit.at, rows);
                }
            }
        };
        for end in ends.iter().flatten() {
            let groups = self.subscriptions.at(end.vertex);
            listed(groups, end.roles.incident, Some(end.other));
        }
        let groups = self.subscriptions.at(change.id);
        listed(groups, Role::Element, None);
        if self.subscriptions.any_at_labels() {
            self.each_label(change, |label| {
                listed(self.subscriptions.at_label(label), Role::Labelled, None);
            });
        }
        let twice = change.edge.is_some_and(|edge| edge.from == edge.to);
        if self.subscriptions.any_relative() {
            self.relative(change, ends.as_ref(), evidence, operation, rows);
        } else if !twice {
            return;
        }
        // A loop touches its vertex twice, and one person may follow both ends of an edge, in several ways.
        rows[begin..].sort_unstable();
        let mut kept = begin;
        for at in begin..rows.len() {
            if at == begin || rows[at] != rows[kept - 1] {
                rows[kept] = rows[at];
                kept += 1;
            }
        }
        rows.truncate(kept);
    }

    /// Recipients of a default notification, found from the changed edge: no row per person is needed.
    fn default_recipients(
        &self,
        default: &DefaultNotification,
        end: &End,
        evidence: &Evidence<'_>,
        found: &mut Vec<(u32, u32)>,
    ) {
        let role = match default.anchor {
            DefaultAnchor::Me => end.roles.incident,
            DefaultAnchor::Followed => end.roles.followed,
            DefaultAnchor::Owned => end.roles.owned,
        };
        if !self.holds(&default.clause, role, evidence, Some(end.other)) {
            return;
        }
        match default.anchor {
            DefaultAnchor::Me if self.is_person(end.vertex) => {
                found.push((end.vertex, default.template));
            }
            DefaultAnchor::Me => {}
            DefaultAnchor::Followed => self.followers_by(default, end.vertex, found),
            DefaultAnchor::Owned => {
                let maker = self.graph.maker_at(end.vertex);
                found.extend(maker.map(|maker| (maker, default.template)));
            }
        }
    }

    /// Recipients of a default notification about what they follow itself.
    fn default_followers(
        &self,
        default: &DefaultNotification,
        vertex: u32,
        evidence: &Evidence<'_>,
        found: &mut Vec<(u32, u32)>,
    ) {
        if self.holds(&default.clause, Role::FollowedElement, evidence, None) {
            self.followers_by(default, vertex, found);
        }
    }

    fn followers_by(
        &self,
        default: &DefaultNotification,
        vertex: u32,
        found: &mut Vec<(u32, u32)>,
    ) {
        let followers = self.graph.followers_at(vertex);
        let so = followers.filter(|(_, label)| default.clause.via() == Some(*label));
        found.extend(so.map(|(follower, _)| (follower, default.template)));
    }

    /// Subscriptions that are anchored at whom their owners follow and at what they made.
    fn relative(
        &self,
        change: &Change,
        ends: Option<&[End; 2]>,
        evidence: &Evidence<'_>,
        operation: Cursor,
        rows: &mut Vec<u32>,
    ) {
        let mut listed = |person: u32, role: Role, by: Option<u32>, other: Option<u32>| {
            for group in self.subscriptions.at(person) {
                let clause = self.subscriptions.clause(*group);
                if clause.via() == by && self.holds(clause, role, evidence, other) {
                    self.subscriptions
                        .collect(*group, operation, self.commit.at, rows);
                }
            }
        };
        for end in ends.into_iter().flatten() {
            if let Some(maker) = self.graph.maker_at(end.vertex) {
                listed(maker, end.roles.owned, None, Some(end.other));
            }
            for (follower, label) in self.graph.followers_at(end.vertex) {
                listed(follower, end.roles.followed, Some(label), Some(end.other));
            }
        }
        if change.kind == ElementKind::Vertex {
            for (follower, label) in self.graph.followers_at(change.id) {
                listed(follower, Role::FollowedElement, Some(label), None);
            }
        }
    }

    #[inline]
    fn holds(
        &self,
        clause: &Clause,
        role: Role,
        evidence: &Evidence<'_>,
        other: Option<u32>,
    ) -> bool {
        clause.holds(role, evidence, self.lexicon, || {
            other.map_or(NO_LABELS, |other| self.graph.label_set(other))
        })
    }

    /// Each label that the changed element has or had, once.
    fn each_label(&self, change: &Change, mut with: impl FnMut(u32)) {
        let sets = &self.lexicon.label_sets;
        let before = sets.labels(change.labels_before);
        let after = sets.labels(change.labels_after);
        before.iter().copied().for_each(&mut with);
        let new = after
            .iter()
            .copied()
            .filter(|label| !before.contains(label));
        new.for_each(&mut with);
        if let Some(edge) = change.edge {
            with(edge.label);
        }
    }

    fn is_person(&self, vertex: u32) -> bool {
        let labels = self.graph.label_set(vertex);
        let sets = &self.lexicon.label_sets;
        sets.has(labels, self.meaning.person)
    }

    fn person_behind(&self, source: u32) -> Option<u32> {
        if self.is_person(source) {
            Some(source)
        } else {
            self.graph.maker_at(source)
        }
    }
}

impl From<(u32, u32, EndRoles)> for End {
    fn from((vertex, other, roles): (u32, u32, EndRoles)) -> Self {
        Self {
            vertex,
            other,
            roles,
        }
    }
}
