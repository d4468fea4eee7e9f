//! Random histories that could have happened, appended step by step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use iyagi::embedded::journal::SqliteJournal;
use iyagi_actors::journal::{Draft, Journal as _};
use iyagi_actors::ports::Clock;
use iyagi_actors::ports::contract::inbox;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::device::{Device, Platform};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::*;
use iyagi_messages::ids::{DeviceToken, LetterId, PersonId, Pos, PushId, Timestamp};
use iyagi_messages::letter::{Letter, Origin};
use iyagi_messages::media::Sketch;
use iyagi_messages::object::{ObjectKey, Sequencer};
use iyagi_messages::preferences::{Preferences, Silence};
use iyagi_messages::push::{DeferReason, FailureClass, Notice, PauseReason, Push, SuppressReason};
use iyagi_messages::subscription::{Anchor, Direction, Subscription, When};
use proptest::prelude::*;

/// People, phones, subscriptions, files: few, so that they come back.
const NAMES: u8 = 4;

/// What happens next. A number says which of those that it can happen to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A commit is matched: somebody is told, on some of their phones, or a gate is closed.
    Match {
        person: u8,
        phones: u8,
        gate: u8,
    },
    /// A push is attempted, and the gateway takes it, refuses it for good, or says to try again.
    Send {
        which: u8,
        outcome: u8,
    },
    Bounce {
        which: u8,
    },
    Redrive {
        which: u8,
    },
    Purge {
        which: u8,
    },
    GiveUpFile {
        which: u8,
    },
    MakeFile {
        which: u8,
    },
    Claim {
        which: u8,
        bytes: u8,
    },
    Release {
        which: u8,
        bytes: u8,
    },
    Read {
        person: u8,
        all: bool,
    },
    Phone {
        which: u8,
        person: u8,
        there: bool,
    },
    Subscription {
        which: u8,
        what: u8,
    },
    Wish {
        person: u8,
        template: u8,
        out: bool,
    },
    Preferences {
        person: u8,
        blocked: u8,
    },
    Silence {
        edge: u8,
        placed: bool,
    },
    QueueMany {
        people: u8,
    },
    TellMany,
    Service {
        which: u8,
    },
    Late {
        is: bool,
    },
    Backfill {
        which: u8,
        what: u8,
    },
    Order {
        which: u8,
    },
    Daemon {
        up: bool,
    },
    Skip {
        commits: u8,
    },
    /// Hours go by.
    Wait {
        hours: u8,
    },
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let n = || any::<u8>();
    let step = prop_oneof![
        6 => (n(), n(), n()).prop_map(|(person, phones, gate)| Step::Match { person, phones, gate }),
        8 => (n(), n()).prop_map(|(which, outcome)| Step::Send { which, outcome }),
        1 => n().prop_map(|which| Step::Bounce { which }),
        2 => n().prop_map(|which| Step::Redrive { which }),
        2 => n().prop_map(|which| Step::Purge { which }),
        1 => n().prop_map(|which| Step::GiveUpFile { which }),
        1 => n().prop_map(|which| Step::MakeFile { which }),
        2 => (n(), n()).prop_map(|(which, bytes)| Step::Claim { which, bytes }),
        2 => (n(), n()).prop_map(|(which, bytes)| Step::Release { which, bytes }),
        2 => (n(), any::<bool>()).prop_map(|(person, all)| Step::Read { person, all }),
        2 => (n(), n(), any::<bool>()).prop_map(|(which, person, there)| Step::Phone { which, person, there }),
        2 => (n(), n()).prop_map(|(which, what)| Step::Subscription { which, what }),
        2 => (n(), n(), any::<bool>()).prop_map(|(person, template, out)| Step::Wish { person, template, out }),
        1 => (n(), n()).prop_map(|(person, blocked)| Step::Preferences { person, blocked }),
        2 => (n(), any::<bool>()).prop_map(|(edge, placed)| Step::Silence { edge, placed }),
        1 => n().prop_map(|people| Step::QueueMany { people }),
        1 => Just(Step::TellMany),
        2 => n().prop_map(|which| Step::Service { which }),
        1 => any::<bool>().prop_map(|is| Step::Late { is }),
        2 => (n(), n()).prop_map(|(which, what)| Step::Backfill { which, what }),
        1 => n().prop_map(|which| Step::Order { which }),
        1 => any::<bool>().prop_map(|up| Step::Daemon { up }),
        1 => n().prop_map(|commits| Step::Skip { commits }),
        4 => n().prop_map(|hours| Step::Wait { hours: hours % 60 }),
    ];
    prop::collection::vec(step, 40..160)
}

