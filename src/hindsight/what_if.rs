//! What other templates would have made of recorded changes. The changes are matched twice, with the templates that are
//! and with those that may come, by the daemon's own matcher and gates, over the audience and the wishes of then. Nothing
//! is written and no phone rings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iyagi_actors::journal::{Journal, MemoryJournal};
use iyagi_actors::projections::RatePolicy;
use iyagi_actors::stream_poller::assembler::Portion;
use iyagi_actors::subscription_matcher::graph::GraphModel;
use iyagi_actors::subscription_matcher::matching::Templates;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::CursorAdvanced;
use iyagi_messages::ids::{DeviceToken, ElementId, PersonId, Pos, TemplateId, Timestamp};
use iyagi_messages::push::Push;
use serde::Serialize;
use thiserror::Error;

use super::{Hindsight, Passed, PastFault};
use crate::rehearsal::{Happened, Rehearsal, RehearsalFault, Stage, StageClock, learn};

/// Kinds of event that say who can be reached, and what they want.
const OF_PEOPLE: [&str; 10] = [
    "device.registered",
    "device.removed",
    "subscription.created",
    "subscription.changed",
    "subscription.removed",
    "template.opted_out",
    "template.opted_in",
    "preferences.changed",
    SILENCES[0],
    SILENCES[1],
];
/// Those that the matcher writes itself when it comes to the edge.
const SILENCES: [&str; 2] = ["silence.placed", "silence.lifted"];

/// What is to be tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The templates that are.
    pub old: Arc<Templates>,
    /// The templates that may come.
    pub new: Arc<Templates>,
    /// What the graph's labels mean.
    pub model: GraphModel,
    /// How many notifications a person may have.
    pub rate: RatePolicy,
    /// Commits behind this one; absent for all that are reachable.
    pub from: Option<u64>,
    /// Up to and including this one; absent for all that the daemon is done with.
    pub to: Option<u64>,
    /// Examples of each kind and template.
    pub samples: usize,
}

/// Why nothing can be tried.
#[derive(Debug, Error)]
pub enum TrialFault {
    /// The past.
    #[error(transparent)]
    Past(#[from] PastFault),
    /// The rehearsal.
    #[error(transparent)]
    Rehearsal(#[from] RehearsalFault),
    /// There is nothing between them.
    #[error("there are no commits behind {from} and up to {to} that the daemon is done with")]
    Nothing {
        /// Behind this one.
        from: u64,
        /// Up to this one.
        to: u64,
    },
}

/// What would be different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The commits behind this one were tried.
    pub from: u64,
    /// Up to and including this one.
    pub to: u64,
    /// How many they are.
    pub commits: u64,
    /// By the template that tells of it: the new one, but for what is lost.
    pub templates: BTreeMap<TemplateId, Counts>,
    /// Examples.
    pub samples: Vec<Sample>,
}

/// How many pushes would be different, for one template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Sent by the new templates only.
    pub gained: u64,
    /// Sent by the old templates only.
    pub lost: u64,
    /// Sent by both, and shown otherwise.
    pub changed: u64,
    /// Sent by both, and shown the same.
    pub unchanged: u64,
}

/// What is different about a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// It is sent by the new templates only.
    Gained,
    /// It is sent by the old templates only.
    Lost,
    /// It is shown otherwise.
    Changed,
}

/// A push that would be different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// How.
    pub difference: Difference,
    /// By which template it is counted.
    pub template: TemplateId,
    /// To whom.
    pub to: PersonId,
    /// The commit.
    pub commit: u64,
    /// The changed element.
    pub element: ElementId,
    /// What became of it by the templates that are.
    pub before: Fate,
    /// What would by those that may come.
    pub after: Fate,
}

/// What becomes of a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "fate")]
pub enum Fate {
    /// Nobody is told.
    Unmatched,
    /// A phone rings.
    Sent {
        /// By this template.
        template: TemplateId,
        /// First line.
        title: String,
        /// Second line.
        body: String,
        /// Where a tap leads.
        link: String,
    },
    /// It goes with another one.
    Along,
    /// A gate is closed.
    Held {
        /// Which, or why it cannot be put into words.
        reason: String,
    },
}

