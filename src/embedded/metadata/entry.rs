//! What is known of one object, and how it changes. Each part keeps the latest that it was told, so that the same
//! changes in any order, and any of them twice, end in the same entry.

use iyagi_actors::ports::Written;
use iyagi_messages::media::{Derived, MetadataItem};
use iyagi_messages::object::Sequencer;

/// What is known of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// The latest write's, without what was derived from it.
    pub(super) item: Option<MetadataItem>,
    /// The latest that was derived; never older than the item.
    pub(super) derived: Option<Derived>,
    /// The latest removal; whatever is not later is gone.
    pub(super) removed: Option<Sequencer>,
}

impl Entry {
    pub(super) fn record(&mut self, mut item: MetadataItem) -> Written {
        let derived = item.take_derived();
        let known = self.item.as_ref().map(|item| &item.sequencer);
        if self.is_removed(&item.sequencer) || known.is_some_and(|k| *k > item.sequencer) {
            return Written::Outdated;
        }
        self.derived
            .take_if(|made| *made.sequencer() < item.sequencer);
        self.item = Some(item);
        if let Some(derived) = derived {
            self.attach(derived);
        }
        Written::Yes
    }

    pub(super) fn attach(&mut self, derived: impl Into<Derived>) -> Written {
        let derived = derived.into();
        let item = self.item.as_ref().map(|item| &item.sequencer);
        let made = self.derived.as_ref().map(Derived::sequencer);
        if self.is_removed(derived.sequencer()) || item.max(made) > Some(derived.sequencer()) {
            return Written::Outdated;
        }
        self.derived = Some(derived);
        Written::Yes
    }

    pub(super) fn remove(&mut self, sequencer: Sequencer) -> (Written, Option<Derived>) {
        let item = self.item.as_ref().map(|item| &item.sequencer);
        let made = self.derived.as_ref().map(Derived::sequencer);
        let latest = item.max(made).max(self.removed.as_ref());
        let written = if latest > Some(&sequencer) {
            Written::Outdated
        } else {
            Written::Yes
        };
        self.item.take_if(|item| item.sequencer <= sequencer);
        let derived = self.derived.take_if(|made| *made.sequencer() <= sequencer);
        if self.removed.as_ref() < Some(&sequencer) {
            self.removed = Some(sequencer);
        }
        (written, derived)
    }

    fn is_removed(&self, sequencer: &Sequencer) -> bool {
        self.removed.as_ref() >= Some(sequencer)
    }

    /// Whether nothing is known but that the object is gone.
    pub(super) fn is_only_removed(&self) -> bool {
        self.removed.is_some() && self.item.is_none() && self.derived.is_none()
    }

    /// The item as readers see it.
    pub(super) fn into_item(self) -> Option<MetadataItem> {
        let derived = self.derived;
        self.item.map(|item| item.with_derived(derived))
    }
}

#[cfg(test)]
mod tests {
    use iyagi_messages::ids::Timestamp;
    use iyagi_messages::media::Thumbnails;
    use iyagi_messages::object::ObjectKey;
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Change {
        Record(u8),
        Attach(u8),
        Remove(u8),
    }

    impl Change {
        fn sequencer(self) -> u8 {
            let (Self::Record(number) | Self::Attach(number) | Self::Remove(number)) = self;
            number
        }
    }

    fn after(changes: &[Change]) -> Entry {
        let mut entry = Entry::default();
        for change in changes {
            let sequencer = Sequencer(format!("{:X}", change.sequencer()));
            match change {
                Change::Record(number) => drop(entry.record(item(*number, sequencer))),
                Change::Attach(number) => drop(entry.attach(Thumbnails {
                    sequencer,
                    dominant_colour: number.to_string(),
                    placeholder: None,
                    rendered_in_ms: None,
                    variants: vec![],
                })),
                Change::Remove(_) => drop(entry.remove(sequencer)),
            }
        }
        entry
    }

    fn item(number: u8, sequencer: Sequencer) -> MetadataItem {
        MetadataItem {
            key: ObjectKey::new("posts/1.jpg").expect("valid"),
            owner: None,
            sequencer,
            version_id: None,
            content_type: "image/jpeg".to_owned(),
            size: u64::from(number),
            sha256: None,
            dimensions: None,
            animated: false,
            defect: None,
            recorded_at: Timestamp(0),
            thumbnails: None,
            audio: None,
        }
    }

    fn change() -> impl Strategy<Value = Change> {
        // Few and short numbers, so that they meet, and some of two digits.
        let number = prop_oneof![0..6_u8, 14..18_u8];
        (0..3_u8, number).prop_map(|(kind, number)| match kind {
            0 => Change::Record(number),
            1 => Change::Attach(number),
            _ => Change::Remove(number),
        })
    }

    /// The same changes shuffled, some of them twice.
    fn two_orders() -> impl Strategy<Value = (Vec<Change>, Vec<Change>)> {
        let changes = prop::collection::vec(change(), 1..8);
        changes.prop_flat_map(|changes| {
            let length = changes.len();
            let repeats = prop::collection::vec(0..length, 0..length);
            (Just(changes), repeats).prop_flat_map(|(changes, repeats)| {
                let mut all = changes.clone();
                all.extend(repeats.into_iter().map(|index| changes[index]));
                (Just(changes), Just(all).prop_shuffle())
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_order_with_repeats_ends_as_in_order((mut in_order, any_order) in two_orders()) {
            in_order.sort_by_key(|change| change.sequencer());
            prop_assert_eq!(after(&any_order), after(&in_order));
        }
    }

    #[test]
    fn an_item_that_comes_with_thumbnails_keeps_them() {
        let sequencer = Sequencer("1".to_owned());
        let thumbnails = Thumbnails {
            sequencer: sequencer.clone(),
            dominant_colour: "#000000".to_owned(),
            placeholder: None,
            rendered_in_ms: None,
            variants: vec![],
        };
        let complete = MetadataItem {
            thumbnails: Some(thumbnails),
            ..item(1, sequencer)
        };
        let mut entry = Entry::default();
        assert_eq!(entry.record(complete.clone()), Written::Yes);
        assert_eq!(entry.into_item(), Some(complete));
    }
}
