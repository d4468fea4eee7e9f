//! Plays one test on the embedded graph in a folder of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use iyagi_actors::journal::MemoryJournal;
use iyagi_actors::ports::{ChangeStream, StreamFault};
use iyagi_actors::projections::RatePolicy;
use iyagi_actors::stream_poller::assembler::{Assembler, CommitBounds, Gaps};
use iyagi_actors::subscription_matcher::graph::GraphModel;
use iyagi_actors::subscription_matcher::matching::Templates;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::device::{Device, Platform};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{
    DeviceRegistered, PreferencesChanged, SubscriptionCreated, TemplateOptedOut,
};
use iyagi_messages::ids::TemplateId;
use iyagi_messages::push::Push;
use thiserror::Error;

use super::format::{self, Step, Test};
use super::verdict::Expectations;
use crate::embedded::graph::{CommitRejected, CommitRequest, EmbeddedGraph, Operation};
use crate::embedded::sqlite::DatabaseError;
use crate::rehearsal::{self, Happened, Rehearsal, RehearsalFault, Stage, StageClock};

/// Records that are read of the change log at once: more than a test writes in one commit.
const PAGE: u32 = 100_000;

/// Why a test cannot be played to its end.
#[derive(Debug, Error)]
pub enum PlayFault {
    /// No folder for its graph.
    #[error("there is no room for the test's graph: {0}")]
    Folder(#[from] std::io::Error),
    /// The graph's file.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The graph refuses a commit.
    #[error("{list}[{index}] is refused: {reason}")]
    Refused {
        /// `given` or `when`.
        list: &'static str,
        /// Its place in it, from 0.
        index: usize,
        /// Why.
        reason: String,
    },
    /// Something that a check of the file lets pass.
    #[error("{0}")]
    Unreadable(String),
    /// The graph's change log.
    #[error(transparent)]
    Stream(#[from] StreamFault),
    /// The rehearsal.
    #[error(transparent)]
    Rehearsal(#[from] RehearsalFault),
}

/// Plays a test and yields what it lets happen.
pub async fn play(
    test: &Test,
    templates: &Arc<Templates>,
    model: &GraphModel,
    rate: RatePolicy,
) -> Result<Expectations, PlayFault> {
    let began = test.begins().map_err(PlayFault::Unreadable)?;
    let folder = tempfile::tempdir()?;
    let clock = StageClock::at(began);
    let path = folder.path().join("graph.db");
    let graph = Arc::new(EmbeddedGraph::open(&path, Arc::clone(&clock) as _)?);
    let mut theatre = Theatre {
        test,
        graph: Arc::clone(&graph),
        read: Cursor::START,
    };
    let stage = Stage {
        stream: Arc::clone(&graph) as _,
        graph,
        model: model.clone(),
        templates: Arc::default(),
        rate,
    };
    let journal = MemoryJournal::new(Arc::clone(&clock) as _);
    theatre.set_up(&journal, &clock, &stage).await?;
    let stage = Stage {
        templates: Arc::clone(templates),
        ..stage
    };
    let mut rehearsal = Rehearsal::over(journal.reopen(), Arc::clone(&clock), stage).await?;
    theatre.act(&mut rehearsal).await?;
    let digest = templates.digest().map(|digest| digest.id.clone());
    let shown_by = |happened: &Happened| shown_by(happened, digest.as_ref(), templates);
    let locale_of = |push: &Push| theatre.locale_of(push);
    let happened = rehearsal.happened();
    Ok(Expectations::of(happened, began, shown_by, locale_of))
}

/// The template by whose texts something was shown.
fn shown_by(happened: &Happened, digest: Option<&TemplateId>, templates: &Templates) -> TemplateId {
    match happened {
        Happened::Sent { push, payload, .. } => {
            let own = templates.get(&push.template);
            let of_digest = digest.and_then(|id| templates.get(id));
            match (own, of_digest) {
                // The digest has a category of its own, which a phone groups it by.
                (Some(own), Some(digest))
                    if payload.category != own.category && payload.category == digest.category =>
                {
                    digest.id.clone()
                }
                _ => push.template.clone(),
            }
        }
        Happened::Along { push }
        | Happened::Held { push, .. }
        | Happened::Unrenderable { push, .. } => push.template.clone(),
    }
}

/// A test, and the graph that it is played on.
struct Theatre<'t> {
    test: &'t Test,
    graph: Arc<EmbeddedGraph>,
    /// What of the change log is read.
    read: Cursor,
}

impl Theatre<'_> {
    /// Everything that has been before. It is matched by no template, so that nobody is told of it.
    async fn set_up(
        &mut self,
        journal: &MemoryJournal,
        clock: &Arc<StageClock>,
        stage: &Stage,
    ) -> Result<(), PlayFault> {
        let before = journal.reopen();
        let mut rehearsal = Rehearsal::over(before, Arc::clone(clock), stage.clone()).await?;
        let label = &stage.model.person_label;
        let people: Vec<Operation> = self
            .test
            .people
            .iter()
            .map(|(id, person)| {
                let name = person.name.as_ref().unwrap_or(id);
                Operation::AddVertex {
                    id: id.as_str().into(),
                    label: label.clone(),
                    properties: BTreeMap::from([(
                        stage.model.name_property.clone(),
                        name.as_str().into(),
                    )]),
                }
            })
            .collect();
        if !people.is_empty() {
            let request = CommitRequest::Operations(people);
            self.commit(request, ("people", 0), &mut rehearsal).await?;
        }
        for (index, value) in self.test.given.iter().enumerate() {
            let request = format::commit(value).map_err(PlayFault::Unreadable)?;
            self.commit(request, ("given", index), &mut rehearsal)
                .await?;
        }
        self.register(journal).await
    }

    async fn register(&self, journal: &MemoryJournal) -> Result<(), PlayFault> {
        for (id, person) in &self.test.people {
            for (number, locale) in (1..).zip(&person.phones) {
                let device = Device {
                    token: format!("{id}-phone-{number}").into(),
                    person: id.as_str().into(),
                    platform: Platform::Fcm,
                    locale: locale.clone(),
                };
                let entity = Entity::new("device", &device.token);
                rehearsal::learn(journal, entity, DeviceRegistered { device }.into()).await?;
            }
            if let Some(preferences) = person.preferences() {
                let changed = PreferencesChanged {
                    person: id.as_str().into(),
                    preferences,
                };
                let entity = Entity::new("preferences", id);
                rehearsal::learn(journal, entity, changed.into()).await?;
            }
            for template in &person.opted_out {
                let opted_out = TemplateOptedOut {
                    person: id.as_str().into(),
                    template: template.clone(),
                };
                let entity = Entity::new("opt_out", format!("{id}/{template}"));
                rehearsal::learn(journal, entity, opted_out.into()).await?;
            }
            for (number, wanted) in (1..).zip(&person.subscriptions) {
                let subscription = wanted.of(id, number);
                let entity = Entity::new("subscription", &subscription.id);
                let created = SubscriptionCreated { subscription };
                rehearsal::learn(journal, entity, created.into()).await?;
            }
        }
        Ok(())
    }

    async fn act(&mut self, rehearsal: &mut Rehearsal) -> Result<(), PlayFault> {
        for (index, value) in self.test.when.iter().enumerate() {
            match format::step(value).map_err(PlayFault::Unreadable)? {
                Step::Wait(ms) => {
                    let moment = rehearsal.now().plus_ms(ms);
                    rehearsal.wait_until(moment).await?;
                }
                Step::Commit(request) => {
                    self.commit(request, ("when", index), rehearsal).await?;
                }
            }
        }
        Ok(rehearsal.settle().await?)
    }

    /// Commits to the graph, and hands the change log's new commits to the matcher.
    async fn commit(
        &mut self,
        request: CommitRequest,
        (list, index): (&'static str, usize),
        rehearsal: &mut Rehearsal,
    ) -> Result<(), PlayFault> {
        let committed = self.graph.commit_request(request).await;
        let committed = committed.map_err(|error| PlayFault::Refused {
            list,
            index,
            reason: refusal(&error),
        })?;
        if committed.records == 0 {
            return Ok(());
        }
        let mut assembler = Assembler::behind(self.read, CommitBounds::default());
        let page = self.graph.fetch(assembler.next(), PAGE).await?;
        let available = assembler.take(page, Gaps::Refuse);
        for portion in available.map_err(|gap| PlayFault::Unreadable(gap.to_string()))? {
            rehearsal.read(portion).await?;
        }
        self.read = assembler.done();
        Ok(())
    }

    /// The language that a push is shown in: the person's own choice, or the phone's.
    fn locale_of(&self, push: &Push) -> String {
        let person = self.test.people.get(push.recipient.as_str());
        let chosen = person.and_then(|person| person.locale.clone());
        chosen.unwrap_or_else(|| push.locale.clone())
    }
}

fn refusal(error: &DatabaseError<CommitRejected>) -> String {
    match error {
        DatabaseError::Refused(rejected) => rejected.to_string(),
        other => other.to_string(),
    }
}
