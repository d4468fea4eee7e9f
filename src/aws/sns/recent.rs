//! What was used recently, in bounded memory.
//!
//! Two generations: what is used moves to the young one, and when that is full it becomes the old one and the old one
//! goes. It forgets nearly as well as one that keeps an exact order, and needs no order.

use std::collections::HashMap;
use std::hash::Hash;

/// A map that forgets what was not used for long.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    generation_max: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Recent<K, V> {
    /// A map of at most this many entries.
    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            generation_max: (entries_max / 2).max(1),
        }
    }

    /// The value, which is thereby used.
    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.insert(key.clone(), value.clone());
        Some(value)
    }

    /// Keeps a value.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.generation_max && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    /// Forgets a value.
    pub(super) fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut recent = Recent::new(100);
        for key in 0..1_000 {
            recent.insert(key, key * 2);
            assert_eq!(recent.get(&0), Some(0), "used at every step");
            assert!(recent.young.len() + recent.old.len() <= 100);
        }
        assert_eq!(recent.get(&999), Some(1_998));
        assert_eq!(recent.get(&1), None);
    }

    #[test]
    fn a_new_value_takes_the_place_of_the_old_one_and_what_is_removed_is_gone() {
        let mut recent = Recent::new(4);
        for key in ["a", "b", "c"] {
            recent.insert(key, 1);
        }
        recent.insert("a", 2);
        assert_eq!(recent.get(&"a"), Some(2));
        recent.remove(&"a");
        recent.remove(&"b");
        assert_eq!((recent.get(&"a"), recent.get(&"b")), (None, None));
        assert_eq!(recent.get(&"c"), Some(1));
    }
}
