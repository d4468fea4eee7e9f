//! Pushes and their letters, from the commit to the end.

use iyagi_actors::journal::Draft;
use iyagi_actors::ports::Clock as _;
use iyagi_actors::ports::contract::inbox;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::device::Platform;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::*;
use iyagi_messages::ids::LetterId;
use iyagi_messages::letter::{Letter, Origin};
use iyagi_messages::push::{DeferReason, FailureClass, Notice, Push, SuppressReason};

use super::{History, NAMES, Step, person_of, picked};

impl History {
    pub(super) fn of_pushes(&mut self, step: Step, draft: &mut Draft) {
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
                    let expired = LetterExpired {
                        generation,
                        keep_days: 14,
                    };
                    let entity = Entity::new("letter", push.id);
                    let fact: Fact = if which.is_multiple_of(2) {
                        purged.into()
                    } else {
                        expired.into()
                    };
                    self.begin(draft, entity, fact);
                }
            }
            Step::TellMany if !self.lists.is_empty() => {
                let (queued, entity) = self.lists.remove(0);
                let completed = FanOutCompleted {
                    queued,
                    people: 2,
                    pushes: 0,
                };
                self.begin(draft, entity, completed);
            }
            _ => {}
        }
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

    pub(super) fn queue_many(&mut self, people: u8, draft: &mut Draft) -> Entity {
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
            of_deletion: false,
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
}
