//! Maps from keys that are handed out to values, in pages.
//!
//! Keys are slotmap's, and so is the way they are given: the place that was left last is taken first, and a place
//! has another version each time, so that an old key never finds a new value.

use std::marker::PhantomData;

use slotmap::{Key, KeyData};

use super::Paged;

/// Places of a page: as many as the compiler knows, so that one look finds that a place is in it.
const PAGE_LEN: usize = 256;

/// Values by keys that it hands out. Meant for values that are small, or boxed.
#[derive(Debug)]
pub struct Slots<K, V> {
    /// The first place is nobody's: no key is all zero.
    pages: Vec<Box<[Slot<V>; PAGE_LEN]>>,
    /// Places that were ever taken, and the first one.
    used: usize,
    /// The empty place to be taken next; 0 if there is none.
    free: u32,
    len: usize,
    keys: PhantomData<fn() -> K>,
}

#[derive(Debug)]
struct Slot<V> {
    /// Odd while there is a value.
    version: u32,
    /// The empty place to be taken after this one.
    next_free: u32,
    value: Option<V>,
}

impl<K: Key, V> Slots<K, V> {
    /// No values.
    #[must_use]
    pub fn new() -> Self {
        Self {
            pages: Vec::new(),
            used: 1,
            free: 0,
            len: 0,
            keys: PhantomData,
        }
    }

    /// How many values there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: K) -> Option<&V> {
        let (index, version) = parts(key);
        let slot = &self.pages.get(index / PAGE_LEN)?[index % PAGE_LEN];
        slot.value.as_ref().filter(|_| slot.version == version)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let (index, version) = parts(key);
        let slot = &mut self.pages.get_mut(index / PAGE_LEN)?[index % PAGE_LEN];
        let is_meant = slot.version == version;
        slot.value.as_mut().filter(|_| is_meant)
    }

    /// Puts a value in, and tells its key.
    pub fn insert(&mut self, value: V) -> K {
        self.insert_with_key(|_| value)
    }

    /// The same for a value that knows its key.
    pub fn insert_with_key(&mut self, make: impl FnOnce(K) -> V) -> K {
        let index = match self.free {
            0 => self.one_more(),
            free => free as usize,
        };
        let Some(page) = self.pages.get_mut(index / PAGE_LEN) else {
            return K::null();
        };
        let slot = &mut page[index % PAGE_LEN];
        self.free = slot.next_free;
        slot.version |= 1;
        let key = key(place(index), slot.version);
        slot.value = Some(make(key));
        self.len += 1;
        key
    }

    /// Takes a value out; its key is of no use any more.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let (index, version) = parts(key);
        let slot = &mut self.pages.get_mut(index / PAGE_LEN)?[index % PAGE_LEN];
        if slot.version != version {
            return None;
        }
        let value = slot.value.take()?;
        slot.version = version.wrapping_add(1);
        slot.next_free = std::mem::replace(&mut self.free, place(index));
        self.len -= 1;
        Some(value)
    }

    /// All keys with their values.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        let slots = self.pages.iter().flat_map(|page| page.iter());
        slots.enumerate().filter_map(|(index, slot)| {
            let value = slot.value.as_ref()?;
            Some((key(place(index), slot.version), value))
        })
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// A place that was never taken.
    fn one_more(&mut self) -> usize {
        if self.used / PAGE_LEN == self.pages.len() {
            self.pages.push(Box::new([const { Slot::EMPTY }; PAGE_LEN]));
        }
        self.used += 1;
        self.used - 1
    }
}

impl<V> Slot<V> {
    const EMPTY: Self = Self {
        version: 0,
        next_free: 0,
        value: None,
    };
}

/// Values by the keys of another map.
#[derive(Debug)]
pub struct Beside<K, V> {
    /// With the versions of their keys.
    places: Paged<Option<(u32, V)>>,
    keys: PhantomData<fn() -> K>,
}

impl<K: Key, V> Beside<K, V> {
    /// No values.
    #[must_use]
    pub fn new() -> Self {
        Self {
            places: Paged::new(),
            keys: PhantomData,
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: K) -> Option<&V> {
        let (index, wanted) = parts(key);
        let (version, value) = self.places.get(index)?.as_ref()?;
        (*version == wanted).then_some(value)
    }

    /// Puts a key's value in. One of an older key at the same place goes.
    pub fn insert(&mut self, key: K, value: V) {
        let (index, version) = parts(key);
        while self.places.len() <= index {
            self.places.push(None);
        }
        if let Some(place) = self.places.get_mut(index) {
            *place = Some((version, value));
        }
    }

    /// Takes a key's value out.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let (index, version) = parts(key);
        let taken = self
            .places
            .get_mut(index)?
            .take_if(|(of, _)| *of == version);
        taken.map(|(_, value)| value)
    }

    /// Takes all values out.
    pub fn take_all(&mut self) -> Vec<V> {
        let places = std::mem::replace(&mut self.places, Paged::new());
        let values = places.pages.into_iter().flatten().flatten();
        values.map(|(_, value)| value).collect()
    }
}

impl<K: Key, V> Default for Beside<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

/// Place and version.
fn parts<K: Key>(key: K) -> (usize, u32) {
    let bits = key.data().as_ffi();
    ((bits & 0xffff_ffff) as usize, (bits >> 32) as u32)
}

fn key<K: Key>(index: u32, version: u32) -> K {
    KeyData::from_ffi(u64::from(version) << 32 | u64::from(index)).into()
}

/// Places are as many as descriptors at most.
fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use slotmap::{DefaultKey, SecondaryMap, SlotMap};

    use super::*;

    proptest! {
        /// The same keys and the same values as in slotmap, whatever is put in and taken out.
        #[test]
        fn as_slotmap(steps in prop::collection::vec((0..3u8, 0..1000usize), 0..400)) {
            let (mut slots, mut beside) = (Slots::<DefaultKey, usize>::new(), Beside::new());
            let (mut map, mut second) = (SlotMap::new(), SecondaryMap::new());
            let mut keys = vec![DefaultKey::default()];
            for (step, number) in steps {
                let key = keys[number % keys.len()];
                match step {
                    0 => {
                        prop_assert_eq!(slots.remove(key), map.remove(key));
                        prop_assert_eq!(beside.remove(key), second.remove(key));
                    }
                    1 => {
                        let key = slots.insert(number);
                        prop_assert_eq!(key, map.insert(number));
                        beside.insert(key, number);
                        second.insert(key, number);
                        keys.push(key);
                    }
                    _ => if let (Some(ours), Some(theirs)) = (slots.get_mut(key), map.get_mut(key)) {
                        (*ours, *theirs) = (number, number);
                    }
                }
                prop_assert_eq!(slots.get(key), map.get(key));
                prop_assert_eq!(beside.get(key), second.get(key));
                prop_assert_eq!((slots.len(), slots.is_empty()), (map.len(), map.is_empty()));
            }
            prop_assert!(slots.iter().eq(map.iter()));
            prop_assert!(slots.keys().eq(map.keys()) && slots.values().eq(map.values()));
            prop_assert_eq!(beside.take_all(), second.values().copied().collect::<Vec<_>>());
        }
    }
}
