//! Why one person was told of a commit, or was not: what each rule says of each change, and what became of the pushes.

use std::collections::BTreeMap;

use iyagi_actors::projections::Subscriptions;
use iyagi_actors::stream_poller::assembler::Portion;
use iyagi_actors::subscription_matcher::correlation;
use iyagi_actors::subscription_matcher::explaining::{
    ExplainedChange, Grounds, PastGraph, Verdict, explain,
};
use iyagi_actors::subscription_matcher::graph::GraphModel;
use iyagi_actors::subscription_matcher::matching::Templates;
use iyagi_messages::change::Commit;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{ElementId, PersonId, Pos, PushId, Timestamp};
use iyagi_messages::push::Push;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Hindsight, Passed, PastFault};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Who was told, or was not.
    pub person: &'a PersonId,
    /// Of which change.
    pub about: About,
    /// What the graph's labels mean.
    pub model: &'a GraphModel,
    /// Templates as they are now; those of the past are not kept.
    pub templates: &'a Templates,
}

/// Of which change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// All that a commit did.
    Commit(u64),
    /// The last that was done to an element.
    Element(ElementId),
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = WhyNot)]
pub struct Answer {
    /// Who was told, or was not.
    pub person: PersonId,
    /// The commit.
    pub commit: u64,
    /// When it was requested, if the change log still has it.
    #[schema(required)]
    pub at: Option<Timestamp>,
    /// Where the daemon was done with it; nothing if it is not yet.
    #[schema(required)]
    pub passed_at: Option<Pos>,
    /// What each rule says of each change, and what became of it.
    pub changes: Vec<ToldChange>,
    /// Pushes about changes that are no longer reachable.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pushes: Vec<PushFate>,
    /// Why the matcher's decision cannot be looked at again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<String>,
}

/// A change, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ToldChange {
    /// What each rule says.
    #[serde(flatten)]
    pub explained: ExplainedChange,
    /// Pushes to the person that the journal has of it.
    pub pushes: Vec<PushFate>,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PushFate {
    /// The push.
    pub push: Push,
    /// Where it stands, in one word: `sent`, `suppressed`, `deferred`, `dead` or `pending`.
    pub state: &'static str,
    /// Its events, the request first.
    pub events: Vec<Event>,
    /// The event that closed the gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Event>,
}

impl ToldChange {
    /// Whether some rule tells the person of it.
    pub fn matches(&self) -> bool {
        let mut rules = self.explained.rules.iter();
        rules.any(|rule| rule.verdict == Verdict::Matches)
    }

    /// Whether some rule got further than to where it looks.
    pub fn is_close(&self) -> bool {
        self.explained.rules.iter().any(|rule| match &rule.verdict {
            Verdict::Fails(clause) => clause.clause != "anchor",
            Verdict::Matches | Verdict::Outranked => true,
        })
    }
}

impl Hindsight {
    /// Answers; nothing if the change log does not know the element.
    pub async fn why_not(&self, question: &Question<'_>) -> Result<Option<Answer>, PastFault> {
        let (number, element) = match &question.about {
            About::Commit(number) => (*number, None),
            About::Element(element) => match self.last_change_of(element).await? {
                Some(number) => (number, Some(element)),
                None => return Ok(None),
            },
        };
        let all = self.passed()?;
        let forgotten = self.forgotten(&all)?.filter(|last| number <= *last);
        let passed = all.iter().find(|passed| passed.to.commit >= number);
        let passed = passed.filter(|_| forgotten.is_none());
        let mut fates = self.fates_of(number, question.person)?;
        let explained = match forgotten {
            Some(last) => Err(PastFault::TakenOut {
                commit: number,
                last,
            }),
            None => self.explained(question, number, passed).await,
        };
        let (at, changes, unreachable) = match explained {
            Ok((at, changes)) => (Some(at), changes, None),
            Err(
                fault @ (PastFault::Gone { .. }
                | PastFault::TakenOut { .. }
                | PastFault::Withheld { .. }
                | PastFault::Stream(_)),
            ) => (None, Vec::new(), Some(fault.to_string())),
            Err(fault) => return Err(fault),
        };
        let meant = |change: &ExplainedChange| element.is_none_or(|one| change.element == *one);
        let changes: Vec<ToldChange> = changes
            .into_iter()
            .filter(meant)
            .map(|explained| ToldChange {
                pushes: fates.remove(&explained.element).unwrap_or_default(),
                explained,
            })
            .collect();
        let rest = fates
            .into_iter()
            .filter(|(id, _)| element.is_none_or(|one| one == id))
            .flat_map(|(_, fates)| fates);
        Ok(Some(Answer {
            person: question.person.clone(),
            commit: number,
            at,
            passed_at: passed.map(|passed| passed.pos),
            changes,
            pushes: rest.collect(),
            unreachable,
        }))
    }