impl Fate {
    fn is_told(&self) -> bool {
        matches!(self, Self::Sent { .. } | Self::Along)
    }
}

/// One phone and one change, whichever template tells of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    commit: u64,
    element: ElementId,
    to: PersonId,
    device: Option<DeviceToken>,
}

impl Key {
    fn of(push: &Push) -> Self {
        Self {
            commit: push.commit.commit,
            element: push.element.clone(),
            to: push.recipient.clone(),
            device: push.device.clone(),
        }
    }
}

/// What becomes of every push by one set of templates.
struct Outcome {
    fates: BTreeMap<Key, (TemplateId, Fate)>,
}

impl Outcome {
    fn of(happened: Vec<Happened>) -> Self {
        let mut fates = BTreeMap::new();
        for one in happened {
            let (push, fate) = match one {
                Happened::Sent { push, payload, .. } => {
                    let fate = Fate::Sent {
                        template: push.template.clone(),
                        title: payload.title,
                        body: payload.body,
                        link: payload.link,
                    };
                    (push, fate)
                }
                Happened::Along { push } => (push, Fate::Along),
                Happened::Held { push, reason } => {
                    let reason = reason.to_string();
                    (push, Fate::Held { reason })
                }
                Happened::Unrenderable { push, reason } => (push, Fate::Held { reason }),
            };
            fates.insert(Key::of(&push), (push.template.clone(), fate));
        }
        Self { fates }
    }
}

impl Hindsight {
    /// Matches recorded changes with both templates, and compares what comes of it.
    pub async fn what_if(&self, trial: &Trial) -> Result<Comparison, TrialFault> {
        let passed = self.passed()?;
        let done = passed.last().map_or(0, |last| last.to.commit);
        let to = trial.to.unwrap_or(done).min(done);
        let forgotten = self.forgotten(&passed)?.unwrap_or(0);
        let from = match trial.from {
            Some(from) if from < forgotten => {
                return Err(TrialFault::Past(PastFault::TakenOut {
                    commit: from + 1,
                    last: forgotten,
                }));
            }
            Some(from) => from,
            None => self.first_reachable().await?.max(forgotten),
        };
        if from >= to {
            return Err(TrialFault::Nothing { from, to });
        }
        let old = self.outcome(trial, &trial.old, &passed, (from, to)).await?;
        let new = self.outcome(trial, &trial.new, &passed, (from, to)).await?;
        Ok(compare(trial, (from, to), &old, &new))
    }

    /// The commit behind which the graph is known.
    async fn first_reachable(&self) -> Result<u64, PastFault> {
        let oldest = self.stream.first_commit().await?;
        if oldest <= 1 {
            return Ok(0);
        }
        let snapshots = self.snapshots.iter().map(|(cursor, _)| cursor.commit);
        let first = snapshots.filter(|commit| commit + 1 >= oldest).min();
        first.ok_or(PastFault::Gone {
            commit: oldest,
            oldest,
        })
    }

