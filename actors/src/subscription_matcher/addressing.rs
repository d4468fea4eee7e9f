//! The pushes of a commit: one per person, changed element and phone.

use std::collections::HashSet;

use iyagi_messages::change::{ChangeKind, Commit};
use iyagi_messages::ids::{ElementId, PersonId};
use iyagi_messages::push::{Notice, Push};
use iyagi_messages::stream::{Op, StreamRecord};
use iyagi_messages::template::Template;

use super::fan_out::{FanOut, PEOPLE_AT_ONCE};
use super::graph::Graph;
use super::matching::{Matched, Matcher};
use super::sight::Sight;
use crate::projections::lexicon::Lexicon;
use crate::projections::{Audience, Subscriptions, Wishes};

/// A person who is to be told of a change, and as what.
struct Told<'a> {
    recipient: u32,
    template: &'a Template,
    /// Properties that were asked for, so that the push can name one of them.
    keys: &'a [String],
    own_act_too: bool,
}

/// Whom pushes are addressed to.
#[derive(Clone, Copy)]
pub struct People<'a> {
    /// Their phones.
    pub audience: &'a Audience,
    /// Whom they block.
    pub wishes: &'a Wishes,
}

impl Matcher {
    /// Who is told of a commit, with one push per person, changed element and device, and the graph as of the commit.
    ///
    /// `graph` must be as of the commit before. A person without a phone gets one push without a device, so that the
    /// journal can say why nothing was sent.
    pub fn announce(
        &mut self,
        commit: &Commit,
        graph: &mut Graph,
        subscriptions: &Subscriptions,
        people: People<'_>,
    ) -> Announced {
        let mut announced = Announced::default();
        let address = |matcher: &Self, found: &[Matched], graph: &Graph, lexicon: &Lexicon| {
            let by = matcher.surroundings(graph, lexicon, people.wishes);
            for matched in found {
                let change = Addressing {
                    matcher,
                    commit,
                    subscriptions,
                    lexicon,
                    audience: people.audience,
                    matched,
                    values: matcher.changes.values_of(&matched.change, commit),
                    sight: by.sight_of(&matched.change),
                };
                change.address(&mut announced);
            }
        };
        self.match_and(commit, graph, subscriptions, address);
        announced
    }
}

/// What a commit is to be told as, and to whom.
#[derive(Debug, Default)]
pub struct Announced {
    /// What is told at once.
    pub pushes: Vec<Push>,
    /// What those are not told who may not see it: the journal says so, and nothing more comes of it.
    pub hidden: Vec<Push>,
    /// What is told some people at a time, because it concerns many.
    pub fan_outs: Vec<FanOut>,
}

impl Announced {
    /// Whether nobody is told of anything.
    pub fn is_empty(&self) -> bool {
        self.pushes.is_empty() && self.hidden.is_empty() && self.fan_outs.is_empty()
    }
}

struct Addressing<'a> {
    matcher: &'a Matcher,
    commit: &'a Commit,
    subscriptions: &'a Subscriptions,
    lexicon: &'a Lexicon,
    audience: &'a Audience,
    matched: &'a Matched,
    /// What the commit says of the changed element's properties.
    values: Vec<&'a StreamRecord>,
    /// Who may see the changed element.
    sight: Sight<'a>,
}

impl<'a> Addressing<'a> {
    fn address(&self, announced: &mut Announced) {
        let actor = self.actor();
        let actor_number = actor.as_ref().and_then(|actor| self.number(actor));
        let told = self.told();
        // Who asked for their own acts gets them, also where a default notification would keep them back.
        let own_act_told = told
            .iter()
            .any(|one| one.own_act_too && Some(one.recipient) == actor_number);
        let many = told.len() > PEOPLE_AT_ONCE;
        let mut kinds: Vec<(&Template, &[String], bool)> = Vec::new();
        let begin = announced.fan_outs.len();
        let mut seen = HashSet::new();
        for one in told {
            let kept_back = own_act_told && !one.own_act_too && Some(one.recipient) == actor_number;
            if kept_back || !seen.insert(one.recipient) {
                continue;
            }
            let recipient = PersonId::from(self.lexicon.ids.text(one.recipient));
            let hidden = !self.sight.is_of(one.recipient, &recipient);
            if !many || one.own_act_too || self.is_pointed_at(one.recipient) {
                let notice = self.notice(&one, actor.as_ref());
                let phones = self.audience.devices_of(&recipient);
                let pushes = if hidden {
                    &mut announced.hidden
                } else {
                    &mut announced.pushes
                };
                pushes.extend(notice.to(&recipient, phones));
                continue;
            }
            let known = kinds.iter().position(|(template, keys, as_hidden)| {
                std::ptr::eq(*template, one.template) && *keys == one.keys && *as_hidden == hidden
            });
            if let Some(nth) = known {
                announced.fan_outs[begin + nth].people.push(recipient);
                continue;
            }
            kinds.push((one.template, one.keys, hidden));
            announced.fan_outs.push(FanOut {
                notice: self.notice(&one, actor.as_ref()),
                people: vec![recipient],
                hidden,
            });
        }
    }

