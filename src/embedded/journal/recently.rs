//! A map that remembers what was used lately: what was not used for half of its room goes.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// At most `ROOM` values, by key.
pub(super) struct Recently<K, V, const ROOM: usize> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K, V, const ROOM: usize> Default for Recently<K, V, ROOM> {
    fn default() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }
}

impl<K: Eq + Hash, V, const ROOM: usize> Recently<K, V, ROOM> {
    /// The value of a key, which counts as a use.
    pub(super) fn get<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.set(key, value);
        }
        self.young.get_mut(key)
    }

    /// Remembers a value.
    pub(super) fn set(&mut self, key: K, value: V) {
        if self.young.len() >= ROOM / 2 && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    /// Forgets a key.
    pub(super) fn forget<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut map = Recently::<u32, u32, 8>::default();
        for key in 0..100 {
            map.set(key, key * 2);
            assert_eq!(map.get(&0), Some(&mut 0), "after {key} others");
            assert!(map.young.len() + map.old.len() <= 8);
        }
        assert_eq!(map.get(&99), Some(&mut 198));
        assert_eq!(map.get(&50), None);
        map.forget(&0);
        assert_eq!(map.get(&0), None);
    }
}