    async fn outcome(
        &self,
        trial: &Trial,
        templates: &Arc<Templates>,
        passed: &[Passed],
        (from, to): (u64, u64),
    ) -> Result<Outcome, TrialFault> {
        let clock = StageClock::at(Timestamp::default());
        let journal = MemoryJournal::new(Arc::clone(&clock) as _);
        let (base, snapshot) = self.base_of(from + 1).await?;
        if let Some(snapshot) = snapshot {
            let name = iyagi_actors::subscription_matcher::GRAPH_SNAPSHOT;
            let saved = journal.save_snapshot(name, snapshot.clone()).await;
            saved.map_err(RehearsalFault::from)?;
        }
        let begin = self.end_of(from, base).await?;
        let people = self.events_of_people()?;
        let begins = passed.iter().find(|one| one.to.commit >= from);
        let begins = begins
            .filter(|_| from > 0)
            .map_or(Pos::default(), |one| one.pos);
        let (before, later): (Vec<Event>, Vec<Event>) =
            people.into_iter().partition(|event| event.pos <= begins);
        for event in before {
            learn(&journal, event.entity, event.fact).await?;
        }
        let advanced = CursorAdvanced {
            to: begin,
            commits: 0,
            records: 0,
        };
        learn(&journal, Entity::new("cursor", "graph"), advanced.into()).await?;
        let graph = self.graph.as_ref().ok_or(PastFault::NoGraph)?;
        let stage = Stage {
            stream: Arc::clone(&self.stream),
            graph: Arc::clone(graph),
            model: trial.model.clone(),
            templates: Arc::clone(templates),
            rate: trial.rate,
        };
        let mut rehearsal = Rehearsal::over(journal, Arc::clone(&clock), stage).await?;
        let mut later = later
            .into_iter()
            // The matcher comes to these edges itself.
            .filter(|event| !SILENCES.contains(&event.fact.kind()))
            .peekable();
        self.commits(begin, to, async |portion| {
            let passed = passed.iter().find(|one| one.to.commit >= portion.commit());
            if let Some(passed) = passed {
                while let Some(event) = later.next_if(|event| event.pos < passed.pos) {
                    rehearsal.wait_until(event.at).await?;
                    rehearsal.learn(event.entity, event.fact).await?;
                }
                rehearsal.wait_until(passed.at).await?;
            }
            rehearsal.read(portion).await?;
            Ok::<_, TrialFault>(())
        })
        .await?;
        rehearsal.settle().await?;
        Ok(Outcome::of(rehearsal.happened()))
    }

    /// Where a commit ends, read on from a place before it.
    async fn end_of(&self, commit: u64, base: Cursor) -> Result<Cursor, PastFault> {
        let mut end = base;
        if base.commit < commit {
            self.commits(base, commit, async |portion| {
                match portion {
                    Portion::Whole(commit) => end = commit.end(),
                    Portion::End(extent) => end = extent.end,
                    Portion::Part(_) => {}
                }
                Ok::<_, PastFault>(())
            })
            .await?;
        }
        Ok(end)
    }

    fn events_of_people(&self) -> Result<Vec<Event>, PastFault> {
        let mut events = Vec::new();
        self.events(&OF_PEOPLE, None, |event| events.push(event))?;
        Ok(events)
    }
}

fn compare(trial: &Trial, (from, to): (u64, u64), old: &Outcome, new: &Outcome) -> Comparison {
    let mut templates: BTreeMap<TemplateId, Counts> = BTreeMap::new();
    let mut samples = Vec::new();
    let mut sampled: BTreeMap<(TemplateId, Difference), usize> = BTreeMap::new();
    let keys: BTreeSet<&Key> = old.fates.keys().chain(new.fates.keys()).collect();
    for key in keys {
        let unmatched = Fate::Unmatched;
        let (before, after) = (old.fates.get(key), new.fates.get(key));
        let fate = |side: Option<&(TemplateId, Fate)>| {
            side.map_or_else(|| unmatched.clone(), |(_, fate)| fate.clone())
        };
        let (was, is) = (fate(before), fate(after));
        let difference = match (was.is_told(), is.is_told()) {
            (false, false) => continue,
            (false, true) => Some(Difference::Gained),
            (true, false) => Some(Difference::Lost),
            (true, true) if was != is => Some(Difference::Changed),
            (true, true) => None,
        };
        let side = if difference == Some(Difference::Lost) {
            before
        } else {
            after
        };
        let Some((template, _)) = side else { continue };
        let counts = templates.entry(template.clone()).or_default();
        match difference {
            Some(Difference::Gained) => counts.gained += 1,
            Some(Difference::Lost) => counts.lost += 1,
            Some(Difference::Changed) => counts.changed += 1,
            None => counts.unchanged += 1,
        }
        let Some(difference) = difference else {
            continue;
        };
        let taken = sampled.entry((template.clone(), difference)).or_default();
        if *taken < trial.samples {
            *taken += 1;
            samples.push(Sample {
                difference,
                template: template.clone(),
                to: key.to.clone(),
                commit: key.commit,
                element: key.element.clone(),
                before: was,
                after: is,
            });
        }
    }
    samples.sort_by(|one, other| {
        (one.difference, &one.template, one.commit).cmp(&(
            other.difference,
            &other.template,
            other.commit,
        ))
    });
    Comparison {
        from,
        to,
        commits: to - from,
        templates,
        samples,
    }
}
