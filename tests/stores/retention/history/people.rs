//! What people do: phones, subscriptions, wishes, and what they read.

use iyagi_actors::journal::Draft;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::device::{Device, Platform};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::*;
use iyagi_messages::ids::{DeviceToken, Pos, PushId};
use iyagi_messages::preferences::{Preferences, Silence};
use iyagi_messages::push::Push;
use iyagi_messages::subscription::{Anchor, Direction, Subscription, When};

use super::{History, NAMES, Step, person_of};

impl History {
    pub(super) fn of_people(&mut self, step: Step, draft: &mut Draft) {
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
}