    fn is_pointed_at(&self, recipient: u32) -> bool {
        let edge = self.matched.change.edge;
        edge.is_some_and(|edge| edge.to == recipient)
    }

    /// Default notifications first, so that they win over explicit subscriptions to the same change.
    fn told(&self) -> Vec<Told<'a>> {
        let Matcher {
            found, templates, ..
        } = self.matcher;
        let defaults = found.defaults(self.matched).iter();
        let mut told: Vec<_> = defaults
            .filter_map(|(recipient, nth)| {
                let template = templates.iter().nth(*nth as usize)?;
                Some(Told {
                    recipient: *recipient,
                    template,
                    keys: &template.when.keys,
                    own_act_too: false,
                })
            })
            .collect();
        for row in found.rows(self.matched) {
            let (template, when, exclude_self) = self.subscriptions.terms(*row);
            let Some(template) = templates.get(template) else {
                tracing::error!(
                    subscription = %self.subscriptions.id(*row), %template,
                    "the subscription's template is not configured, so it announces nothing"
                );
                continue;
            };
            told.push(Told {
                recipient: self.subscriptions.owner(*row),
                template,
                keys: &when.keys,
                own_act_too: !exclude_self,
            });
        }
        told
    }

    fn notice(&self, told: &Told<'_>, actor: Option<&PersonId>) -> Notice {
        let Told {
            recipient,
            template,
            keys,
            own_act_too,
        } = *told;
        let text = |number: u32| self.lexicon.ids.text(number);
        let change = &self.matched.change;
        let element = ElementId::from(text(change.id));
        let subject = match change.edge {
            // What a follower or a like points at is its subject; a new follower is about the follower.
            Some(edge) if edge.to == recipient => text(edge.from).into(),
            Some(edge) => text(edge.to).into(),
            None => element.clone(),
        };
        let commit = self.commit;
        Notice {
            template: template.id.clone(),
            category: template.category.clone(),
            commit: commit.end(),
            actor: actor.cloned(),
            subject: Some(subject),
            key: self.key(keys),
            at: commit.at,
            expires_at: commit.at.plus_ms(u64::from(template.ttl_seconds) * 1000),
            on_unknown_outcome: template.on_unknown_outcome,
            own_act_too,
            of_deletion: change.change == ChangeKind::Deleted,
            element,
        }
    }

    /// The changed property that the push names: one that was asked for, if there is one.
    fn key(&self, asked_for: &[String]) -> Option<String> {
        let actor = &self.matcher.model.actor_property;
        let keys = self.values.iter().map(|record| record.data.key.as_str());
        let mut keys: Vec<_> = keys.filter(|key| key != actor).collect();
        keys.sort_unstable();
        let wanted = keys
            .iter()
            .find(|key| asked_for.iter().any(|asked| asked == **key));
        wanted.or_else(|| keys.first()).map(|key| (*key).to_owned())
    }

    /// Who made the change: whoever the edge comes from, or whom the vertex's own property names.
    fn actor(&self) -> Option<PersonId> {
        if self.matched.change.edge.is_some() {
            let number = self.matched.actor?;
            return Some(self.lexicon.ids.text(number).into());
        }
        let named = self.values.iter().find(|record| {
            record.op == Op::Add && *record.data.key == self.matcher.model.actor_property
        })?;
        Some(named.data.value.text().as_ref().into())
    }

    fn number(&self, person: &PersonId) -> Option<u32> {
        self.lexicon.ids.get(person.as_str())
    }
}
