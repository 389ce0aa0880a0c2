//! Maps and sets in one sorted vector, for the few entries that a device's lists have.
//!
//! The standard library's B-trees cost a WebAssembly module some kilobytes for each pair of types,
//! which is most of what these are for. Inserting moves what comes after: for thousands of entries
//! take a B-tree.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

/// A map, in the order of its keys. Encodes as the sequence of its entries, like a B-tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SortedMap<K, V> {
    entries: Vec<(K, V)>,
}

/// A set, in its order. Encodes as the sequence of its items, like a B-tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SortedSet<T> {
    items: Vec<T>,
}

impl<K: Ord, V> SortedMap<K, V> {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    fn position<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.entries.binary_search_by(|(other, _)| other.borrow().cmp(key))
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let position = self.position(key).ok()?;
        self.entries.get(position).map(|(_, value)| value)
    }

    /// The value of a key, to change it.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let position = self.position(key).ok()?;
        self.entries.get_mut(position).map(|(_, value)| value)
    }

    /// Whether a key is there.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.position(key).is_ok()
    }

    /// Gives a key its value; returns the one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.position(&key) {
            Ok(position) => {
                let (_, old) = self.entries.get_mut(position)?;
                Some(std::mem::replace(old, value))
            }
            Err(position) => {
                self.entries.insert(position, (key, value));
                None
            }
        }
    }

    /// Takes a key out; returns the value that it had.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.position(key).ok().map(|position| self.entries.remove(position).1)
    }

    /// The entries.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// The keys.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.entries.iter().map(|(key, _)| key)
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator {
        self.entries.iter().map(|(_, value)| value)
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes all entries out.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Keeps the entries for which `keeps` holds.
    pub fn retain(&mut self, mut keeps: impl FnMut(&K, &mut V) -> bool) {
        self.entries.retain_mut(|(key, value)| keeps(key, value));
    }
}

impl<K: Ord, V: Default> SortedMap<K, V> {
    /// Changes the value of a key, the default one if it had none.
    pub fn change(&mut self, key: K, change: impl FnOnce(&mut V)) {
        if let Some(value) = self.get_mut(&key) {
            return change(value);
        }
        let mut value = V::default();
        change(&mut value);
        self.insert(key, value);
    }
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K: Ord, V> Extend<(K, V)> for SortedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        entries.into_iter().for_each(|(key, value)| drop(self.insert(key, value)));
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<T: Ord> SortedSet<T> {
    /// An empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { items: Vec::new() }
    }

    /// Whether an item is in the set.
    pub fn contains<Q: Ord + ?Sized>(&self, item: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.items.binary_search_by(|other| other.borrow().cmp(item)).is_ok()
    }

    /// Puts an item in; returns whether it was not there.
    pub fn insert(&mut self, item: T) -> bool {
        match self.items.binary_search(&item) {
            Ok(_) => false,
            Err(position) => {
                self.items.insert(position, item);
                true
            }
        }
    }

    /// Takes an item out; returns whether it was there.
    pub fn remove<Q: Ord + ?Sized>(&mut self, item: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        let position = self.items.binary_search_by(|other| other.borrow().cmp(item));
        position.map(|position| self.items.remove(position)).is_ok()
    }

    /// The items.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }

    /// The items that are not in `other`.
    pub fn difference<'s>(&'s self, other: &'s Self) -> impl Iterator<Item = &'s T> {
        self.items.iter().filter(|item| !other.contains(*item))
    }

    /// Whether all items are in `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.difference(other).next().is_none()
    }

    /// How many items there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Keeps the items for which `keeps` holds.
    pub fn retain(&mut self, keeps: impl FnMut(&T) -> bool) {
        self.items.retain(keeps);
    }
}

impl<T> Default for SortedSet<T> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}

impl<T: Ord> FromIterator<T> for SortedSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut set = Self::new();
        set.extend(items);
        set
    }
}

impl<T: Ord> Extend<T> for SortedSet<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| {
            self.insert(item);
        });
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for SortedSet<T> {
    fn from(items: [T; N]) -> Self {
        items.into_iter().collect()
    }
}

impl<T> IntoIterator for SortedSet<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'s, T> IntoIterator for &'s SortedSet<T> {
    type Item = &'s T;
    type IntoIter = std::slice::Iter<'s, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// Every sequence of insertions and removals of four keys, as far as five steps go.
    fn steps() -> impl Iterator<Item = Vec<(bool, u8)>> {
        (0..8_u32.pow(5)).map(|number| {
            (0..5)
                .map(|step| number >> (3 * step))
                .map(|bits| (bits & 4 == 0, (bits & 3) as u8))
                .collect()
        })
    }

    #[test]
    fn a_map_is_what_a_b_tree_is_step_by_step() {
        for steps in steps() {
            let (mut ours, mut theirs) = (SortedMap::new(), BTreeMap::new());
            for (time, (inserts, key)) in steps.into_iter().enumerate() {
                if inserts {
                    assert_eq!(ours.insert(key, time), theirs.insert(key, time));
                } else {
                    assert_eq!(ours.remove(&key), theirs.remove(&key));
                }
                assert!(ours.iter().eq(theirs.iter()));
                assert_eq!((ours.len(), ours.is_empty()), (theirs.len(), theirs.is_empty()));
                assert_eq!(ours.get(&key), theirs.get(&key));
            }
        }
    }

    #[test]
    fn a_set_is_what_a_b_tree_is_step_by_step() {
        for steps in steps() {
            let (mut ours, mut theirs) = (SortedSet::new(), BTreeSet::new());
            for (inserts, item) in steps {
                if inserts {
                    assert_eq!(ours.insert(item), theirs.insert(item));
                } else {
                    assert_eq!(ours.remove(&item), theirs.remove(&item));
                }
                assert!(ours.iter().eq(theirs.iter()));
                assert_eq!(ours.contains(&item), theirs.contains(&item));
            }
        }
    }

    #[test]
    fn difference_and_subset_go_by_what_is_in_both() {
        let (small, large) = (SortedSet::from([3, 1]), SortedSet::from([2, 3, 1]));
        assert!(small.is_subset(&large) && !large.is_subset(&small));
        assert_eq!(large.difference(&small).collect::<Vec<_>>(), [&2]);
    }

    /// Rows of devices were written as B-trees.
    #[test]
    fn rows_are_those_of_b_trees() {
        let map: BTreeMap<String, u64> = [("b".into(), 300), ("a".into(), 1)].into();
        let row = postcard::to_allocvec(&map).unwrap();
        let ours: SortedMap<String, u64> = postcard::from_bytes(&row).unwrap();
        assert_eq!(postcard::to_allocvec(&ours).unwrap(), row);
        assert_eq!(ours.get("b"), Some(&300));
        let set: BTreeSet<u32> = [3, 1, 2].into();
        let ours: SortedSet<u32> =
            postcard::from_bytes(&postcard::to_allocvec(&set).unwrap()).unwrap();
        assert_eq!(postcard::to_allocvec(&ours).unwrap(), postcard::to_allocvec(&set).unwrap());
    }
}