    async fn explained(
        &self,
        question: &Question<'_>,
        number: u64,
        passed: Option<&Passed>,
    ) -> Result<(Timestamp, Vec<ExplainedChange>), PastFault> {
        let (mut graph, commit) = self.graph_before(number, question.model).await?;
        let subscriptions = self.subscriptions_before(passed.map(|passed| passed.pos))?;
        let grounds = Grounds {
            model: question.model,
            subscriptions: &subscriptions,
            templates: question.templates,
        };
        let explained = explain(&commit, &mut graph, grounds, question.person);
        Ok((commit.at, explained))
    }

    /// The graph as of the commit before, and the commit.
    async fn graph_before(
        &self,
        number: u64,
        model: &GraphModel,
    ) -> Result<(PastGraph, Commit), PastFault> {
        let (base, snapshot) = self.base_of(number).await?;
        let snapshot = snapshot.and_then(|snapshot| PastGraph::of_snapshot(&snapshot.body));
        let (mut graph, base) = match snapshot {
            Some(graph) => (graph, base),
            None => (PastGraph::default(), Cursor::START),
        };
        let mut wanted = None;
        let mut too_large = false;
        self.commits(base, number, async |portion| {
            match portion {
                Portion::Whole(commit) if commit.number == number => wanted = Some(commit),
                portion if portion.commit() == number => too_large = true,
                portion => graph.fold(&portion, model),
            }
            Ok::<_, PastFault>(())
        })
        .await?;
        match wanted {
            None if too_large => Err(PastFault::Withheld { commit: number }),
            Some(commit) => Ok((graph, commit)),
            None => Err(PastFault::Gone {
                commit: number,
                oldest: number + 1,
            }),
        }
    }

    /// Who had subscribed to what when the daemon came to a commit.
    fn subscriptions_before(&self, before: Option<Pos>) -> Result<Subscriptions, PastFault> {
        let kinds = [
            "subscription.created",
            "subscription.changed",
            "subscription.removed",
        ];
        let mut subscriptions = Subscriptions::default();
        self.events(&kinds, before, |event| subscriptions.apply(&event))?;
        Ok(subscriptions)
    }

    /// The last commit that changed an element, of those that the change log has.
    async fn last_change_of(&self, element: &ElementId) -> Result<Option<u64>, PastFault> {
        let Some(tip) = self.stream.head().await? else {
            return Ok(None);
        };
        let mut last = None;
        self.commits(Cursor::START, tip.commit, async |portion| {
            let records = match &portion {
                Portion::Whole(commit) => commit.records.as_slice(),
                Portion::Part(records) => records.as_slice(),
                Portion::End(_) => &[],
            };
            if records.iter().any(|record| record.data.id == *element) {
                last = Some(portion.commit());
            }
            Ok::<_, PastFault>(())
        })
        .await?;
        Ok(last)
    }

    /// What became of a commit's pushes to a person, by changed element.
    fn fates_of(
        &self,
        number: u64,
        person: &PersonId,
    ) -> Result<BTreeMap<ElementId, Vec<PushFate>>, PastFault> {
        let mut pushes = Vec::new();
        for event in self.journal.by_corr(&correlation(number))? {
            if let Fact::PushRequested(requested) = &event.fact
                && requested.push.recipient == *person
            {
                pushes.push(requested.push.id);
            }
        }
        let mut fates: BTreeMap<ElementId, Vec<PushFate>> = BTreeMap::new();
        for id in pushes {
            if let Some(fate) = self.fate_of(id)? {
                fates
                    .entry(fate.push.element.clone())
                    .or_default()
                    .push(fate);
            }
        }
        Ok(fates)
    }

    fn fate_of(&self, id: PushId) -> Result<Option<PushFate>, PastFault> {
        let events = self.journal.entity(&Entity::new("push", id))?;
        let Some(Fact::PushRequested(requested)) = events.first().map(|event| &event.fact) else {
            return Ok(None);
        };
        let push = requested.push.clone();
        let mut state = "pending";
        let mut gate = None;
        for event in &events {
            match &event.fact {
                Fact::PushAccepted(_) => state = "sent",
                Fact::PushDeferred(_) => state = "deferred",
                Fact::PushAttempted(_) => state = "pending",
                Fact::PushFailed(failed) if failed.retry_at.is_none() => state = "dead",
                Fact::PushSuppressed(suppressed) => {
                    state = "suppressed";
                    gate = self.gate_of(&push, suppressed.reason, event)?;
                }
                _ => {}
            }
        }
        Ok(Some(PushFate {
            push,
            state,
            events,
            gate,
        }))
    }
}
