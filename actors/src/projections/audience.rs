//! Who can be reached, and what they do not want.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use iyagi_messages::device::Device;
use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{DeviceToken, PersonId, Seq, TemplateId};
use serde::{Deserialize, Serialize};

/// Devices and opt-outs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Audience {
    stored: Stored,
    by_person: HashMap<PersonId, BTreeSet<DeviceToken>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Stored {
    devices: BTreeMap<DeviceToken, Device>,
    device_seq: BTreeMap<DeviceToken, Seq>,
    opted_out: BTreeMap<PersonId, BTreeSet<TemplateId>>,
}

impl Audience {
    /// Whether a fact changes the audience.
    pub fn concerns(fact: &Fact) -> bool {
        matches!(
            fact,
            Fact::DeviceRegistered(_)
                | Fact::DeviceRemoved(_)
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
                    if templates.is_empty() {
                        self.stored.opted_out.remove(&opted.person);
                    }
                }
            }
            _ => {}
        }
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
        audience
    }
}

impl From<Audience> for Stored {
    fn from(audience: Audience) -> Self {
        audience.stored
    }
}
