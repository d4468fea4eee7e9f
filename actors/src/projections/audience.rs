//! Who can be reached, what they asked for, and what they do not want.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use iyagi_messages::device::Device;
use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{DeviceToken, ElementId, PersonId, Seq, SubscriptionId, TemplateId};
use iyagi_messages::subscription::{Anchor, Subscription};
use serde::{Deserialize, Serialize};

/// Devices, subscriptions and opt-outs, with an index from anchors to subscriptions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Audience {
    stored: Stored,
    by_person: HashMap<PersonId, BTreeSet<DeviceToken>>,
    by_vertex: HashMap<ElementId, BTreeSet<SubscriptionId>>,
    by_element: HashMap<ElementId, BTreeSet<SubscriptionId>>,
    by_label: HashMap<String, BTreeSet<SubscriptionId>>,
    by_follower: HashMap<PersonId, BTreeSet<SubscriptionId>>,
    by_owner: HashMap<PersonId, BTreeSet<SubscriptionId>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Stored {
    devices: BTreeMap<DeviceToken, Device>,
    device_seq: BTreeMap<DeviceToken, Seq>,
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    opted_out: BTreeMap<PersonId, BTreeSet<TemplateId>>,
}

impl Audience {
    /// Whether a fact changes the audience.
    pub fn concerns(fact: &Fact) -> bool {
        matches!(
            fact,
            Fact::DeviceRegistered(_)
                | Fact::DeviceRemoved(_)
                | Fact::SubscriptionCreated(_)
                | Fact::SubscriptionRemoved(_)
                | Fact::TemplateOptedOut(_)
                | Fact::TemplateOptedIn(_)
        )
    }

    /// A registered phone.
    pub fn device(&self, token: &DeviceToken) -> Option<&Device> {
        self.stored.devices.get(token)
    }

    /// Number of the last event about a token, also after its removal.
    pub fn device_seq(&self, token: &DeviceToken) -> Seq {
        self.stored
            .device_seq
            .get(token)
            .copied()
            .unwrap_or_default()
    }

    /// A person's phones, by token.
    pub fn devices_of(&self, person: &PersonId) -> impl Iterator<Item = &Device> {
        self.by_person
            .get(person)
            .into_iter()
            .flatten()
            .filter_map(|token| self.stored.devices.get(token))
    }

    /// How many phones are registered.
    pub fn device_count(&self) -> usize {
        self.stored.devices.len()
    }

    /// A subscription.
    pub fn subscription(&self, id: &SubscriptionId) -> Option<&Subscription> {
        self.stored.subscriptions.get(id)
    }

    /// A person's subscriptions, by id.
    pub fn subscriptions_of(&self, owner: &PersonId) -> impl Iterator<Item = &Subscription> {
        self.listed(self.by_owner.get(owner))
    }

    /// Subscriptions to edges that touch a vertex.
    pub fn incident_to(&self, vertex: &ElementId) -> impl Iterator<Item = &Subscription> {
        self.listed(self.by_vertex.get(vertex))
    }

    /// Subscriptions to an element itself.
    pub fn at_element(&self, id: &ElementId) -> impl Iterator<Item = &Subscription> {
        self.listed(self.by_element.get(id))
    }

    /// Subscriptions to a label.
    pub fn at_label(&self, label: &str) -> impl Iterator<Item = &Subscription> {
        self.listed(self.by_label.get(label))
    }

    /// A person's own subscriptions to whom they follow and to what they made.
    pub fn relative_to(&self, person: &PersonId) -> impl Iterator<Item = &Subscription> {
        self.listed(self.by_follower.get(person))
    }

    /// Whether a person has opted out of a default notification.
    pub fn has_opted_out(&self, person: &PersonId, template: &TemplateId) -> bool {
        self.stored
            .opted_out
            .get(person)
            .is_some_and(|templates| templates.contains(template))
    }

    /// Folds the journal's next event.
    pub fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::DeviceRegistered(registered) => {
                let device = &registered.device;
                self.remove_device(&device.token);
                self.stored
                    .device_seq
                    .insert(device.token.clone(), event.seq);
                self.add_device(device.clone());
            }
            Fact::DeviceRemoved(removed) => {
                self.stored
                    .device_seq
                    .insert(removed.token.clone(), event.seq);
                self.remove_device(&removed.token);
            }
            Fact::SubscriptionCreated(created) => self.subscribe(created.subscription.clone()),
            Fact::SubscriptionRemoved(removed) => self.unsubscribe(&removed.id),
            Fact::TemplateOptedOut(opted) => {
                let templates = self
                    .stored
                    .opted_out
                    .entry(opted.person.clone())
                    .or_default();
                templates.insert(opted.template.clone());
            }
            Fact::TemplateOptedIn(opted) => {
                if let Some(templates) = self.stored.opted_out.get_mut(&opted.person) {
                    templates.remove(&opted.template);
                }
            }
            _ => {}
        }
    }

    fn listed<'a>(
        &'a self,
        ids: Option<&'a BTreeSet<SubscriptionId>>,
    ) -> impl Iterator<Item = &'a Subscription> {
        ids.into_iter()
            .flatten()
            .filter_map(|id| self.stored.subscriptions.get(id))
    }

    fn add_device(&mut self, device: Device) {
        let tokens = self.by_person.entry(device.person.clone()).or_default();
        tokens.insert(device.token.clone());
        self.stored.devices.insert(device.token.clone(), device);
    }

    fn remove_device(&mut self, token: &DeviceToken) {
        let Some(device) = self.stored.devices.remove(token) else {
            return;
        };
        if let Some(tokens) = self.by_person.get_mut(&device.person) {
            tokens.remove(token);
            if tokens.is_empty() {
                self.by_person.remove(&device.person);
            }
        }
    }

    fn subscribe(&mut self, subscription: Subscription) {
        self.unsubscribe(&subscription.id);
        self.index_of(&subscription).insert(subscription.id.clone());
        let owned = self.by_owner.entry(subscription.owner.clone()).or_default();
        owned.insert(subscription.id.clone());
        self.stored
            .subscriptions
            .insert(subscription.id.clone(), subscription);
    }

    fn unsubscribe(&mut self, id: &SubscriptionId) {
        let Some(subscription) = self.stored.subscriptions.remove(id) else {
            return;
        };
        self.index_of(&subscription).remove(id);
        if let Some(owned) = self.by_owner.get_mut(&subscription.owner) {
            owned.remove(id);
        }
    }

    fn index_of(&mut self, subscription: &Subscription) -> &mut BTreeSet<SubscriptionId> {
        match &subscription.anchor {
            Anchor::Incident { vertex, .. } => self.by_vertex.entry(vertex.clone()).or_default(),
            Anchor::Element { id } => self.by_element.entry(id.clone()).or_default(),
            Anchor::Label { label } => self.by_label.entry(label.clone()).or_default(),
            Anchor::Followed { .. } | Anchor::Owned { .. } => self
                .by_follower
                .entry(subscription.owner.clone())
                .or_default(),
        }
    }
}

impl From<Stored> for Audience {
    fn from(stored: Stored) -> Self {
        let mut audience = Self::default();
        audience.stored.device_seq = stored.device_seq;
        audience.stored.opted_out = stored.opted_out;
        stored
            .devices
            .into_values()
            .for_each(|device| audience.add_device(device));
        stored
            .subscriptions
            .into_values()
            .for_each(|one| audience.subscribe(one));
        audience
    }
}

impl From<Audience> for Stored {
    fn from(audience: Audience) -> Self {
        audience.stored
    }
}