/// A clock that is put on by hand.
pub(super) struct Hands(AtomicI64);

impl Hands {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_767_225_600_000)))
    }

    pub(super) fn put_on_hours(&self, hours: u64) {
        let ms = i64::try_from(hours * 3_600_000).expect("a short time");
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        // Two appends are never of one moment.
        Timestamp(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// What happened so far, as far as what can happen next depends on it.
pub(super) struct History {
    pub(super) clock: Arc<Hands>,
    commits: u64,
    nth: u64,
    pending: Vec<(Push, u32)>,
    accepted: Vec<PushId>,
    /// Given up, with how often.
    dead: Vec<(Push, u32)>,
    given_up_files: Vec<(ObjectKey, Sequencer)>,
    lists: Vec<(Pos, Entity)>,
    subscribed: BTreeMap<u8, bool>,
}

impl History {
    pub(super) fn new(clock: Arc<Hands>) -> Self {
        Self {
            clock,
            commits: 0,
            nth: 0,
            pending: Vec::new(),
            accepted: Vec::new(),
            dead: Vec::new(),
            given_up_files: Vec::new(),
            lists: Vec::new(),
            subscribed: BTreeMap::new(),
        }
    }

    pub(super) async fn go_on(&mut self, journal: &SqliteJournal, steps: &[Step]) {
        for step in steps {
            let mut draft = Draft::new(&"test", "test");
            self.nth += 1;
            let many = self.take(*step, &mut draft);
            if draft.is_empty() {
                continue;
            }
            let appended = journal.append(draft.finish()).await.expect("appended");
            assert_eq!(appended.duplicates, 0, "{step:?}");
            if let Some(entity) = many {
                self.lists.push((appended.last, entity));
            }
        }
    }

    /// Drafts a step. Yields the list of people that it queues, if it does.
    fn take(&mut self, step: Step, draft: &mut Draft) -> Option<Entity> {
        match step {
            Step::Match {
                person,
                phones,
                gate,
            } => self.matched(person, phones, gate, draft),
            Step::Send { which, outcome } => self.send(which, outcome, draft),
            Step::Bounce { which } => {
                if let Some(push) = picked(&mut self.accepted, which) {
                    let bounced = PushBounced {
                        gateway_id: push.to_string(),
                        failure_type: "InvalidPlatformToken".to_owned(),
                        detail: String::new(),
                        platform: Some(Platform::Fcm),
                    };
                    self.begin(draft, Entity::new("push", push), bounced);
                }
            }
            Step::Redrive { which } => {
                if let Some((push, generation)) = picked(&mut self.dead, which) {
                    let redriven = LetterRedriven {
                        generation,
                        by: "minji".to_owned(),
                        because: None,
                    };
                    self.begin(draft, Entity::new("letter", push.id), redriven);
                    self.pending.push((push, generation));
                }
            }
            Step::Purge { which } => {
                if let Some((push, generation)) = picked(&mut self.dead, which) {
                    let purged = LetterPurged {
                        generation,
                        by: "minji".to_owned(),
                        because: None,
                    };
                    self.begin(draft, Entity::new("letter", push.id), purged);
                }
            }
            Step::GiveUpFile { .. }
            | Step::MakeFile { .. }
            | Step::Claim { .. }
            | Step::Release { .. } => {
                self.of_files(step, draft);
            }
            Step::QueueMany { people } => return Some(self.queue_many(people, draft)),
            Step::TellMany => {
                if !self.lists.is_empty() {
                    let (queued, entity) = self.lists.remove(0);
                    self.begin(
                        draft,
                        entity,
                        FanOutCompleted {
                            queued,
                            people: 2,
                            pushes: 0,
                        },
                    );
                }
            }
            Step::Service { .. }
            | Step::Late { .. }
            | Step::Backfill { .. }
            | Step::Order { .. }
            | Step::Daemon { .. }
            | Step::Skip { .. } => self.of_operation(step, draft),
            Step::Wait { hours } => self.clock.put_on_hours(hours.into()),
            _ => self.of_people(step, draft),
        }
        None
    }

    fn matched(&mut self, person: u8, phones: u8, gate: u8, draft: &mut Draft) {
        self.commits += 1;
        let commit = Cursor::new(self.commits, 1);
        let at = self.clock.now();
        let matched = CommitMatched {
            commit,
            at,
            records: 1,
            pushes: 1,
        };
        let cause = draft.begin(
            &self.commits.to_string(),
            Entity::new("commit", self.commits),
            matched,
        );
        let recipient = person_of(person);
        for phone in 0..=phones % 2 {
            let push = Push {
                at,
                ..inbox::push(
                    recipient.as_str(),
                    &format!("{recipient}-{phone}"),
                    self.commits,
                    "daniel",
                )
            };
            let entity = Entity::new("push", push.id);
            let id = draft.follow(cause, entity.clone(), PushRequested { push: push.clone() });
            let gates = [SuppressReason::Blocked, SuppressReason::RateLimited];
            match gate % 8 {
                0 | 1 => {
                    let reason = gates[usize::from(gate % 8)];
                    draft.follow(id, entity, PushSuppressed { reason });
                    continue;
                }
                2 => {
                    let until = at.plus_ms(3_600_000);
                    draft.follow(
                        id,
                        entity,
                        PushDeferred {
                            until,
                            reason: DeferReason::Quiet,
                        },
                    );
                }
                _ => {}
            }
            self.pending.push((push, 0));
        }
        let advanced = CursorAdvanced {
            to: commit,
            commits: 1,
            records: 1,
        };
        self.begin(draft, Entity::new("cursor", "graph"), advanced);
    }

    fn send(&mut self, which: u8, outcome: u8, draft: &mut Draft) {
        let Some((push, generation)) = picked(&mut self.pending, which) else {
            return;
        };
        let entity = Entity::new("push", push.id);
        self.begin(draft, entity.clone(), PushAttempted { attempt: 1 });
        let failed = |retry_at, code: &str| PushFailed {
            attempt: 1,
            class: FailureClass::Transient,
            code: code.to_owned(),
            detail: String::new(),
            retry_at,
            counted: true,
        };
        match outcome % 6 {
            0 => {
                let retry_at = Some(self.clock.now());
                self.begin(draft, entity, failed(retry_at, NO_OUTCOME));
                self.pending.push((push, generation));
            }
            1 | 2 => {
                let cause = self.begin(draft, entity, failed(None, "500"));
                let letter = Letter {
                    id: LetterId::of_push(push.id),
                    generation: generation + 1,
                    origin: Origin::Push {
                        push: push.id,
                        recipient: push.recipient.clone(),
                    },
                    reason: "transient".to_owned(),
                    detail: String::new(),
                    attempts: 1,
                    at: self.clock.now(),
                };
                let entity = Entity::new("letter", letter.id);
                draft.follow(cause, entity.clone(), LetterRequested { letter });
                let dead = LetterDeadLettered {
                    generation: generation + 1,
                    message_id: "m".to_owned(),
                };
                self.begin(draft, entity, dead);
                self.dead.push((push, generation + 1));
            }
            3 => {
                let reason = SuppressReason::Stale;
                self.begin(draft, entity, PushSuppressed { reason });
            }
            _ => {
                let gateway_id = push.id.to_string();
                self.begin(
                    draft,
                    entity,
                    PushAccepted {
                        attempt: 1,
                        gateway_id,
                    },
                );
                self.accepted.push(push.id);
            }
        }
    }

    fn of_files(&mut self, step: Step, draft: &mut Draft) {
        let nth = self.nth;
        let sequencer = Sequencer(format!("{nth:016x}"));
        match step {
            Step::GiveUpFile { which } => {
                let key = key_of(which);
                let failed = ThumbnailFailed {
                    key: key.clone(),
                    sequencer: sequencer.clone(),
                    reason: "broken".to_owned(),
                    detail: String::new(),
                };
                let cause = self.begin(draft, Entity::new("thumbnail", &key), failed);
                let letter = Letter {
                    id: LetterId::of_object("thumbnails", key.as_str(), &sequencer.0),
                    generation: 1,
                    origin: Origin::Object {
                        consumer: "thumbnails".to_owned(),
                        key: key.to_string(),
                        message: String::new(),
                    },
                    reason: "broken".to_owned(),
                    detail: String::new(),
                    attempts: 1,
                    at: self.clock.now(),
                };
                draft.follow(
                    cause,
                    Entity::new("letter", letter.id),
                    LetterRequested { letter },
                );
                self.given_up_files.push((key, sequencer));
            }
            Step::MakeFile { which } => {
                let Some((key, sequencer)) = picked(&mut self.given_up_files, which) else {
                    return;
                };
                let id = LetterId::of_object("thumbnails", key.as_str(), &sequencer.0);
                let redriven = LetterRedriven {
                    generation: 1,
                    by: "minji".to_owned(),
                    because: None,
                };
                self.begin(draft, Entity::new("letter", id), redriven);
                let entity = Entity::new("thumbnail", &key);
                let variants = Vec::new();
                // Its turn may never come.
                if which.is_multiple_of(2) {
                    self.begin(
                        draft,
                        entity,
                        ThumbnailRendered {
                            key,
                            sequencer,
                            variants,
                        },
                    );
                }
            }
            Step::Claim { which, bytes } => {
                let (key, sha256) = (key_of(which), format!("{:02}", bytes % 3));
                let files = vec![file_of(&sha256)];
                let sketch = Sketch::default();
                let entity = Entity::new("derived", &key);
                self.begin(
                    draft,
                    entity,
                    DerivedClaimed {
                        key,
                        sequencer,
                        sha256,
                        files,
                        sketch,
                    },
                );
            }
            Step::Release { which, bytes } => {
                let (key, sha256) = (key_of(which), format!("{:02}", bytes % 3));
                let removed = vec![file_of(&sha256)];
                let entity = Entity::new("derived", &key);
                self.begin(
                    draft,
                    entity,
                    DerivedReleased {
                        key,
                        sequencer,
                        sha256,
                        removed,
                    },
                );
            }
            _ => {}
        }
    }

    fn of_people(&mut self, step: Step, draft: &mut Draft) {
        match step {
            Step::Read { person, all } => {
                let person = person_of(person);
                let pushes = self.pending.iter().map(|(push, _)| push);
                let entries = pushes.filter(|push| push.recipient == person).take(2);
                let entries: Vec<PushId> = if all {
                    Vec::new()
                } else {
                    entries.map(Push::notification).collect()
                };
                let read = InboxRead {
                    person: person.clone(),
                    entries,
                    up_to: Pos(self.nth),
                };
                self.begin(draft, Entity::new("inbox", person), read);
            }
            Step::Phone {
                which,
                person,
                there,
            } => {
                let token = DeviceToken::from(&*format!("phone-{}", which % NAMES));
                let entity = Entity::new("device", &token);
                if there {
                    let device = Device {
                        token,
                        person: person_of(person),
                        platform: Platform::Fcm,
                        locale: "ko".to_owned(),
                    };
                    self.begin(draft, entity, DeviceRegistered { device });
                } else {
                    let reason = "signed_out".to_owned();
                    self.begin(draft, entity, DeviceRemoved { token, reason });
                }
            }
            Step::Subscription { which, what } => self.subscribe(which % NAMES, what, draft),
            Step::Wish {
                person,
                template,
                out,
            } => {
                let (person, template) = (
                    person_of(person),
                    ["like", "follow"][usize::from(template % 2)].into(),
                );
                let entity = Entity::new("preference", &person);
                if out {
                    self.begin(draft, entity, TemplateOptedOut { person, template });
                } else {
                    self.begin(draft, entity, TemplateOptedIn { person, template });
                }
            }
            Step::Preferences { person, blocked } => {
                let person = person_of(person);
                let preferences = Preferences {
                    blocked: (0..blocked % 3).map(person_of).collect(),
                    ..Preferences::default()
                };
                let entity = Entity::new("preferences", &person);
                self.begin(
                    draft,
                    entity,
                    PreferencesChanged {
                        person,
                        preferences,
                    },
                );
            }
            Step::Silence { edge, placed } => {
                let silence = Silence::Block;
                // Two of the edges say the same.
                let (person, other) = (person_of(edge % 2), "daniel".into());
                let entity = Entity::new("silence", format!("edge-{}", edge % 4));
                if placed {
                    let fact = SilencePlaced {
                        person,
                        other,
                        silence,
                    };
                    self.begin(draft, entity, fact);
                } else {
                    let fact = SilenceLifted {
                        person,
                        other,
                        silence,
                    };
                    self.begin(draft, entity, fact);
                }
            }
            _ => {}
        }
    }

    fn subscribe(&mut self, which: u8, what: u8, draft: &mut Draft) {
        let there = self
            .subscribed
            .insert(which, !what.is_multiple_of(3))
            .unwrap_or(false);
        let id = format!("subscription-{which}");
        let entity = Entity::new("subscription", &id);
        if what.is_multiple_of(3) {
            if there {
                let owner = person_of(which);
                self.begin(
                    draft,
                    entity,
                    SubscriptionRemoved {
                        id: id.as_str().into(),
                        owner,
                    },
                );
            }
            return;
        }
        let subscription = Subscription {
            id: id.as_str().into(),
            owner: person_of(which),
            anchor: Anchor::Incident {
                vertex: format!("story-{}", what % 5).as_str().into(),
                dir: Direction::In,
            },
            when: When::default(),
            template: "subscription".into(),
            exclude_self: what.is_multiple_of(2),
            enabled: true,
            expires_at: None,
            effective_after: Cursor::new(self.commits, 1),
        };
        if there {
            self.begin(draft, entity, SubscriptionChanged { subscription });
        } else {
            self.begin(draft, entity, SubscriptionCreated { subscription });
        }
    }

    fn queue_many(&mut self, people: u8, draft: &mut Draft) -> Entity {
        let push = inbox::push("minji", "phone", self.commits, "daniel");
        let notice = Notice {
            template: push.template,
            category: push.category,
            commit: push.commit,
            element: push.element,
            actor: push.actor,
            subject: push.subject,
            key: None,
            at: push.at,
            expires_at: push.expires_at,
            on_unknown_outcome: push.on_unknown_outcome,
            own_act_too: false,
        };
        let people = (0..people % NAMES).map(person_of).collect();
        let entity = Entity::new("fan_out", self.nth);
        let queued = FanOutQueued {
            notice,
            people,
            hidden: false,
        };
        self.begin(draft, entity.clone(), queued);
        entity
    }

    fn of_operation(&mut self, step: Step, draft: &mut Draft) {
        let at = self.clock.now();
        let by = || "minji".to_owned();
        let because = None;
        match step {
            Step::Service { which } => {
                let platform = [Platform::Fcm, Platform::Apns][usize::from(which % 2)];
                let entity = Entity::new("platform", platform);
                match which / 2 % 4 {
                    0 => self.begin(
                        draft,
                        entity,
                        BreakerOpened {
                            platform,
                            reason: "503".to_owned(),
                        },
                    ),
                    1 => self.begin(draft, entity, BreakerClosed { platform }),
                    2 => {
                        let reason = PauseReason::Operator;
                        self.begin(
                            draft,
                            entity,
                            PlatformPaused {
                                platform,
                                reason,
                                by: by(),
                                because,
                            },
                        )
                    }
                    _ => self.begin(
                        draft,
                        entity,
                        PlatformResumed {
                            platform,
                            by: by(),
                            because,
                        },
                    ),
                };
            }
            Step::Late { is } => {
                let entity = Entity::new("catch_up", "graph");
                if is {
                    self.begin(draft, entity, CatchUpBegun { at, lag_ms: 1 });
                } else {
                    self.begin(draft, entity, CatchUpEnded { at, lag_ms: 1 });
                }
            }
            Step::Backfill { which, what } => {
                let preset = format!("preset-{}", which % 2);
                let entity = Entity::new("backfill", &preset);
                match what % 6 {
                    0 => {
                        let begun = BackfillBegun {
                            preset,
                            digest: what.to_string(),
                            dry_run: false,
                            by: by(),
                            because,
                        };
                        self.begin(draft, entity, begun)
                    }
                    1 => self.begin(
                        draft,
                        entity,
                        BackfillCounted {
                            uploads: what.into(),
                            lacking: 1,
                        },
                    ),
                    2 => self.begin(
                        draft,
                        entity,
                        BackfillAdvanced {
                            through: key_of(what),
                            offered: what.into(),
                        },
                    ),
                    3 => self.begin(draft, entity, BackfillPaused { by: by(), because }),
                    4 => self.begin(draft, entity, BackfillResumed { by: by(), because }),
                    _ => self.begin(
                        draft,
                        entity,
                        BackfillCompleted {
                            offered: what.into(),
                        },
                    ),
                };
            }
            Step::Order { which } => {
                let actor = format!("actor-{}", which % 3);
                self.begin(
                    draft,
                    Entity::new("actor", &actor),
                    ActorPaused {
                        actor,
                        by: by(),
                        because,
                    },
                );
            }
            Step::Daemon { up } => {
                let entity = Entity::new("daemon", "iyagi");
                if up {
                    self.begin(
                        draft,
                        entity,
                        DaemonStarted {
                            version: "1".to_owned(),
                        },
                    );
                } else {
                    self.begin(draft, entity, DaemonStopped { drained: true });
                }
            }
            Step::Skip { commits } => {
                let after = Cursor::new(self.commits, 1);
                self.commits += u64::from(commits % 5) + 1;
                let skipped = StreamSkipped {
                    after,
                    commits: u64::from(commits % 5),
                };
                let entity = Entity::new("cursor", "graph");
                self.begin(draft, entity.clone(), skipped);
                let to = Cursor::new(self.commits, 1);
                self.begin(
                    draft,
                    entity,
                    CursorAdvanced {
                        to,
                        commits: 1,
                        records: 1,
                    },
                );
                let commit = to;
                let withheld = CommitWithheld {
                    commit,
                    at,
                    records: 1,
                    edges: 1,
                };
                self.begin(draft, Entity::new("commit", self.commits), withheld);
            }
            _ => {}
        }
    }

    fn begin(
        &self,
        draft: &mut Draft,
        entity: Entity,
        fact: impl Into<Fact>,
    ) -> iyagi_messages::ids::EventId {
        draft.begin(&format!("{}|{entity}", self.nth), entity, fact)
    }
}

fn picked<T>(from: &mut Vec<T>, which: u8) -> Option<T> {
    (!from.is_empty()).then(|| from.remove(usize::from(which) % from.len()))
}

pub(super) fn person_of(which: u8) -> PersonId {
    PersonId::from(&*format!("person-{}", which % NAMES))
}

fn key_of(which: u8) -> ObjectKey {
    ObjectKey::new(&*format!("posts/{}/a.jpg", which % NAMES)).expect("a key")
}

fn file_of(sha256: &str) -> ObjectKey {
    ObjectKey::new(&*format!("derived/{sha256}/{sha256}/a")).expect("a key")
}
